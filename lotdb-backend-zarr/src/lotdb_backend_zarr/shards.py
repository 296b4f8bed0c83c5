"""Writing and reading the shards of an array, in zarr's own format.

zarr copies a shard several times, and takes each chunk through its event loop: writing a shard takes it five
times as long as compressing it, and reading a window ten times as long as decompressing its chunk. Here a
chunk goes to the file as it is compressed, the index follows, and a window is read chunk by chunk.
Any zarr reads what was written; an array that is not of this form is left to zarr.

Format: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from lotdb import DamagedError, at_once
from lotdb_backend_zarr.array_files import ArrayFiles
from lotdb_backend_zarr.chunk_codecs import ChunkCodec, checked, chunk_codec, crc32c, stored_dtype
from lotdb_backend_zarr.decoded import Decoded
from lotdb_backend_zarr.decoded_size import check_size
from lotdb_backend_zarr.metadata_checksum import with_checksum
from lotdb_backend_zarr.open_array_file import OpenArrayFile

__all__ = ["CHUNK_KEYS", "ShardReader", "ShardWriter", "Sharded", "chunk_key", "places"]

# Shards lie beside the metadata: folders for each axis would have to be made and synced as well.
CHUNK_KEYS: Any = {"name": "default", "separator": "."}

# From so many bytes on, the chunks of a read are decoded in several threads. The core reads what is larger in
# pieces below that, in threads of its own.
THREADED_BYTES = 3 << 20
PIECE_BYTES = 512 << 10

# Of up to so many chunks of a local file each is read on its own: no slower than to read them together and
# cut them apart, and in two threads a quarter faster, since each has Python for itself for a shorter time.
_ONE_BY_ONE = 2

# So many bytes of chunks are compressed at a time, in several threads.
ENCODED_BYTES = 4 << 20

# Errors that say nothing of what was read.
NOT_OF_DATA = (MemoryError, AttributeError, ImportError, TypeError)

# In the index, both numbers of a chunk that is not there.
ABSENT = 2**64 - 1

_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def chunk_key(place: tuple[int, ...]) -> str:
    """The file of a shard, by its place along each axis."""
    return ".".join(("c", *map(str, place)))


@dataclass(frozen=True)
class Sharded:
    """An array of shards as they are written here: lengths along each axis, and how a chunk is stored.

    A shard is a whole number of chunks.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: ChunkCodec | None  # None if only zarr can call it
    codec_names: tuple[str, ...]  # the last one first

    @classmethod
    def described(cls, document: Any) -> Sharded | None:
        """The array whose ``zarr.json`` holds *document*; None if it is of another form."""
        try:
            (sharding,) = document["codecs"]
            settings = sharding["configuration"]
            is_ours = (
                (document["zarr_format"], document["node_type"]) == (3, "array")
                and sharding["name"] == "sharding_indexed"
                and settings.get("index_location", "end") == "end"
                and [_plain(each) for each in settings["index_codecs"]] == [_LITTLE, {"name": "crc32c"}]
                and _plain(document["chunk_key_encoding"])
                == {"name": "default", "configuration": {"separator": "."}}
                and not document.get("storage_transformers")
            )
            dtype = stored_dtype(document["data_type"])
            codec = chunk_codec(settings["codecs"])
            names = tuple(str(_plain(each)["name"]) for each in reversed(settings["codecs"]))
            shape = _lengths(document["shape"], 0)
            shards = _lengths(document["chunk_grid"]["configuration"]["chunk_shape"], 1)
            chunks = _lengths(settings["chunk_shape"], 1)
        except (KeyError, TypeError, ValueError):
            return None
        if not is_ours or dtype is None or document["chunk_grid"]["name"] != "regular":
            return None
        if not len(shape) == len(chunks) == len(shards):
            return None
        if any(shard % chunk for shard, chunk in zip(shards, chunks, strict=True)):
            return None
        return cls(shape, chunks, shards, dtype, codec, names)


