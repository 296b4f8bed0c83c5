"""Payloads in ZODB blobs, in plain files, or in an object store; each is a file in NumPy's ``.npy`` format.

A file that is committed never changes, so rows are read directly from it: a window is one ``pread`` into the
result. Any program that reads ``.npy`` files can read the folder. Where the storage of the database keeps
blobs, the files are those; otherwise they lie in the backend's own folder, or wherever the setting ``store``
says. A database may hold both.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from ZODB.blob import Blob

from lotdb import Backend, BackendContext, DamagedError, InvalidOptionError, ObjectStore
from lotdb_backend_blob.npy_reading import OPEN, READ_BYTES, OpenFile, most_open, read_at, rows_of
from lotdb_backend_blob.npy_writing import write_npy
from lotdb_backend_blob.objects import Objects
from lotdb_backend_blob.plain_files import PlainFiles
from lotdb_backend_blob.settings import SETTINGS
from lotdb_backend_blob.sync_ahead import SyncAhead

__all__ = ["BlobBackend"]

# Files of this size and larger are synced before the commit begins. The commit syncs the smaller ones, such
# as what 32 pieces in records are merged into: to sync one of them twice takes longer than to write it.
SYNCED_BYTES = 2 << 20

# How many files stay open, of all databases of the process; each may keep a few, whatever the others have.
# Opening a file takes several times as long as reading a small window.
OPEN_FILES = most_open()
FEW_FILES = 16

# Arrays of up to so many bytes lie in records, unless the setting says otherwise; each is read as a whole.
RECORD_BYTES = 64 << 10

# How much of what was read from an object store stays in memory, unless the setting says otherwise.
CACHE_BYTES = 64 << 20


class BlobBackend(Backend):
    """Payloads in ZODB blobs, or in files or objects of its own: if the storage keeps no blobs, or as told.

    The locator of a payload in a blob is the blob, so ZODB's pack removes unused ones. That of a file or an
    object is a text, and the sweep removes it.
    """

    name = "blob"
    reads_in_parts = True
    syncs = True  # the commit syncs the files
    concurrent_reads = 1  # a local folder answers at once
    settings = SETTINGS

    @classmethod
    def settings_to_send(cls, config: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
        store = config.get("store")
        sent = {name: value for name, value in config.items() if name != "store"}
        return {**sent, "store": cls.place_to_send(store, directory)} if store else sent

    def __init__(self, context: BackendContext) -> None:
        super().__init__(context)
        self._plain = PlainFiles(context)
        self._objects: Objects | None = None
        store = context.config.get("store") or context.store
        cache_bytes = _checked_size(context.config.get("cache_bytes", CACHE_BYTES), "cache_bytes")
        if isinstance(store, str) and "://" in store:
            opened = ObjectStore(store, extra="lotdb-backend-blob[s3]")
            self._objects = Objects(context, opened, cache_bytes)
            self.concurrent_reads = Backend.concurrent_reads
            self.reads_in_parts = False
        elif store:
            self._plain = PlainFiles(context, _checked_folder(store))
        self._place: PlainFiles | Objects = self._objects or self._plain
        self._makes_blobs = context.has_blobs and not store
        self.is_outside = bool(store)
        if not store:
            in_records = _checked_size(context.config.get("record_bytes", RECORD_BYTES), "record_bytes")
            self.append_record_bytes = in_records
            if self._makes_blobs:
                self.record_bytes = in_records
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self._lock = Lock()
        # The syncs of files that were just written, by the identity of their locators.
        self._begun: dict[int, Any] = {}

    def new_locator(self) -> Blob | str:
        return Blob() if self._makes_blobs else super().new_locator()

    def write(self, locator: Blob | str, array: np.ndarray[Any, Any], options: Mapping[str, Any]) -> None:
        self.write_blocks(locator, [array], array.shape, options)

    def write_blocks(
        self,
        locator: Blob | str,
        blocks: Iterable[np.ndarray[Any, Any]],
        shape: tuple[int, ...],
        options: Mapping[str, Any],
    ) -> None:
        if isinstance(locator, str):
            self._place.write(locator, blocks, shape)
            return
        with locator.open("w") as file:
            descriptor = file.fileno()
            with SyncAhead(self.context, descriptor) as ahead:
                if write_npy(descriptor, blocks, shape, file.name, ahead) >= SYNCED_BYTES:
                    self._begun[id(locator)] = ahead.finish()

    def settle(self, locator: Blob | str) -> None:
        # The commit syncs each file after renaming it. A large file is synced before that, so that the commit
        # is short: other threads may be waiting to commit.
        begun = self._begun.pop(id(locator), None)
        if begun is not None:
            begun.wait()

    def read_into(self, locator: Blob | str, first_row: int, out: np.ndarray[Any, Any]) -> None:
        size = out.nbytes
        offset = first_row * (size // len(out))
        # NumPy gives no buffer of arrays of some dtypes (dates, texts), so their bytes are used.
        target = out if out.dtype.kind in "biufc" else out.reshape(-1).view(np.uint8)
        if type(locator) is str:
            if self._objects is not None:
                self._objects.read_into(locator, offset, target)
                return
            path: str | None = self._plain.path(locator)
        else:
            path = _committed(locator)
        if path is None:
            _read_staged(locator, target, offset)
            return
        # Other threads may read meanwhile, and forget the file: it is open as long as somebody has it.
        opened = self._opened(path)
        if not (opened.is_checked or self.context.salvaging):
            opened.check_header(out.dtype, out.shape[1:], first_row + len(out))
        offset += opened.offset
        # Nearly all windows are read at once.
        is_there = size <= READ_BYTES and offset + size <= opened.size
        if not is_there or read_at(opened.descriptor, target, offset) < size:
            _read_all(opened.descriptor, target, offset, opened.size)

    def reader_of(
        self, locator: Blob | str, dtype: np.dtype[Any], row_shape: tuple[int, ...]
    ) -> Callable[[int, np.ndarray[Any, Any]], None]:
        if type(locator) is str:
            path: str | None = None if self._objects is not None else self._plain.path(locator)
        else:
            path = _committed(locator)
        if path is None or dtype.kind not in "biufc" or _preadv is None:
            return super().reader_of(locator, dtype, row_shape)
        return _Reader(self, locator, path, dtype.itemsize * math.prod(row_shape)).read

    def read_summed(self, locator: Blob | str, first_row: int, out: np.ndarray[Any, Any]) -> int | None:
        if self._objects is None or not isinstance(locator, str):
            return None
        return self._objects.read_summed(locator, first_row * (out.nbytes // len(out)), out)

    def delete(self, locator: Blob | str) -> None:
        if isinstance(locator, str):
            with self._lock:
                self._files.pop(self._plain.path(locator), None)
            self._place.delete(locator)
            return
        begun = self._begun.pop(id(locator), None)
        if begun is not None and os.name == "nt":  # where a file that is open cannot be removed
            with contextlib.suppress(OSError):
                begun.wait()
        uncommitted = locator._p_blob_uncommitted
        if uncommitted is None or not os.path.exists(uncommitted):
            return
        if locator._p_jar is None:
            os.remove(uncommitted)
        else:
            # The blob is still part of the transaction, so a commit stores its file. It is emptied here, and
            # pack removes it, because nothing refers to it.
            os.truncate(uncommitted, 0)

    def locators(self) -> Iterable[tuple[str, float]]:
        return self._place.locators()

    def is_stored(self, locator: Blob | str) -> bool:
        return not isinstance(locator, str) or self._place.is_stored(locator)

    def now(self) -> float:
        return self._place.now()

    def files(self, locator: Blob | str) -> list[tuple[str, int]]:
        if isinstance(locator, str):
            return [] if self._objects is not None else self._plain.files(locator)
        path = _committed(locator)
        return [] if path is None else [(path, os.path.getsize(path))]

    def describe(self, locator: Blob | str) -> str:
        if isinstance(locator, str):
            return self._place.path(locator)
        return str(locator._p_blob_committed or locator._p_blob_uncommitted or "a blob")

    def after_pack(self) -> None:
        # What the pack has removed takes its place on the disk as long as it is open.
        with self._lock:
            paths = list(self._files)
        gone = [path for path in paths if not os.path.exists(path)]
        with self._lock:
            for path in gone:
                self._files.pop(path, None)

    def close(self) -> None:
        with self._lock:
            self._files.clear()
        if self._objects is not None:
            self._objects.close()

    def _opened(self, path: str) -> OpenFile:
        opened = self._files.get(path)
        if opened is not None:
            opened.is_used = True
            return opened
        opened = OpenFile(path)
        with self._lock:
            self._files[path] = opened
            while len(OPEN) > OPEN_FILES and len(self._files) > min(FEW_FILES, OPEN_FILES):
                self._forget_one()
        return opened

    def _forget_one(self) -> None:
        """Let go of the file that was opened first of those that were not used since they were looked at."""
        while True:
            path, opened = self._files.popitem(last=False)
            if not opened.is_used:
                return
            opened.is_used = False
            self._files[path] = opened


class _Reader:
    """Reads rows of one file, as long as it stays open without a look at what else there is."""

    # One object, and no variables of a closure, of which each lies in a place of its own: of thousands of
    # files none of them would be in the processor's cache.
    __slots__ = ("_backend", "_files", "_locator", "_path", "_row_bytes")

    def __init__(self, backend: BlobBackend, locator: Blob | str, path: str, row_bytes: int) -> None:
        self._backend, self._files = backend, backend._files
        self._locator, self._path, self._row_bytes = locator, path, row_bytes

    def read(self, first_row: int, out: np.ndarray[Any, Any]) -> None:
        opened = self._files.get(self._path)
        if opened is not None and opened.is_checked:
            opened.is_used = True
            if _preadv(opened.descriptor, (out,), opened.offset + first_row * self._row_bytes) == out.nbytes:
                return
        self._backend.read_into(self._locator, first_row, out)


_preadv: Any = getattr(os, "preadv", None)


def _checked_size(size: Any, name: str) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InvalidOptionError(f"{name} is {size!r}; use a number of bytes from 0 on")
    return size


def _checked_folder(store: Any) -> Path:
    if not isinstance(store, str | os.PathLike):
        raise InvalidOptionError(f"store is {store!r}; use a path or a URL")
    return Path(os.path.abspath(store))


def _committed(locator: Blob) -> str | None:
    """The file of a committed blob, or None before the commit. No other blob ever gets this file name."""
    if locator._p_changed is None:  # a ghost
        locator._p_activate()
    path: str | None = locator._p_blob_committed
    return path if path and not locator._p_blob_uncommitted and path.endswith(".blob") else None


def _read_staged(locator: Blob, target: np.ndarray[Any, Any], offset: int) -> None:
    """Read a blob that this transaction has written and not committed."""
    if not locator._p_blob_uncommitted and not locator._p_blob_committed:
        # ZODB would create an empty file if such a blob were opened.
        raise DamagedError("nothing is stored in this blob")
    try:
        with locator.open("r") as file:
            first, size = rows_of(file.fileno())
            _read_all(file.fileno(), target, first + offset, size)
    except FileNotFoundError as error:
        raise DamagedError(f"{error.filename} is missing") from error


def _read_all(descriptor: int, target: np.ndarray[Any, Any], offset: int, size: int) -> None:
    """Fill *target* with what begins at *offset* in a file of *size* bytes."""
    wanted = target.nbytes
    if offset + wanted > size:
        raise DamagedError(f"the blob's file has {size} bytes, at least {offset + wanted} are recorded")
    done = read_at(descriptor, target, offset) if wanted <= READ_BYTES else 0
    if done == wanted:
        return
    rest = target.reshape(-1).view(np.uint8).data
    while done < len(rest):
        count = read_at(descriptor, rest[done : done + READ_BYTES], offset + done)
        if count == 0:
            raise DamagedError("the blob's file ends too early")
        done += count
