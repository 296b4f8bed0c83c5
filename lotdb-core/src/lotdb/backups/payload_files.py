"""Copying the payloads that are named: blobs, files of backends, and arrays of other stores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ZODB.blob import FilesystemHelper
from ZODB.POSException import POSKeyError

from lotdb.backups.named import Named
from lotdb.backups.new_files import NewFiles
from lotdb.backups.other_stores import copy_array
from lotdb.database.copied import Progress
from lotdb.database.opened import Opened
from lotdb.errors import DamagedError, PluginError, not_left_out
from lotdb.interfaces.backend import Backend
from lotdb.interfaces.installed import plugin_errors
from lotdb.segments.backends import Backends
from lotdb.storage.durable import Disk
from lotdb.storage.folder import LAYOUT, DatabaseFolder
from lotdb.storage.parts import check_folder, read_part
from lotdb.values import values

__all__ = ["Payloads"]

_SMALL = 1 << 20


class Payloads:
    """The copying of payloads from *database* into *folder*.

    Parameters
    ----------
    database, folder
        From where, and to where.
    scratch
        Folder for files that are not whole yet.
    disk
        What is synced.
    targets
        The backends of the copy.
    elsewhere
        Names of the backends whose arrays the copy has in other stores.
    progress
        Told of what is copied.
    """

    def __init__(
        self,
        database: Opened,
        folder: DatabaseFolder,
        scratch: str,
        disk: Disk,
        targets: Backends,
        elsewhere: Mapping[str, Any],
        progress: Progress | None,
    ) -> None:
        self._database, self._folder = database, folder
        self._targets, self._elsewhere = targets, elsewhere
        self._progress = progress
        self._done = self._all = 0
        self._files = NewFiles(folder.path, scratch, disk, self.tell)
        #: Files that are named and not there, and backends whose arrays were left where they are.
        self.missing: list[str] = []
        self.left_out: set[str] = set()
        self.arrays = self.array_bytes = 0

    @property
    def files(self) -> int:
        """How many files and arrays were copied."""
        return self._files.files + self.arrays

    @property
    def bytes(self) -> int:
        """How many bytes of payloads were copied."""
        return self._files.bytes + self.array_bytes

    def tell(self, count: int, place: str) -> None:
        """Note that *count* more bytes were copied, of what lies at *place*."""
        self._done += count
        if self._progress is not None:
            self._progress(self._done, max(self._all, self._done), place)

    def copy(self, named: Named, tree_bytes: int) -> None:
        """Copy what is *named* and not there yet; *tree_bytes* are copied as well, by others."""
        backends = list(self._database._backends.in_use())
        if self._progress is not None:
            self._all = self._done + tree_bytes + self._size(named, backends)
        for source, place in self._blobs(named):
            try:
                self._files.add(source, place)
            except FileNotFoundError:
                self.missing.append(source)
        for backend in backends:
            if self._has_files(backend):
                self._copy_files(backend, named)
            elif backend.is_outside and backend.name not in self._elsewhere:
                if any(name == backend.name for name, _ in named.arrays):
                    self.left_out.add(backend.name)
            else:
                self._copy_arrays(backend, named)
        self._copy_unknown({backend.name for backend in backends})
        self._files.finish()

    def _has_files(self, backend: Backend) -> bool:
        """Whether the arrays of *backend* are files in the folder, and are to be so in the copy."""
        elsewhere = backend.is_outside or backend.name in self._elsewhere
        return not elsewhere and type(backend).files is not Backend.files

    def _blobs(self, named: Named) -> Iterator[tuple[str, str]]:
        """Path of each blob's file, and its place in the copy."""
        storage: Any = self._database._storage.opened
        places = FilesystemHelper(self._folder.blobs, LAYOUT)
        for oid, tid, has_file in named.blobs():
            try:
                path = storage.loadBlob(oid, tid)
            except POSKeyError as error:
                if has_file:
                    self.missing.append(str(error.args[0]).removeprefix("No blob file at "))
                continue
            yield path, places.getBlobFilename(oid, tid)

    def _size(self, named: Named, backends: list[Backend]) -> int:
        """How many bytes those files have that are not there yet."""
        missing, self.missing = self.missing, []
        total = sum(_size_to_copy(*pair) for pair in self._blobs(named))
        self.missing = missing
        for backend in backends:
            if self._has_files(backend):
                for locator in named.locators(backend.name):
                    total += sum(_size_to_copy(*pair) for pair in self._files_of(backend, locator))
            elif not backend.is_outside or backend.name in self._elsewhere:
                for (name, _), (layout, rows) in named.arrays.items():
                    total += rows * layout.row_bytes if name == backend.name else 0
        return total

    def _files_of(self, backend: Backend, locator: str) -> Iterator[tuple[str, str]]:
        """Path of each file that holds *locator*, and its place in the copy."""
        top = os.path.abspath(backend.context.folder)
        place = f"{self._folder.data_file}.{backend.name}"
        try:
            with plugin_errors(backend.name):
                files = list(backend.files(locator))
        except PluginError:  # one whose locators are no texts
            return
        for path, _ in files:
            path = os.path.abspath(path)
            if path.startswith(top + os.sep):
                yield path, place + path[len(top) :]

    def _copy_files(self, backend: Backend, named: Named) -> None:
        before = self._files.files
        for locator in named.locators(backend.name):
            found = False
            for source, place in self._files_of(backend, locator):
                found = True
                try:
                    self._files.add(source, place)
                except FileNotFoundError:
                    self.missing.append(source)
            if not found and (backend.name, locator) in named.arrays:
                self.missing.append(backend.describe(locator))
        if self._files.files > before:
            self._copy_shared(str(backend.context.folder), f"{self._folder.data_file}.{backend.name}")

    def _copy_shared(self, top: str, place: str) -> None:
        """Copy the files of a backend that belong to no array, such as the metadata of a group."""
        with os.scandir(top) as entries:
            for entry in entries:
                if "seg-" in entry.name or not entry.is_file(follow_symlinks=False):
                    continue
                copy = os.path.join(place, entry.name)
                if not _are_same(entry.path, copy):
                    self._files.add(entry.path, copy, again=True)

    def _copy_unknown(self, known: set[str]) -> None:
        """Copy the folders of backends that are not installed, which nobody can ask for their files."""
        database = self._database
        if database.path is None or (database._where.url and database._where.store):
            return  # no folder is its own
        known.add(database._storage.name)  # its own folder, if it has one
        for top in DatabaseFolder(os.path.abspath(database.path), database.name).backend_folders():
            name = os.path.basename(top).removeprefix(f"{database.name}.")
            if name in known or not check_folder(top):
                continue
            place = f"{self._folder.data_file}.{name}"
            for above, _, files in os.walk(top, onerror=not_left_out):
                for file in files:
                    path = os.path.join(above, file)
                    self._files.add(path, place + path[len(top) :])

    def _copy_arrays(self, backend: Backend, named: Named) -> None:
        for (name, locator), (layout, rows) in named.arrays.items():
            if name == backend.name and rows:
                self._copy_array(backend, locator, layout, rows)

    def _copy_array(self, backend: Backend, locator: str, layout: Any, rows: int) -> None:
        options = self._decode(layout)
        target = self._targets(backend.name)
        try:
            size = copy_array(backend, target, locator, layout, rows, options, self.tell)
        except DamagedError as error:
            self.missing.append(f"{backend.describe(locator)} ({error})")
            return
        if size:
            self.arrays += 1
            self.array_bytes += size

    def _decode(self, layout: Any) -> dict[str, Any]:
        return {name: values.decode(value, extra=self._database.plugins) for name, value in layout.options}


def _size_to_copy(source: str, place: str) -> int:
    try:
        size = os.lstat(source).st_size
    except OSError:
        return 0
    try:
        return 0 if os.lstat(place).st_size == size else size
    except OSError:
        return size


def _are_same(source: str, place: str) -> bool:
    """Whether two small files are the same; of large ones nobody looks."""
    try:
        size = os.lstat(source).st_size
        return size <= _SMALL and size == os.lstat(place).st_size and read_part(source) == read_part(place)
    except OSError:
        return False
