"""Reading open ``.npy`` files at an offset, on any operating system and in any thread."""

from __future__ import annotations

import contextlib
import io
import math
import os
from threading import Lock
from typing import Any

import numpy as np

from lotdb import DamagedError, open_part
from lotdb_backend_blob.npy_writing import is_header, rows_claimed

__all__ = ["OPEN", "READ_BYTES", "OpenFile", "most_open", "read_at", "rows_in", "rows_of"]

#: Most bytes that one call asks for. macOS refuses to read more than 2 GiB at once, and Linux returns less.
READ_BYTES = 1 << 30

_SEEKING = Lock()

# Most files that this package keeps open in a process, and which share of those that the process may have.
_MOST = 8192
_SHARE = 4


def _preadv(descriptor: int, buffer: Any, offset: int) -> int:
    """Fill *buffer* from *offset* on. Returns the number of bytes read, which may be less than its size."""
    return os.preadv(descriptor, [buffer], offset)


def _seek_and_read(descriptor: int, buffer: Any, offset: int) -> int:
    # Windows has no call that does both, so one thread does it at a time.
    with _SEEKING, io.FileIO(descriptor, closefd=False) as file:
        file.seek(offset)
        return file.readinto(buffer) or 0


read_at = _preadv if hasattr(os, "preadv") else _seek_and_read


#: The descriptors of those that are open in this process.
OPEN: set[int] = set()


def most_open() -> int:
    """How many files stay open: a share of what the process may have."""
    try:
        from resource import RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows
        return 128
    allowed = getrlimit(RLIMIT_NOFILE)[0]
    return _MOST if allowed < 0 else max(1, min(_MOST, allowed // _SHARE))


class OpenFile:
    """An open ``.npy`` file; the last one who has it closes it, and so nobody reads from another file.

    Parameters
    ----------
    path
        The file.
    """

    __slots__ = ("descriptor", "is_checked", "is_used", "offset", "path", "size")

    def __init__(self, path: str) -> None:
        self.descriptor = -1
        self.path, self.is_checked = path, False
        #: Set whenever it is read from; cleared when it was looked at whether it is in use.
        self.is_used = True
        try:
            self.descriptor = open_part(path)
        except FileNotFoundError as error:
            raise DamagedError(f"{path} is missing") from error
        OPEN.add(self.descriptor)
        #: Where the rows begin, and the size of the file.
        self.offset, self.size = rows_of(self.descriptor)

    def check_header(self, dtype: np.dtype[Any], row_shape: tuple[int, ...], stop: int) -> None:
        """Raise ``DamagedError`` unless the header says that rows of this kind fill the file.

        Nobody reads rows by it, so an altered byte in it would stay unseen. If the file was cut, the rows
        that are left are still what they were: those before *stop* are read if there are more of them.
        """
        row_bytes = dtype.itemsize * math.prod(row_shape)
        if row_bytes and self.offset <= self.size:
            stored = bytearray(self.offset)
            read_at(self.descriptor, stored, 0)
            rows, rest = divmod(self.size - self.offset, row_bytes)
            if rest or not is_header(bytes(stored), dtype, (rows, *row_shape)):
                claimed = rows_claimed(bytes(stored))
                if not (stop < rows < claimed and is_header(bytes(stored), dtype, (claimed, *row_shape))):
                    raise DamagedError(f"the header of {self.path} does not describe what is in it")
                return
        self.is_checked = True

    def __del__(self) -> None:
        if self.descriptor >= 0:
            OPEN.discard(self.descriptor)
            # It was only read from, and Python prints what a destructor raises.
            with contextlib.suppress(OSError):
                os.close(self.descriptor)


def rows_of(descriptor: int) -> tuple[int, int]:
    """Where the rows of an open ``.npy`` file begin, and the size of the file."""
    start = bytearray(12)
    read_at(descriptor, start, 0)
    return rows_in(start), os.fstat(descriptor).st_size


def rows_in(start: bytes | bytearray) -> int:
    """Where the rows of an ``.npy`` file begin, by its first twelve bytes."""
    if start[:6] != b"\x93NUMPY":
        raise DamagedError("the blob does not begin as an .npy file")
    if start[6] == 1:
        return 10 + int.from_bytes(start[8:10], "little")
    return 12 + int.from_bytes(start[8:12], "little")
