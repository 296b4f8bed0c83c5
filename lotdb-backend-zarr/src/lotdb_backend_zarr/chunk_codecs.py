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
from numcodecs import blosc, zstd
from numcodecs.blosc import Blosc
from numcodecs.gzip import GZip
from numcodecs.zstd import Zstd

from lotdb_backend_zarr.decoded_size import blosc_size, zstd_size

__all__ = ["ChunkCodec", "chunk_codec", "crc32c", "stored_dtype"]

Array = np.ndarray[Any, Any]

# As zarr sets it when it is loaded. Several chunks are compressed at once by threads of ours, and to find out
# in which thread it is takes numcodecs a while for each chunk.
blosc.use_threads = False

_SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}

# Names that zarr's format shares with numpy.
_NUMBERS = frozenset(
    {"bool", "complex64", "complex128", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


class ChunkCodec:
    """The elements of a chunk as bytes, compressed or not, followed by the CRC-32C of the stored bytes.

    Parameters
    ----------
    byteorder
        ``"<"`` or ``">"``, that of the stored elements.
    compress
        Turns the bytes of a chunk into the stored bytes; None if they are not compressed.
    decompress
        Fills an array with the decompressed bytes; raises if they are more or fewer than the array has.
    """

    def __init__(
        self,
        byteorder: str,
        compress: Callable[[Array], Any] | None,
        decompress: Callable[[Array, Array], None],
    ) -> None:
        self._byteorder = byteorder
        self._is_native = np.dtype(f"{byteorder}i2").isnative
        self._compress = compress
        self._decompress = decompress

    def encode(self, chunk: Array) -> tuple[Any, bytes]:
        """The stored bytes of a chunk, and the checksum that follows them."""
        data: Any = _as_bytes(np.ascontiguousarray(chunk, chunk.dtype.newbyteorder(self._byteorder)))
        if self._compress is not None:
            data = self._compress(data)
        return data, crc32c(np.frombuffer(data, np.uint8))

    def decode_into(self, stored: bytes, out: Array) -> None:
        """Fill *out* with the decoded chunk; ``ValueError`` or a codec's error if the bytes were altered."""
        data = checked(stored)
        if self._is_native and out.dtype.isnative and out.flags.c_contiguous:  # as nearly always
            self._decompress(data, _as_bytes(out))
            return
        order = out.dtype.newbyteorder(self._byteorder)
        if out.flags.c_contiguous and out.dtype == order:
            self._decompress(data, _as_bytes(out))
        else:
            chunk = np.empty(out.shape, order)
            self._decompress(data, _as_bytes(chunk))
            out[...] = chunk


def crc32c(data: Array) -> bytes:
    """The CRC-32C of an array of bytes, as it is stored."""
    # It takes read-only objects and arrays, but no other writable object.
    return int(google_crc32c.value(cast(bytes, data))).to_bytes(4, "little")


def checked(stored: bytes) -> Array:
    """The stored bytes without their checksum; ``ValueError`` if it does not match."""
    if len(stored) < 4:
        raise ValueError(f"{len(stored)} bytes hold no checksum")
    data = np.frombuffer(stored, np.uint8, len(stored) - 4)
    if google_crc32c.value(data) != int.from_bytes(stored[-4:], "little"):
        raise ValueError("the checksum does not match")
    return data


def chunk_codec(described: list[Any]) -> ChunkCodec | None:
    """The codec of an array's chunks, from the description in its metadata.

    None if one of the codecs is not known here.
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
    """The dtype of an array, from the description in its metadata; None if it is not known here."""
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
        # Blosc takes the size of an element from the dtype of its argument.
        return codec.encode(data.view(f"V{typesize}") if len(data) % typesize == 0 else data)

    def decompress(data: Array, out: Array) -> None:
        _expect(blosc_size(data.data), out)
        blosc.decompress(data, out)  # as the codec does, once it has looked at both arrays

    return compress, decompress


def _zstd(settings: Mapping[str, Any]) -> tuple[Any, Any]:
    codec = Zstd(level=settings.get("level", 0), checksum=settings.get("checksum", False))

    def decompress(data: Array, out: Array) -> None:
        _expect(zstd_size(data.data), out)
        zstd.decompress(data, out)

    return codec.encode, decompress


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
