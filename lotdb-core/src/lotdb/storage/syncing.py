"""Putting bytes on the disk, whichever operating system this is."""

from __future__ import annotations

import errno
import functools
import os
import stat
import sys
from collections.abc import Callable

try:
    from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined, unused-ignore]
except ImportError:  # only macOS has it
    F_FULLFSYNC = None

__all__ = ["start_sync", "sync_descriptor", "sync_file_system", "sync_folder", "sync_path"]

_WINDOWS = os.name == "nt"
_SYNC_FILE_RANGE_WRITE = 2


def sync_descriptor(descriptor: int) -> None:
    """Put the bytes of an open file on the disk.

    Raises
    ------
    OSError
        The disk failed.

    Notes
    -----
    On macOS ``fsync`` leaves the bytes in the drive's own memory, where a power cut takes them;
    ``F_FULLFSYNC`` does not. See ``man 2 fsync`` there.
    """
    if F_FULLFSYNC is not None:
        try:
            fcntl(descriptor, F_FULLFSYNC)
            return
        except OSError:  # a file system that does not know it, such as a network share
            pass
    os.fsync(descriptor)


def start_sync(descriptor: int) -> None:
    """Have the system begin to put the bytes of an open file on the disk, without waiting for it.

    So the disk is at work while the program goes on, and a sync that follows has less to wait for. It takes
    the place of no sync: it is Linux's ``sync_file_range`` (``man 2 sync_file_range``), which says nothing of
    what failed. Other systems begin when they are asked to sync.
    """
    if (call := _sync_file_range()) is not None:
        call(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)


@functools.cache
def _sync_file_range() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # which not every program needs

    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is not None:
        call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return call


def sync_path(path: str | os.PathLike[str]) -> None:
    """Put the bytes of the file, or the entries of the folder, at *path* on the disk."""
    if _WINDOWS:
        _sync_on_windows(path)
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Put the entries of the folder at *path* on the disk."""
    if not _WINDOWS:  # Windows cannot open a folder, and keeps its entries by itself
        sync_path(path)


def _sync_on_windows(path: str | os.PathLike[str]) -> None:
    # Windows syncs only what was opened for writing, and so not a file that is marked read-only.
    mode = os.stat(path).st_mode
    if not mode & stat.S_IWRITE:
        os.chmod(path, mode | stat.S_IWRITE)
    try:
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        if not mode & stat.S_IWRITE:
            os.chmod(path, mode)


def sync_file_system(path: str | os.PathLike[str]) -> bool:
    """Put all that was written to the file system of the folder *path* on the disk; False if it cannot.

    Of many files that takes a fraction of the time of syncing each. It is Linux's ``syncfs`` (``man 2
    syncfs``), which waits until all is there, and says since Linux 5.8 whether that failed.

    Raises
    ------
    OSError
        The disk failed.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes  # which not every program needs

    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if call(descriptor) == 0:
            return True
        number = ctypes.get_errno()
        if number == errno.ENOSYS:
            return False
        raise OSError(number, os.strerror(number), os.fspath(path))
    finally:
        os.close(descriptor)
