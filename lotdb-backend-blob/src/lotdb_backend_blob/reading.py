"""Reading at a place in an open file, whichever operating system this is."""

from __future__ import annotations

import io
import os
from typing import Any

__all__ = ["READ_BYTES", "read_at"]

#: What one call may be asked for: macOS refuses more than 2 GiB, and Linux gives less than that.
READ_BYTES = 1 << 30


def _preadv(descriptor: int, buffer: Any, offset: int) -> int:
    """Read into *buffer* from *offset* on; how many bytes were read, which may be fewer than it takes."""
    return os.preadv(descriptor, [buffer], offset)


def _seek_and_read(descriptor: int, buffer: Any, offset: int) -> int:
    # Windows has no call that does both, so who calls this holds a lock.
    with io.FileIO(descriptor, closefd=False) as file:
        file.seek(offset)
        return file.readinto(buffer) or 0


read_at = _preadv if hasattr(os, "preadv") else _seek_and_read