def _plain(described: Any) -> Any:
    # Some writers give a name alone, and some an empty configuration: the format allows all of them.
    if isinstance(described, str):
        return {"name": described}
    return {key: value for key, value in described.items() if value or key != "configuration"}


def _lengths(value: Any, least: int) -> tuple[int, ...]:
    if not all(type(length) is int and length >= least for length in value):
        raise ValueError(f"{value} are no lengths")
    return tuple(value)


class ShardWriter:
    """Writes one array, shard by shard along its first axis.

    Parameters
    ----------
    files
        Where the files of the array are; there are none yet.
    document
        What its ``zarr.json`` is to hold.
    """

    def __init__(self, files: ArrayFiles, document: Mapping[str, Any]) -> None:
        array = Sharded.described(document)
        assert array is not None
        assert array.codec is not None
        self._files, self._array = files, array
        self._encode = array.codec.encode
        files.make()
        with files.new("zarr.json") as put:
            put([with_checksum(document)])

    def write(self, first: int, rows: np.ndarray[Any, Any]) -> None:
        """Write *rows*, whole shards that begin at row *first*."""
        shards = self._array.shards
        parts = list(_parts(rows, shards))
        # While one waits for the disk, another is compressed.
        several = len(parts) > 1 and self._files.writes_several

        def write(part: tuple[tuple[int, ...], Any]) -> None:
            place, region = part
            with self._files.new(chunk_key((place[0] + first // shards[0], *place[1:]))) as put:
                self._write_shard(region, put, 1 if several else None)

        at_once(write, parts, None if several else 1)

    def _write_shard(
        self, region: np.ndarray[Any, Any], put: Callable[[list[Any]], None], threads: int | None
    ) -> None:
        chunks = self._array.chunks
        # Chunks beyond the edge of the array stay absent; nobody reads them.
        index = np.full((*_counts(self._array.shards, chunks), 2), ABSENT, "<u8")
        offset = 0
        for some in self._encoded(list(_parts(region, chunks)), threads):
            for place, (data, checksum) in some:
                size = memoryview(data).nbytes + len(checksum)
                index[place] = offset, size
                offset += size
            put([run for _, runs in some for run in runs])
        put([index, crc32c(index.reshape(-1).view(np.uint8))])

    def _encoded(
        self, parts: list[tuple[tuple[int, ...], Any]], threads: int | None
    ) -> Iterator[list[tuple[tuple[int, ...], Any]]]:
        """The place of each of *parts*, and what is stored of it, some at a time."""
        size = math.prod(self._array.chunks) * self._array.dtype.itemsize
        batch = max(1, ENCODED_BYTES // size)
        for first in range(0, len(parts), batch):
            some = parts[first : first + batch]
            encoded: list[Any] = [None] * len(some)

            def encode(number: int, some: list[Any] = some, encoded: list[Any] = encoded) -> None:
                encoded[number] = self._encode(self._filled(some[number][1]))

            at_once(encode, range(len(some)), threads)
            yield [(place, each) for (place, _), each in zip(some, encoded, strict=True)]

    def _filled(self, chunk: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A chunk that is at the edge filled up: it is stored whole; nobody reads what is beyond the edge."""
        chunks = self._array.chunks
        if chunk.shape == chunks:
            return chunk
        filled = np.zeros(chunks, chunk.dtype)
        filled[tuple(map(slice, chunk.shape))] = chunk
        return filled


class ShardReader:
    """Reads windows of one finished array; what is missing or altered is an error.

    Parameters
    ----------
    files
        Where the files of the array are.
    array
        What it is, by its metadata.
    decoded
        Where chunks are held of which a part was wanted; None for files that take long to ask for.
    name
        By which those of this array are known there.
    """

    def __init__(
        self, files: ArrayFiles, array: Sharded, decoded: Decoded | None = None, name: str = ""
    ) -> None:
        self._files, self.array = files, array
        self._codec = cast(ChunkCodec, array.codec)
        self._decoded, self._name = decoded, name
        # By the place of a shard: its index, and the state of the file that it was read from.
        self._indexes: dict[tuple[int, ...], tuple[Any, np.ndarray[Any, Any]]] = {}
        self._others = (0,) * (len(array.shape) - 1)
        # Here as well, since each window asks for them.
        self._rows, self._shard_rows, self._chunk_rows = (
            next(iter(lengths), 0) for lengths in (array.shape, array.shards, array.chunks)
        )
        # The shards of which rows were read, by their numbers.
        self._of_rows: dict[int, _OfRows] = {}
        #: Whether chunks are whole rows, as :meth:`read_rows` reads them.
        self.has_rows = self.is_direct and array.chunks[1:] == array.shards[1:] == array.shape[1:]

    @property
    def is_direct(self) -> bool:
        """Whether it can read, and not only look."""
        return self.array.codec is not None

    def check_sizes(self, window: list[tuple[int, int]]) -> None:
        """Raise unless no chunk of *window* decodes to more than it should have."""
        for place, shard, _ in _overlaps(window, self.array.shards):
            self._read_shard(place, shard, None)

    def read_into(self, window: list[tuple[int, int]], out: np.ndarray[Any, Any]) -> None:
        """Fill *out* with what lies in *window*, the first and the last, excluded, along each axis."""

        def read(part: tuple[tuple[int, ...], list[tuple[int, int]], tuple[slice, ...]]) -> None:
            place, shard, of_window = part
            self._read_shard(place, shard, out[of_window])

        self._files.each(read, _overlaps(window, self.array.shards))

    def read_rows(self, first: int, out: np.ndarray[Any, Any]) -> None:
        """Fill *out* with the rows from *first* on: what :meth:`read_into` does, where chunks are rows.

        Raises
        ------
        DamagedError
            If something is missing or altered, or the array has fewer rows.
        """
        step, wanted = self._shard_rows, len(out)
        if first + wanted > self._rows:
            raise DamagedError(f"it has {self._rows} rows, at least {first + wanted} are recorded")
        number, low = divmod(first, step)
        if low + wanted <= step:  # as nearly all windows
            self._read_rows(number, low, out)
            return
        parts, done = [], 0
        while done < len(out):
            rows = out[done : done + step - low]
            parts.append((number, low, rows))
            done += len(rows)
            number, low = number + 1, 0
        self._files.each(lambda part: self._read_rows(*part), parts)

    def _read_rows(self, number: int, low: int, out: np.ndarray[Any, Any]) -> None:
        """Fill *out* with the rows of shard *number* from its row *low* on."""
        decoded, step, high = self._decoded, self._chunk_rows, low + len(out)
        shard = self._of_rows.get(number)
        if shard is None:
            place = (number, *self._others)
            shard = self._of_rows[number] = _OfRows(place, self._files.opener(chunk_key(place)))
        file, known_index, place = shard.open(), shard.index, shard.place
        state = file.state
        if known_index is None or known_index[0] != state:
            if place not in self._indexes:
                others = ((0, length) for length in self.array.shape[1:])
                file = self._for(file, place, [(low, high), *others])
                state = file.state
            known_index = shard.index = state, self._index(place, file).reshape(-1)
        index = known_index[1]
        chunks = range(low // step, -(-high // step))
        if decoded is not None and len(chunks) <= _ONE_BY_ONE:  # as nearly all windows
            for chunk in chunks:
                begin = chunk * step
                first, last = max(low, begin), min(high, begin + step)
                rows = out[first - low : last - low]
                span = index.item(2 * chunk), index.item(2 * chunk + 1)
                if last - first == step:
                    self._decode_chunk(place, file, chunk, span, rows)
                    continue
                whole = decoded.get(key := (self._name, state, number, chunk))
                if whole is None:
                    whole = np.empty(self.array.chunks, self.array.dtype)
                    self._decode_chunk(place, file, chunk, span, whole)
                    decoded.put(key, whole)
                rows[...] = whole[first - begin : last - begin]
            return
        wanted: list[Any] = []
        for chunk in chunks:
            begin = chunk * step
            first, last = max(low, begin), min(high, begin + step)
            rows = out[first - low : last - low]
            name = None
            if last - first < step and decoded is not None:
                name = self._name, state, number, chunk
                known = decoded.get(name)
                if known is not None:
                    rows[...] = known[first - begin : last - begin]
                    continue
            span = index.item(2 * chunk), index.item(2 * chunk + 1)
            wanted.append((chunk, span, slice(first - begin, last - begin), rows, name))
        if not wanted:
            return
        row_bytes = out.nbytes // len(out)
        if decoded is None or len(wanted) * step * row_bytes < THREADED_BYTES:
            self._decode_rows(place, file, wanted)
            return
        each = max(1, PIECE_BYTES // (step * row_bytes))
        pieces = [wanted[start : start + each] for start in range(0, len(wanted), each)]
        at_once(lambda piece: self._decode_rows(place, file, piece), pieces)

    def _decode_rows(self, place: tuple[int, ...], file: OpenArrayFile, wanted: list[Any]) -> None:
        """Fill what is *wanted* of chunks: number, span in the file, rows, where they go, and its name."""
        for chunk, (offset, _), _, _, _ in wanted:
            if offset == ABSENT:
                raise self._is_missing(place, (chunk, *self._others))
        stored = file.read([span for _, span, _, _, _ in wanted])
        for (chunk, _, of_chunk, rows, name), content in zip(wanted, stored, strict=True):
            if len(rows) == self.array.chunks[0]:  # all of it
                self._decode_into(place, chunk, content, rows)
                continue
            whole = np.empty(self.array.chunks, self.array.dtype)
            self._decode_into(place, chunk, content, whole)
            rows[...] = whole[of_chunk]
            if name is not None:
                cast(Decoded, self._decoded).put(name, whole)

    def _decode_chunk(
        self,
        place: tuple[int, ...],
        file: OpenArrayFile,
        chunk: int,
        span: tuple[int, int],
        out: np.ndarray[Any, Any],
    ) -> None:
        """Fill *out* with all of *chunk* of a shard, which lies in *span* of the file."""
        if span[0] == ABSENT:
            raise self._is_missing(place, (chunk, *self._others))
        self._decode_into(place, chunk, file.read_one(*span), out)

    def _decode_into(
        self, place: tuple[int, ...], chunk: int, content: Any, out: np.ndarray[Any, Any]
    ) -> None:
        try:
            self._codec.decode_into(content, out)
        except NOT_OF_DATA:
            raise
        except Exception as error:
            path = self._files.where(chunk_key(place))
            raise _damaged(f"chunk {(chunk, *self._others)} of {path}", error) from error

    def _read_shard(
        self, place: tuple[int, ...], window: list[tuple[int, int]], out: np.ndarray[Any, Any] | None
    ) -> None:
        path = self._files.where(chunk_key(place))
        file = self._files.open(chunk_key(place))
        if place not in self._indexes:
            file = self._for(file, place, window)
        index = self._index(place, file)
        parts = list(_overlaps(window, self.array.chunks))
        spans = [(int(index[each][0]), int(index[each][1])) for each, _, _ in parts]
        for (chunk_place, _, _), (offset, _) in zip(parts, spans, strict=True):
            if offset == ABSENT:
                raise self._is_missing(place, chunk_place)
        stored = file.read(spans)
        for (chunk_place, part, of_window), content in zip(parts, stored, strict=True):
            with _damage(f"chunk {chunk_place} of {path}"):
                if out is None:
                    self._check_size(content)
                else:
                    self._decode(content, part, out[of_window])

    def _is_missing(self, place: tuple[int, ...], chunk_place: tuple[int, ...]) -> DamagedError:
        return DamagedError(f"chunk {chunk_place} of {self._files.where(chunk_key(place))} is missing")

    def _for(
        self, file: OpenArrayFile, place: tuple[int, ...], window: list[tuple[int, int]]
    ) -> OpenArrayFile:
        """The file of a shard of which nothing is known yet, and *window* is wanted."""
        return file.whole(self._size_limit()) if self._is_whole(place, window) else file

    def _is_whole(self, place: tuple[int, ...], window: list[tuple[int, int]]) -> bool:
        """Whether *window* is all that the array has of a shard."""
        array = self.array
        edges = zip(place, window, array.shards, array.shape, strict=True)
        return all(at == (0, min(each, length - number * each)) for number, at, each, length in edges)

    def _size_limit(self) -> int:
        """How many bytes a shard may have to be read at once; compressed, it has hardly ever more."""
        return 2 * math.prod(self.array.shards) * self.array.dtype.itemsize + (64 << 10)

    def _check_size(self, stored: bytes) -> None:
        limit = math.prod(self.array.chunks) * self.array.dtype.itemsize
        check_size(self.array.codec_names, memoryview(stored), limit)

    def _decode(self, stored: bytes, part: list[tuple[int, int]], out: np.ndarray[Any, Any]) -> None:
        """Fill *out* with a part of a stored chunk."""
        array = self.array
        assert array.codec is not None
        if out.shape == array.chunks:  # all of it
            array.codec.decode_into(stored, out)
            return
        chunk = np.empty(array.chunks, array.dtype)
        array.codec.decode_into(stored, chunk)
        out[...] = chunk[tuple(slice(*edges) for edges in part)]

    def _index(self, place: tuple[int, ...], file: OpenArrayFile) -> np.ndarray[Any, Any]:
        """Where the chunks of a shard are, and how many bytes each has."""
        known = self._indexes.get(place)
        if known is None or known[0] != file.state:
            known = self._indexes[place] = file.state, self._read_index(place, file)
        return known[1]

    def _read_index(self, place: tuple[int, ...], file: OpenArrayFile) -> np.ndarray[Any, Any]:
        counts = _counts(self.array.shards, self.array.chunks)
        stored = file.read_end(16 * math.prod(counts) + 4)
        with _damage(f"the index of {self._files.where(chunk_key(place))}"):
            return checked(stored).view("<u8").reshape(*counts, 2)


class _OfRows:
    """A shard of which rows were read: its place, what opens it, and its index with the state of its file.

    Parameters
    ----------
    place
        Of the shard.
    open_
        Opens its file.
    """

    __slots__ = ("index", "open", "place")

    def __init__(self, place: tuple[int, ...], open_: Callable[[], OpenArrayFile]) -> None:
        self.place, self.open = place, open_
        #: Place and size of each chunk, one after another, once they were read.
        self.index: tuple[Any, np.ndarray[Any, Any]] | None = None


def _damaged(what: str, error: Exception) -> DamagedError:
    return DamagedError(f"{what} is damaged: {error}")  # each codec has errors of its own


@contextmanager
def _damage(what: str) -> Iterator[None]:
    """Says what it is that a codec cannot decode."""
    try:
        yield
    except NOT_OF_DATA:
        raise
    except Exception as error:
        raise _damaged(what, error) from error


def _counts(shards: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shard // chunk for shard, chunk in zip(shards, chunks, strict=True))


def _parts(
    array: np.ndarray[Any, Any], size: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], np.ndarray[Any, Any]]]:
    """Place and content of each part of *size* in *array*; the last along an axis may be smaller."""
    if array.shape[1:] == size[1:]:  # as nearly all are: whole rows
        others = (0,) * (len(size) - 1)
        for number, first in enumerate(range(0, len(array), size[0])):
            yield (number, *others), array[first : first + size[0]]
        return
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
