"""The index: where each object's record is. It spares a scan of the data file, and is never trusted.

ZODB pickles its index. This one has nothing to unpickle, says which data file it belongs to, and has a
checksum; one that does not fit is dropped, and the data file is scanned. ::

    8 bytes  b"LOTDBIDX"
    8 + 8 + 8 bytes  size of the data file, its last transaction id, and their number
    6 + 4 + n bytes  the first six bytes of object ids, n, a bucket of their ends and positions; repeated
    4 bytes  CRC-32 (ISO 3309) of all before
"""

from __future__ import annotations

import logging
import os
import struct
from typing import Any
from zlib import crc32

from BTrees.fsBTree import fsBucket
from ZODB.fsIndex import fsIndex

from lotdb.storage.parts import open_plain, read_part
from lotdb.storage.watermark import End

__all__ = ["index_end", "read_index", "write_index"]

_log = logging.getLogger(__name__)

_MAGIC = b"LOTDBIDX"
_HEAD = struct.Struct(">8sQ8sQ")
_PART = struct.Struct(">6sI")


def read_index(path: str) -> tuple[Any, End] | None:
    """The ``fsIndex`` in the file *path*, and the end of the data file that it belongs to, or None."""
    try:
        content = read_part(path)
    except FileNotFoundError:
        return None
    if content[:1] == b"\x80" and content[1:2] <= b"\x05":
        return None  # a pickle: ZODB's own, or one of before
    try:
        return _parse(content)
    except (struct.error, ValueError, TypeError) as error:
        _log.warning("%s is damaged (%s) and was dropped; the data file is scanned instead", path, error)
        return None


def write_index(path: str, index: Any, end: End) -> None:
    """Make *path* the *index* of a data file that ends at *end*."""
    parts = [_HEAD.pack(_MAGIC, end.size, end.tid, end.transactions)]
    for prefix, bucket in index._data.items():
        content = bucket.toString()
        parts += (_PART.pack(prefix, len(content)), content)
    content = b"".join(parts)
    unfinished = path + ".index_tmp"
    with open_plain(unfinished, "wb") as file:
        file.write(content)
        file.write(crc32(content).to_bytes(4, "big"))
    os.replace(unfinished, path)


def _parse(content: bytes) -> tuple[Any, End]:
    stop = len(content) - 4
    if stop < _HEAD.size or crc32(memoryview(content)[:stop]).to_bytes(4, "big") != content[stop:]:
        raise ValueError("its checksum does not fit")
    magic, *end = _HEAD.unpack_from(content)
    if magic != _MAGIC:
        raise ValueError("it is of another kind")
    index = fsIndex()
    at = _HEAD.size
    while at < stop:
        prefix, length = _PART.unpack_from(content, at)
        at += _PART.size + length
        if at > stop:
            raise ValueError("a part is missing")
        index._data[prefix] = fsBucket().fromString(content[at - length : at])
    return index, End(*end)


def index_end(path: str) -> End | None:
    """Where the data file ends that the index in the file *path* belongs to; None if there is no index."""
    try:
        magic, *end = _HEAD.unpack(read_part(path, _HEAD.size))
    except (OSError, struct.error):
        return None
    return End(*end) if magic == _MAGIC else None
