"""A database of the records that were found, beside the payloads that are there: read, and thrown away."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from ZODB.blob import FilesystemHelper
from ZODB.utils import z64

from lotdb.backups.writing import transaction_bytes
from lotdb.database.session import FORMATS_KEY, check_formats
from lotdb.errors import DamagedError, LotdbError, MissingPluginError
from lotdb.interfaces.backend import Backend
from lotdb.registry.registry import Plugins
from lotdb.salvaging.found_records import FoundRecords
from lotdb.segments.backends import Backends
from lotdb.segments.layout import Layout
from lotdb.segments.stage import Stage
from lotdb.storage import DatabaseFolder, open_database, open_storage
from lotdb.storage.compat import FILESTORAGE_MAGIC
from lotdb.storage.durable import UnsyncedDisk
from lotdb.storage.folder import LAYOUT
from lotdb.storage.folding import unfolded
from lotdb.storage.parts import open_plain
from lotdb.storage.prepare import prepare
from lotdb.storage.sealing import unsealed
from lotdb.storage.watermark import End, create_watermark
from lotdb.values import values

__all__ = ["Workbench"]

# The record of a root with nothing in it, in place of one that was lost.
_EMPTY_ROOT = b"\x80\x03cpersistent.mapping\nPersistentMapping\n.\x80\x03}X\x04\x00\x00\x00data}s."


class Workbench:
    """What was found, as ZODB sees it; ``Workbench.opened`` makes one.

    Attributes
    ----------
    stage : Stage
        Reads payloads.
    root : dict
        What the root holds, as far as it was found.
    """

    def __init__(self, zodb: Any, found: FoundRecords, folder: DatabaseFolder) -> None:
        self._connection = zodb.open()
        self._found = found
        self.root: dict[str, Any] = {}
        with contextlib.suppress(DamagedError):
            state = self.state(self._connection.get(z64))
            if isinstance(state, dict) and isinstance(state.get("data"), dict):
                self.root = state["data"]
        self._folder = folder

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls,
        folder: DatabaseFolder,
        found: FoundRecords,
        place: str,
        plugins: Plugins,
        configs: Mapping[str, Mapping[str, Any]],
    ) -> Iterator[Workbench]:
        """The records of *found* with the payloads in *folder*, in a new folder *place*."""
        here = DatabaseFolder(place, folder.name)
        os.makedirs(place)
        prepare(here, UnsyncedDisk(), new=True)
        _write(here, found)
        storage = open_storage(place, folder.name, read_only=True)
        zodb = open_database(storage)
        try:
            storage.fshelper, storage.blob_dir = FilesystemHelper(folder.blobs, LAYOUT), folder.blobs
            bench = cls(zodb, found, folder)
            formats = {}
            with contextlib.suppress(LotdbError):
                formats = dict(check_formats(bench.root.get(FORMATS_KEY)))
            backends = _Finder(plugins, folder, place, str(bench.root.get("id") or ""), configs, formats)
            bench.stage = Stage(
                backends,
                decode_options=lambda layout: _options(layout, plugins),
            )
            try:
                yield bench
            finally:
                backends.close()
        finally:
            zodb.close()

    stage: Stage

    def state(self, record: Any) -> Any:
        """The state of *record*.

        Raises
        ------
        DamagedError
            It was not found, or makes no sense.
        """
        try:
            pickle, _ = self._connection._storage.load(record._p_oid)
            return unfolded(self._connection._reader.state(pickle))
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise DamagedError(f"a record is missing or damaged ({type(error).__name__})") from error

    def get(self, oid: bytes) -> Any:
        """The object *oid*, of which nothing is loaded."""
        return self._connection.get(oid)

    def kind(self, oid: bytes) -> str:
        """The name of the class of the object *oid*, as its record has it."""
        # It begins with the class; behind that stand those of the records that it refers to.
        head = self._found.data(self._found.newest[oid])[:80]
        for name in ("Children", "Bucket", "Box"):
            beginning = f"clotdb.records\n{name}\n".encode()
            if 0 <= head.find(beginning) <= _BEFORE_THE_CLASS:
                return name
        return ""

    def trim(self) -> None:
        """Let go of what is not needed in memory."""
        self._connection.cacheGC()


# The version of the protocol, and a mark.
_BEFORE_THE_CLASS = 3


def _options(layout: Layout, plugins: Plugins) -> dict[str, Any]:
    return {name: values.decode(value, extra=plugins) for name, value in layout.options}


def _write(here: DatabaseFolder, found: FoundRecords) -> None:
    """Write the data file: each record in a transaction of its own id, since blobs are named after that."""
    order = sorted((each.tid, oid) for oid, each in found.newest.items())
    end = End(len(FILESTORAGE_MAGIC), bytes(8), 0)
    with open_plain(here.data_file, "wb") as file:
        file.write(FILESTORAGE_MAGIC)
        if z64 not in found.newest:
            order.insert(0, (bytes(7) + b"\x01", z64))
        for tid, group in groupby(order, lambda each: each[0]):
            records = [
                (oid, unsealed(found.data(found.newest[oid])) if oid in found.newest else _EMPTY_ROOT)
                for _, oid in group
            ]
            written = transaction_bytes(tid, records, end.size, {})
            file.write(written)
            end = End(end.size + len(written), tid, end.transactions + 1)
    create_watermark(here.watermark, UnsyncedDisk(), end)


class _Finder:
    """Finds the open backend of a name; one whose own metadata are damaged reads the arrays without them."""

    def __init__(
        self,
        plugins: Plugins,
        folder: DatabaseFolder,
        place: str,
        database_id: str,
        configs: Mapping[str, Mapping[str, Any]],
        formats: Mapping[str, int],
    ) -> None:
        self._plugins, self._folder, self._place = plugins, folder, place
        self._others: dict[str, Any] = {"database_id": database_id, "configs": configs, "formats": formats}
        self._usual = self._of(folder.data_file, **self._others)
        self._copied: dict[str, Backends] = {}

    def _of(self, data_file: str, **others: Any) -> Backends:
        return Backends(self._plugins, data_file, read_only=True, durable=False, salvaging=True, **others)

    def __call__(self, name: str) -> Backend:
        if name in self._copied:
            return self._copied[name](name)
        try:
            return self._usual(name)
        except MissingPluginError:
            raise
        except LotdbError:
            folder = f"{self._folder.data_file}.{name}"
            if name in self._others["configs"] or not os.path.isdir(folder):
                raise
            self._copy_arrays(name, folder)
        return self._copied[name](name)

    def _copy_arrays(self, name: str, folder: str) -> None:
        data_file = os.path.join(self._place, f"of {name}", self._folder.name)
        target = f"{data_file}.{name}"
        os.makedirs(target)
        for entry in os.scandir(folder):
            if "seg-" not in entry.name:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.copytree(entry.path, os.path.join(target, entry.name), symlinks=True)
            elif entry.is_file(follow_symlinks=False):
                shutil.copyfile(entry.path, os.path.join(target, entry.name))
        self._copied[name] = self._of(data_file, **self._others)

    def close(self) -> None:
        """Close all that are open."""
        self._usual.close()
        for each in self._copied.values():
            each.close()


def locator_name(locator: Any) -> Any:
    """What tells *locator* from others."""
    return locator if isinstance(locator, str) else locator._p_oid
