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

# Annotations are no texts here: NamedTuple would compile each of them, which takes as long as ten modules.
import os
import struct
from typing import NamedTuple
from zlib import crc32

from lotdb.storage.durable import Disk
from lotdb.storage.parts import open_part
from lotdb.storage.places import read_at, write_at

__all__ = ["EMPTY", "End", "Watermark", "create_watermark"]

_MAGIC = b"LOTDBEND"
_SLOT = struct.Struct(">8sQQ8sQQ8sQ")
_DISTANCE = 512


class End(NamedTuple):
    """The end of a data file: its size in bytes, its last transaction id, and how many there are."""

    size: int
    tid: bytes
    transactions: int


#: The end of a file without transactions.
EMPTY = End(4, bytes(8), 0)


def create_watermark(path: str, disk: Disk, end: End) -> None:
    """Make *path* a watermark that names *end*, whatever is there."""
    disk.write_file(path, _slot(0, end).ljust(2 * _DISTANCE, b"\0"))


class Watermark:
    """The watermark *path*, opened for reading or, unless *read_only*, also for writing.

    Parameters
    ----------
    path : str
        The file.
    read_only : bool
        Whether it is only read.

    Attributes
    ----------
    ends : tuple of End or None
        What it says: one end, or two if a pack was under way; none at all if it is damaged, None if it is
        missing.
    """

    ends: tuple[End, ...] | None = None

    def __init__(self, path: str, *, read_only: bool) -> None:
        self._descriptor: int | None = None
        self._number = 0
        try:
            self._descriptor = open_part(path, os.O_RDONLY if read_only else os.O_RDWR)
        except FileNotFoundError:
            return
        self.ends = ()
        if self._descriptor is not None:
            self._number, self.ends = _read(self._descriptor)

    def write(self, end: End, packed: End | None = None) -> None:
        """Say that the data file ends at *end*, or at *packed* if that was just renamed into its place."""
        if self._descriptor is not None:
            number = self._number + 1
            write_at(self._descriptor, _slot(number, end, packed), number % 2 * _DISTANCE)
            self._number = number

    def close(self) -> None:
        """Close the file; more than once does no harm."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _slot(number: int, end: End, packed: End | None = None) -> bytes:
    other = (packed.size, packed.tid, packed.transactions) if packed else (0, bytes(8), 0)
    content = _SLOT.pack(_MAGIC, number, end.size, end.tid, end.transactions, *other)
    return content + crc32(content).to_bytes(4, "big")


def _read(descriptor: int) -> tuple[int, tuple[End, ...]]:
    """Number and content of the last slot that is whole."""
    found: tuple[int, tuple[End, ...]] = 0, ()
    content = read_at(descriptor, 2 * _DISTANCE, 0)
    for start in (0, _DISTANCE):
        slot = content[start : start + _SLOT.size]
        checksum = content[start + _SLOT.size : start + _SLOT.size + 4]
        if checksum == crc32(slot).to_bytes(4, "big") and slot.startswith(_MAGIC):
            _, number, *ends = _SLOT.unpack(slot)
            both = End(*ends[:3]), End(*ends[3:])
            found = max(found, (number, both if both[1].size else both[:1]))
    return found
