"""Taking back that a database was made, as long as nothing was committed to it.

What was made last goes first. So a process that is killed in between leaves what a creation leaves that was
cut short: the next opening begins it again.
"""

from __future__ import annotations

import contextlib
import os
import shutil

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
        self._missing: list[str] = []
        above = folder.path
        while not is_there(above):
            self._missing.append(above)
            above = os.path.dirname(above)

    def restore(self) -> None:
        """Remove the database, which is new, is locked by this process, and holds no commit but its first.

        What the system does not let go of stays, and is no database.
        """
        folder = self._folder
        # Without its marker, it is one whose creation was cut short.
        _remove(folder.marker)
        for path in folder.backend_folders():  # arrays that were never committed
            shutil.rmtree(path, ignore_errors=True)
        _remove(folder.data_file)
        for suffix in PARTS:
            if suffix != ".lock":
                _remove(folder.data_file + suffix)
        shutil.rmtree(folder.blobs, ignore_errors=True)
        _remove(folder.data_file + ".lock")  # last, so that nobody makes another one meanwhile
        with contextlib.suppress(OSError):  # somebody has put something else there
            for path in self._missing:
                os.rmdir(path)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)
