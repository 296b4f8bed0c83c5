"""Where the data file ended when the last commit was acknowledged: ``lotdb.fs.end``.

A data file that was cut at the end of a transaction looks like one that never was longer. So the size of
the file, the id of its last transaction and their number are written down beside it, by one write into a file
that has its size already, *after* the data file was synced. It is not synced itself: what it says may be
older than the data file, and is then just as true of it. Two slots, in two sectors of a disk, are written in
turn, so that one is whole at any moment. A pack writes both the file that it replaces and the one that takes
its place into one slot, and syncs that, before it renames them.

::

    8 bytes  b"LOTDBEND"      8 bytes  number of the write, big-endian as are all numbers
    8 + 8 + 8 bytes  size in bytes, last transaction id, number of transactions
    8 + 8 + 8 bytes  the same of a packed file that may stand in its place, or zeros
    4 bytes  CRC-32 (ISO 3309) of all before
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from zlib import crc32

from lotdb.storage.durable import Disk

__all__ = ["EMPTY", "End", "Watermark", "create_watermark", "read_watermark"]

_MAGIC = b"LOTDBEND"
_SLOT = struct.Struct(">8sQQ8sQQ8sQ")
_DISTANCE = 512
# A link or a FIFO in its place is not followed, and not waited for.
_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class End:
    """The end of a data file: its size in bytes, its last transaction id, and how many there are."""

    size: int
    tid: bytes
    count: int


#: The end of a file without transactions.
EMPTY = End(4, bytes(8), 0)


def create_watermark(path: str, disk: Disk, end: End) -> None:
    """Make *path* a watermark that names *end*, whatever is there."""
    disk.write_file(path, _slot(0, end).ljust(2 * _DISTANCE, b"\0"))


def read_watermark(path: str) -> tuple[End, ...] | None:
    """The ends that the watermark *path* names: one, or two if a pack was under way.

    None if there is no such file, and an empty tuple if it is damaged.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        return None
    except OSError:
        if _is_plain(path):
            raise
        return ()
    try:
        return max(_read(descriptor), default=(0, ()))[1] if _is_plain(path) else ()
    finally:
        os.close(descriptor)


class Watermark:
    """The watermark *path*, opened for writing."""

    def __init__(self, path: str) -> None:
        self._descriptor: int | None = os.open(path, os.O_RDWR | _FLAGS)
        self._number = max(_read(self._descriptor), default=(0, ()))[0]

    def write(self, end: End, packed: End | None = None) -> None:
        """Say that the data file ends at *end*, or at *packed* if that was just renamed into its place."""
        if self._descriptor is not None:
            number = self._number + 1
            os.pwrite(self._descriptor, _slot(number, end, packed), number % 2 * _DISTANCE)
            self._number = number

    def close(self) -> None:
        """Close the file; more than once does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _is_plain(path: str) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode)


def _slot(number: int, end: End, packed: End | None = None) -> bytes:
    other = (packed.size, packed.tid, packed.count) if packed else (0, bytes(8), 0)
    content = _SLOT.pack(_MAGIC, number, end.size, end.tid, end.count, *other)
    return content + crc32(content).to_bytes(4, "big")


def _read(descriptor: int) -> list[tuple[int, tuple[End, ...]]]:
    """Number and content of each slot that is whole."""
    found: list[tuple[int, tuple[End, ...]]] = []
    for position in (0, _DISTANCE):
        slot = os.pread(descriptor, _SLOT.size + 4, position)
        content = slot[: _SLOT.size]
        if slot[_SLOT.size :] == crc32(content).to_bytes(4, "big") and content.startswith(_MAGIC):
            _, number, *ends = _SLOT.unpack(content)
            both = End(*ends[:3]), End(*ends[3:])
            found.append((number, both if both[1].size else both[:1]))
    return found
