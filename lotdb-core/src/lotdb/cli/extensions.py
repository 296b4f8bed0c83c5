"""Commands of plugins: which there are, and loading one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import click

__all__ = ["GROUP", "described", "load_command", "names"]

GROUP = "lotdb.command"
State: TypeAlias = Literal["loaded", "not loaded yet", "failed"]


def names() -> list[str]:
    """The names of the commands that plugins have; none is loaded."""
    return sorted({point.name for point in _points()}) if _may_have_any() else []


def load_command(name: str) -> click.Command | None:
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


def described(*, load: bool = False) -> Iterator[tuple[str, str, str, str, State, str]]:
    """What `lotdb.PluginInfo` has of each plugin, of each command."""
    for point in sorted(_points() if _may_have_any() else (), key=lambda point: str(point.name)):
        state: State = "not loaded yet"
        reason = ""
        if load:
            try:
                load_command(point.name)
                state = "loaded"
            except click.ClickException as error:
                state, reason = "failed", error.message
        version = point.dist.version if point.dist is not None else ""
        yield "command", point.name, point.dist.name if point.dist is not None else "", version, state, reason


def _points() -> tuple[Any, ...]:
    from importlib.metadata import entry_points

    # As for other plugins, whose registry has the name of the variable, and takes long to import.
    off = {name.strip() for name in os.environ.get("LOTDB_PLUGINS_OFF", "").split(",")}
    return tuple(point for point in entry_points(group=GROUP) if point.name not in off)


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
