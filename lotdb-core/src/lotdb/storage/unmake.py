"""Taking back that a database was made, as long as nothing was committed to it.

What was made last goes first. So a process that is killed in between leaves what a creation leaves that was
cut short: the next opening begins it again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection

from lotdb.storage.folder import PARTS, DatabaseFolder
from lotdb.storage.parts import is_there

__all__ = ["Unmade"]


class Unmade:
    """What there was before a database was opened, and perhaps made.

    Parameters
    ----------
    folder : DatabaseFolder
        Its place.
    """

    def __init__(self, folder: DatabaseFolder) -> None:
        self._folder = folder
        #: Whether there was nothing that a database leaves.
        self.is_new = not (is_there(folder.data_file) or is_there(folder.old_file) or folder.remains())
        # A user may have files of such names: what opening has not written is not ours to remove.
        parts = PARTS if self.is_new else ()
        self._before = {suffix: _state(folder.data_file + suffix) for suffix in parts}
        self._missing: list[str] = []
        above = folder.path
        while not is_there(above):
            self._missing.append(above)
            above = os.path.dirname(above)

    def restore(self, backends: Collection[str]) -> None:
        """Remove the database, which is new, is locked by this process, and holds no commit but its first.

        Of the folders beside it, those of *backends* are its own. What the system does not let go of stays,
        and is no database.
        """
        folder = self._folder
        # Without its marker, it is one whose creation was cut short.
        _remove(folder.marker)
        for name in backends:  # arrays that were never committed
            shutil.rmtree(f"{folder.data_file}.{name}", ignore_errors=True)
        _remove(folder.data_file)
        for suffix in PARTS:
            path = folder.data_file + suffix
            if suffix != ".lock" and _state(path) != self._before[suffix]:
                _remove(path)
        shutil.rmtree(folder.blobs, ignore_errors=True)
        _remove(folder.data_file + ".lock")  # last, so that nobody makes another one meanwhile
        with contextlib.suppress(OSError):  # somebody has put something else there
            for path in self._missing:
                os.rmdir(path)


def _state(path: str) -> tuple[int, int, int] | None:
    """What changes if somebody writes to the file, or puts another one there; None if there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)
