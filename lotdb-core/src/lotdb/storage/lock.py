"""Who may open a database: one writing process, any number of reading ones, and no reader while it is packed.

The writer's lock is FileStorage's own ``<name>.lock``, which holds the writer's process id. A reader keeps a
shared lock on ``<name>.readers``: FileStorage remembers positions in the data file, and packing moves
everything, so a reader would go on with positions that are wrong.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import TypeVar

from lotdb.errors import DatabaseBusyError
from lotdb.storage.parts import is_there, open_part, open_plain, read_part

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where the readers' lock does not exist
    fcntl = None  # type: ignore[assignment, unused-ignore]

__all__ = ["ReadersLock", "is_held", "patiently", "writer_busy"]

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


class ReadersLock:
    """A lock on ``<name>.readers``, held until it is closed.

    Parameters
    ----------
    path : str
        The file to lock.
    exclusive : bool
        True to pack, False to read.

    Raises
    ------
    DatabaseBusyError
        Somebody else holds it in a way that does not go together.
    """

    def __init__(self, path: str, *, exclusive: bool = False) -> None:
        self._descriptor = _open_lock_file(path, os.O_RDWR if exclusive else os.O_RDONLY)
        if self._descriptor is not None and not _lock(self._descriptor, exclusive):
            self.close()
            raise DatabaseBusyError(_MESSAGES[exclusive].format(path.removesuffix(".readers")))

    def close(self) -> None:
        """Let go; more than once does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


_MESSAGES = {
    True: "{} cannot be packed while somebody has it open with read_only=True, here or in another process",
    False: "{} is being packed; wait for it with timeout=seconds",
}


def _open_lock_file(path: str, flags: int) -> int | None:
    try:
        if not is_there(path):
            open_plain(path, "ab").close()
        return open_part(path, flags)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        # Read-only media and read-only folders: nobody can pack there, so there is nothing to keep off.
        return None


def _lock(descriptor: int, exclusive: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
