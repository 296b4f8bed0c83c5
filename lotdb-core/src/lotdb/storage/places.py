"""Reading and writing at a place in an open file, whichever operating system this is."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock

__all__ = ["read_at", "write_at"]

# A descriptor that these two use must not be used in another thread by other means.
_lock = Lock()


def _seek_and_read(descriptor: int, length: int, position: int) -> bytes:
    # Windows has no call that does both. The file object that the descriptor belongs to counts on its place.
    with _lock:
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            os.lseek(descriptor, position, os.SEEK_SET)
            return os.read(descriptor, length)
        finally:
            os.lseek(descriptor, before, os.SEEK_SET)


def _seek_and_write(descriptor: int, content: bytes, position: int) -> int:
    with _lock:
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            os.lseek(descriptor, position, os.SEEK_SET)
            return os.write(descriptor, content)
        finally:
            os.lseek(descriptor, before, os.SEEK_SET)


#: Up to so many bytes of a descriptor from a position on; fewer where the file ends.
read_at: Callable[[int, int, int], bytes] = getattr(os, "pread", _seek_and_read)


def write_at(descriptor: int, content: bytes, position: int) -> int:
    """Write *content* at *position*; how many bytes were written."""
    write: Callable[[int, bytes, int], int] = getattr(os, "pwrite", _seek_and_write)
    return write(descriptor, content, position)
