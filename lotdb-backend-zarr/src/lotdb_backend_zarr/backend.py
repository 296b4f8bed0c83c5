"""Payloads in a zarr v3 group; each segment is an array in it that plain zarr can read."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import tempfile
import threading
import time
import zlib
from _thread import start_new_thread
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import zarr

from lotdb import (
    Backend,
    BackendContext,
    DamagedError,
    InvalidDataError,
    InvalidOptionError,
    ReadOnlyError,
    open_part,
)
from lotdb_backend_zarr import compat, metadata_checksum
from lotdb_backend_zarr import options as zarr_options
from lotdb_backend_zarr.array_files import ArrayFiles, ArrayFolder, ArrayObjects
from lotdb_backend_zarr.decoded import Decoded
from lotdb_backend_zarr.open_files import OpenFiles, most_open
from lotdb_backend_zarr.settings import SETTINGS
from lotdb_backend_zarr.shards import CHUNK_KEYS, Sharded, ShardReader, ShardWriter, chunk_key, places
from lotdb_backend_zarr.strict_store import StrictStore, local_folder, objects_at, open_store
from lotdb_backend_zarr.zarrs_pipeline import open_with_zarrs

__all__ = ["ZarrBackend"]

# Arrays that are kept open, a few kilobytes each: opening one takes longer than reading a window of it.
OPEN_ARRAYS = 8192

# How much of decoded chunks stays in memory, unless the setting says otherwise.
CACHE_BYTES = 32 << 20

# Of arrays that only zarr can decode, from this size on, a whole read through zarrs is faster, although the
# array must be opened again for it.
FAST_BYTES = 1 << 20

# Appended rows of up to so many bytes lie in records, unless the setting says otherwise: an array for each
# small piece takes four syncs more, and two files and a folder.
RECORD_BYTES = 64 << 10

# Longer than it takes a thread to start.
START_S = 2.0

# The attribute of the group that holds the id of its database.
OWNER = "lotdb_database"

# The form of the names that the sweep takes for our arrays.
_LOCATOR = re.compile("seg-[0-9a-f]{32}")

NO_NOTES: Mapping[str, Any] = MappingProxyType({})

# Kinds of dtype that zarr's format specifies; others are stored as the bytes of their elements.
SPECIFIED = frozenset("biufcmM")


class ZarrBackend(Backend):
    """Payloads in a zarr v3 group: a folder beside the database, or any store that zarr can open."""

    name = "zarr"
    takes_notes = True
    syncs = True
    checks_windows = True  # each chunk has a CRC-32C
    reads_in_parts = True  # see read_summed
    settings = SETTINGS

    @classmethod
    def settings_to_send(cls, config: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
        store = config.get("store")
        sent = {name: value for name, value in config.items() if name != "store"}
        return sent if store is None else {**sent, "store": cls.place_to_send(store, directory)}

    def __init__(self, context: BackendContext) -> None:
        super().__init__(context)
        store = context.config.get("store") or context.store or None
        self._objects = objects_at(store)
        self._store = open_store(store, context.folder, read_only=context.read_only, objects=self._objects)
        self._strict = StrictStore(self._store)
        self._folder = local_folder(self._store)
        self._files = OpenFiles(most_open())
        self._decoded = Decoded(_checked_size(context.config.get("cache_bytes", CACHE_BYTES), "cache_bytes"))
        if self._folder is not None:
            self.concurrent_reads = 1
        self.is_outside = self._folder != context.folder
        if not store:
            self.append_record_bytes = _checked_size(
                context.config.get("record_bytes", RECORD_BYTES), "record_bytes"
            )
        self._arrays: OrderedDict[str, _Opened] = OrderedDict()
        self._documents: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._claimed = False
        self._check_owner()

    @classmethod
    def check_options(
        cls, options: Mapping[str, Any], dtype: np.dtype[Any], row_shape: tuple[int, ...]
    ) -> Mapping[str, Any]:
        stored = _as_stored(np.empty((0, *row_shape), dtype))
        return zarr_options.check(options, stored.dtype, stored.shape[1:]) if options else options

    @classmethod
    def check_dtype(cls, dtype: np.dtype[Any]) -> None:
        if dtype.hasobject:
            raise InvalidDataError(f"zarr cannot hold objects ({dtype})")

    def write(
        self,
        locator: str,
        array: np.ndarray[Any, Any],
        options: Mapping[str, Any],
        notes: Mapping[str, Any] = NO_NOTES,
    ) -> None:
        self.write_blocks(locator, [array], array.shape, options, notes)

    def write_blocks(
        self,
        locator: str,
        blocks: Iterable[np.ndarray[Any, Any]],
        shape: tuple[int, ...],
        options: Mapping[str, Any],
        notes: Mapping[str, Any] = NO_NOTES,
    ) -> None:
        if self._store.read_only:
            raise ReadOnlyError(f"{self._store} is read-only; give the backend a store that can be written")
        if not self._claimed or not (self._folder is None or self._folder.is_dir()):
            _finish(self._claim)
        first, write, is_synced = 0, None, True
        first_block, blocks = _peek(blocks)
        notes = {"dtype": _described(first_block.dtype), **notes}
        for block in _regrouped(map(_as_stored, blocks), options, shape[0]):
            if write is None:
                rows = (shape[0], *block.shape[1:])
                write, is_synced = self._create(locator, block.dtype, rows, options, notes)
            write(first, block)
            first += len(block)
        if self._folder is not None:
            if not is_synced:
                for path, _ in self.files(locator):
                    self.context.sync_file(path)
            self.context.sync_folder(self._folder / locator)
            self.context.sync_folder(self._folder)

    def _create(
        self,
        locator: str,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        options: Mapping[str, Any],
        notes: Mapping[str, Any],
    ) -> tuple[Callable[[int, np.ndarray[Any, Any]], None], bool]:
        """Create an array; return a function that writes rows from a row on, and whether that syncs files."""
        chunks, shards = zarr_options.grid(options, dtype, shape)
        names = _dimension_names(shape)
        document = self._document(dtype, len(shape), options)
        files = self._array_files(locator)
        described = None if files is None else self._sharded(document)
        if files is not None and described is not None and described.codec is not None:
            document = zarr_options.with_lengths(document, shape, chunks, shards)
            document |= {"attributes": dict(notes), "dimension_names": names}
            return ShardWriter(files, document).write, True
        array: Any = None

        def write(first: int, rows: np.ndarray[Any, Any]) -> None:
            nonlocal array
            if array is None:
                with compat.own_pipeline():
                    array = zarr.create_array(
                        self._store,
                        name=locator,
                        shape=shape,
                        dtype=dtype,
                        chunks=chunks,
                        shards=shards,
                        chunk_key_encoding=CHUNK_KEYS,
                        attributes=dict(notes),
                        dimension_names=names,
                        **zarr_options.creation(options, dtype),
                    )
            array[first : first + len(rows)] = rows

        return (lambda first, rows: _finish(lambda: write(first, rows))), False

    def _array_files(self, locator: str) -> ArrayFiles | None:
        """The files of an array, if we write and read them without zarr."""
        if self._folder is not None:
            return ArrayFolder(self._folder / locator, self._files, self.context.sync)
        return None if self._objects is None else ArrayObjects(self._objects, locator)

    def _sharded(self, document: Any) -> Sharded | None:
        """The array that *document*, a ``zarr.json``, describes, if we write and read it without zarr."""
        return Sharded.described(document)

    def _document(self, dtype: np.dtype[Any], ndim: int, options: Mapping[str, Any]) -> dict[str, Any]:
        key = (dtype.str, ndim, repr(options.get("compressors", "")))
        if key not in self._documents:
            self._documents[key] = zarr_options.document(options, dtype, ndim)
        return self._documents[key]

    def _check_files(self, locator: str, array: zarr.Array[Any], window: list[tuple[int, int]]) -> None:
        """Raise if a file of this window is missing: not every reader of it looks."""
        if self._folder is None:
            return
        files = array.shards or array.chunks
        along = [
            range(low // size, -(-high // size)) for (low, high), size in zip(window, files, strict=True)
        ]
        # Not all at once: a stranger's array may claim more files than there is memory.
        for place in places(along):
            _check_file(os.path.join(self._folder, locator, chunk_key(place)))

    def _check_owner(self) -> str | None:
        """The id of the database that owns the store, or None; raises if that is another database."""
        owner = self._owner()
        if owner not in (None, self.context.database_id):
            # Each database would treat the other's arrays as garbage.
            raise InvalidOptionError(
                f"{self._store} belongs to another LOTDB database; give each a store, or a path, of its own"
            )
        return None if owner is None else str(owner)

    def _owner(self) -> Any:
        if self._folder is not None or self._objects is not None:
            stored, where = self._group()
            try:
                # A power cut may leave it empty. It holds no data, and is written again.
                return json.loads(stored).get("attributes", {}).get(OWNER) if stored else None
            except (AttributeError, ValueError) as error:
                raise DamagedError(f"{where} is not the metadata of a zarr group: {error!r}") from error
        try:
            return zarr.open_group(self._store, mode="r", zarr_format=3).attrs.get(OWNER)
        except FileNotFoundError:
            return None
        except ValueError as error:  # what does not parse, and zarr's own errors
            raise DamagedError(f"the group's metadata in {self._store} cannot be read: {error!r}") from error

    def _group(self) -> tuple[bytes, str]:
        """The metadata of the group, empty if there are none, and where they are."""
        if self._objects is not None:
            return self._objects.get("zarr.json") or b"", self._objects.where("zarr.json")
        assert self._folder is not None
        path = self._folder / "zarr.json"
        try:
            return _content(path), str(path)
        except FileNotFoundError:
            return b"", str(path)

    def _claim(self) -> None:
        """Create the group if it does not exist, and store in it the id of the database.

        Several processes may do so at once, also those of two databases: the group appears with an owner, and
        only one of them makes it.
        """
        with self._lock:
            if self._check_owner() is None:
                made = [] if self._folder is None else [p for p in self._folder.parents if not p.exists()]
                self._make_group()
                if self._check_owner() is None:  # a group of somebody else, which has none
                    group = zarr.open_group(self._store, mode="a", zarr_format=3)
                    group.attrs[OWNER] = self.context.database_id
                if self._folder is not None:
                    self.context.sync_file(self._folder / "zarr.json")
                    self.context.sync_folder(self._folder)
                    for folder in (self._folder, *made):
                        self.context.sync_folder(folder.parent)
            self._claimed = True

    def _make_group(self) -> None:
        attributes = {OWNER: self.context.database_id}
        group = {"attributes": attributes, "zarr_format": 3, "node_type": "group"}
        document = json.dumps(group, indent=2).encode()
        if self._objects is not None:
            self._objects.put_new("zarr.json", document)
        elif self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / "zarr.json"
            made = f"{path}.{os.urandom(8).hex()}.new"
            try:
                with open(made, "xb") as file:
                    file.write(document)
                    file.flush()
                    self.context.sync(file.fileno())
                if os.path.lexists(path) and path.stat().st_size == 0:
                    os.replace(made, path)
                else:
                    os.link(made, path)
            except FileExistsError:
                pass
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(made)

    def read_into(self, locator: str, first_row: int, out: np.ndarray[Any, Any]) -> None:
        opened = self._opened(locator)
        target = _as_stored(out)
        if first_row + len(out) > opened.shape[0] or opened.shape[1:] != target.shape[1:]:
            raise DamagedError(
                f"{self.describe(locator)} has shape {opened.shape}, {len(out)} rows of {target.shape[1:]} "
                f"from {first_row} on are recorded"
            )
        if opened.reader is not None and opened.reader.has_rows:
            self._check_dtype(locator, opened, target)
            opened.reader.read_rows(first_row, target)
            return
        window = [(first_row, first_row + len(out)), *((0, length) for length in opened.shape[1:])]
        self._read(locator, opened, window, target)

    def reader_of(
        self, locator: str, dtype: np.dtype[Any], row_shape: tuple[int, ...]
    ) -> Callable[[int, np.ndarray[Any, Any]], None]:
        opened = self._opened(locator)
        reader = opened.reader
        is_stored_so = dtype.isnative and dtype == opened.dtype and row_shape == opened.shape[1:]
        if reader is None or not reader.has_rows or not is_stored_so:
            return super().reader_of(locator, dtype, row_shape)
        return reader.read_rows

    def read_summed(self, locator: str, first_row: int, out: np.ndarray[Any, Any]) -> int | None:
        if self._folder is not None and self._opened(locator).array is None:
            return None  # in parts, in several threads
        self.read_into(locator, first_row, out)  # zarr is faster with the whole
        return zlib.crc32(out.reshape(-1).view(np.uint8).data)

    def read_selection(self, locator: str, selection: tuple[slice, ...], out: np.ndarray[Any, Any]) -> None:
        opened = self._opened(locator)
        target = _as_stored(out)
        window = [(each.start, each.stop) for each in selection]
        window += [(0, length) for length in target.shape[len(window) :]]  # the bytes of an element
        is_there = all(last <= length for (_, last), length in zip(window, opened.shape, strict=False))
        if len(window) != len(opened.shape) or not is_there:
            raise DamagedError(
                f"{self.describe(locator)} has shape {opened.shape}, and {window} of it are recorded"
            )
        self._read(locator, opened, window, target)

    def _read(
        self, locator: str, opened: _Opened, window: list[tuple[int, int]], target: np.ndarray[Any, Any]
    ) -> None:
        self._check_dtype(locator, opened, target)
        if opened.reader is not None and opened.array is None:
            opened.reader.read_into(window, target)
            return
        through_zarrs = None
        if target.shape == opened.shape and target.nbytes >= FAST_BYTES:
            through_zarrs = open_with_zarrs(self._store, locator)
        array = through_zarrs or opened.array
        assert array is not None
        if opened.reader is not None and through_zarrs is None:
            opened.reader.check_sizes(window)
        self._check_files(locator, array, window)
        _select(array, window, target)

    def _check_dtype(self, locator: str, opened: _Opened, target: np.ndarray[Any, Any]) -> None:
        if opened.dtype == target.dtype or opened.dtype.newbyteorder("=") == target.dtype.newbyteorder("="):
            return
        raise DamagedError(f"{self.describe(locator)} has dtype {opened.dtype}, {target.dtype} is recorded")

    def chunk_rows(self, locator: str) -> int:
        opened = self._opened(locator)
        if opened.array is not None:
            return int(opened.array.chunks[0])
        assert opened.reader is not None
        return opened.reader.array.chunks[0]

    def delete(self, locator: str) -> None:
        with self._lock:
            self._arrays.pop(locator, None)
        if self._folder is not None:
            self._files.forget(os.path.join(self._folder, locator))
        # First what is_stored looks for: who is killed in the middle leaves nothing that looks whole.
        if self._folder is not None:
            if os.path.islink(self._folder / locator):
                raise DamagedError(f"{self._folder / locator} is a link, and must be a folder")
            _remove(self._folder / locator / "zarr.json")
            _remove(self._folder / locator)
        elif self._objects is not None:
            self._objects.delete([f"{locator}/zarr.json"])
            self._objects.delete([key for key, _, _ in self._objects.list(locator)])
        elif compat.run is not None:
            compat.run(self._store.delete_dir(locator))
        else:
            group = zarr.open_group(self._store, mode="r+", zarr_format=3)
            if locator in group:
                del group[locator]

    def locators(self) -> Iterator[tuple[str, float]]:
        # Of a store that only zarr knows no times are to be had, and nothing is swept.
        if self._objects is not None:
            self._check_owner()
            changed: dict[str, float] = {}
            for key, _, at in self._objects.list():
                name = key.partition("/")[0]
                changed[name] = max(at, changed.get(name, at))
            yield from ((name, at) for name, at in changed.items() if _LOCATOR.fullmatch(name))
        if self._folder is None or not self._folder.is_dir():
            return
        self._check_owner()
        for entry in os.scandir(self._folder):
            if _LOCATOR.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):  # another process has deleted it since
                    yield entry.name, entry.stat(follow_symlinks=False).st_mtime

    def is_stored(self, locator: str) -> bool:
        if self._folder is not None:
            return os.path.lexists(self._folder / locator / "zarr.json")
        if self._objects is not None:
            return self._objects.size(f"{locator}/zarr.json") is not None
        try:
            zarr.open_array(self._store, path=locator, mode="r", zarr_format=3)
        except FileNotFoundError:
            return False
        return True

    def now(self) -> float:
        if self._objects is not None:
            return self._objects.now()
        if self._folder is None or not self._folder.is_dir():
            return time.time()
        with tempfile.TemporaryFile(dir=self._folder) as file:
            return os.fstat(file.fileno()).st_mtime

    def files(self, locator: str) -> list[tuple[str, int]]:
        if self._folder is None:
            return []
        found = os.walk(self._folder / locator, onerror=_unless_missing)
        paths = sorted(os.path.join(folder, name) for folder, _, names in found for name in names)
        return [(path, os.lstat(path).st_size) for path in paths]

    def describe(self, locator: str) -> str:
        return f"{self._store}/{locator}" if self._folder is None else str(self._folder / locator)

    def close(self) -> None:
        self._arrays.clear()
        self._files.clear()
        self._decoded.clear()
        self._store.close()

    def _opened(self, locator: str) -> _Opened:
        opened = self._arrays.get(locator)
        if opened is not None:
            with contextlib.suppress(KeyError):  # another thread has dropped it since
                self._arrays.move_to_end(locator)
            return opened
        reader = self._reader(locator)
        if reader is not None and reader.is_direct:
            opened = _Opened(reader.array.shape, reader.array.dtype, reader)
        else:
            opened = self._open_by_zarr(locator)._replace(reader=reader)
        with self._lock:
            self._arrays[locator] = opened
            if len(self._arrays) > OPEN_ARRAYS:
                self._arrays.popitem(last=False)
        return opened

    def _reader(self, locator: str) -> ShardReader | None:
        """The reader of an array's shards, if it has shards in a local folder or as objects."""
        files = self._array_files(locator)
        if files is None:
            return None
        stored = files.content("zarr.json")
        try:
            document = metadata_checksum.without_checksum(stored, checked=not self.context.salvaging)
            array = self._sharded(document)
        except ValueError as error:
            raise DamagedError(f"{files.where('zarr.json')} is damaged: {error}") from error
        if array is None:
            return None
        return ShardReader(files, array, None if self._folder is None else self._decoded, locator)

    def _open_by_zarr(self, locator: str) -> _Opened:
        try:
            with compat.own_pipeline():
                array = zarr.open_array(self._strict, path=locator, mode="r", zarr_format=3)
        except FileNotFoundError as error:  # zarr's own errors of this kind are this one, too
            raise DamagedError(f"{self.describe(locator)} is missing") from error
        except (AttributeError, TypeError) as error:
            # Altered metadata raise these, and so does a release of zarr that lacks something. A new array
            # shows which of the two it is.
            zarr_options.try_zarr()
            raise DamagedError(f"the metadata of {self.describe(locator)} cannot be read: {error}") from error
        return _Opened(array.shape, array.dtype, None, array)


