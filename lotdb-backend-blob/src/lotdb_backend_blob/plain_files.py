"""Arrays as plain files in one folder, which several processes may write at once.

All files lie in one folder: with folders below it, a file took as long to make and to sync, and a list of all
of them twice as long. Their names are random, and no file is ever written to twice. So nothing that a process
remembers of the folder is made wrong by another one.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lotdb import BackendContext, ReadOnlyError, open_part
from lotdb_backend_blob.npy_writing import write_npy
from lotdb_backend_blob.owner_note import NAME, check_note, note_of
from lotdb_backend_blob.sync_ahead import SyncAhead

__all__ = ["PlainFiles"]

_NAME = re.compile(r"(seg-[0-9a-f]{32})\.npy")


class PlainFiles:
    """The files of a database's folder, each named by its locator.

    Parameters
    ----------
    context
        What the backend was given.
    folder
        Where the files are, if not in the backend's own folder.
    """

    def __init__(self, context: BackendContext, folder: Path | None = None) -> None:
        self._context = context
        self.folder = context.folder if folder is None else folder
        self._prefix = f"{os.fspath(self.folder)}{os.sep}"
        self._is_synced = False

    def path(self, locator: str) -> str:
        """The file of *locator*."""
        return f"{self._prefix}{locator}.npy"

    def write(self, locator: str, blocks: Iterable[np.ndarray[Any, Any]], shape: tuple[int, ...]) -> None:
        """Store an array of *shape*, given as *blocks* of its rows; the file and its folder are synced."""
        if self._context.read_only:
            raise ReadOnlyError(f"{self.folder} was opened to be read only")
        if not self._is_synced:
            self._make_folder()
        path = self.path(locator)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            descriptor = open_part(path, flags)
        except FileNotFoundError:  # the folder was taken away since
            self._make_folder()
            descriptor = open_part(path, flags)
        try:
            with SyncAhead(self._context, descriptor) as ahead:
                write_npy(descriptor, blocks, shape, path, ahead)
                ahead.finish_now()
        finally:
            os.close(descriptor)
        self._context.sync_folder(self.folder)

    def _make_folder(self) -> None:
        missing = [self.folder, *(each for each in self.folder.parents if not each.exists())]
        self.folder.mkdir(parents=True, exist_ok=True)
        # Also if it is there: another process may have made it, and been killed before it was synced.
        for folder in missing:
            self._context.sync_folder(folder.parent)
        if self.folder != self._context.folder:
            self.claim()
        self._is_synced = True

    def claim(self) -> None:
        """Note the database's id in a place of the user's choice, or raise if there is that of another."""
        path, note = self._prefix + NAME, note_of(self._context.database_id)
        found = self._note()
        if not found:
            # Made under a name of its own: nobody sees it in part, and only one process gives it its name.
            made = f"{path}.{os.urandom(8).hex()}.new"
            with open(made, "xb") as file:
                file.write(note)
                file.flush()
                self._context.sync(file.fileno())
            try:
                with contextlib.suppress(FileExistsError):
                    os.link(made, path)
            finally:
                os.remove(made)
            self._context.sync_folder(self.folder)
            found = self._note()
        check_note(found, self._context.database_id, self.folder)

    def _note(self) -> bytes:
        try:
            with open(self._prefix + NAME, "rb", opener=open_part) as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def delete(self, locator: str) -> None:
        """Remove the file, if it is there."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.remove(self.path(locator))

    def files(self, locator: str) -> list[tuple[str, int]]:
        """Path and size in bytes of the file, if it is there."""
        path = self.path(locator)
        try:
            return [(path, os.lstat(path).st_size)]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def is_stored(self, locator: str) -> bool:
        """Whether the file is there."""
        return bool(self.files(locator))

    def now(self) -> float:
        """The time by the clock of the folder, which may be another machine's."""
        if not self.folder.is_dir():
            return time.time()
        with tempfile.TemporaryFile(dir=self.folder) as file:
            return os.fstat(file.fileno()).st_mtime

    def locators(self) -> Iterator[tuple[str, float]]:
        """Each stored locator, with the time when its file was last written to.

        Raises
        ------
        InvalidOptionError
            If the place is that of another database.
        """
        if self.folder != self._context.folder and (note := self._note()):
            check_note(note, self._context.database_id, self.folder)
        try:
            entries = os.scandir(self.folder)
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                if (found := _NAME.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                    try:
                        changed = entry.stat(follow_symlinks=False).st_mtime
                    except FileNotFoundError:  # another process has deleted it since
                        continue
                    yield found[1], changed
