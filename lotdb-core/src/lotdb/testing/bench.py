"""Where backends are tried: one folder with a backend alone, or with a database."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from lotdb import LOTDB, Backend, BackendContext, BaseNode, DataNode, Payload, Plugins, hookimpl

if TYPE_CHECKING:
    import pytest

__all__ = ["Alone", "Bench", "open_files_in", "plugins_with", "skip", "synced_inodes"]

NAME = "lotdb.fs"

Array = np.ndarray[Any, Any]


def skip(why: str) -> NoReturn:
    """End the test that runs; *why* says what is missing."""
    import pytest  # here, because the processes that are killed do without it

    pytest.skip(why)


class _Registered:
    """The plugin that hands out one class, whatever else is installed under its name."""

    def __init__(self, backend_class: type[Backend]) -> None:
        self.backend_class = backend_class

    @hookimpl(tryfirst=True)
    def lotdb_get_backend(self, name: str) -> type[Backend] | None:
        return self.backend_class if name == self.backend_class.name else None


def plugins_with(backend_class: type[Backend]) -> Plugins:
    """The installed plugins, and *backend_class* under its name."""
    plugins = Plugins()
    plugins.register(_Registered(backend_class), name=f"lotdb.testing, {backend_class.name}")
    return plugins


class Alone:
    """A folder in which backends are opened without a database; all are closed in the end."""

    def __init__(
        self, folder: Path, backend_class: type[Backend], config: Mapping[str, Any], *, in_memory: bool
    ) -> None:
        folder.mkdir()
        self.folder = folder / f"{NAME}.{backend_class.name}"
        self.backend_class = backend_class
        self.config = config
        self.in_memory = in_memory
        self._open: list[Backend] = []

    def open(self, *, folder: Path | None = None, **context: Any) -> Backend:
        """A backend on the folder; further arguments are those of ``BackendContext``."""
        about = BackendContext(**{"folder": folder or self.folder, "config": self.config, **context})
        backend = self.backend_class(about)
        self._open.append(backend)
        return backend

    def close(self) -> None:
        """Close all backends that were opened."""
        while self._open:
            self._open.pop().close()

    def write(self, backend: Backend, array: Array, options: Mapping[str, Any] | None = None) -> Any:
        """The new locator under which *array* was written."""
        locator = backend.new_locator()
        backend.write(locator, array, options or {})
        return locator

    def read(self, backend: Backend, locator: Any, like: Array, first: int, rows: int) -> Array:
        """Rows of an array that is as *like* is, read into memory that held something else before."""
        out = np.empty((rows, *like.shape[1:]), like.dtype)
        out.reshape(-1).view(np.uint8)[:] = 0xAA
        backend.read_into(locator, first, out)
        return out

    def needs_text_locators(self) -> None:
        """Skip the test for a backend whose locators mean nothing outside their database."""
        if not isinstance(self.open().new_locator(), str):
            skip("its locators are persistent objects of a database; tried through one")

    def needs_a_folder(self) -> None:
        """Skip the test for a backend that forgets everything with its instance."""
        if self.in_memory:
            skip("it keeps nothing beyond its instance")
        self.needs_text_locators()

    def left(self, backend: Backend) -> dict[str, int]:
        """The size of every file in the folder, by its path, and each locator that is listed."""
        files = {str(path): path.stat().st_size for path in self.folder.rglob("*") if path.is_file()}
        return files | {f"locator {locator}": 0 for locator, _ in backend.locators()}


class Bench:
    """A database with one backend, opened as often as a test likes; or, if *in_memory*, just a tree."""

    def __init__(
        self,
        folder: Path,
        backend_class: type[Backend],
        config: Mapping[str, Any] | None = None,
        *,
        in_memory: bool = False,
        durability: Literal["full", "process"] = "full",
        config_elsewhere: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self.folder = folder
        self.backend_class = backend_class
        self.config = config or {}
        self.config_elsewhere = config_elsewhere
        self.in_memory = in_memory
        self.durability: Literal["full", "process"] = durability
        self.plugins = plugins_with(backend_class)
        self.is_second = False
        self._db: LOTDB | None = None
        self._tree: BaseNode | None = None

    # -- opening and closing -----------------------------------------------------------------------

    @property
    def db(self) -> LOTDB:
        """The database, opened for writing unless it is open."""
        return self._db or self.reopen()

    def reopen(self, *, read_only: bool = False) -> LOTDB:
        """Close the database and open it anew."""
        self.needs_a_database()
        if self.is_second:
            skip("its config names a place outside of the folder, which is that of one database")
        self.close()
        self._db = LOTDB(
            self.folder,
            NAME,
            read_only=read_only,
            durability=self.durability,
            default_backend=self.backend_class.name,
            backends={self.backend_class.name: self.config},
            plugins=self.plugins,
        )
        return self._db

    def close(self) -> None:
        """Close the database, if it is open; what was not committed is forgotten."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def needs_a_database(self) -> None:
        """Skip the test for a backend that only trees in memory use."""
        if self.in_memory:
            skip("it is refused inside databases; trees in memory use it")

    def is_outside(self) -> bool:
        """Whether the config chose a place that is not moved and copied with the folder."""
        return not self.in_memory and self.backend().is_outside

    def is_swept(self) -> bool:
        """Whether something is listed that a pack may take for garbage, now that something is stored."""
        return not self.is_outside() or bool(list(self.backend().locators()))

    def needs_its_folder(self) -> None:
        """Skip the test for a backend whose config makes all databases use one place."""
        self.needs_a_database()
        if self.is_outside():
            self.close()
            skip("its config chose a place outside of the database's folder; two would share it")

    def another(self, name: str) -> Bench:
        """A database of the same kind in a folder of its own."""
        another = Bench(
            self.folder.with_name(name),
            self.backend_class,
            self.config,
            in_memory=self.in_memory,
            durability=self.durability,
        )
        another.is_second = self.is_outside()
        return another

    # -- the tree ----------------------------------------------------------------------------------

    def root(self) -> BaseNode:
        """The root, in the connection that :meth:`commit` commits."""
        if not self.in_memory:
            return self.db.open_connection()
        self._tree = self._tree or BaseNode(plugins=self.plugins)
        return self._tree

    def node(self, path: str) -> DataNode:
        """The data node at *path*, made if need be."""
        return self.root().get_data_node(path)

    def commit(self) -> None:
        """Commit; a tree in memory has nothing to commit."""
        if not self.in_memory:
            self.db.commit()

    def pack(self) -> None:
        """Pack, and sweep wherever the arrays are: this is the only database that uses the place."""
        self.db.pack(grace_s=0, sweep_outside=True)

    def settle(self) -> None:
        """Commit, and close the database, so that what is read next comes from the disk."""
        if not self.in_memory:
            self.db.commit()
            self.close()

    # -- reaching around ---------------------------------------------------------------------------

    def backend(self) -> Backend:
        """The backend, as the open database uses it."""
        return self.db._backends(self.backend_class.name)

    @property
    def backend_folder(self) -> Path:
        """The folder that is the backend's alone."""
        return self.folder / f"{NAME}.{self.backend_class.name}"

    def stored(self) -> set[str]:
        """What lies in the folder beside the core's own files, and all locators that the backend lists."""
        subfolders = [path for path in self.folder.glob(f"{NAME}.*") if path.is_dir()]
        files = (path for folder in subfolders for path in folder.rglob("[!.]*") if path.is_file())
        locators = {f"locator {locator}" for locator, _ in self.backend().locators()}
        return {str(path.relative_to(self.folder)) for path in files} | locators

    def bytes_stored(self) -> int:
        """Size of all files in the folders beside the data file."""
        paths = (self.folder / name for name in self.stored() if not name.startswith("locator "))
        return sum(path.stat().st_size for path in paths)

    def contents(self) -> dict[str, tuple[int, int]]:
        """Time of change and checksum of each file, without those that only tell who has it open."""
        return {
            str(path.relative_to(self.folder)): (path.stat().st_mtime_ns, zlib.crc32(path.read_bytes()))
            for path in self.folder.rglob("*")
            if path.is_file() and not re.search(r"\.(lock|readers)$", path.name)
        }

    def locators_of(self, payload: Payload) -> list[Any]:
        """The locators of the arrays that hold *payload*."""
        return [segment.locator for segment in payload._record.segments]

    def files_of(self, payload: Payload) -> list[Path]:
        """The files that hold *payload*: those that the backend names, or whose paths name its locators."""
        files = {Path(path) for segment in payload.segments() for path, _ in segment.files}
        if not files:
            names = [str(locator) for locator in self.locators_of(payload)]
            all_files = [path for path in self.backend_folder.rglob("*") if path.is_file()]
            files = {path for path in all_files if any(name in str(path) for name in names)}
        return sorted(files)


@contextlib.contextmanager
def synced_inodes(patch: pytest.MonkeyPatch) -> Iterator[dict[tuple[int, int], int]]:
    """Device and inode of each file and folder given to ``os.fsync`` meanwhile, and its bytes then."""
    synced: dict[tuple[int, int], int] = {}
    real = os.fsync

    def fsync(file: Any) -> None:
        status = os.fstat(file if isinstance(file, int) else file.fileno())
        synced[status.st_dev, status.st_ino] = status.st_size
        real(file)

    with patch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        if hasattr(os, "fdatasync"):
            patched.setattr(os, "fdatasync", fsync)
        yield synced


def open_files_in(folder: Path) -> list[str]:
    """The files below *folder* that this process has open; none where the system does not tell."""
    found = []
    if os.path.isdir("/proc/self/fd"):
        for descriptor in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # the one that the listing itself had open
                found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [path for path in found if path.startswith(f"{folder.resolve()}{os.sep}")]
