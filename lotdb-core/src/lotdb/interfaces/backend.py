"""The class that a payload backend subclasses."""

from __future__ import annotations

import os
import re
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lotdb.errors import InvalidOptionError, UnsupportedValueError
from lotdb.storage.syncing import BegunSync, NoSync, sync_descriptor, sync_folder, sync_path

__all__ = ["Backend", "BackendContext"]

# The form by which the garbage collector finds locators in raw records, without decoding any.
LOCATOR_PREFIX = "seg-"
LOCATOR_PATTERN = rb"seg-[0-9a-f]{32}"


@dataclass(frozen=True)
class BackendContext:
    """What a backend gets when it is opened.

    Parameters
    ----------
    folder
        The backend's folder for files: ``<database folder>/<database name>.<backend name>``. Nothing else
        uses it, and it does not exist until the backend creates it. Never store this path or any other
        absolute path, because databases are moved and copied.
    read_only
        The backend must not create or change anything.
    database_id
        A text that identifies the database, also after a move. With it, a backend can mark a shared place as
        belonging to one database.
    config
        The settings from ``LOTDB(backends={name: {...}})``; see :attr:`Backend.settings`.
    durable
        Data written by :meth:`Backend.write` must survive a power cut. Call :meth:`sync`, :meth:`sync_file`
        and :meth:`sync_folder` for files and folders.
    format_version
        The :attr:`Backend.format_version` that the database has noted: no array in it is of a newer one. 1 if
        nothing was written yet.
    store
        The URL of the place for the arrays of this backend, such as ``s3://bucket/prefix/lotdb.fs.zarr``, if
        the database keeps its payloads in an object store. Empty: they lie in *folder*.
    many_writers
        Several processes may write arrays into the same place at the same time.
    has_blobs
        Locators may be ZODB's blobs. If not, the storage of the database keeps none: they must be texts.
    salvaging
        What can be read of damaged arrays is wanted: raise only if the rows that are asked for cannot be
        read, whatever else is wrong with the array. The rows are checked by their checksums.
    """

    folder: Path
    read_only: bool = False
    durable: bool = True
    database_id: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    format_version: int = 1
    store: str = ""
    many_writers: bool = False
    has_blobs: bool = True
    salvaging: bool = False

    def sync(self, descriptor: int) -> None:
        """Put the bytes of an open file on the disk, if ``durable``; flush the file first."""
        if self.durable:
            sync_descriptor(descriptor)

    def start_sync(self, descriptor: int, after: Any = None) -> Any:
        """Begin with that, and do not wait; the file may be closed before it is done.

        Returns
        -------
        object
            Its ``wait()`` waits, and raises ``OSError`` if the disk failed: call it in
            :meth:`Backend.settle`. Its ``is_done`` tells whether it would wait. To sync a file again that has
            grown since, pass it as *after*: the new one then waits for both.
        """
        return BegunSync(descriptor, after) if self.durable else NoSync()

    def sync_file(self, path: str | os.PathLike[str]) -> None:
        """Put the bytes of the file at *path* on the disk, if ``durable``."""
        if self.durable:
            sync_path(path)

    def sync_folder(self, path: str | os.PathLike[str]) -> None:
        """Put the entries of the folder at *path* on the disk, if ``durable``: the names of new files."""
        if self.durable:
            sync_folder(path)


