"""The arrays of payloads: which there are, and where they go.

A record names an array by a text, or by a blob. Where the storage of the copy keeps no blobs, each becomes an
array with a name, and the records are rewritten. What a backend keeps in a local folder is copied as it is.
All other arrays are read by the backend of the source, and written by that of the copy.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from hashlib import blake2b
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import zodbpickle.pickle
from ZODB.blob import Blob, is_blob_record
from ZODB.utils import z64

from lotdb.backups.other_stores import has_last_row
from lotdb.database.opened import Opened
from lotdb.errors import DamagedError, LotdbError
from lotdb.interfaces.backend import LOCATOR_PREFIX, Backend
from lotdb.segments.backends import Backends
from lotdb.segments.durability import store_blocks
from lotdb.segments.layout import Layout
from lotdb.segments.payload_form import is_payload_anywhere
from lotdb.segments.payload_record import PayloadRecord
from lotdb.storage import compat
from lotdb.storage.classes import find_class
from lotdb.values import values

__all__ = ["Arrays"]

# A record that names an array has one of these in it.
_BLOB, _TEXT = b"ZODB.blob", LOCATOR_PREFIX.encode()
_BLOCK_BYTES = 16 << 20


class _Reference(NamedTuple):
    """What a record refers to, as ZODB writes it."""

    stored: Any


class _Array(NamedTuple):
    layout: Layout
    rows: int


class Arrays:
    """What becomes of the arrays of *source*.

    Parameters
    ----------
    source
        The database.
    target
        The backends of the copy.
    has_blobs
        Whether the storage of the copy keeps blobs.
    payloads
        What the root of the copy notes of the place for payloads; "" for nothing.
    """

    def __init__(self, source: Opened, target: Backends, *, has_blobs: bool, payloads: str) -> None:
        self._source = source
        self._target = target
        self._has_blobs = has_blobs
        self._payloads = payloads
        self._named: dict[str, bytes] = {}  # the blob that had no name before, by the name that it gets
        self._serials: dict[bytes, bytes] = {}  # of blobs
        self._found: dict[tuple[str, str], _Array] = {}  # by backend and name
        self._there: dict[str, set[str]] = {}  # the names that were there before, by backend
        # Of these backends all arrays lie in a folder that can be copied.
        self._copied: set[str] = set()

    def is_blob(self, data: bytes | None) -> bool:
        """Whether *data* is the record of a blob."""
        return bool(data and _BLOB in data and is_blob_record(data))

    def note_blob(self, oid: bytes, tid: bytes) -> None:
        """Note the transaction that a blob was stored by."""
        self._serials[oid] = tid

    def carried(self, oid: bytes, data: bytes) -> bytes:
        """The record *data* of the object *oid* as the copy has it; what it names is noted."""
        if oid != z64 and not (_TEXT in data or (_BLOB in data and not self._has_blobs)):
            return data
        unpickler = compat.unpickler(BytesIO(data), find_class, self._reference)
        kind, state = unpickler.load(), unpickler.load()
        changed = _BLOB in data and not self._has_blobs
        if oid == z64:
            changed |= self._note_place(state)
        else:
            self._look_into(state)
        if not changed:
            return data
        out = BytesIO()
        pickler = zodbpickle.pickle.Pickler(out, 3)
        pickler.persistent_id = _stored
        pickler.dump(kind)
        pickler.dump(state)
        return out.getvalue()

    def _note_place(self, state: Any) -> bool:
        """Put the place for payloads of the copy into the root; whether it is another one."""
        root = state["data"]
        before = root.pop("payloads", "")
        if self._payloads:
            root["payloads"] = self._payloads
        return bool(before != self._payloads)

    def _reference(self, stored: Any) -> Any:
        if type(stored) is tuple and stored[1] is Blob and not self._has_blobs:
            oid = stored[0]
            digest = blake2b(oid, digest_size=16, key=self._source.id.encode()[:64]).hexdigest()
            name = LOCATOR_PREFIX + digest
            self._named[name] = oid
            return name
        return _Reference(stored)

    def _look_into(self, state: Any) -> None:
        stack = [state]
        while stack:
            value = stack.pop()
            if type(value) is not tuple:
                continue
            if is_payload_anywhere(value):
                self._note_payload(value)
            else:
                stack += value

    def _note_payload(self, stored: tuple[Any, ...]) -> None:
        # Blobs, and records with sums, are left out: they are references here.
        named = tuple(each[:4] for each in stored[-1] if type(each[0]) is str)
        record = PayloadRecord.decode((*stored[:-1], named))
        for segment in record.segments:
            key = record.layout.backend, segment.locator
            known = self._found.get(key)
            rows = segment.first + segment.rows
            if known is None or known.rows < rows:
                self._found[key] = _Array(record.layout, rows)

    # -- writing -----------------------------------------------------------------------------------

    def copy_folders(self) -> list[str]:
        """Copy the folders of those backends that keep all arrays in one, here and there; the new ones."""
        made = []
        for backend in sorted({backend for backend, _ in self._found}):
            mine, theirs = self._source._backends(backend), self._target(backend)
            if _is_local(mine) and _is_local(theirs):
                self._copied.add(backend)
                if mine.context.folder.is_dir():
                    # A link stays one, and is refused when it is opened.
                    shutil.copytree(
                        mine.context.folder,
                        theirs.context.folder,
                        symlinks=True,
                        copy_function=_copy_file,
                        dirs_exist_ok=True,
                    )
                    made.append(os.fspath(theirs.context.folder))
        return made

    def write(self, told: Callable[[int, int, str], object]) -> int:
        """Write all arrays that were not copied; how many these are."""
        left = [
            (backend, name, array)
            for (backend, name), array in self._found.items()
            if name in self._named or backend not in self._copied
        ]
        for number, (backend, name, array) in enumerate(left, 1):
            if not self._is_shared(backend):
                self._write_one(backend, name, array)
            told(number, len(left), f"array {name}")
        return len(left)

    def _is_shared(self, backend: str) -> bool:
        """Whether both name the very same place outside of their folders, which then has the arrays."""
        mine, theirs = self._source._backends(backend), self._target(backend)
        same = mine.context.store == theirs.context.store and mine.context.config == theirs.context.config
        return same and mine.is_outside and theirs.is_outside

    def _write_one(self, backend: str, name: str, array: _Array) -> None:
        mine, theirs = self._source._backends(backend), self._target(backend)
        layout, rows = array
        locator: Any = name
        if name in self._named:
            locator = self._blob(self._named[name])
            if locator is None:
                return  # of a state that was packed, so nobody can ask for it
        plugins = self._source.plugins
        options = {option: values.decode(value, extra=plugins) for option, value in layout.options}

        def blocks() -> Iterator[np.ndarray[Any, Any]]:
            step = max(1, _BLOCK_BYTES // layout.row_bytes)
            for first in range(0, rows, step):
                block = np.empty((min(step, rows - first), *layout.row_shape), layout.dtype)
                mine.read_into(locator, first, block)
                yield block

        try:
            if name in self._names_at(backend):  # of a conversion that was interrupted, if it is not whole
                if has_last_row(theirs, name, layout, rows):
                    return
                theirs.delete(name)
            store_blocks(theirs, name, blocks(), (rows, *layout.row_shape), options)
        except LotdbError:
            raise
        except Exception as error:
            raise DamagedError(f"array {mine.describe(locator)} cannot be copied: {error!r}") from error

    def _names_at(self, backend: str) -> set[str]:
        """The names of what was there before."""
        if backend not in self._there:
            self._there[backend] = {name for name, _ in self._target(backend).locators()}
        return self._there[backend]

    def _blob(self, oid: bytes) -> Blob | None:
        path = self.blob_file(oid, self._serials.get(oid, z64))
        if path is None:
            return None
        blob = Blob()
        blob._p_blob_committed = path
        return blob

    def blob_file(self, oid: bytes, tid: bytes) -> str | None:
        """The path of the file of a blob; None if a pack has removed it."""
        try:
            path: str = self._source._zodb.storage.loadBlob(oid, tid)
        except KeyError:
            return None
        return path


def _copy_file(path: str, to: str) -> None:
    """Copy a file, unless it is gone by now: what the copy needs of it is missed when it is compared."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(path, to, follow_symlinks=False)


def _is_local(backend: Backend) -> bool:
    return not backend.is_outside and not backend.context.store


def _stored(value: Any) -> Any:
    return value.stored if type(value) is _Reference else None
