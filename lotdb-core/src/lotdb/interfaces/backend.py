"""The class that a payload backend subclasses."""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lotdb.errors import InvalidOptionError
from lotdb.storage.syncing import sync_descriptor, sync_folder, sync_path

__all__ = ["Backend", "BackendContext"]

# The form by which the garbage collector finds locators in raw records, without decoding any.
LOCATOR_PREFIX = "seg-"
LOCATOR_PATTERN = rb"seg-[0-9a-f]{32}"


@dataclass(frozen=True)
class BackendContext:
    """What a backend is told when it is opened.

    Parameters
    ----------
    folder
        Where this backend may keep files: ``<database folder>/<database name>.<backend name>``. It is the
        backend's alone, and it does not exist until the backend makes it. Never store this path, nor any
        other absolute path: databases are moved and copied.
    read_only
        Nothing may be created or changed.
    database_id
        A text that stays with the database, wherever it is moved: to tell whose a shared place is.
    config
        What the user passed to ``LOTDB(backends={name: {...}})``; an unknown key is an
        ``InvalidOptionError``.
    durable
        What :meth:`Backend.write` has written must survive a power cut: files and folders are synced, for
        which :meth:`sync`, :meth:`sync_file` and :meth:`sync_folder` are there.
    """

    folder: Path
    read_only: bool = False
    durable: bool = True
    database_id: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    def sync(self, descriptor: int) -> None:
        """Put the bytes of an open file on the disk, if ``durable``; what is buffered is flushed before."""
        if self.durable:
            sync_descriptor(descriptor)

    def sync_file(self, path: str | os.PathLike[str]) -> None:
        """Put the bytes of the file at *path* on the disk, if ``durable``."""
        if self.durable:
            sync_path(path)

    def sync_folder(self, path: str | os.PathLike[str]) -> None:
        """Put the entries of the folder at *path* on the disk, if ``durable``: the names of new files."""
        if self.durable:
            sync_folder(path)