class Backend(ABC):
    """Base class of backends, which store arrays; each is written once and never changed.

    The core does transactions, packing, append, windows, copies, checksums and garbage collection. A backend
    only stores arrays under locators. A subclass has a few short methods, which several threads may call at
    once::

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

    #: True if reading an array in consecutive parts costs no more than reading it at once. Then the core
    #: computes the checksum of a large array while it reads the rest.
    reads_in_parts: bool = False

    #: True if :meth:`write` and :meth:`write_blocks` take ``notes=``: a mapping with ``samplerate_hz`` and
    #: ``unit``, each if it is known, for other programs that read the bare array. Then all arrays in a pack
    #: have the same notes.
    takes_notes: bool = False

    #: True if the backend syncs by itself: if ``context.durable``, all files and folders that :meth:`write`
    #: and :meth:`write_blocks` write are on the disk when they return, or at the latest when the transaction
    #: commits. If False, the core syncs the files that :meth:`files` names, or all of ``context.folder`` if
    #: it names none.
    syncs: bool = False

    #: How many calls of :meth:`read_into` may be under way at a time, from threads of the core. A store at
    #: the other end of a network answers many in the time of one. Set it to 1 if that is of no use, as for
    #: files in a local folder; then nothing is read ahead either.
    concurrent_reads: int = 32

    #: True says that whatever :meth:`read_into` and :meth:`read_selection` read was checked against a
    #: checksum of the backend's own, so that altered bytes are a ``DamagedError`` in any window. Of a backend
    #: that does not say so the core checks the windows: it keeps checksums of blocks of rows of about 32 KiB,
    #: and reads such blocks whole.
    checks_windows: bool = False

    #: Names of the settings that ``LOTDB(backends={name: {...}})`` may have for this backend; others are
    #: refused when it is first used, or at once if the plugin has ``lotdb_get_backend_settings``. None for a
    #: class with an ``__init__`` of its own that refuses them itself, and for one that takes no settings.
    settings: Collection[str] | None = None

    #: Version of the form in which the arrays are stored; raise it when an older release of the backend could
    #: not read what this one writes. The database notes it when something is first written. A newer one than
    #: that of the class is a ``DatabaseFormatError``; what was noted is ``context.format_version``.
    format_version: int = 1

    #: Arrays of up to so many bytes may lie in records of the tree, in place of this backend, which never
    #: sees them: a commit that writes a few small arrays then syncs once, with the tree. 0, as the default
    #: says, is for none.
    record_bytes: int = 0

    #: The same for rows that are appended to others, until many such pieces are merged and come to this
    #: backend: whatever is written at once lies there. The larger of the two numbers counts for them. It
    #: holds where the storage says by :attr:`Storage.keeps_pieces` that it takes them.
    append_record_bytes: int = 0

    #: Whether the arrays lie in a place that is not moved and copied with the database, as a setting may
    #: choose one. Set it in ``__init__``. ``LOTDB.pack`` takes nothing there for garbage unless it is called
    #: with ``sweep_outside=True``, for a copy of the database may use it. So that two databases do not share
    #: such a place by mistake, note ``context.database_id`` in it, and refuse another one's with
    #: ``InvalidOptionError``.
    is_outside: bool = False

    def __init__(self, context: BackendContext) -> None:
        self.context = context
        if context is not None and context.config:
            self._check_settings(context.config)

    def _check_settings(self, config: Mapping[str, Any]) -> None:
        if self.settings is None and type(self).__init__ is not Backend.__init__:
            return  # it looks itself
        check_settings(self.name, self.settings or (), config)

    def new_locator(self) -> Any:
        """A unique name for a new array; it writes nothing.

        The default is a text that is safe as a file name. A backend that stores in ZODB
        may return a new persistent object instead; the core adds it to the connection.
        """
        return LOCATOR_PREFIX + os.urandom(16).hex()

    @classmethod
    def settings_to_send(cls, config: Mapping[str, Any], directory: Path) -> Mapping[str, Any]:
        """What of the settings *config* goes into references, for another process to read the same arrays.

        Never give out what may hold credentials: the other process has its own, such as from its environment.
        The default refuses all settings. The values must be texts, numbers, or tuples of them.

        Parameters
        ----------
        config
            The settings, as the user gave them.
        directory
            The working directory when the database was opened: relative paths begin there.

        Raises
        ------
        UnsupportedValueError
            If they may hold credentials, or mean something in this process only.
        """
        if config:
            raise UnsupportedValueError(
                f"the settings of backend {cls.name!r} cannot go into a reference, because it does not say "
                "which of them hold credentials (see Backend.settings_to_send)"
            )
        return {}

    @staticmethod
    def place_to_send(place: Any, directory: Path) -> str:
        """*place*, a setting that is a URL or a path, as it may go into references: for ``settings_to_send``.

        Parameters
        ----------
        place
            As the user gave it.
        directory
            Where a relative path begins.

        Returns
        -------
        str
            The URL, or the absolute path.

        Raises
        ------
        UnsupportedValueError
            If it is an object, or a URL that holds more than a place, which may be credentials.
        """
        if isinstance(place, str) and "://" in place:
            parts = urlsplit(place)
            if "@" in parts.netloc or parts.query or parts.fragment:
                raise UnsupportedValueError(
                    "the URL of a store holds more than a place, which may be credentials, and does not go "
                    "into a reference; give them by the environment of each process"
                )
            return place
        if isinstance(place, str | os.PathLike):
            return os.fspath(os.path.abspath(directory / place))
        raise UnsupportedValueError(
            f"a store that is an object ({type(place).__name__}) does not go into a reference; open the "
            "database with the path or the URL of the store"
        )

    @classmethod
    def check_options(
        cls, options: Mapping[str, Any], dtype: np.dtype[Any], row_shape: tuple[int, ...]
    ) -> Mapping[str, Any]:
        """*options* in their stored form; raise ``InvalidOptionError`` for one that is not allowed.

        They are the further arguments of ``write_data``. The core calls this before it writes anything. The
        result must consist of values that attributes can hold. It is stored with the payload, and passed to
        :meth:`write` each time rows are added.
        """
        for option in options:
            raise InvalidOptionError(f"backend {cls.name!r} takes no option {option!r}")
        return options

    @classmethod
    def check_dtype(cls, dtype: np.dtype[Any]) -> None:
        """Raise ``InvalidDataError`` for a *dtype* that this backend cannot store."""

    @abstractmethod
    def write(self, locator: Any, array: np.ndarray[Any, Any], options: Mapping[str, Any]) -> None:
        """Store *array*, C-contiguous with at least one axis and one byte, under *locator*.

        Its memory is used again for the next one: copy what is to stay in memory.

        When this returns, the array can be read back, and if ``context.durable`` it survives a power
        cut; see :attr:`syncs`, and :meth:`settle` for what may wait. If it raises, the core calls
        :meth:`delete` for the unfinished array.
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
        :meth:`write`; a backend that can write in pieces overrides it.
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

    def settle(self, locator: Any) -> None:
        """Wait for what was begun when the array at *locator* was written, such as its sync.

        The core calls this once for each array that a transaction has written, in its thread, before it
        commits and before many more are written. So the disk works on one array while the next one is made.
        The default does nothing: all was done when the array was written.
        """

    def _scratch(self) -> Path | None:
        # Beside the data, because the system's temporary folder may be small, or in memory.
        parent = self.context.folder.parent if self.context is not None else None
        return parent if parent is not None and parent.is_dir() else None

    @abstractmethod
    def read_into(self, locator: Any, first_row: int, out: np.ndarray[Any, Any]) -> None:
        """Fill *out*, C-contiguous, with the rows of *locator* from *first_row* on.

        *out* has at least one axis, one row and one byte, as what :meth:`write` gets: a single value is an
        array of one row.

        Raise ``DamagedError`` if the array is missing or shorter than it should be.
        """

    def reader_of(
        self, locator: Any, dtype: np.dtype[Any], row_shape: tuple[int, ...]
    ) -> Callable[[int, np.ndarray[Any, Any]], None]:
        """What :meth:`read_into` does for one array, as a function of the first row and *out*.

        The core asks for it when it reads windows of one array again and again, and calls it in any thread
        as long as the backend is open. Override it if there is something to look up that stays the same for
        all of them. If the function raises anything, the core calls :meth:`read_into`, which says what is
        wrong.

        Parameters
        ----------
        locator
            Of an array of which rows have been read.
        dtype, row_shape
            Those of the rows of *out*.
        """
        return partial(self.read_into, locator)

    def read_summed(self, locator: Any, first_row: int, out: np.ndarray[Any, Any]) -> int | None:
        """Do what :meth:`read_into` does, and return the CRC-32 (ISO 3309) of the bytes of *out* then.

        The core asks for large arrays by it. Override it if they come bit by bit, as over a network, so that
        they are summed while one waits for more. None, as the default says, is for nothing done:
        :meth:`read_into` is called.
        """
        return None

    def read_selection(self, locator: Any, selection: tuple[slice, ...], out: np.ndarray[Any, Any]) -> None:
        """Fill *out*, C-contiguous, with ``array[selection]``, of which only a part of each row is wanted.

        Override it if the backend can read that without the rest of the rows, as one with chunks along other
        axes can, and if it :attr:`checks_windows`: the core's checksums are those of whole rows. Of any other
        backend the core reads the rows, and selects. *selection* has a slice for each axis, rows first, with
        start and stop, and without a step.

        Raise ``DamagedError`` if the array is missing, or smaller than it should be.
        """
        raise NotImplementedError

    def chunk_rows(self, locator: Any) -> int:
        """How many rows of *locator* are read or decoded at once at least, such as those of a file or chunk.

        Who reads an array in pieces, as dask does, then cuts between them. The default, 1, is for arrays of
        which any window is as good as another.
        """
        return 1

    @abstractmethod
    def delete(self, locator: Any) -> None:
        """Delete the array *locator*, which may be missing or incomplete."""

    def locators(self) -> Iterable[tuple[str, float]]:
        """Each stored locator with the time it was last modified, in seconds since the epoch.

        ``LOTDB.pack`` calls :meth:`delete` for listed locators that no record names. A backend whose
        locators are persistent objects lists nothing, because ZODB collects them.
        """
        return ()

    def is_stored(self, locator: Any) -> bool:
        """Whether the array *locator*, which :meth:`write` has written, is still there as a whole.

        It is asked before a commit if other processes write to the same database: their sweep may have taken
        what lay uncommitted for long. The default looks through :meth:`locators`.
        """
        return any(each == locator for each, _ in self.locators())

    def now(self) -> float:
        """The time by the clock that tells the times of :meth:`locators`, in seconds since the epoch.

        The default makes a file in the folder and looks at its time: a shared folder has a clock of its own.
        """
        if self.context is None or not self.context.folder.is_dir():
            return time.time()
        with tempfile.TemporaryFile(dir=self.context.folder) as file:
            return os.fstat(file.fileno()).st_mtime

    def files(self, locator: Any) -> Iterable[tuple[str, int]]:
        """Path and size in bytes of each file that holds *locator*; none if unknown.

        ``Payload.segments`` shows them, and the core syncs them unless :attr:`syncs`.
        """
        return ()

    def describe(self, locator: Any) -> str:
        """Where *locator* is stored, for error messages: a file name, say."""
        return str(locator)

    def after_pack(self) -> None:
        """Called at the end of ``LOTDB.pack``, when all that nothing uses has been deleted.

        A backend that keeps many arrays in a file can give space back here. The default does nothing.
        """

    def close(self) -> None:
        """Close all open files and release caches. The core calls nothing else afterwards."""


def check_settings(name: str, known: Iterable[str], config: Iterable[Any]) -> None:
    """Raise ``InvalidOptionError`` for a setting that backend *name*, which has those *known*, has not."""
    known = tuple(known)
    for setting in config:
        if setting not in known:
            from difflib import get_close_matches  # it takes a while, and is for a message

            close = get_close_matches(str(setting), known, n=1)
            there = f"it has: {', '.join(known)}" if known else "it has none"
            meant = f"; did you mean {close[0]!r}?" if close else ""
            raise InvalidOptionError(f"backend {name!r} has no setting {setting!r} ({there}){meant}")


def is_locator(text: str) -> bool:
    """Whether *text* has the default form of locators."""
    return isinstance(text, str) and re.fullmatch(LOCATOR_PATTERN.decode(), text) is not None


def iter_locators(record: bytes) -> Iterator[str]:
    """All locators of the default form that occur in the bytes of a stored record."""
    for match in re.finditer(LOCATOR_PATTERN, record):
        yield match.group().decode("ascii")
