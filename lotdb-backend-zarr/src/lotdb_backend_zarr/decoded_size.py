"""How many bytes stored bytes decode to, computed before memory is allocated for them.

A codec writes as many bytes as the stored ones ask for: 100 bytes of bzip2 may become 100 MB. The size of a
chunk is known, so bytes that decode to more are damaged, or an attack.

Formats: https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst; RFC 8878, 3.1.1 (zstd); numcodecs
writes the size before an LZ4 block, as four bytes, little-endian. Other formats do not name the size, so they
are decoded in pieces.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["blosc_size", "check_size", "zstd_size"]

# What is decoded at a time of formats that do not announce a size.
_PIECE = 1 << 20
_CRC_BYTES = 4


def check_size(names: Iterable[str], stored: memoryview, limit: int) -> None:
    """Raise ``ValueError`` if *stored* decodes to more than *limit* bytes, with some room for headers.

    Parameters
    ----------
    names
        Names of the codecs in zarr's metadata, the one that was applied last first. The first one that
        compresses is checked, if it is known here.
    """
    allowed = limit + limit // 8 + 4096
    for name in names:
        name = name.removeprefix("numcodecs.")
        if name == "crc32c":
            stored = stored[:-_CRC_BYTES]
            continue
        measure = _MEASURES.get(name)
        if measure is not None and measure(stored, allowed) > allowed:
            raise ValueError(f"it decodes to more than the {limit} bytes of a chunk")
        return


def blosc_size(stored: memoryview) -> int:
    """Bytes that a blosc chunk decodes to."""
    return int.from_bytes(stored[4:8], "little")


def _lz4(stored: memoryview, allowed: int) -> int:
    return int.from_bytes(stored[:4], "little")


def zstd_size(stored: memoryview) -> int:
    """Bytes that a zstd frame decodes to; ``ValueError`` if it does not say so."""
    if len(stored) < 6 or bytes(stored[:4]) != b"\x28\xb5\x2f\xfd":
        raise ValueError("it is no zstd frame")
    flags = stored[4]
    is_single = flags >> 5 & 1
    at = 5 + (not is_single) + (0, 1, 2, 4)[flags & 3]
    width = (is_single, 2, 4, 8)[flags >> 6]
    if width == 0:
        raise ValueError("its zstd frame does not say its size")
    return int.from_bytes(stored[at : at + width], "little") + (256 if width == 2 else 0)


def _counted(make: Callable[[], Any]) -> Callable[[memoryview, int], int]:
    def count(stored: memoryview, allowed: int) -> int:
        size, data = 0, bytes(stored)
        while data and size <= allowed:
            decoder = make()
            while not decoder.eof and size <= allowed:
                piece = decoder.decompress(data, _PIECE)
                size += len(piece)
                data = getattr(decoder, "unconsumed_tail", b"")
                if not piece and not data:
                    break
            data = decoder.unused_data if decoder.eof else b""
        return size

    return count


_MEASURES: dict[str, Callable[[memoryview, int], int]] = {
    "blosc": lambda stored, allowed: blosc_size(stored),
    "bz2": _counted(bz2.BZ2Decompressor),
    "gzip": _counted(lambda: zlib.decompressobj(wbits=31)),
    "lz4": _lz4,
    "lzma": _counted(lzma.LZMADecompressor),
    "zlib": _counted(zlib.decompressobj),
    "zstd": lambda stored, allowed: zstd_size(stored),
}
