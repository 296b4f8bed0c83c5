"""Who may open a database: one writing process, and any number of reading ones.

The writer's lock is FileStorage's own ``<name>.lock``, which holds the writer's process id. What readers keep
from a pack is in ``lotdb.storage.snapshots``.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import TypeVar

from zc.lockfile import LockFile

from lotdb.errors import DatabaseBusyError
from lotdb.storage.parts import read_part

__all__ = ["check_lock", "is_held", "patiently", "writer_busy"]

_T = TypeVar("_T")

_PAUSE_S = 0.02


def patiently(attempt: Callable[[], _T], timeout: float | None) -> _T:
    """The result of *attempt*, repeated for up to *timeout* seconds while the database is busy."""
    deadline = time.monotonic() + (timeout or 0)
    while True:
        try:
            return attempt()
        except DatabaseBusyError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_S)


def is_held(error: Exception) -> bool:
    """Whether an error of zc.lockfile means that another has the lock: it raises the same for any failure."""
    cause = error.__context__
    return not isinstance(cause, OSError) or cause.errno in (errno.EAGAIN, errno.EACCES)


def check_lock(lock: LockFile, data_file: str) -> None:
    """Raise ``DatabaseBusyError`` unless *lock*, which is held, is the file that others lock.

    Who has it while a database is taken back removes it. Whoever opened the file before that locks a file
    that nobody else sees.
    """
    try:
        is_there = os.path.samestat(os.fstat(lock._fp.fileno()), os.stat(data_file + ".lock"))
    except FileNotFoundError:
        is_there = False
    if not is_there:
        raise writer_busy(data_file)


def pack_busy(where: str) -> DatabaseBusyError:
    """The error that says that the database at *where* is being packed."""
    return DatabaseBusyError(
        f"{where} is being packed already, by another thread or process, so this pack has changed nothing;"
        " to wait for the other one, open the database with timeout=seconds"
    )


def writer_busy(data_file: str) -> DatabaseBusyError:
    """The error that says which process writes to *data_file*."""
    holder = _holder(data_file + ".lock")
    if holder == str(os.getpid()):
        return DatabaseBusyError(
            f"{data_file} is in use by this process ({holder}) already: open further connections of the"
            " database that is open, or close that first"
        )
    return DatabaseBusyError(
        f"{data_file} is in use by {f'process {holder}' if holder else 'another process'}, or by a child that"
        " it forked; wait for it with timeout=seconds, or open it with read_only=True"
    )


def _holder(lock_file: str) -> str:
    try:
        return read_part(lock_file, 40).decode("ascii", "replace").strip()
    except OSError:
        return ""
