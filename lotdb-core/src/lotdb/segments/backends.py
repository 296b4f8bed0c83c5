"""The backends of one database, each opened when it is first needed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lotdb.errors import (
    DatabaseFormatError,
    InvalidOptionError,
    LotdbError,
    MissingPluginError,
    PluginError,
    shown,
    store_error,
    system_errors,
)
from lotdb.interfaces.installed import with_versions
from lotdb.storage.parts import check_folder
from lotdb.storage.signals import uninterrupted
from lotdb.storage.waiting import LimitedLock

if TYPE_CHECKING:
    from lotdb.interfaces.backend import Backend
    from lotdb.interfaces.loader import Loader

__all__ = ["Backends"]


# What stands behind the database's name in names of files and folders that are not a backend's.
_TAKEN = {"backup", "blobs", "copy", "end", "index", "lock", "lotdb", "old", "pack", "readers", "tmp"}


class Backends:
    """Finds the open backend of a name; shared by all connections of a database.

    Parameters
    ----------
    plugins
        Where backend classes come from.
    data_file
        The database's file; a backend's folder is named after it.
    configs
        What each backend is told of its own, by its name.
    formats
        The version of its form that each backend has written, by its name, if it is not the first.
    storage
        The name of the database's storage: no backend can have its name.
    store
        The URL of the place for payloads, if they are not beside the data file.
    many_writers, has_blobs
        See :class:`lotdb.BackendContext`.
    homeless
        Why there is no place for payloads, if there is none.
    """

    def __init__(
        self,
        plugins: Loader,
        data_file: str,
        *,
        read_only: bool,
        durable: bool,
        database_id: str,
        configs: Mapping[str, Mapping[str, Any]],
        formats: Mapping[str, int],
        storage: str = "file",
        store: str = "",
        many_writers: bool = False,
        has_blobs: bool = True,
        salvaging: bool = False,
        homeless: LotdbError | None = None,
    ) -> None:
        self._plugins = plugins
        self._data_file = data_file
        self._read_only = read_only
        self._durable = durable
        self._database_id = database_id
        self._configs = configs
        self._formats = formats
        self._taken = {*_TAKEN, storage}
        self._store = store
        self._many_writers = many_writers
        self._has_blobs = has_blobs
        self._salvaging = salvaging
        self._homeless = homeless
        self._open: dict[str, Backend] = {}
        self._outdated: list[Backend] = []
        self._lock = LimitedLock("another thread to open a backend")

    def __call__(self, name: str) -> Backend:
        """The open backend called *name*.

        Raises
        ------
        MissingPluginError
            If none of that name is installed.
        PluginError
            If it fails to open.
        """
        backend = self._open.get(name)
        if backend is None:
            # Ctrl-C waits until it is known, so that it is closed some day.
            with uninterrupted(), self._lock:
                backend = self._open.get(name) or self._open_one(name)
                self._open[name] = backend
        return backend

    @property
    def opened(self) -> Collection[str]:
        """The names of those that are open."""
        return self._open.keys()

    @property
    def data_file(self) -> str:
        """The database's file, by its absolute path."""
        return self._data_file

    @property
    def formats(self) -> Mapping[str, int]:
        """The version of its form that each backend has written, by its name, if it is not the first."""
        return self._formats

    def note_formats(self, formats: Mapping[str, int]) -> None:
        """Open backends anew, when next used, for which another process has noted another version since."""
        # Versions only rise; an earlier moment has noted lower ones.
        risen = {name: number for name, number in formats.items() if number > self._formats.get(name, 1)}
        formats = {**self._formats, **risen}
        if formats != self._formats:
            with uninterrupted(), self._lock:
                changed = [name for name in self._open if formats.get(name) != self._formats.get(name)]
                # Another thread may be reading from it.
                self._outdated += [self._open.pop(name) for name in changed]
                self._formats = formats

    def _open_one(self, name: str) -> Backend:
        if self._homeless is not None:
            raise self._homeless
        if name in self._taken:
            raise PluginError(f"no backend can be called {name!r}: a part of the database has that name")
        cls = self._plugins.backend(name)
        _check_number(cls, "format_version")
        noted = self._formats.get(name, 1)
        if noted > cls.format_version:
            raise DatabaseFormatError(
                f"backend {with_versions(name)} reads version {cls.format_version} of its form, and data of "
                f"{os.path.basename(self._data_file)!r} have version {noted}; install a newer release of it"
            )
        from pathlib import Path

        from lotdb.interfaces.backend import BackendContext  # which needs numpy, as each backend does

        folder = Path(f"{self._data_file}.{name}")
        with system_errors():
            check_folder(str(folder))
        try:
            backend = cls(
                BackendContext(
                    folder=folder,
                    read_only=self._read_only,
                    durable=self._durable,
                    database_id=self._database_id,
                    config=dict(self._configs.get(name, {})),  # the user's own stays as it is
                    format_version=noted,
                    store=f"{self._store}/{folder.name}" if self._store else "",
                    many_writers=self._many_writers,
                    has_blobs=self._has_blobs,
                    salvaging=self._salvaging,
                )
            )
        except LotdbError:
            raise
        except Exception as error:
            if failure := store_error(error, f"backend {name!r} cannot be opened", str(folder)):
                raise failure from error
            raise PluginError(
                f"backend {with_versions(name)} failed to open in {folder.name!r}: {error!r}"
            ) from error
        try:
            for number in ("format_version", "concurrent_reads"):  # its __init__ may have set them
                _check_number(backend, number)
        except PluginError:
            backend.close()
            raise
        return backend

    def in_use(self) -> Iterator[Backend]:
        """The backends that are open, configured, or keep files beside the database."""
        if self._homeless is not None:
            return
        folder, data_file = os.path.split(self._data_file)
        prefix = f"{data_file}."
        folders = set()
        nothing = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with nothing, os.scandir(folder) as entries:
            folders = {
                entry.name.removeprefix(prefix)
                for entry in entries
                if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False)
            }
        folders |= {each.removeprefix(prefix) for each in self._in_store() if each.startswith(prefix)}
        for name in sorted((folders | self._configs.keys() | self._open.keys()) - self._taken):
            try:
                yield self(name)
            except MissingPluginError:
                continue  # no backend's folder, or one that is not installed: nobody can look after it

    def _in_store(self) -> set[str]:
        """Names of what lies in the object store of the database, if it has one that can be listed."""
        if not self._store:
            return set()
        from lotdb.interfaces.object_store import ObjectStore  # which few databases need

        try:
            return ObjectStore(self._store, extra="lotdb-backend-blob[s3]").folders()
        except (InvalidOptionError, MissingPluginError):  # of another kind: its backends know
            return set()

    def close(self) -> None:
        """Close all that are open."""
        while self._outdated:
            self._outdated.pop().close()
        while self._open:
            self._open.popitem()[1].close()


def _check_number(backend: Backend | type[Backend], name: str) -> None:
    """Raise ``PluginError`` if what *backend* declares makes no sense; its version would be noted."""
    number = getattr(backend, name)
    if type(number) is not int or number < 1:
        raise PluginError(
            f"backend {backend.name!r} has {name} = {shown(number)}; it must be an int from 1 on"
        )
