"""How arrays are cut into chunks and compressed: zarr's own options, and our defaults for time series."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import zarr
from zarr.abc.codec import BytesBytesCodec, Codec
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.registry import get_codec_class
from zarr.storage import MemoryStore

from lotdb import InvalidOptionError
from lotdb_backend_zarr.shards import CHUNK_KEYS

__all__ = ["check", "creation", "document", "grid"]

# A window decodes all of the chunks that it touches. Below this size, more time goes into handling chunks
# than into decoding them, and they compress worse.
CHUNK_BYTES = 64 << 10
# Chunks share files (zarr's sharding) of this size: a thousand small captures become a few files.
SHARD_BYTES = 16 << 20

OPTIONS = ("chunks", "compressors", "shards")


def check(options: Mapping[str, Any], dtype: np.dtype[Any], row_shape: tuple[int, ...]) -> dict[str, Any]:
    """*options* in the plain form in which they are stored.

    Raises
    ------
    InvalidOptionError
        For an unknown option, chunks or shards that do not fit the array, or an unknown codec.
    """
    for option in options:
        if option not in OPTIONS:
            raise InvalidOptionError(
                f"backend 'zarr' takes no option {option!r} (it takes: {', '.join(OPTIONS)})"
            )
    checked: dict[str, Any] = {}
    if options.get("chunks") is not None:
        checked["chunks"] = _shape("chunks", options["chunks"], row_shape)
    if options.get("shards") is not None:
        checked["shards"] = _shape("shards", options["shards"], row_shape)
        _check_multiple(checked["shards"], chunk_shape(checked, dtype, row_shape, rows=None))
    if "compressors" in options:
        checked["compressors"] = _settled(options, dtype)
    return checked


def grid(
    options: Mapping[str, Any], dtype: np.dtype[Any], shape: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of the chunks and of the shards of an array."""
    chunks = chunk_shape(options, dtype, shape[1:], shape[0])
    return chunks, shard_shape(options, dtype, shape[0], chunks)


def chunk_shape(
    options: Mapping[str, Any], dtype: np.dtype[Any], row_shape: tuple[int, ...], rows: int | None
) -> tuple[int, ...]:
    """Shape of a chunk: as given, or whole rows of about 64 KiB."""
    if "chunks" in options:
        return tuple(options["chunks"])
    row_elements = math.prod(row_shape)
    # Blosc shuffles the bits of eight elements at a time. A chunk of another number it leaves as it is, and
    # without a word: it then compresses next to nothing.
    step = 8 // math.gcd(8, row_elements)
    fitting = max(1, CHUNK_BYTES // (dtype.itemsize * row_elements) // step) * step
    if rows is None:
        return (fitting, *row_shape)
    # Equal parts: a chunk is stored whole, however few of its rows there are.
    return (math.ceil(rows / math.ceil(rows / fitting) / step) * step, *row_shape)


def shard_shape(
    options: Mapping[str, Any], dtype: np.dtype[Any], rows: int, chunks: tuple[int, ...]
) -> tuple[int, ...]:
    """Shape of a shard: as given, or the rows in equal parts of about 16 MiB, in whole chunks."""
    if "shards" in options:
        return tuple(options["shards"])
    row_shape = chunks[1:]
    parts = max(1, round(rows * dtype.itemsize * math.prod(row_shape) / SHARD_BYTES))
    # Equal parts, since zarr fills up the last one: what it fills would be written, too.
    return (math.ceil(math.ceil(rows / parts) / chunks[0]) * chunks[0], *row_shape)


def document(options: Mapping[str, Any], dtype: np.dtype[Any], ndim: int) -> dict[str, Any]:
    """The ``zarr.json`` that zarr writes for an array of *ndim* axes; its lengths are all one.

    zarr makes it rather than this package, since zarr knows what it calls a dtype, and what a codec leaves
    open.
    """
    files: dict[str, Any] = {}
    one = (1,) * ndim
    zarr.create_array(
        MemoryStore(files),
        shape=one,
        dtype=dtype,
        chunks=one,
        shards=one,
        chunk_key_encoding=CHUNK_KEYS,
        **creation(options, dtype),
    )
    made: dict[str, Any] = json.loads(files["zarr.json"].to_bytes())
    return made


def try_zarr() -> None:
    """Make an array in memory and open it again: raises what keeps zarr from doing so."""
    store = MemoryStore()
    zarr.create_array(store, shape=(1,), dtype="u1", **creation({}, np.dtype("u1")))
    zarr.open_array(store, mode="r", zarr_format=3)


def with_lengths(
    document: Mapping[str, Any], shape: tuple[int, ...], chunks: tuple[int, ...], shards: tuple[int, ...]
) -> dict[str, Any]:
    """The ``zarr.json`` of an array like that of *document*, but with these lengths."""
    (sharding,) = document["codecs"]
    return {
        **document,
        "shape": shape,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shards}},
        "codecs": [{**sharding, "configuration": {**sharding["configuration"], "chunk_shape": chunks}}],
    }


