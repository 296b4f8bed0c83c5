"""Checking that an Ogg file is complete: libsndfile silently skips damaged and missing pages.

It also silently reads only the first of several streams in a file. Source: RFC 3533.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO

from lotdb import IngestError

__all__ = ["check_ogg", "codec_of", "packets", "with_checksum", "with_comments"]

CODECS = {
    b"\x01vorbis": "Vorbis",
    b"OpusHead": "Opus",
    b"\x7fFLAC": "FLAC",
    b"Speex   ": "Speex",
    b"\x80theora": "Theora, which is video",
    b"fishead\0": "Skeleton, which tells of several streams",
    b"PCM     ": "PCM",
    b"BBCD\0": "Dirac, which is video",
}

HEAD_BYTES = 27
BEGINS, ENDS = 2, 4
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_ogg(file: IO[bytes], start: int, size: int) -> None:
    """Raise ``IngestError`` if a page from *start* on, in a file of *size* bytes, is damaged or missing.

    What follows the end of the stream, and is no other one, does no harm.
    """
    place, number, position, flags = start, 0, 0, 0
    while not flags & ENDS:
        page = _page(file, place)
        if page is None:
            what = f"no page begins at byte {place}" if place < size else "its last page is missing"
            raise IngestError(
                f"{what}: the file has {size} bytes, and its sound is not at its end; it is cut or damaged, "
                "take it from its source again"
            )
        end = place + _length(page)
        if end > size:
            raise IngestError(
                f"its page at byte {place} is announced up to byte {end}, the file has {size}: it is cut, "
                "take it from its source again"
            )
        if page != with_checksum(page):
            raise IngestError(
                f"its page at byte {place} does not match its checksum: it is damaged, "
                "take it from its source again"
            )
        flags = page[5]
        if flags & BEGINS and place > start:
            raise IngestError(
                "it has several streams side by side, of which one would be read; "
                "take them apart, for example with: ffmpeg -i IN -map 0:0 OUT.ogg"
            )
        # A recording of a broadcast has the first pages of the broadcast, and then goes on anywhere.
        if position > 0 and _number(page, 18) != number + 1:
            raise IngestError(
                f"page {number + 1} should be at byte {place}, page {_number(page, 18)} is there: "
                "it is damaged, take it from its source again"
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


def codec_of(file: IO[bytes], start: int) -> str:
    """What the first packet says that the sound is encoded as, for messages."""
    body = (_page(file, start) or b"")[HEAD_BYTES + 1 :]
    return next((codec for signature, codec in CODECS.items() if body.startswith(signature)), repr(body[:8]))


def packets(file: IO[bytes], start: int, count: int, most: int) -> list[bytes]:
    """The first *count* packets of a stream, as far as they have *most* bytes in all."""
    found: list[bytes] = []
    part, place = b"", start
    while len(found) < count and len(part) <= most and (page := _page(file, place)):
        at = HEAD_BYTES + page[26]
        for length in page[HEAD_BYTES:at]:
            part += page[at : at + length]
            at += length
            if length < 255:
                found.append(part)
                part = b""
        place += len(page)
    return found[:count]


def with_comments(file: IO[bytes], heads: int, comment: bytes, out: IO[bytes]) -> None:
    """Write *file*, of whose *heads* first packets the second is to be *comment*, to *out*.

    The heads end with a page (RFC 7845, 3; Vorbis I, A.2): what follows gets other numbers and is the same.
    """
    parts = packets(file, 0, heads, 1 << 30)
    first = _page(file, 0)
    assert first is not None
    out.write(first)
    number, place, ended = 1, len(first), 1
    while ended < heads and (page := _page(file, place)):
        ended += sum(length < 255 for length in page[HEAD_BYTES : HEAD_BYTES + page[26]])
        place += len(page)
    for page in _paged(first, [comment, *parts[2:]]):
        out.write(page)
        number += 1
    while page := _page(file, place):
        out.write(with_checksum(page[:18] + number.to_bytes(4, "little") + page[22:]))
        number, place = number + 1, place + len(page)


def _paged(first: bytes, parts: list[bytes]) -> Iterator[bytes]:
    """Pages of the stream of page *first* that hold *parts*, from number 1 on."""
    pieces = []
    for part in parts:
        lengths = [255] * (len(part) // 255) + [len(part) % 255]
        for index, length in enumerate(lengths):
            pieces.append((part[255 * index : 255 * index + length], index > 0))
    for number, begin in enumerate(range(0, len(pieces), 255), 1):
        some = pieces[begin : begin + 255]
        goes_on = some[0][1]
        ends = any(len(piece) < 255 for piece, _ in some)
        head = first[:5] + bytes([goes_on]) + (bytes(8) if ends else b"\xff" * 8)
        head += first[14:18] + number.to_bytes(4, "little") + bytes(4) + bytes([len(some)])
        head += bytes(len(piece) for piece, _ in some)
        yield with_checksum(head + b"".join(piece for piece, _ in some))


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
