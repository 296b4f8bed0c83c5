"""A folder that gets its name when it is whole; until then it stands beside its place, under another name."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from lotdb.errors import DatabaseBusyError, DatabaseExistsError
from lotdb.storage.syncing import sync_folder, sync_path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

__all__ = ["Place", "place_for", "refuse_existing"]

# This file in a folder says that it is ours to remove.
_MARK = "upgrade-under-way"


class Place:
    """A folder that is being filled.

    Parameters
    ----------
    folder, target
        Its path now, and when it is whole.
    """

    def __init__(self, folder: str, target: str) -> None:
        self.folder = folder
        self.target = target

    def sync(self) -> None:
        """Put all that is in the folder on the disk."""
        for path, _, names in os.walk(self.folder, topdown=False):
            for name in names:
                sync_path(os.path.join(path, name))
            sync_folder(path)

    def finish(self) -> None:
        """Give the folder its name.

        Raises
        ------
        DatabaseExistsError
            Something has that name by now.
        """
        refuse_existing(self.target)
        os.remove(os.path.join(self.folder, _MARK))
        os.rename(self.folder, self.target)
        with contextlib.suppress(OSError):
            sync_folder(os.path.dirname(self.target))


def refuse_existing(target: str) -> None:
    """Raise ``DatabaseExistsError`` if something is at *target*."""
    if os.path.lexists(target):
        raise DatabaseExistsError(f"{target} exists; name a folder that does not, for the new database")


@contextlib.contextmanager
def place_for(target: str) -> Iterator[Place]:
    """A folder beside *target*, empty but for a mark; what is left there at the end is removed.

    Raises
    ------
    DatabaseBusyError
        Another process is filling it.
    DatabaseExistsError
        What is there is none of ours.
    """
    above, last = os.path.split(target)
    os.makedirs(above, exist_ok=True)
    folder = os.path.join(above, f".{last}.upgrading")
    if os.path.lexists(folder):  # of a process that was killed, or that is at it
        if not os.path.isfile(os.path.join(folder, _MARK)) and os.listdir(folder):
            raise DatabaseExistsError(
                f"{folder} is in the way, and was not left by a process that was interrupted; move it away"
            )
        with _held(folder):
            shutil.rmtree(folder)
    os.mkdir(folder)
    try:
        with _held(folder):
            yield Place(folder, target)
    finally:
        if os.path.isfile(os.path.join(folder, _MARK)):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: str) -> Iterator[None]:
    """While the mark in *folder* is locked by this process."""
    with open(os.path.join(folder, _MARK), "ab") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DatabaseBusyError(
                    f"another process writes to {folder}; wait until it is done"
                ) from None
        yield