class _Opened(NamedTuple):
    """An open array. If zarr reads it, *array* is open, and *reader* only checks the sizes of chunks."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    reader: ShardReader | None
    array: zarr.Array[Any] | None = None


def _checked_size(size: Any, name: str) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InvalidOptionError(f"{name} is {size!r}; use a number of bytes from 0 on")
    return size


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error  # os.walk would leave out what it cannot list, as if there were no such files


def _remove(path: Path) -> None:
    """Remove a file or folder, which may be missing, and which another process may remove as well."""
    while os.path.lexists(path):
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                os.remove(path)
        except FileNotFoundError:
            continue


def _content(path: Path) -> bytes:
    with open(path, "rb", opener=open_part) as file:
        return file.read()


def _check_file(path: str | os.PathLike[str]) -> None:
    """Raise ``DamagedError`` unless *path* is a regular file: zarr follows links, and waits for FIFOs."""
    try:
        os.close(open_part(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DamagedError(f"{path} is missing") from error


def _select(array: zarr.Array[Any], window: list[tuple[int, int]], target: np.ndarray[Any, Any]) -> None:
    """Fill *target* with what lies in *window* of an array that zarr reads."""
    rows = tuple(slice(*edges) for edges in window)
    if compat.NDBuffer is None:
        target[...] = array.get_basic_selection(rows)
        return
    # In the machine's own byte order, which every pipeline supports.
    native = target if target.dtype.isnative else np.empty(target.shape, target.dtype.newbyteorder("="))
    array.get_basic_selection(rows, out=compat.NDBuffer.from_numpy_array(native))
    if native is not target:
        target[...] = native


def _peek(
    blocks: Iterable[np.ndarray[Any, Any]],
) -> tuple[np.ndarray[Any, Any], Iterable[np.ndarray[Any, Any]]]:
    """The first of *blocks*, and all of them."""
    rest = iter(blocks)
    first = next(rest)
    return first, itertools.chain([first], rest)


def _described(dtype: np.dtype[Any]) -> Any:
    """*dtype* in a form that JSON can hold: numpy's text for it, or a list of fields."""
    try:
        return np.lib.format.dtype_to_descr(dtype)
    except ValueError:  # fields that overlap, or stand in another order than in memory
        return str(dtype)


