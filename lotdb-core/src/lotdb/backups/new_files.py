"""Copying files so that a file at its place is whole, whenever the copying ends.

Files are copied under other names, put on the disk together, and only then get their names. So who finds a
file of the right size at its place need not copy it again, also after a kill or a power cut.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from lotdb.storage.durable import Disk
from lotdb.storage.parts import check_file, check_folder, open_part
from lotdb.storage.places import read_at, write_at
from lotdb.storage.syncing import sync_file_system

__all__ = ["NewFiles", "copy_bytes"]

# So many are put on the disk together; then they get their names.
_FILES, _BYTES = 1000, 256 << 20
# Up to so many files or folders are synced one by one, as others may have much to sync on the same disk.
_ONE_BY_ONE = 8
_BLOCK = 8 << 20
# From this size on the writing to the disk begins before the sync.
_WRITTEN_EARLY = 1 << 20

# What the system says that cannot copy between these two files by itself.
_CANNOT = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM)


class NewFiles:
    """Files that are copied into the folder *top*.

    Parameters
    ----------
    top
        The folder, which exists. Files lie in it, or in real folders below it.
    scratch
        An empty folder in the same file system, for files that are not whole yet.
    disk
        What is synced.
    copied
        Called with the bytes that were copied, after each block, and the place of the file.
    """

    def __init__(self, top: str, scratch: str, disk: Disk, copied: Callable[[int, str], object]) -> None:
        self._top, self._scratch, self._disk, self._copied = top, scratch, disk, copied
        self._waiting: list[tuple[str, str]] = []
        self._waiting_bytes = 0
        self._known = {top}
        self._changed: set[str] = set()
        #: How many files were copied, and their bytes.
        self.files = self.bytes = 0

    def add(self, source: str, place: str, *, again: bool = False) -> None:
        """Copy the file *source* to *place*, unless a file of its size is there and need not be copied again.

        Raises
        ------
        FileNotFoundError
            *source* is missing.
        DamagedError
            Either of them is a link, or no regular file.
        """
        descriptor = open_part(source)
        try:
            size = os.fstat(descriptor).st_size
            if not again and check_file(place) and os.lstat(place).st_size == size:
                return
            self._make_folder(os.path.dirname(place))
            scratch = os.path.join(self._scratch, f"copy{len(self._waiting)}")
            target = open_part(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                copy_bytes(descriptor, target, 0, 0, size, lambda count: self._copied(count, place))
                if size >= _WRITTEN_EARLY and self._disk.is_synced:
                    _begin_writing(target)
            finally:
                os.close(target)
        finally:
            os.close(descriptor)
        self._waiting.append((scratch, place))
        self._waiting_bytes += size
        self.files += 1
        self.bytes += size
        if len(self._waiting) >= _FILES or self._waiting_bytes >= _BYTES:
            self._put_in_place()

    def finish(self) -> None:
        """Give all files their names, and put these on the disk."""
        self._put_in_place()
        self._sync(sorted(self._changed, key=len, reverse=True), self._disk.sync_folder)
        self._changed.clear()

    def _put_in_place(self) -> None:
        self._sync([scratch for scratch, _ in self._waiting], self._disk.sync_file)
        for scratch, place in self._waiting:
            os.replace(scratch, place)
            self._changed.add(os.path.dirname(place))
        self._waiting.clear()
        self._waiting_bytes = 0

    def _sync(self, paths: list[str], sync_one: Callable[[str], None]) -> None:
        if not self._disk.is_synced:
            return
        if len(paths) > _ONE_BY_ONE and sync_file_system(self._top):
            return
        for path in paths:
            sync_one(path)

    def _make_folder(self, folder: str) -> None:
        """Make the folder, and those above it that are missing; ``DamagedError`` if one is a link."""
        missing = []
        while folder not in self._known:
            missing.append(folder)
            folder = os.path.dirname(folder)
        for each in reversed(missing):
            if not check_folder(each):
                os.mkdir(each)
                self._changed.add(os.path.dirname(each))
            self._known.add(each)


def _begin_writing(descriptor: int) -> None:
    """Let the system write the file to the disk while others are copied: nobody reads it again soon."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def copy_bytes(
    source: int,
    target: int,
    at: int,
    to: int,
    size: int,
    copied: Callable[[int], object] = lambda count: None,
) -> None:
    """Copy *size* bytes from position *at* of the descriptor *source* to position *to* of *target*.

    Raises
    ------
    OSError
        The disk is full, for instance; or *source* ends too early.
    """
    copy = _by_the_system
    while size:
        count = copy(source, target, at, to, min(size, _BLOCK))
        if not count and copy is _by_the_system:
            copy = _by_hand
            continue
        if not count:
            raise OSError(errno.EIO, "a file ended while it was copied")
        at, to, size = at + count, to + count, size - count
        copied(count)


def _by_the_system(source: int, target: int, at: int, to: int, size: int) -> int:
    """How many bytes were copied; 0 if the system has no call for it, or not for these files."""
    if not hasattr(os, "copy_file_range"):
        return 0
    try:
        return os.copy_file_range(source, target, size, at, to)
    except OSError as error:
        if error.errno in _CANNOT:
            return 0
        raise


def _by_hand(source: int, target: int, at: int, to: int, size: int) -> int:
    block = read_at(source, size, at)
    done = 0
    while done < len(block):
        done += write_at(target, block[done:], to + done)
    return len(block)
