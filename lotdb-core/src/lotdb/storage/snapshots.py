"""What readers in other processes still see, so that a pack keeps it: locks on bytes of ``lotdb.fs.readers``.

A reader sees the state after one transaction, and holds a shared lock on the byte of the file whose position
is the id of that transaction; the file stays empty. So the writer can ask for the lowest position that is
locked, whoever locked it. Nothing has to be written, which a reader may not be allowed to, and the system
lets go of the locks of a process that is killed. The locks are those of an open file (Linux's "open file
description locks"), so that several databases of one process do not undo each other's.

A reader begins a transaction in this order: it locks an id that is not later than what it is going to see,
reads where the data file ends, and locks that. A pack asks for the end of the data file first, and for the
locks afterwards. If it does not find the first lock, then the reader looked later, and sees no less than what
the pack keeps.

A moment that is already past may be given up by a pack that did not find its lock. So a pack holds a lock on
byte 0 from before it asks until it is done, and who wants to read at such a moment waits for it, and looks
then whether the moment is still there.

Systems without such locks have one on the whole file instead; a pack is refused as long as anybody reads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator

from ZODB.utils import p64, u64

from lotdb.errors import DatabaseBusyError
from lotdb.storage.lock import pack_busy
from lotdb.storage.parts import is_there, open_part, open_plain

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where there are no such locks at all
    fcntl = None  # type: ignore[assignment, unused-ignore]

__all__ = ["FIRST", "SnapshotLock", "is_packing", "oldest_snapshot", "packing"]

#: The id of a transaction before all others: to keep everything.
FIRST: bytes = p64(1)

# In place of a transaction: the byte that a pack locks.
_PACKING = b""

# struct flock: kind of lock, what the position counts from, position, length, process.
_FLOCK = struct.Struct("@hhqqi4x")
_LAST = (1 << 63) - 1


class SnapshotLock:
    """A lock that keeps a pack from dropping what is seen after one transaction.

    Parameters
    ----------
    path : str
        The file to lock; made if it is missing and can be made.
    """

    def __init__(self, path: str) -> None:
        self._tid: bytes | None = None
        self._descriptor = _open(path)
        if self._descriptor is not None and not _has_byte_locks():
            _lock_whole(self._descriptor, exclusive=False)

    def move(self, tid: bytes | None) -> None:
        """Keep what is seen after the transaction *tid* in place of what was kept; nothing if it is None."""
        held, self._tid = self._tid, tid
        if self._descriptor is None or held == tid or not _has_byte_locks():
            return
        if tid is not None:
            _set(self._descriptor, fcntl.F_RDLCK, tid)
        if held is not None:
            _set(self._descriptor, fcntl.F_UNLCK, held)

    def close(self) -> None:
        """Let go; more than once does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def oldest_snapshot(path: str) -> bytes | None:
    """The transaction after which the reader sees that is the furthest behind; None if nobody reads.

    Parameters
    ----------
    path : str
        The file that the readers lock.

    Raises
    ------
    DatabaseBusyError
        On systems without locks on bytes: somebody reads.
    """
    descriptor = _open(path)
    if descriptor is None:
        return None
    try:
        if _has_byte_locks():
            return _lowest(descriptor)
        if not _lock_whole(descriptor, exclusive=True):
            raise DatabaseBusyError(
                f"{path.removesuffix('.readers')} cannot be packed while somebody has it open with"
                " read_only=True, here or in another process"
            )
        _unlock_whole(descriptor)
        return None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def packing(path: str) -> Iterator[None]:
    """Let readers know that a pack is under way.

    Parameters
    ----------
    path : str
        The file that the readers lock.

    Raises
    ------
    DatabaseBusyError
        Another pack is under way.
    """
    descriptor = _open(path, os.O_RDWR) if _has_byte_locks() else None
    try:
        if descriptor is not None:
            try:
                _set(descriptor, fcntl.F_WRLCK, _PACKING)
            except (BlockingIOError, PermissionError) as error:  # either, by the rules of POSIX
                raise pack_busy(path.removesuffix(".readers")) from error
        yield
    finally:
        if descriptor is not None:
            # Closing is not enough: a child that was forked meanwhile has the same open file.
            with contextlib.suppress(OSError):
                _set(descriptor, fcntl.F_UNLCK, _PACKING)
            os.close(descriptor)


def is_packing(path: str) -> bool:
    """Whether a pack is under way, in any process."""
    descriptor = _open(path) if _has_byte_locks() else None
    if descriptor is None:
        return False
    asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 1, 0)
    try:
        return bool(_FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK)
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        return False
    finally:
        os.close(descriptor)


def _open(path: str, how: int = os.O_RDONLY) -> int | None:
    try:
        if not is_there(path):
            open_plain(path, "ab").close()
        return open_part(path, how)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        # Read-only media and read-only folders: nobody can pack there, so there is nothing to keep off.
        return None


def _has_byte_locks() -> bool:
    return hasattr(fcntl, "F_OFD_SETLK")


def _set(descriptor: int, kind: int, tid: bytes) -> None:
    position = 0 if tid is _PACKING else _position(tid)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, position, 1, 0))
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise


def _lowest(descriptor: int) -> bytes | None:
    """The lowest position that is locked. The system names any one of them, so it is asked for lower ones."""
    found = None
    while found is None or found > 1:
        before = _LAST if found is None else found
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 1, before - 1, 0)
        try:
            kind, _, position, _, _ = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
            return None
        if kind == fcntl.F_UNLCK:
            break
        found = position
    return None if found is None else p64(found)


def _lock_whole(descriptor: int, *, exclusive: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _unlock_whole(descriptor: int) -> None:
    """Let go of a lock on the whole file: closing leaves it to a child that was forked meanwhile."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _position(tid: bytes) -> int:
    position: int = min(max(u64(tid), 1), _LAST - 1)
    return position


# What a file system says that has no locks, or none for this file.
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
