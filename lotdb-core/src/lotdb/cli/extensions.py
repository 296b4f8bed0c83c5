"""Commands of plugins: which there are, and loading one."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

__all__ = ["GROUP", "load", "names"]

GROUP = "lotdb.command"


def names() -> list[str]:
    """The names of the commands that plugins have; none is loaded."""
    return sorted({point.name for point in _points()}) if _may_have_any() else []


def load(name: str) -> click.Command | None:
    """The command *name* of a plugin, or None if no plugin has it."""
    points = [point for point in _points() if point.name == name] if _may_have_any() else []
    if not points:
        return None
    import pluggy

    from lotdb.hookspecs import CommandSpec

    group = click.Group()
    manager = pluggy.PluginManager("lotdb")
    manager.add_hookspecs(CommandSpec)
    try:
        for point in points:
            plugin = point.load()
            if not manager.is_registered(plugin):
                manager.register(plugin)
        manager.check_pending()
        manager.hook.lotdb_register_commands(group=group)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may even call sys.exit()
        where = _distribution(points[0])
        raise click.ClickException(
            f"command {name!r} of {where} is installed but cannot be loaded: {error!r}"
        ) from error
    if name not in group.commands:
        raise click.ClickException(
            f"{_distribution(points[0])} announces a command {name!r}, and registers none of that name"
        )
    return group.commands[name]


def _points() -> tuple[Any, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=GROUP))


def _may_have_any() -> bool:
    """Whether anything that is installed names the group of commands.

    ``importlib.metadata`` answers that, too. Importing it takes as long as importing click.
    """
    wanted = GROUP.encode()
    for folder in sys.path:
        try:
            with os.scandir(folder or ".") as entries:
                found = [each.path for each in entries if each.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            if os.path.isfile(folder):
                return True  # an archive, which only importlib can look into
            continue
        for path in found:
            try:
                with open(os.path.join(path, "entry_points.txt"), "rb") as file:
                    if wanted in file.read():
                        return True
            except OSError:
                continue
    return False


def _distribution(point: Any) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"
