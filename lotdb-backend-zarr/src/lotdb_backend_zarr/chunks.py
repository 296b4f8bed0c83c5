"""How a chunk is stored: in zarr's format, by the libraries that zarr itself uses.

zarr calls its codecs from an event loop, and the way to call them without one has changed with its releases.
What they write is specified. So the codecs that nearly all arrays have are called here at their source: the
compressors of numcodecs, and the CRC-32C of google-crc32c. An array that has others is left to zarr.

Format: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, cast

import google_crc32c
import numpy as np
from numcodecs.blosc import Blosc
from numcodecs.gzip import GZip
from numcodecs.zstd import Zstd

__all__ = ["ChunkCodec", "chunk_codec", "crc32c", "stored_dtype"]

Array = np.ndarray[Any, Any]

_SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}

# Names that zarr's format shares with numpy.
_NUMBERS = frozenset(
    {"bool", "complex64", "complex128", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)

# Where the header of a blosc chunk has the size of what it holds.
# https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst
_BLOSC_SIZE = slice(4, 8)

# The longest header of a zstd frame.
_ZSTD_HEADER = 18


class ChunkCodec:
    """Bytes of one byte order, compressed if at all, and a CRC-32C of what is stored behind it.

    Parameters
    ----------
    byteorder
        ``"<"`` or ``">"``, that of the stored elements.
    compress
        From the bytes of a chunk to what is stored; None if they are stored as they are.
    decompress
        Fills an array of bytes with what is stored, or raises: for more bytes, or fewer, than that array has.
    """

    def __init__(
        self,
        byteorder: str,
        compress: Callable[[Array], Any] | None,
        decompress: Callable[[Array, Array], None],
    ) -> None:
        self._byteorder = byteorder
        self._compress = compress
        self._decompress = decompress

    def encode(self, chunk: Array) -> tuple[Any, bytes]:
        """The stored bytes of a chunk, and the checksum that follows them."""
        data: Any = _as_bytes(np.ascontiguousarray(chunk, chunk.dtype.newbyteorder(self._byteorder)))
        if self._compress is not None:
            data = self._compress(data)
        return data, crc32c(np.frombuffer(data, np.uint8))

    def decode_into(self, stored: bytes, out: Array) -> None:
        """Fill *out* with a chunk of its shape; ``ValueError`` and others if it is not what was stored."""
        data = checked(stored)
        order = out.dtype.newbyteorder(self._byteorder)
        if out.flags.c_contiguous and out.dtype == order:
            self._decompress(data, _as_bytes(out))
        else:
            chunk = np.empty(out.shape, order)
            self._decompress(data, _as_bytes(chunk))
            out[...] = chunk


def crc32c(data: Array) -> bytes:
    """The CRC-32C of an array of bytes, as it is stored."""
    # It takes what is read-only, or an array; no other object that could be written to.
    return int(google_crc32c.value(cast(bytes, data))).to_bytes(4, "little")


def checked(stored: bytes) -> Array:
    """The bytes in front of their checksum; ``ValueError`` if it is not theirs."""
    if len(stored) < 4:
        raise ValueError(f"{len(stored)} bytes hold no checksum")
    data = np.frombuffer(stored, np.uint8, len(stored) - 4)
    if crc32c(data) != stored[-4:]:
        raise ValueError("the checksum does not match")
    return data


def chunk_codec(described: list[Any]) -> ChunkCodec | None:
    """What encodes and decodes a chunk of an array whose metadata describe its codecs so.

    None for codecs that are not called here.
    """
    first, *compressors, last = described if len(described) > 1 else (None, None)
    if _name(last) != "crc32c" or _name(first) != "bytes" or len(compressors) > 1:
        return None
    endian = _configuration(first).get("endian", "little")  # left out for elements of one byte
    if endian not in ("little", "big"):
        return None
    pair: tuple[Any, Any] | None = (None, _copy)
    if compressors:
        make = _COMPRESSORS.get(_name(compressors[0]))
        pair = None if make is None else make(_configuration(compressors[0]))
    return None if pair is None else ChunkCodec("<" if endian == "little" else ">", *pair)


def stored_dtype(described: Any) -> np.dtype[Any] | None:
    """The dtype that an array's metadata describe so; None for one that zarr has to read."""
    if isinstance(described, str) and described in _NUMBERS:
        return np.dtype(described)
    kinds = {"numpy.datetime64": "M8", "numpy.timedelta64": "m8"}
    kind = kinds.get(_name(described))
    if kind is None:
        return None
    settings = _configuration(described)
    unit = settings.get("unit", "generic")
    return np.dtype(kind if unit == "generic" else f"{kind}[{settings.get('scale_factor', 1)}{unit}]")


def _name(described: Any) -> str:
    return str(described.get("name")) if isinstance(described, Mapping) else str(described)


def _configuration(described: Any) -> Mapping[str, Any]:
    found = described.get("configuration") if isinstance(described, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _as_bytes(array: Array) -> Array:
    return array.reshape(-1).view(np.uint8)


def _copy(data: Array, out: Array) -> None:
    _expect(len(data), out)
    out[:] = data


def _expect(size: int, out: Array) -> None:
    if size != len(out):
        raise ValueError(f"it holds {size} bytes, {len(out)} are expected")


# -- compressors -----------------------------------------------------------------------------------------


def _blosc(settings: Mapping[str, Any]) -> tuple[Any, Any] | None:
    shuffle = _SHUFFLES.get(settings.get("shuffle", "noshuffle"))
    if shuffle is None:
        return None
    codec = Blosc(
        cname=settings.get("cname", "lz4"),
        clevel=settings.get("clevel", 5),
        shuffle=shuffle,
        blocksize=settings.get("blocksize", 0),
    )
    typesize = settings.get("typesize", 1)

    def compress(data: Array) -> Any:
        # Blosc is told the size of an element by the dtype of what it is given.
        return codec.encode(data.view(f"V{typesize}") if len(data) % typesize == 0 else data)

    def decompress(data: Array, out: Array) -> None:
        _expect(int.from_bytes(data[_BLOSC_SIZE].tobytes(), "little"), out)
        codec.decode(data, out=out)

    return compress, decompress


def _zstd(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    codec = Zstd(level=settings.get("level", 0), checksum=settings.get("checksum", False))

    def decompress(data: Array, out: Array) -> None:
        _expect(_zstd_size(data[:_ZSTD_HEADER].tobytes()), out)
        codec.decode(data, out=out)

    return codec.encode, decompress


def _zstd_size(header: bytes) -> int:
    """Bytes that a frame holds: https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1"""
    flags = header[4]
    is_single = bool(flags & 32)
    place = 5 + (not is_single) + (0, 1, 2, 4)[flags & 3]
    length = (int(is_single), 2, 4, 8)[flags >> 6]
    return int.from_bytes(header[place : place + length], "little") + (256 if length == 2 else 0)


def _gzip(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    codec = GZip(level=settings.get("level", 1))

    def decompress(data: Array, out: Array) -> None:
        # By zlib itself, which stops at the size that it is given.
        unpacked = zlib.decompressobj(wbits=31).decompress(data.data, len(out) + 1)
        _copy(np.frombuffer(unpacked, np.uint8), out)

    return codec.encode, decompress


_COMPRESSORS: dict[str, Callable[[Mapping[str, Any]], tuple[Any, Any] | None]] = {
    "blosc": _blosc,
    "gzip": _gzip,
    "zstd": _zstd,
}
