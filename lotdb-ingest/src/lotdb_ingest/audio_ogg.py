"""Whether an Ogg file is whole: libsndfile goes on behind pages that are damaged or missing, without a word.

Nor does it say that it reads the first stream alone, of several that follow each other. Source: RFC 3533.
"""

from __future__ import annotations

import zlib
from typing import IO

from lotdb import IngestError

__all__ = ["check_ogg", "with_checksum"]

HEAD_BYTES = 27
BEGINS, ENDS = 2, 4
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_ogg(file: IO[bytes], size: int) -> None:
    """Raise ``IngestError`` if a page of the file of *size* bytes is damaged or missing.

    What follows the end of the stream, and is no other one, does no harm.
    """
    place = number = position = 0
    flags = 0
    while not flags & ENDS:
        page = _page(file, place)
        if page is None:
            what = f"no page begins at byte {place}" if place < size else "its last page is missing"
            raise IngestError(f"{what}: the file has {size} bytes, and its sound is not at its end")
        end = place + _length(page)
        if end > size:
            raise IngestError(f"its page at byte {place} is announced up to byte {end}, the file has {size}")
        if page != with_checksum(page):
            raise IngestError(f"its page at byte {place} does not match its checksum: it is damaged")
        flags = page[5]
        if flags & BEGINS and place:
            raise IngestError("it has several streams side by side, of which one would be read")
        # A recording of a broadcast has the first pages of the broadcast, and then goes on anywhere.
        if position > 0 and _number(page, 18) != number + 1:
            raise IngestError(
                f"page {number + 1} should be at byte {place}, page {_number(page, 18)} is there"
            )
        number, position = _number(page, 18), int.from_bytes(page[6:14], "little", signed=True)
        place = end
    if _page(file, place):
        raise IngestError(
            f"its sound ends at byte {place}, where another stream follows, which would be left out; "
            "make a file of each"
        )


def with_checksum(page: bytes) -> bytes:
    """*page* with the checksum that it should have."""
    # Bit for bit the mirror image of zlib's, without its inversions at the start and at the end.
    page = page[:22] + bytes(4) + page[26:]
    checksum = zlib.crc32(page.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return page[:22] + checksum.to_bytes(4, "big").translate(MIRRORED) + page[26:]


def _page(file: IO[bytes], place: int) -> bytes | None:
    """The page that begins at *place*, as far as it is there."""
    file.seek(place)
    head = file.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES or head[:4] != b"OggS":
        return None
    lengths = file.read(head[26])
    return head + lengths + file.read(sum(lengths))


def _length(page: bytes) -> int:
    """The length that the page announces, as far as that is there."""
    lengths = page[HEAD_BYTES : HEAD_BYTES + page[26]]
    return HEAD_BYTES + page[26] + sum(lengths)


def _number(page: bytes, place: int) -> int:
    return int.from_bytes(page[place : place + 4], "little")
