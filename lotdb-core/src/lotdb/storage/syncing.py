"""Putting bytes on the disk, whichever operating system this is."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading

try:
    from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined, unused-ignore]
except ImportError:  # only macOS has it
    F_FULLFSYNC = None

__all__ = [
    "BegunSync",
    "NoSync",
    "sync_descriptor",
    "sync_file_system",
    "sync_folder",
    "sync_path",
]

_WINDOWS = os.name == "nt"


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


class BegunSync:
    """Begins to put the bytes of an open file on the disk, and does not wait; the file may be closed then.

    A thread waits for the disk, whichever operating system this is. Linux can be told to begin without
    one, by ``sync_file_range``, but a sync that follows then waits for all that was written since as well.

    Parameters
    ----------
    descriptor : int
        Of the file.
    after : BegunSync, optional
        An earlier one of the same file, which is waited for as well. The system tells of a failure once only.

    Raises
    ------
    OSError
        The earlier one is done, and failed.
    """

    def __init__(self, descriptor: int, after: BegunSync | None = None) -> None:
        if after is not None and after.is_done:
            after.wait()
            after = None
        self._after = after
        self._copied = os.dup(descriptor)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._sync, name="lotdb-sync")
        try:
            self._thread.start()
        except RuntimeError:  # there are too many threads, or the interpreter is about to end
            self._sync()
            if self._failure is not None and not isinstance(self._failure, Exception):
                raise self._failure from None  # Ctrl-C, which is no failure of the disk
        except MemoryError:
            if self._thread.ident is None:
                os.close(self._copied)
            raise

    def _sync(self) -> None:
        try:
            sync_descriptor(self._copied)
        except BaseException as error:
            self._failure = error
        finally:
            os.close(self._copied)

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to wait for; it may have failed."""
        return not self._thread.is_alive()

    def wait(self) -> None:
        """Wait until the bytes are on the disk.

        Raises
        ------
        OSError
            The disk failed.
        """
        if self._thread.ident is not None:
            self._thread.join()
        if self._after is not None:
            self._after.wait()
        if self._failure is not None:
            raise self._failure


class NoSync:
    """In place of one where nothing is synced."""

    is_done = True

    def wait(self) -> None:
        """There is nothing to wait for."""


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