class Backend(ABC):
    """A place where arrays are stored, each written once and never changed.

    The core does transactions, packing, append, windows, copies, checksums and garbage collection;
    a backend stores arrays under locators and nothing else. A subclass writes a few short methods, and
    may be called by several threads at once::

        class NpyBackend(Backend):
            name = "npy"

            def write(self, locator, array, options):
                self.context.folder.mkdir(exist_ok=True)
                with open(self.path(locator), "xb") as file:
                    np.save(file, array)
                    file.flush()
                    self.context.sync(file.fileno())
                self.context.sync_folder(self.context.folder)

            def read_into(self, locator, first_row, out):
                if not self.path(locator).exists():
                    raise DamagedError(f"{self.path(locator)} is missing")
                rows = np.load(self.path(locator), mmap_mode="r")[first_row : first_row + len(out)]
                if rows.shape != out.shape or rows.dtype != out.dtype:
                    raise DamagedError(f"{self.path(locator)} holds other rows than it should")
                out.view("u1")[...] = rows.view("u1")     # the bytes, also between fields

            def delete(self, locator):
                self.path(locator).unlink(missing_ok=True)

            def locators(self):
                for path in self.context.folder.glob("*.npy"):
                    yield path.stem, path.stat().st_mtime

            def files(self, locator):
                path = self.path(locator)
                return [(str(path), path.stat().st_size)] if path.exists() else []

            def describe(self, locator):
                return str(self.path(locator))
    """

    name: str = ""

    #: Whether to read an array in parts, one after another, costs no more than to read it at once. A large
    #: one is then checked while the rest of it is read.
    reads_in_parts: bool = False

    #: Whether :meth:`write` and :meth:`write_blocks` take ``notes=``, a mapping of what somebody needs who
    #: comes upon the bare array: ``samplerate_hz`` and ``unit``, each if it is known. Arrays that share a
    #: pack then have the same notes.
    takes_notes: bool = False

    #: True says that what :meth:`write` and :meth:`write_blocks` write, files and folders, is on the disk
    #: when they return, or at the latest when the transaction commits, if ``context.durable``. Of a backend
    #: that does not say so the core syncs, once more, what :meth:`files` names, or all of
    #: ``context.folder`` if it names nothing.
    syncs: bool = False

    def __init__(self, context: BackendContext) -> None:
        self.context = context

    def new_locator(self) -> Any:
        """A name for an array that will be written soon; nothing is written yet.

        The default is a unique text that is also safe as a file name. A backend that stores in ZODB
        may return a new persistent object instead; the core adds it to the connection.
        """
        return LOCATOR_PREFIX + uuid.uuid4().hex

    @classmethod
    def check_options(
        cls, options: Mapping[str, Any], dtype: np.dtype[Any], row_shape: tuple[int, ...]
    ) -> Mapping[str, Any]:
        """*options* as they are to be stored; raise ``InvalidOptionError`` for one that is not taken.

        They are what the user passed to ``write_data`` beyond its own parameters. Called before anything
        is written. What is returned must be made of values that attributes can hold; it is kept with
        the payload and passed to :meth:`write` each time rows are added.
        """
        for option in options:
            raise InvalidOptionError(f"backend {cls.name!r} takes no option {option!r}")
        return options

    @classmethod
    def check_dtype(cls, dtype: np.dtype[Any]) -> None:
        """Raise ``InvalidDataError`` for a *dtype* that this backend cannot hold."""

    @abstractmethod
    def write(self, locator: Any, array: np.ndarray[Any, Any], options: Mapping[str, Any]) -> None:
        """Store *array*, C-contiguous with at least one axis and one byte, under *locator*.

        When this returns, the array can be read back, and if ``context.durable`` it survives a power
        cut; see :attr:`syncs`. If it raises, the core calls :meth:`delete` for what may have been begun.
        """

    def write_blocks(
        self,
        locator: Any,
        blocks: Iterable[np.ndarray[Any, Any]],
        shape: tuple[int, ...],
        options: Mapping[str, Any],
    ) -> None:
        """Store an array of *shape*, given as consecutive *blocks* of its rows, under *locator*.

        It may be larger than memory. The default gathers the blocks in a temporary file and calls
        :meth:`write`; a backend that can write piece by piece overrides it.
        """
        with tempfile.TemporaryFile(dir=self._scratch()) as file:
            array: np.ndarray[Any, Any] | None = None
            done = 0
            for block in blocks:
                if array is None:
                    array = np.memmap(file, block.dtype, "w+", shape=shape)
                # As bytes: numpy leaves out what lies between the fields of a structure.
                rows = array[done : done + len(block)].reshape(-1).view(np.uint8)
                rows[...] = block.reshape(-1).view(np.uint8)
                done += len(block)
            assert array is not None
            self.write(locator, array, options)

    def _scratch(self) -> Path | None:
        # Beside the data rather than in the system's temporary folder, which may be small, or in memory.
        return self.context.folder.parent if self.context is not None else None

    @abstractmethod
    def read_into(self, locator: Any, first_row: int, out: np.ndarray[Any, Any]) -> None:
        """Fill *out*, C-contiguous, with the rows of *locator* from *first_row* on.

        Raise ``DamagedError`` if the array is missing or shorter than it should be.
        """

    @abstractmethod
    def delete(self, locator: Any) -> None:
        """Remove what is stored under *locator*; it may be absent, or half written."""

    def locators(self) -> Iterable[tuple[str, float]]:
        """Each stored locator with the time it was last modified, in seconds since the epoch.

        What this lists and no record names is garbage, and :meth:`delete` will be called for it. A
        backend whose locators are persistent objects lists nothing: ZODB collects them.
        """
        return ()

    def files(self, locator: Any) -> Iterable[tuple[str, int]]:
        """Path and size in bytes of each file that holds *locator*; none if unknown.

        They are shown to those who ask, and synced unless :attr:`syncs`.
        """
        return ()

    def describe(self, locator: Any) -> str:
        """Where *locator* is stored, for error messages: a file name, say."""
        return str(locator)

    def close(self) -> None:
        """Release what is open. The core calls nothing else afterwards."""


def is_locator(text: str) -> bool:
    """Whether *text* has the default form of locators."""
    return isinstance(text, str) and re.fullmatch(LOCATOR_PATTERN.decode(), text) is not None


def iter_locators(record: bytes) -> Iterator[str]:
    """All locators of the default form that occur in the bytes of a stored record."""
    for match in re.finditer(LOCATOR_PATTERN, record):
        yield match.group().decode("ascii")
