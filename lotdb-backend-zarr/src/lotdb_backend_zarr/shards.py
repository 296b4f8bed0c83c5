"""Writing and reading the shards of an array in a local folder, in zarr's own format and by its own codecs.

zarr copies a shard several times, and takes each chunk through its event loop: writing a shard takes it five
times as long as compressing it, and reading a window ten times as long as decompressing its chunk. Here a
chunk goes to the file as it is compressed, the index follows, and a window is read chunk by chunk.
Any zarr reads what was written; what has other codecs is left to zarr.

Format: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.buffer.cpu import NDBuffer
from zarr.storage import MemoryStore

from lotdb import DamagedError, open_part
from lotdb_backend_zarr.bounds import check_size

__all__ = ["CHUNK_KEYS", "ShardCodecs", "ShardReader", "ShardWriter", "chunk_key", "places"]

# Shards lie beside the metadata: folders for each axis would have to be made and synced as well.
CHUNK_KEYS: Any = {"name": "default", "separator": "."}

# In the index, both numbers of a chunk that is not there.
ABSENT = 2**64 - 1

_BINARY = getattr(os, "O_BINARY", 0)


def chunk_key(place: tuple[int, ...]) -> str:
    """The file of a shard, by its place along each axis."""
    return ".".join(("c", *map(str, place)))


class ShardCodecs:
    """The codecs of an array, called without an event loop.

    Parameters
    ----------
    array
        The array, or any of the same dtype, number of axes and codecs.
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._metadata = cast(Any, array.metadata)
        self.fill = array.fill_value
        self.itemsize = array.dtype.itemsize
        self._prototype = default_buffer_prototype()
        self._spec = self._metadata.get_chunk_spec((0,) * array.ndim, array.config, self._prototype)
        self._sharding = self._metadata.codecs[0]

    @classmethod
    def of(cls, dtype: np.dtype[Any], ndim: int, more: dict[str, Any]) -> ShardCodecs:
        """Those of arrays of *dtype* that are made with the arguments *more* of ``zarr.create_array``."""
        one = (1,) * ndim
        return cls(
            zarr.create_array(
                MemoryStore(),
                shape=one,
                dtype=dtype,
                chunks=one,
                shards=one,
                chunk_key_encoding=CHUNK_KEYS,
                **more,
            )
        )

    @property
    def are_direct(self) -> bool:
        """Whether the array is one of our shards, and all of its codecs can be called so."""
        sharding = self._sharding
        return self.are_ours and all(
            hasattr(codec, "_encode_sync") for codec in (*sharding.codecs, *sharding.index_codecs)
        )

    @property
    def are_ours(self) -> bool:
        """Whether the array is one of shards as we write them."""
        sharding = self._sharding
        return (
            len(self._metadata.codecs) == 1
            and isinstance(sharding, ShardingCodec)
            and sharding.index_location.value == "end"
            and sharding.index_codecs == (BytesCodec(), Crc32cCodec())
            and self._metadata.chunk_key_encoding.to_dict()
            == {"name": "default", "configuration": {"separator": "."}}
        )

    def document(self, shape: tuple[int, ...], chunks: tuple[int, ...], shards: tuple[int, ...]) -> bytes:
        """The ``zarr.json`` of an array of *shape*."""
        document = json.loads(self._zarr_json)
        document["shape"] = shape
        document["chunk_grid"]["configuration"]["chunk_shape"] = shards
        document["codecs"][0]["configuration"]["chunk_shape"] = chunks
        return json.dumps(document).encode()

    @cached_property
    def _zarr_json(self) -> bytes:
        stored: bytes = self._metadata.to_buffer_dict(self._prototype)["zarr.json"].to_bytes()
        return stored

    def encode(self, chunk: np.ndarray[Any, Any]) -> memoryview:
        """The stored bytes of a chunk."""
        return self._encoded(chunk, self._sharding.codecs)

    def encode_index(self, index: np.ndarray[Any, Any]) -> memoryview:
        """The stored bytes of a shard's index."""
        return self._encoded(index, self._sharding.index_codecs)

    def decode(self, stored: bytes, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """A chunk of *shape*, from its stored bytes; ``ValueError`` and others for altered ones."""
        self.check_size(stored, shape)
        spec = replace(self._spec, shape=shape)
        buffer: Any = self._prototype.buffer.from_bytes(stored)
        for codec in reversed(self._sharding.codecs):
            buffer = codec._decode_sync(buffer, spec)
        chunk: np.ndarray[Any, Any] = buffer.as_numpy_array()
        return chunk

    def check_size(self, stored: bytes, shape: tuple[int, ...]) -> None:
        """Raise ``ValueError`` if *stored* decodes to more than a chunk of *shape* has."""
        check_size(self._names, memoryview(stored), math.prod(shape) * self.itemsize)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(str(codec.to_dict()["name"]) for codec in reversed(self._sharding.codecs))

    def decode_index(self, stored: bytes, counts: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Offset and size of each chunk of a shard; ``ValueError`` for altered bytes."""
        buffer = Crc32cCodec()._decode_sync(self._prototype.buffer.from_bytes(stored), self._spec)
        return np.frombuffer(buffer.to_bytes(), "<u8").reshape(*counts, 2)

    def _encoded(self, array: np.ndarray[Any, Any], codecs: tuple[Any, ...]) -> memoryview:
        spec = replace(self._spec, shape=array.shape)
        buffer: Any = NDBuffer.from_numpy_array(array)
        for codec in codecs:
            buffer = codec._encode_sync(buffer, spec)
        return memoryview(buffer.as_numpy_array())


class ShardWriter:
    """Writes one array, shard by shard along its first axis.

    Parameters
    ----------
    folder
        Of the array; it is made.
    codecs
        Those of the array, which are direct.
    shape, chunks, shards
        Lengths along each axis; a shard is a whole number of chunks.
    durable
        Whether files are to be synced.
    """

    def __init__(
        self,
        folder: Path,
        codecs: ShardCodecs,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        shards: tuple[int, ...],
        *,
        durable: bool,
    ) -> None:
        self._folder, self._codecs, self._durable = folder, codecs, durable
        self._chunks, self._shards = chunks, shards
        os.mkdir(folder)
        with self._file("zarr.json") as put:
            put(codecs.document(shape, chunks, shards))

    def write(self, first: int, rows: np.ndarray[Any, Any]) -> None:
        """Write *rows*, whole shards that begin at row *first*."""
        for place, region in _parts(rows, self._shards):
            with self._file(chunk_key((place[0] + first // self._shards[0], *place[1:]))) as put:
                self._write_shard(region, put)

    def _write_shard(self, region: np.ndarray[Any, Any], put: Callable[[memoryview], int]) -> None:
        # Chunks beyond the edge of the array stay absent; nobody reads them.
        index = np.full((*_counts(self._shards, self._chunks), 2), ABSENT, "<u8")
        offset = 0
        for place, chunk in _parts(region, self._chunks):
            if chunk.shape != self._chunks:
                filled = np.full(self._chunks, self._codecs.fill, chunk.dtype)
                filled[tuple(map(slice, chunk.shape))] = chunk
                chunk = filled
            size = put(self._codecs.encode(chunk))
            index[place] = offset, size
            offset += size
        put(self._codecs.encode_index(index))

    @contextmanager
    def _file(self, name: str) -> Iterator[Callable[[memoryview | bytes], int]]:
        """A new file, as a function that writes bytes to its end and says how many they are."""
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)

        def put(data: memoryview | bytes) -> int:
            rest = memoryview(data)
            while rest:  # one call writes at most 2 GiB, and less on a full disk, without an error
                rest = rest[os.write(descriptor, rest) :]
            return len(data)

        try:
            yield put
            if self._durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


class ShardReader:
    """Reads windows of one finished array; what is missing or altered is an error.

    Parameters
    ----------
    folder
        Of the array.
    array
        The array as zarr opens it.
    codecs
        Those of the array, which are ours.
    """

    def __init__(self, folder: Path, array: zarr.Array[Any], codecs: ShardCodecs) -> None:
        assert array.shards is not None
        self._folder, self._codecs = folder, codecs
        #: Whether it can read, and not only look: zarr has to read for codecs that are not direct.
        self.is_direct = codecs.are_direct
        self._shape, self._chunks, self._shards = array.shape, array.chunks, array.shards
        self._indexes: dict[tuple[int, ...], np.ndarray[Any, Any]] = {}

    def read_into(self, first: int, out: np.ndarray[Any, Any]) -> None:
        """Fill *out* with the rows from *first* on."""
        window = [(first, first + len(out)), *((0, length) for length in self._shape[1:])]
        for place, shard, of_window in _overlaps(window, self._shards):
            self._read_shard(place, shard, out[of_window])

    def check_sizes(self, first: int, rows: int) -> None:
        """Raise unless no chunk of *rows* rows from *first* on decodes to more than it should have."""
        window = [(first, first + rows), *((0, length) for length in self._shape[1:])]
        for place, shard, _ in _overlaps(window, self._shards):
            self._read_shard(place, shard, None)

    def _read_shard(
        self, place: tuple[int, ...], window: list[tuple[int, int]], out: np.ndarray[Any, Any] | None
    ) -> None:
        path = self._folder / chunk_key(place)
        try:
            descriptor = open_part(path)
        except (FileNotFoundError, NotADirectoryError):
            raise DamagedError(f"{path} is missing") from None
        with open(descriptor, "rb", buffering=0) as file:
            index = self._indexes.get(place)
            if index is None:
                index = self._indexes[place] = self._read_index(file, path)
            for chunk_place, part, of_window in _overlaps(window, self._chunks):
                offset, size = map(int, index[chunk_place])
                if offset == ABSENT:
                    raise DamagedError(f"chunk {chunk_place} of {path} is missing")
                stored = _read(file, offset, size, path)
                with _damage(f"chunk {chunk_place} of {path}"):
                    if out is None:
                        self._codecs.check_size(stored, self._chunks)
                        continue
                    chunk = self._codecs.decode(stored, self._chunks)
                out[of_window] = chunk[tuple(slice(*edges) for edges in part)]

    def _read_index(self, file: Any, path: Path) -> np.ndarray[Any, Any]:
        counts = _counts(self._shards, self._chunks)
        size = 16 * math.prod(counts) + 4
        stored = _read(file, file.seek(0, 2) - size, size, path)
        with _damage(f"the index of {path}"):
            return self._codecs.decode_index(stored, counts)


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """Says what it is that a codec cannot decode."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # each codec has errors of its own
        raise DamagedError(f"{what} is damaged: {error}") from error


def _read(file: Any, offset: int, size: int, path: Path) -> bytes:
    if offset >= 0 and offset + size <= os.fstat(file.fileno()).st_size:
        file.seek(offset)
        data: bytes = file.read(size)
        if len(data) == size:
            return data
    raise DamagedError(f"{path} ends too early")


def _counts(shards: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shard // chunk for shard, chunk in zip(shards, chunks, strict=True))


def _parts(
    array: np.ndarray[Any, Any], size: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], np.ndarray[Any, Any]]]:
    """Place and content of each part of *size* in *array*; the last along an axis may be smaller."""
    for place, _, of_array in _overlaps([(0, length) for length in array.shape], size):
        yield place, array[of_array]


def places(axes: list[range]) -> Iterator[tuple[int, ...]]:
    """Each combination of one number of each of *axes*, made one by one: an array may claim many."""
    if not axes:
        yield ()
        return
    for number in axes[0]:
        for rest in places(axes[1:]):
            yield (number, *rest)


def _overlaps(
    window: list[tuple[int, int]], size: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], list[tuple[int, int]], tuple[slice, ...]]]:
    """The parts of *size* that a window touches: the place of each, and where they meet.

    *window* is the first and the last of each axis, the last excluded. They meet in what is given of the
    part in the same way, and of the window as slices.
    """
    axes = [range(low // each, -(-high // each)) for (low, high), each in zip(window, size, strict=True)]
    for place in places(axes):
        part, of_window = [], []
        for index, (low, high), each in zip(place, window, size, strict=True):
            begin, end = max(low, index * each), min(high, (index + 1) * each)
            part.append((begin - index * each, end - index * each))
            of_window.append(slice(begin - low, end - low))
        yield place, part, tuple(of_window)