def creation(options: Mapping[str, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Arguments of ``zarr.create_array`` that do not depend on the shape."""
    return {
        "compressors": codecs(options, dtype),
        "fill_value": np.nan if dtype.kind in "fc" else None,
        "config": {"write_empty_chunks": True},
    }


def codecs(options: Mapping[str, Any], dtype: np.dtype[Any]) -> tuple[BytesBytesCodec, ...]:
    """The compressors of an array, and behind them the checksum that every chunk gets."""
    if "compressors" in options:
        chosen = _parse_codecs(options["compressors"])
    else:
        chosen = (
            BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle" if dtype.itemsize > 1 else "noshuffle"),
        )
    if any(isinstance(codec, Crc32cCodec) for codec in chosen):
        return chosen
    return (*chosen, Crc32cCodec())


def _settled(options: Mapping[str, Any], dtype: np.dtype[Any]) -> list[Any]:
    """The compressors that were asked for, in the plain form of zarr's metadata.

    What the user left open, zarr settles for the dtype; the plain form of the codec alone would fix it at
    its defaults.
    """
    asked = len(_parse_codecs(options["compressors"]))
    try:
        (sharding,) = document({"compressors": options["compressors"]}, dtype, 1)["codecs"]
    except Exception as error:  # each codec has its own
        raise InvalidOptionError(
            f"compressors is {options['compressors']!r}, which zarr does not accept for {dtype}: {error}"
        ) from error
    _serializer, *settled = sharding["configuration"]["codecs"]
    return list(settled[:asked])


def _shape(option: str, value: Any, row_shape: tuple[int, ...]) -> list[int]:
    # Also of rows without elements, which have an axis of length 0.
    whole_rows = [max(1, length) for length in row_shape]
    lengths = [value, *whole_rows] if isinstance(value, int | np.integer) else value
    wanted = f"a number of rows, or {1 + len(row_shape)} lengths, each" if row_shape else "a number of rows"
    if isinstance(lengths, str | bytes) or not isinstance(lengths, Iterable):
        raise InvalidOptionError(f"{option} is {value!r}; use {wanted} from 1 on")
    lengths = list(lengths)
    if len(lengths) != 1 + len(row_shape) or not all(map(_is_length, lengths)):
        raise InvalidOptionError(
            f"{option} is {value!r}, the rows have shape {row_shape}; use {wanted} from 1 on"
        )
    return [int(length) for length in lengths]


def _is_length(length: Any) -> bool:
    if isinstance(length, bool | np.timedelta64) or not isinstance(length, int | np.integer):
        return False
    return int(length) > 0


def _check_multiple(shards: list[int], chunks: tuple[int, ...]) -> None:
    if any(shard % chunk for shard, chunk in zip(shards, chunks, strict=True)):
        raise InvalidOptionError(f"shards {tuple(shards)} are no multiple of chunks {chunks}")


def _parse_codecs(value: Any) -> tuple[BytesBytesCodec, ...]:
    if value is None:
        return ()
    items = [value] if isinstance(value, Codec | Mapping) else value
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise InvalidOptionError(
            f"compressors is {value!r}; use zarr codecs, such as zarr.codecs.BloscCodec()"
        )
    return tuple(_parse_codec(item) for item in items)


def _parse_codec(item: Any) -> BytesBytesCodec:
    if isinstance(item, Mapping):
        try:
            item = get_codec_class(item["name"]).from_dict(dict(item))
        except Exception as error:
            raise InvalidOptionError(
                f"compressors has {item!r}, which zarr does not accept: {error}"
            ) from error
    if not isinstance(item, BytesBytesCodec):
        raise InvalidOptionError(f"compressors has {item!r}, which is not a bytes-to-bytes codec of zarr")
    return item
