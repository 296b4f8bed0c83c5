"""Opening the parts of a database: regular files and real folders, and nothing that leads elsewhere.

A stranger's folder may hold a link in place of any part, which leads out of the folder; a FIFO, which
hangs whoever opens it; or a device. The database's folder itself may be reached by links: that path was
given by the user.
"""

from __future__ import annotations

import errno
import os
import stat
from types import TracebackType
from typing import BinaryIO, cast

from lotdb.errors import DamagedError, is_gone

__all__ = ["check_file", "check_folder", "check_tree", "is_there", "open_part", "open_plain", "read_part"]

# Missing on Windows, which has no FIFOs, and where making links needs a privilege.
_NAMES = ("O_BINARY", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK")
_FLAGS = sum(getattr(os, name, 0) for name in _NAMES)

_REFUSES_LINKS = hasattr(os, "O_NOFOLLOW")

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_part(path: str | os.PathLike[str], flags: int = os.O_RDONLY) -> int:
    """A descriptor of the regular file *path*, which is a part of a database.

    It follows no link, and does not wait for a FIFO. It may be the ``opener`` of ``open``.

    Parameters
    ----------
    path
        The file.
    flags
        The flags of ``os.open``.

    Raises
    ------
    DamagedError
        If it is not a regular file, but a link, a FIFO, a folder or a device.
    OSError
        As ``os.open`` does.
    """
    if not _REFUSES_LINKS:
        check_file(os.fspath(path))
    try:
        descriptor = os.open(path, flags | _FLAGS, 0o666)
    except OSError as error:
        if is_gone(error) and error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise _not_plain(os.fspath(path), "a file", os.lstat(path).st_mode) from error
        raise
    try:
        with _naming(path):
            mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _not_plain(os.fspath(path), "a file", mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_plain(path: str, mode: str = "rb") -> BinaryIO:
    """The regular file *path*, opened as ``open`` does, but by :func:`open_part`."""
    return cast(BinaryIO, open(path, mode, opener=open_part))


def read_part(path: str, most: int | None = None) -> bytes:
    """The first *most* bytes of the regular file *path*, or all; without what a file object costs."""
    descriptor = open_part(path)
    try:
        with _naming(path):
            size = os.fstat(descriptor).st_size
            left = size if most is None else min(size, most)
            parts = []
            while left and (part := os.read(descriptor, min(left, 1 << 30))):  # macOS refuses 2 GiB
                parts.append(part)
                left -= len(part)
            return b"".join(parts)
    finally:
        os.close(descriptor)


class _naming:
    """Context manager that adds the path to an error of the system about a descriptor."""

    __slots__ = ("_path",)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = self._path


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether anything is at *path*, be it a link that leads nowhere.

    Where the system cannot tell, that is an ``OSError``. ``os.path`` says that nothing is there, for which a
    database was taken for damaged, or for new.
    """
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return False
        raise
    return True


def check_file(path: str) -> bool:
    """Whether there is a file at *path*; ``DamagedError`` if it is anything but a regular one."""
    return _check(path, "a file", stat.S_IFREG)


def check_folder(path: str) -> bool:
    """Whether there is a folder at *path*; ``DamagedError`` if it is anything but a real one."""
    return _check(path, "a folder", stat.S_IFDIR)


def check_tree(path: str) -> None:
    """Raise ``DamagedError`` unless all that lies in the folder *path* is a regular file or a real folder."""
    waiting = [path]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif not entry.is_file(follow_symlinks=False):
                    raise _not_plain(entry.path, "a file", entry.stat(follow_symlinks=False).st_mode)


def _check(path: str, wanted: str, kind: int) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return False
        raise
    if stat.S_IFMT(mode) != kind:
        raise _not_plain(path, wanted, mode)
    return True


def _not_plain(path: str, wanted: str, mode: int) -> DamagedError:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    return DamagedError(
        f"{path} is {kind}, and must be {wanted}: nothing was done with it; a part of a database is never"
        " looked for elsewhere, so put the real one in its place"
    )
