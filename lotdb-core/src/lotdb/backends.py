"""The backends of one database, each opened when it is first needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from lotdb.backend import Backend, BackendContext
from lotdb.errors import LotdbError, PluginError

if TYPE_CHECKING:
    from lotdb.plugins import Plugins

__all__ = ["Backends"]


class Backends:
    """Finds the open backend of a name; shared by all connections of a database.

    Parameters
    ----------
    plugins
        Where backend classes come from.
    data_file
        The database's file; a backend's folder is named after it.
    """

    def __init__(self, plugins: Plugins, data_file: Path, *, read_only: bool, durable: bool) -> None:
        self._plugins = plugins
        self._data_file = data_file
        self._read_only = read_only
        self._durable = durable
        self._open: dict[str, Backend] = {}
        self._lock = Lock()

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
            with self._lock:
                backend = self._open.get(name) or self._open_one(name)
                self._open[name] = backend
        return backend

    def _open_one(self, name: str) -> Backend:
        cls = self._plugins.backend(name)
        folder = self._data_file.with_name(f"{self._data_file.name}.{name}")
        try:
            return cls(BackendContext(folder=folder, read_only=self._read_only, durable=self._durable))
        except LotdbError:
            raise
        except Exception as error:
            raise PluginError(f"backend {name!r} failed to open in {folder.name!r}: {error!r}") from error

    def with_files(self) -> Iterator[Backend]:
        """The backends that keep files beside the database and are installed."""
        for folder in sorted(self._data_file.parent.glob(f"{self._data_file.name}.*/")):
            name = folder.name.removeprefix(f"{self._data_file.name}.")
            try:
                yield self(name)
            except LotdbError:
                continue  # no backend's folder, or one that is not installed: not ours to sweep

    def close(self) -> None:
        """Close all that are open."""
        while self._open:
            self._open.popitem()[1].close()
