"""The metadata of an array with a checksum that no other reader sees: white space around the JSON.

A ``zarr.json`` has names, units and notes in it that no reader of rows looks at, so an altered byte there
would stay unseen. A line feed before the document says that 32 spaces and tabs follow it, which are the bits
of the CRC-32 of all bytes before them. A document without one was written by another program, or by an
earlier version.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

__all__ = ["with_checksum", "without_checksum"]

_BEGIN = b"\n"
_BITS = 32
_WHITE = bytes.maketrans(b"01", b" \t")


def with_checksum(document: Any) -> bytes:
    """What a ``zarr.json`` is to hold, with its checksum.

    >>> without_checksum(with_checksum({"shape": [3]}))
    {'shape': [3]}
    """
    content = _BEGIN + json.dumps(document).encode()
    return content + _bits(content)


def without_checksum(stored: bytes, *, checked: bool = True) -> Any:
    """The document that was *stored*; not *checked*, as it is now.

    Raises
    ------
    ValueError
        If it is no JSON, or was altered since its checksum was made.
    """
    if checked and stored.startswith(_BEGIN) and stored[-_BITS:] != _bits(stored[:-_BITS]):
        raise ValueError("its bytes do not match their checksum")
    return json.loads(stored)


def _bits(content: bytes) -> bytes:
    return f"{zlib.crc32(content):0{_BITS}b}".encode().translate(_WHITE)
