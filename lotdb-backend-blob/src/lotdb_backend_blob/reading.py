"""Read from an open file at an offset, on any operating system."""

from __future__ import annotations

import io
import os
from typing import Any

__all__ = ["READ_BYTES", "read_at"]

#: Most bytes that one call asks for. macOS refuses to read more than 2 GiB at once, and Linux returns less.
READ_BYTES = 1 << 30


def _preadv(descriptor: int, buffer: Any, offset: int) -> int:
    """Fill *buffer* from *offset* on. Returns the number of bytes read, which may be less than its size."""
    return os.preadv(descriptor, [buffer], offset)


def _seek_and_read(descriptor: int, buffer: Any, offset: int) -> int:
    # Windows has no call that does both. So callers must hold a lock.
    with io.FileIO(descriptor, closefd=False) as file:
        file.seek(offset)
        return file.readinto(buffer) or 0


read_at = _preadv if hasattr(os, "preadv") else _seek_and_read