def _dimension_names(shape: tuple[int, ...]) -> list[str]:
    """Names for the axes of an array, as xarray needs them.

    Arrays of one group that name an axis alike must have the same length there, so the length is a part of
    the name.
    """
    return [f"row_{shape[0]}", *(f"axis_{axis}_{length}" for axis, length in enumerate(shape[1:], 1))]


def _as_stored(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """*array* as zarr stores it: the same memory, viewed as bytes if zarr's format lacks the dtype."""
    if array.dtype.kind in SPECIFIED and array.dtype.itemsize <= 16 and array.dtype.type is not np.longdouble:
        return array
    return array.view(np.uint8).reshape(*array.shape, array.dtype.itemsize)


def _regrouped(
    blocks: Iterable[np.ndarray[Any, Any]], options: Mapping[str, Any], rows: int
) -> Iterator[np.ndarray[Any, Any]]:
    """The same rows in blocks of whole shards, so that no shard is written twice.

    One block is in memory at a time; the next one overwrites it.
    """
    shard: np.ndarray[Any, Any] | None = None
    filled = done = 0  # rows in *shard*, and rows given out
    for block in blocks:
        _, shards = zarr_options.grid(options, block.dtype, (rows, *block.shape[1:]))
        while len(block):
            size = min(shards[0], rows - done)  # the last shard has what is left
            if not filled and len(block) >= size:
                is_rest = done + len(block) >= rows
                take = len(block) if is_rest else len(block) - len(block) % shards[0]
                yield block[:take]
                done += take
            else:
                if shard is None:
                    shard = np.empty((shards[0], *block.shape[1:]), block.dtype)
                take = min(size - filled, len(block))
                shard[filled : filled + take] = block[:take]
                filled += take
                if filled == size:
                    yield shard[:filled]
                    done, filled = done + filled, 0
            block = block[take:]


def _finish(job: Callable[[], None]) -> None:
    """Run *job* to its end, even if this thread is interrupted; then raise the interrupt.

    zarr writes in a background loop. After an interrupt, that loop would continue to write into files that
    are being removed.
    """
    begun: list[bool] = []
    # A SimpleQueue and a plain thread are made in C. An interrupt inside an Event, or inside Thread.start,
    # would leave a lock held, and the two threads would wait for each other forever.
    done: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        begun.append(True)
        failure: BaseException | None = None
        try:
            job()
        except BaseException as error:
            failure = error
        done.put(failure)

    try:
        start_new_thread(run, ())
        failure = done.get()
    except BaseException:
        # The interrupt may have come before the thread was started, or before it ran.
        deadline = time.monotonic() + START_S
        while not begun and time.monotonic() < deadline:
            time.sleep(0.001)
        if begun:
            done.get()
        raise
    if failure is not None:
        raise failure
