"""Room behind the last commit, so that a small commit does not make the data file longer.

A sync of a file that has grown also puts its new size, and where its new blocks are, on the disk. That takes
as long as the rest of it. So the data file is made longer ahead, and behind the last transaction stands ::

    the header of an unfinished transaction (status "c"), without texts, that ends where the file ends
    zeros

ZODB leaves such a header itself when a process is killed inside a commit. So each program that reads data
files takes it for their end. A commit writes over it, and writes the next one behind itself. What is left is
cut off when the database is closed, or else when it is opened again.
"""

from __future__ import annotations

import contextlib
import os
import struct

from ZODB.FileStorage.format import TRANS_HDR, TRANS_HDR_LEN

from lotdb.storage.places import read_at, write_at
from lotdb.storage.watermark import EMPTY

__all__ = ["begins_room", "end_before_room", "keep_room"]

_HEADER = struct.Struct(TRANS_HDR)
_WRITTEN = 17  # of a header of room what is not zeros: id, length and status
_LENGTH = 8  # of the second length, at the end of a transaction, which the first one does not count
_PAGE = 1 << 12
_LEAST, _MOST = 1 << 14, 1 << 18  # bytes
_AHEAD, _FEWEST = 16, 4  # transactions
_ZEROS = memoryview(bytes(_MOST + 2 * _PAGE))
_TAIL = 1 << 12


def _room_header(tid: bytes, start: int, size: int) -> bytes:
    # With the id of the last commit: to a program that goes by the last id that it sees, it is no other one.
    return _HEADER.pack(tid, size - start - _LENGTH, b"c", 0, 0, 0)


def keep_room(descriptor: int, tid: bytes, start: int, end: int, *, make: bool) -> None:
    """Mark the room behind the transaction *tid*, which was written from *start* to *end*.

    If there is none left, and with *make*, it is made, for 16 transactions like this one. It is a quarter of
    the file at most, so that a small database stays small, and there is none behind a transaction that is
    nearly as large. It is not needed, so there is no error if the disk is full. Where the descriptor stands
    is not changed in the end.

    Raises
    ------
    OSError
        What stands behind the transaction cannot be changed.
    """
    size = _size(descriptor)
    if size - end >= TRANS_HDR_LEN:
        write_at(descriptor, _room_header(tid, end, size), end)
        return
    wanted = max(min(_AHEAD * (end - start), end // 4, _MOST), _LEAST)
    if make and (end - start) * _FEWEST <= wanted:
        new_size = (end + wanted) // _PAGE * _PAGE + _PAGE
        header = _room_header(tid, end, new_size)
        # Zeros, and not blocks that are only reserved: at their first use, those would have to be marked.
        content = b"".join((header, _ZEROS[: new_size - end - len(header)]))
        with contextlib.suppress(OSError):
            if write_at(descriptor, content, end) == len(content):
                return
        os.ftruncate(descriptor, end)
    elif size > end:
        os.ftruncate(descriptor, end)


def _size(descriptor: int) -> int:
    # Not by fstat: Linux, since 6.13, then gives the next write a time of its own, and a sync has to put that
    # on the disk, too. It takes half as long again. The file object that writes counts on where it stands.
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.lseek(descriptor, place, os.SEEK_SET)


def begins_room(descriptor: int, position: int, last: bytes) -> bool:
    """Whether room begins at *position*, where the transaction *last* ends."""
    found = read_at(descriptor, _WRITTEN, position)
    return found[:8] == last and found[-1:] == b"c"


def end_before_room(descriptor: int) -> int:
    """Where the file ends, but for room behind its last transaction."""
    size = os.fstat(descriptor).st_size
    for length in (_TAIL, len(_ZEROS)):
        at = max(size - length, 0)
        written = read_at(descriptor, size - at, at).rstrip(b"\0")
        if len(written) >= _WRITTEN:
            break
    start, found = at + len(written) - _WRITTEN, written[-_WRITTEN:]
    if len(found) < _WRITTEN or not EMPTY.size < start <= size - TRANS_HDR_LEN:
        return size
    is_room = found == _room_header(found[:8], start, size)[:_WRITTEN]
    return start if is_room else size
