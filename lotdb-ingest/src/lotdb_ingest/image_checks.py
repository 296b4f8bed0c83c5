"""Whether an image file is whole: Pillow fills up what is missing, in some formats without a word.

Sources: PNG (Third Edition, https://www.w3.org/TR/png-3/), GIF89a, the WebP container specification.
"""

from __future__ import annotations

import zlib
from typing import IO

from lotdb import IngestError

__all__ = ["check_whole"]

#: Samples a pixel, by the colour type of PNG.
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: First column and row, and steps, of the passes of an interlaced PNG.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
CHUNK_BYTES = 1 << 20


def check_whole(format: str, file: IO[bytes], size: int) -> None:
    """Raise ``IngestError`` if the file of *size* bytes is cut, or its pixels are fewer than announced."""
    checks = {"png": _check_png, "gif": _check_gif, "webp": _check_webp}
    if format in checks:
        checks[format](file, size)


def _check_png(file: IO[bytes], size: int) -> None:
    file.seek(8)
    expected = present = 0
    inflate = zlib.decompressobj()
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise IngestError("it ends before its last chunk")
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if length > size - file.tell() - 4:
            raise IngestError(f"chunk {name!r} announces {length} bytes, {size - file.tell()} are present")
        crc = zlib.crc32(name)
        while length:
            part = file.read(min(length, CHUNK_BYTES))
            if not part:
                raise IngestError("it ends in the middle of a chunk")
            length -= len(part)
            crc = zlib.crc32(part, crc)
            if name == b"IHDR" and expected == 0:
                expected = _png_bytes(part)
            if name == b"IDAT":
                present += _inflated(inflate, part, expected - present)
        if file.read(4) != crc.to_bytes(4, "big"):
            raise IngestError(f"chunk {name!r} does not match its checksum")
        if name == b"IEND":
            break
    if present < expected:
        raise IngestError(f"its header announces {expected} bytes of pixels, {present} are present")


def _png_bytes(header: bytes) -> int:
    """How many bytes the pixels of a PNG inflate to."""
    if len(header) != 13 or header[9] not in SAMPLES or header[12] > 1:
        raise IngestError("its header makes no sense")
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    if width == 0 or height == 0:
        raise IngestError(f"its header announces {width} x {height} pixels")
    bits = header[8] * SAMPLES[header[9]]
    passes = ADAM7 if header[12] else ((0, 0, 1, 1),)
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def _inflated(inflate: zlib._Decompress, part: bytes, wanted: int) -> int:
    """How many bytes *part* inflates to, counted up to *wanted* and held a piece at a time."""
    count = 0
    try:
        while part and not inflate.eof and count < wanted:
            count += len(inflate.decompress(part, CHUNK_BYTES))
            part = inflate.unconsumed_tail
    except zlib.error as error:
        raise IngestError(f"its pixels cannot be inflated: {error}") from error
    return count


def _check_gif(file: IO[bytes], size: int) -> None:
    file.seek(10)
    flags = file.read(3)
    _skip_colours(file, flags[:1])
    while True:
        kind = file.read(1)
        if kind == b";":
            return
        if kind == b"!":
            file.read(1)
        elif kind == b",":
            _skip_colours(file, file.read(9)[8:])
            file.read(1)
        elif kind == b"":
            raise IngestError("it ends before its last frame does")
        else:
            raise IngestError(f"byte {file.tell() - 1} begins no block of a GIF")
        while length := file.read(1):
            if length == b"\0":
                break
            if len(file.read(length[0])) < length[0]:
                raise IngestError("it ends before its last frame does")


def _skip_colours(file: IO[bytes], flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        file.read(3 << ((flags[0] & 7) + 1))


def _check_webp(file: IO[bytes], size: int) -> None:
    file.seek(4)
    announced = int.from_bytes(file.read(4), "little") + 8
    if announced > size:
        raise IngestError(f"its header announces {announced} bytes, {size} are present")
