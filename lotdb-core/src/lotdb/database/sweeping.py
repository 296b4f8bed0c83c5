"""Deleting the arrays that no record names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from lotdb.database.opened import Opened
from lotdb.errors import InvalidOptionError, shown
from lotdb.interfaces.backend import Backend, is_locator, iter_locators
from lotdb.interfaces.installed import plugin_errors

__all__ = ["GRACE_S", "check_grace", "sweep"]

#: How long an array is left alone that another process may be about to commit. A longer transaction is safe,
#: too, but has to be run again if a sweep comes meanwhile. What a killed process leaves stays so long.
GRACE_S = 3600.0


def check_grace(grace_s: object) -> None:
    """Raise ``InvalidOptionError`` unless *grace_s* is a number of seconds, or None."""
    is_number = isinstance(grace_s, int | float) and not isinstance(grace_s, bool)
    if grace_s is not None and not (is_number and 0 <= grace_s <= sys.float_info.max):  # type: ignore[operator]
        raise InvalidOptionError(f"grace_s is {shown(grace_s)}; use a number of seconds from 0 on, or None")


def sweep(database: Opened, *, grace_s: float | None = None, outside: bool = False) -> None:
    """Delete the segments that no record of any revision names.

    It deletes only names of the exact form of a locator, and no links: the folder may come from a stranger.
    Where others may use a place, too, it deletes only if *outside* says so; see :func:`_is_swept`.

    If this process alone writes, other connections of it may write at the same time. The order makes that
    safe: list the stored segments, then the staged ones, then the recorded ones. A segment on the first list
    was staged or recorded at that moment, so it is on the second or on the third list.

    What other processes have staged is not known. Segments younger than *grace_s*, by the clock of the place
    that they lie in, are left alone; and while the records are read and the others deleted, no process
    commits. Each process looks, before it commits, whether its segments are still there.
    """
    grace_s = GRACE_S if grace_s is None else grace_s
    stored = list(_stored(database, grace_s, outside))
    if not stored:
        return
    with database._storage.publishing(exclusive=True):
        stages = [each.tree.staged for each in database._open_connections()]
        used = {locator for stage in stages if stage is not None for locator in stage.locators}
        for _, _, record in database._storage.records():
            used.update(iter_locators(record))
        for backend, locator in stored:
            if locator not in used:
                with plugin_errors(backend.name):
                    backend.delete(locator)


def _stored(database: Opened, grace_s: float, outside: bool) -> Iterator[tuple[Backend, str]]:
    """What may turn out to be garbage, with the backend that has it."""
    for backend in database._backends.in_use():
        if not _is_swept(database, backend, outside):
            continue
        with plugin_errors(backend.name):
            found = [(each, at) for each, at in backend.locators() if is_locator(each)]
            if database._storage.many_writers and found:
                before = backend.now() - grace_s
                found = [(each, at) for each, at in found if at <= before]
            for locator, _ in found:
                if not _is_link(backend, locator):
                    yield backend, locator


def _is_swept(database: Opened, backend: Backend, outside: bool) -> bool:
    """Whether nobody but this database can use the place where *backend* stores its arrays.

    A copy of a folder has the same id, and names the same place outside of it: to the one, what the other has
    written since is garbage. So there, only who knows that there is no copy says that it may be swept. A
    database on a server is not copied like that, and the place that it notes itself is its own.
    """
    if not backend.is_outside or outside:
        return True
    return bool(database._where.url) and not backend.context.config.get("store")


def _is_link(backend: Backend, locator: str) -> bool:
    files = [path for path, _ in backend.files(locator)]
    paths: list[str | os.PathLike[str]] = [backend.context.folder / locator, *files]
    return any(os.path.islink(path) for path in paths)
