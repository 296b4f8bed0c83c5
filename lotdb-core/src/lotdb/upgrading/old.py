"""Reading a database of lotdb 1.x: its records, trees of keys and blobs. Nothing is written or run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from ZODB.blob import FilesystemHelper
from ZODB.FileStorage import FileStorage
from ZODB.POSException import POSKeyError

from lotdb.errors import (
    DamagedError,
    DatabaseBusyError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    InvalidOptionError,
    system_errors,
)
from lotdb.storage.older import is_older, older_in
from lotdb.upgrading.pickles import Ref, load_record

try:
    import fcntl
except ImportError:  # Windows, where a writer's lock is not looked for; see OldDatabase.check_unchanged
    fcntl = None  # type: ignore[assignment]

__all__ = ["OldDatabase", "data_file_of"]

_ROOT = bytes(8)


def data_file_of(old: str | os.PathLike[str], name: str | None) -> str:
    """The data file that *old*, a folder or the file itself, and *name* mean.

    Raises
    ------
    DatabaseNotFoundError, DatabaseFormatError, InvalidOptionError
        There is none, or it is not one of lotdb 1.x, or there are several.
    """
    path = os.path.abspath(old)
    if not os.path.lexists(path):
        raise DatabaseNotFoundError(f"there is nothing at {path}")
    if os.path.isdir(path):
        found = [name] if name else older_in(path)
        if len(found) > 1:
            raise InvalidOptionError(
                f"{path} has several databases of lotdb 1.x: {', '.join(found)}; name one, as in"
                f" {os.path.join(path, found[0])}"
            )
        if not found:
            raise DatabaseNotFoundError(f"{path} has no database of lotdb 1.x")
        path = os.path.join(path, found[0])
        if not os.path.lexists(path):
            raise DatabaseNotFoundError(f"there is no database {name!r} in {os.path.dirname(path)}")
    if not is_older(path):
        raise DatabaseFormatError(f"{path} is not a database of lotdb 1.x; it was left as it is")
    return path


class _Reading(FileStorage):
    """A FileStorage that only reads, and believes no index: that is a pickle, and may be older."""

    def _restore_index(self) -> None:
        return None

    def _save_index(self) -> None:
        pass


class OldDatabase:
    """The last commit of a database of lotdb 1.x.

    Raises
    ------
    DatabaseBusyError
        A program has it open for writing.
    DamagedError
        It cannot be read.
    """

    def __init__(self, data_file: str) -> None:
        self.data_file = data_file
        self.folder, self.name = os.path.split(data_file)
        self._blobs = data_file + ".blobs"
        self._lock = _hold_off_writers(data_file)
        try:
            self._before = _stamp(data_file)
            with system_errors("the database cannot be read", data_file):
                try:
                    self._storage = _Reading(data_file, read_only=True)
                except (OSError, MemoryError):
                    raise
                except Exception as error:
                    raise DamagedError(f"{data_file} is damaged: {error}") from error
            self._helper = FilesystemHelper(self._blobs, _layout(self._blobs))
        except BaseException:
            self._unlock()
            raise

    def __enter__(self) -> OldDatabase:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._storage.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def check_unchanged(self) -> None:
        """Raise ``DatabaseBusyError`` if somebody has written to the database since it was opened."""
        if _stamp(self.data_file) != self._before:
            raise DatabaseBusyError(
                f"{self.data_file} was written to while it was copied; close what does so, and upgrade again"
            )

    def __len__(self) -> int:
        return len(self._storage)

    def record(self, ref: Ref) -> tuple[str, Any]:
        """The class's name, and the state, of what *ref* refers to.

        Raises
        ------
        DamagedError
            It is not there, or cannot be unpickled.
        """
        try:
            return load_record(self._storage.load(ref.oid)[0])
        except POSKeyError:
            raise DamagedError(f"its record {ref.oid.hex()} is missing") from None
        except MemoryError:
            raise
        except Exception as error:
            raise DamagedError(f"its record {ref.oid.hex()} cannot be read: {error!r}") from error

    def roots(self) -> dict[str, Any]:
        """What the database itself names."""
        _, state = self.record(Ref(_ROOT))
        found = state.get("data", state.get("_container")) if isinstance(state, dict) else None
        if not isinstance(found, dict):
            raise DamagedError(f"{self.data_file} has no root")
        return found

    def items(self, ref: Any) -> Iterator[tuple[Any, Any]]:
        """The keys and values of a BTree, in order; a bucket is in memory at a time."""
        for state in self._buckets(ref):
            yield from zip(state[::2], state[1::2], strict=True)

    def keys(self, ref: Any) -> Iterator[Any]:
        """The keys of a TreeSet, in order."""
        for state in self._buckets(ref):
            yield from state

    def _buckets(self, ref: Any) -> Iterator[Any]:
        if not isinstance(ref, Ref):
            raise DamagedError("its table of keys is missing")
        name, state = self.record(ref)
        seen = {ref.oid}
        if state is None:
            return
        if name.endswith(("BTree", "TreeSet")):
            if len(state) == 1:  # one small bucket, inside of the tree's own record
                yield state[0][0][0]
                return
            ref = state[1]
            _, state = self.record(ref)
        while True:
            yield state[0]
            if len(state) < 2 or not isinstance(state[1], Ref):
                return
            ref = state[1]
            if ref.oid in seen:
                raise DamagedError("its table of keys goes in a circle")
            seen.add(ref.oid)
            _, state = self.record(ref)

    def blob_file(self, ref: Any) -> str:
        """The file of a blob.

        Raises
        ------
        DamagedError
            It is missing.
        """
        if not isinstance(ref, Ref):
            raise DamagedError("it has no blob")
        try:
            tid = self._storage.load(ref.oid)[1]
        except POSKeyError:
            raise DamagedError(f"its record {ref.oid.hex()} is missing") from None
        path: str = self._helper.getBlobFilename(ref.oid, tid)
        if not os.path.isfile(path) or os.path.islink(path):
            raise DamagedError(f"its blob file {os.path.relpath(path, self.folder)} is missing")
        return path

    def zarr_store(self, recorded: str) -> str:
        """The folder that was *recorded* as a zarr store, which may have moved with the database.

        Raises
        ------
        DamagedError
            It is not there.
        """
        beside = os.path.join(self.folder, os.path.basename(recorded.rstrip("/\\").replace("\\", "/")))
        own = beside == f"{self.data_file}.data.zarr"
        places = [beside, recorded] if own else [recorded, beside]
        for place in places:
            if recorded and os.path.isdir(place):
                return os.path.abspath(place)
        raise DamagedError(f"its zarr store {recorded} is neither there nor beside the data file")


def is_node(state: Any) -> bool:
    """Whether *state* is that of a node, of whatever class."""
    return isinstance(state, dict) and "node_storage" in state and "attribute_storage" in state


def _stamp(path: str) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _layout(blobs: str) -> str:
    with contextlib.suppress(OSError), open(os.path.join(blobs, ".layout"), "rb") as file:
        if file.read(100).strip() == b"lawn":
            return "lawn"
    return "bushy"


def _hold_off_writers(data_file: str) -> int | None:
    """The writer's lock file, locked against writers by a lock that changes nothing of it."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(data_file + ".lock", os.O_RDONLY)
    except OSError:
        return None  # nobody has ever written there, or it may not be looked at
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DatabaseBusyError(
            f"{data_file} is open for writing in another program; close that, and upgrade again"
        ) from None
    except OSError:  # a file system without locks
        pass
    return descriptor
