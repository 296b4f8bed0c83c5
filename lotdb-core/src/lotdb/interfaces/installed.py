"""What is installed: the one module that reads entry points, and errors that name a plugin's package."""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lotdb.errors import FileSystemError, LotdbError, PluginError, store_error
from lotdb.extras import distributions_with

__all__ = [
    "BACKEND",
    "INGESTER",
    "NODE",
    "STORAGE",
    "distribution_of",
    "look_up",
    "plugin_errors",
    "with_versions",
]

# The groups of entry points.
BACKEND, INGESTER, NODE, STORAGE = "lotdb.backend", "lotdb.ingester", "lotdb.node", "lotdb.storage"


def look_up(group: str) -> tuple[Any, ...]:
    """The entry points of *group* that are installed."""
    names = distributions_with(group)
    if names == []:
        return ()
    # Imported here: scanning what is installed costs more than opening a database.
    from importlib_metadata import distributions, entry_points

    try:
        _check_path()
        if names is None:
            found = tuple(entry_points(group=group))
        else:  # of each name that on the path which comes first, as entry_points() does
            first = [next(iter(distributions(name=name)), None) for name in dict.fromkeys(names)]
            found = tuple(point for each in first if each for point in each.entry_points.select(group=group))
        _check_path()
    except OSError as error:
        importlib.invalidate_caches()  # it remembers a folder that it could not list as an empty one
        raise FileSystemError.of(error, "the installed packages cannot be searched") from error
    return found


def distribution_of(point: Any) -> tuple[str, str]:
    """Name and version of the distribution that brought an entry point; empty if it is not known."""
    if point.dist is None:
        return "", ""
    return str(point.dist.name), str(point.dist.version)


def _check_path() -> None:
    """Raise ``OSError`` if a folder on the path cannot be opened: importlib takes it for an empty one."""
    for folder in sys.path:
        try:
            os.close(os.open(folder or ".", os.O_RDONLY))
        except OSError as error:
            # What is not there, or not for us, has nothing to offer.
            if error.errno not in (
                errno.ENOENT,
                errno.ENOTDIR,
                errno.EACCES,
                errno.EPERM,
                errno.ENAMETOOLONG,
            ):
                raise
        except ValueError:  # no path at all
            continue


@contextmanager
def plugin_errors(name: str) -> Iterator[None]:
    """Turns whatever a backend raises on its own account into an error that names it."""
    try:
        yield
    except (LotdbError, MemoryError):
        raise
    except Exception as error:
        if failure := store_error(error, f"backend {name!r}", None):
            raise failure from error
        if isinstance(error, OSError):
            raise
        raise PluginError(f"backend {with_versions(name)} failed: {error!r}") from error


def with_versions(backend: str) -> str:
    """The name of a backend, and the versions of its distribution and of what that one stands on.

    For errors that are not about data: a release of a library may have lost what the backend calls.
    """
    from importlib_metadata import PackageNotFoundError, version

    point = next((each for each in look_up(BACKEND) if each.name == backend), None)
    if point is None or point.dist is None:
        return repr(backend)
    names = [re.match(r"[\w.-]+", line) for line in point.dist.requires or () if "extra ==" not in line]
    found = []
    for name in (match.group() for match in names if match):
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return f"{backend!r} ({point.dist.name} {point.dist.version} with {', '.join(sorted(found))})"
