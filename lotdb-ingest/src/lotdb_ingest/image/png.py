"""Checking that a PNG and each of its frames is complete, because Pillow silently fills in missing pixels.

Source: PNG (Third Edition, https://www.w3.org/TR/png-3/), which includes the animation chunks.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from lotdb import IngestError
from lotdb_ingest.image.about import LARGE

__all__ = ["SIGNATURE", "about_png", "check_png", "chunk", "put_chunks"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Chunks of the pixels, and those that Pillow knows.
KNOWN = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB"}
KNOWN |= {b"iCCP", b"eXIf"}
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
RESOLUTION = b"pHYs"
#: Chunks that stand before the palette.
FIRST = ("sBIT", "cICP", "mDCV", "cLLI")
#: A text is kept that is as long as Pillow takes it.
LARGE_TEXT = 1 << 20

#: Samples a pixel, by colour type.
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Bits of a sample that there are, by colour type.
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
#: First column and row, and steps, of the passes of an interlaced image.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
PIECE = 1 << 20
#: The chunks that are looked into, and how many bytes they have.
LENGTHS = {b"IHDR": 13, b"acTL": 8, b"fcTL": 26}


def check_png(file: IO[bytes], size: int, check_size: Callable[[int, int], None]) -> None:
    """Raise ``IngestError`` if something of the file of *size* bytes is missing or damaged."""
    header = b""
    announced: int | None = None
    begun = 0
    for name, length, pieces in _chunks(file, size):
        if name in LENGTHS and length != LENGTHS[name]:
            raise IngestError(f"chunk {name!r} has {length} bytes, not {LENGTHS[name]}")
        if (name == b"IHDR") == bool(header):
            raise IngestError("it does not begin with its one header")
        if name == b"IHDR":
            header = b"".join(pieces)
            check_size(_number(header, 0), _number(header, 4))
            image = _Image(header, header)
        elif name == b"acTL" and not image.present:
            if announced is not None:
                raise IngestError("it announces its frames twice")
            announced = _number(b"".join(pieces), 0)
        elif name == b"fcTL" and announced is not None:
            if begun or image.present:
                image.check()
            begun += 1
            image = _Image(header, b"".join(pieces)[4:])
        elif name == b"IDAT" or (name == b"fdAT" and announced is not None):
            image.take(pieces, 4 if name == b"fdAT" else 0)
        for _ in pieces:
            pass  # what is left of the chunk belongs to its checksum
    image.check()
    if announced is not None and announced != max(begun, 1):
        raise IngestError(f"it announces {announced} frames, {begun} are present")


def _chunks(file: IO[bytes], size: int) -> Iterator[tuple[bytes, int, Iterator[bytes]]]:
    """Name, length and content of each chunk up to the last one; the content is checked when it was read."""
    place = 8
    name = b""
    while name != b"IEND":
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            raise IngestError(f"it ends at byte {size}, before its last chunk")
        length, name = _number(head, 0), head[4:]
        if length > size - place - 12:
            raise IngestError(
                f"chunk {name!r} announces {length} bytes, {max(size - place - 12, 0)} are present"
            )
        yield name, length, _pieces(file, name, length)
        place += 12 + length


def _pieces(file: IO[bytes], name: bytes, length: int) -> Iterator[bytes]:
    checksum = zlib.crc32(name)
    while length:
        piece = file.read(min(length, PIECE))
        if not piece:
            raise IngestError("it ends in the middle of a chunk")
        length -= len(piece)
        checksum = zlib.crc32(piece, checksum)
        yield piece
    if file.read(4) != checksum.to_bytes(4, "big"):
        raise IngestError(f"chunk {name!r} does not match its checksum")


def about_png(file: IO[bytes], size: int) -> dict[str, Any]:
    """What Pillow leaves out: chunks by name, several texts of one keyword, and what is not kept."""
    chunks: dict[str, list[bytes]] = {}
    texts: dict[str, list[str]] = {}
    left: set[str] = set()
    together = 0
    for name, length, pieces in _chunks(file, size):
        if name in TEXTS:
            _text(name, b"".join(pieces), texts, left)
            continue
        if name in KNOWN:
            continue
        together += length
        if together > LARGE:
            left.add(f"PNG chunk {name.decode('latin-1')}")
            together -= length
            continue
        data = b"".join(pieces)
        if name != RESOLUTION or data[8:] != b"\1":  # which is a resolution, and kept as that
            chunks.setdefault(name.decode("latin-1"), []).append(data)
    several = {key: values for key, values in texts.items() if len(values) > 1}
    found: dict[str, Any] = {"text": several} if several else {}
    if chunks:
        found["chunks"] = {name: each[0] if len(each) == 1 else each for name, each in chunks.items()}
    if left:
        found["not_kept"] = sorted(left)
    return found


def _text(name: bytes, data: bytes, texts: dict[str, list[str]], left: set[str]) -> None:
    """Add the keyword and the text of a chunk to *texts*."""
    key, _, rest = data.partition(b"\0")
    packed, encoding = name == b"zTXt", "latin-1"
    if name == b"zTXt":
        rest = rest[1:]
    elif name == b"iTXt":
        packed, encoding = rest[:1] == b"\1", "utf-8"
        language, _, rest = rest[2:].partition(b"\0")
        translated, _, rest = rest.partition(b"\0")
        if language or translated:
            left.add(f"PNG language and translated keyword of text {key.decode('latin-1')}")
    try:
        text = zlib.decompressobj().decompress(rest, LARGE_TEXT) if packed else rest
        texts.setdefault(key.decode("latin-1"), []).append(text.decode(encoding))
    except (zlib.error, UnicodeDecodeError):
        left.add(f"PNG text {key.decode('latin-1')}, which is damaged")


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def put_chunks(file: IO[bytes], metadata: Mapping[str, Any]) -> None:
    """Put the chunks that ``about_png`` has kept into the PNG in *file*, where they belong."""
    chunks = metadata.get("chunks")
    front = behind = b""
    for name, values in chunks.items() if isinstance(chunks, Mapping) else ():
        cid = name.encode("latin-1", "replace") if isinstance(name, str) else b""
        if len(cid) != 4 or not cid.isalpha() or cid in KNOWN or cid[:1].isupper():
            continue
        for data in values if isinstance(values, list) else [values]:
            if isinstance(data, bytes):
                packed = chunk(cid, data)
                front, behind = (front + packed, behind) if name in FIRST else (front, behind + packed)
    if not front and not behind:
        return
    size = file.seek(0, 2)
    place = 8
    for name, length, _ in _chunks(file, size):
        if name == b"IDAT":
            break
        place += 12 + length
    file.seek(33)
    head = file.read(place - 33)
    rest = file.read()
    file.seek(33)
    file.write(front + head + behind + rest)


class _Image:
    """The pixels of one frame, counted as they are inflated.

    Parameters
    ----------
    header
        Of the file: depth, colour type and interlacing.
    size
        Width and height, in the first eight bytes.
    """

    def __init__(self, header: bytes, size: bytes) -> None:
        self.expected = _inflated_bytes(header, _number(size, 0), _number(size, 4))
        self.present = 0
        self._inflate = zlib.decompressobj()

    def take(self, pieces: Iterator[bytes], skip: int) -> None:
        """Inflate *pieces* after their first *skip* bytes, a part at a time, until all pixels are counted."""
        for piece in pieces:
            left, skip = piece[skip:], 0
            while self.present < self.expected and not self._inflate.eof:
                try:
                    got = len(self._inflate.decompress(left, PIECE))
                except zlib.error as error:
                    raise IngestError(f"its pixels cannot be inflated: {error}") from error
                self.present += got
                left = self._inflate.unconsumed_tail
                if not left and got < PIECE:
                    break

    def check(self) -> None:
        """Raise ``IngestError`` if there are fewer than announced."""
        if self.present < self.expected:
            raise IngestError(
                f"its header announces {self.expected} bytes of pixels, {self.present} are present"
            )


def _inflated_bytes(header: bytes, width: int, height: int) -> int:
    if header[8] not in DEPTHS.get(header[9], ()) or header[12] > 1:
        raise IngestError(
            f"its header has {header[8]} bits, colour type {header[9]} and interlacing {header[12]}, "
            "which no PNG has together"
        )
    bits = header[8] * SAMPLES[header[9]]
    passes = ADAM7 if header[12] else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def _number(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "big")
