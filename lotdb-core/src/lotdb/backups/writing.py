"""Transactions of a data file, as bytes."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from zlib import crc32

from ZODB.FileStorage.format import TRANS_HDR_LEN, DataHeader
from ZODB.utils import p64

from lotdb.storage.sealing import seal
from lotdb.storage.transactions import seal_room, transaction_header

__all__ = ["transaction_bytes"]


def transaction_bytes(
    tid: bytes,
    records: Iterable[tuple[bytes, bytes | None]],
    start: int,
    index: MutableMapping[bytes, int],
    *,
    status: bytes = b" ",
    texts: tuple[bytes, bytes] = (b"", b""),
) -> bytes:
    """The transaction *tid* as it stands in a data file from position *start* on, with all its checksums.

    Parameters
    ----------
    tid
        Its id.
    records
        Object ids and records, these without checksums; None where the creation of the object was undone.
    start
        Where the transactions before it end.
    index
        By object id, where the last record of each object is; it is brought up to date.
    status
        ``b"p"`` if a pack has gone through it.
    texts
        User and description.
    """
    all_texts = (*texts, seal_room(b""))
    at = start + TRANS_HDR_LEN + sum(map(len, all_texts))
    parts: list[bytes] = []
    total = 0
    for oid, data in records:
        sealed = b"" if data is None else seal(data, oid, tid)
        header: bytes = DataHeader(oid, tid, index.get(oid, 0), start, 0, len(sealed)).asString()
        if not sealed:
            header += bytes(8)
        total = crc32(header, total)
        index[oid] = at
        parts += (header, sealed)
        at += len(header) + len(sealed)
    length = at - start
    header = transaction_header(tid, length, status, all_texts, total)
    return b"".join((header, *parts, p64(length)))
