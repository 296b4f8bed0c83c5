"""Whether the state after a transaction is still there, or a pack has dropped a part of it.

A pack keeps the state at one moment, and all transactions after it. It marks those that it has gone through.
So the state after a transaction is whole if no transaction that is later bears that mark. That is looked for
from the end of the data file backwards, and remembered for as long as the file is the same.
"""

from __future__ import annotations

import os
import struct

from ZODB.FileStorage.format import TRANS_HDR, TRANS_HDR_LEN
from ZODB.utils import z64

from lotdb.errors import DamagedError
from lotdb.storage.filestorage import SafeFileStorage
from lotdb.storage.snapshots import is_packing
from lotdb.storage.waiting import wait_until

__all__ = ["has_moment"]

_LENGTH = struct.Struct(">Q")
_header = struct.Struct(TRANS_HDR).unpack
_START = 4  # what the file begins with


def has_moment(storage: SafeFileStorage, tid: bytes) -> bool:
    """Whether all that is seen after the transaction *tid* is in *storage*.

    A pack that is under way may be dropping it, so its end is waited for.

    Raises
    ------
    WaitTimeoutError
        A pack was under way for a minute.
    """
    path = storage._file_name + ".readers"
    if is_packing(path):
        wait_until(lambda: not is_packing(path), f"a pack of {storage._file_name}")
    if storage.isReadOnly():
        storage.follow()  # to the file that a pack has put in place
    with storage._lock:
        file = storage._file
        found = os.fstat(file.fileno())
        known = storage.__dict__.get("_horizon")
        if known is None or known[0] != (found.st_dev, found.st_ino):
            known = ((found.st_dev, found.st_ino), z64, None)
        # The transaction that a pack has gone through last; or since when there is none.
        identity, packed, none_since = known
        if packed == z64 and (none_since is None or tid < none_since):
            packed, none_since = _look_back(file.fileno(), storage._pos, tid, storage._file_name), tid
            storage.__dict__["_horizon"] = (identity, packed, none_since)
        return bool(packed <= tid)


def _look_back(descriptor: int, end: int, tid: bytes, path: str) -> bytes:
    """The last transaction after *tid* that a pack has gone through; ``z64`` if there is none."""
    while end > _START:
        length: int = _LENGTH.unpack(os.pread(descriptor, 8, end - 8))[0]
        start = end - 8 - length
        header = os.pread(descriptor, TRANS_HDR_LEN, start) if start >= _START else b""
        if len(header) < TRANS_HDR_LEN or header[8:16] != _LENGTH.pack(length):
            raise DamagedError(f"{path} is damaged before position {end}; see what verify() says of it")
        found, _, status, *_ = _header(header)
        if found <= tid:
            break
        if status == b"p":
            return bytes(found)
        end = start
    return bytes(z64)
