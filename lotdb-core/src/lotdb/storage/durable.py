"""What it takes for files and folders to survive a power cut.

Writing a file puts its bytes into the operating system's memory; only ``fsync`` puts them on the disk, and a
file that was created or renamed is found again only once its *folder* was synced as well.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from lotdb.errors import InvalidOptionError, shown
from lotdb.storage.parts import is_there, open_plain
from lotdb.storage.syncing import sync_descriptor, sync_folder, sync_path

__all__ = ["Disk", "UnsyncedDisk", "disk_for", "make_folders"]


class Disk:
    """Syncs what it is given: nothing that was acknowledged is lost when the power fails."""

    #: Whether it syncs anything.
    is_synced = True

    def sync(self, file: BinaryIO) -> None:
        """Put the bytes of an open, flushed file on the disk."""
        sync_descriptor(file.fileno())

    def sync_file(self, path: str) -> None:
        """Put the bytes of the file at *path* on the disk."""
        sync_path(path)

    def sync_folder(self, path: str) -> None:
        """Put the entries of the folder at *path* on the disk."""
        sync_folder(path)

    def write_file(self, path: str, content: bytes) -> None:
        """Make *path* a file that holds *content*; at no moment is it there in part."""
        unfinished = path + ".new"
        with open_plain(unfinished, "wb") as file:
            file.write(content)
            file.flush()
            self.sync(file)
        os.replace(unfinished, path)


class UnsyncedDisk(Disk):
    """Syncs nothing: safe when the process is killed, not when the power fails."""

    is_synced = False

    def sync(self, file: BinaryIO) -> None:
        """Leave it to the operating system."""

    def sync_file(self, path: str) -> None:
        """Leave it to the operating system."""

    def sync_folder(self, path: str) -> None:
        """Leave it to the operating system."""


_DISKS = {"full": Disk(), "process": UnsyncedDisk()}


def disk_for(durability: str) -> Disk:
    """The disk that gives *durability*, ``"full"`` or ``"process"``."""
    try:
        return _DISKS[durability]
    except (KeyError, TypeError):
        choices = " or ".join(map(repr, _DISKS))
        raise InvalidOptionError(f"durability is {shown(durability)}, but must be {choices}") from None


def make_folders(path: str, disk: Disk) -> None:
    """Make the folder *path* and those above it that are missing."""
    missing = []
    folder = path
    while not is_there(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    if missing:
        os.makedirs(path, exist_ok=True)
    for folder in missing:
        disk.sync_folder(os.path.dirname(folder))
