"""Creating a database folder, and mending what a crash left in one, before ZODB touches it.

ZODB creates what it does not find, and a FileStorage whose data file is missing *deletes its blob folder*. So
it only ever gets to see a folder that is whole. All of this runs with the writer's lock held.
"""

from __future__ import annotations

import os
import shutil

from lotdb.storage.compat import FILESTORAGE_MAGIC
from lotdb.storage.durable import Disk
from lotdb.storage.folder import LAYOUT, MARKER, DatabaseFolder
from lotdb.storage.parts import is_there, open_plain
from lotdb.storage.watermark import EMPTY, create_watermark

__all__ = ["prepare"]


def prepare(folder: DatabaseFolder, disk: Disk, *, new: bool) -> None:
    """Leave *folder* with a whole database in it, or raise and leave it as it is.

    Raises
    ------
    DatabaseExistsError
        *new* was asked for, and something is there.
    DatabaseFormatError
        What is there is not a LOTDB database, or a newer one.
    DamagedError
        A part is missing that cannot be brought back.
    """
    if new:
        folder.refuse_existing()
    if folder.own_data_kind() == "filestorage":
        _mend(folder, disk)
    elif folder.can_recover():
        _recover(folder, disk)
        _mend(folder, disk)
    else:
        folder.refuse_lost_data()
        _create(folder, disk)


def _create(folder: DatabaseFolder, disk: Disk) -> None:
    # The marker comes last: as long as it is missing, a creation that was cut short is just begun again.
    _complete_blob_folder(folder, disk)
    with open_plain(folder.readers_file, "ab") as file:
        disk.sync(file)
    # A data file that is found alone is taken for that of another program, so it must not be there first.
    disk.sync_folder(folder.path)
    disk.write_file(folder.data_file, FILESTORAGE_MAGIC)
    create_watermark(folder.watermark, disk, EMPTY)
    disk.sync_folder(folder.path)
    _write_marker(folder, disk)
    disk.sync_folder(os.path.dirname(folder.path))


def _recover(folder: DatabaseFolder, disk: Disk) -> None:
    os.replace(folder.old_file, folder.data_file)
    for leftover in (".index", ".pack"):  # they belong to the packed file that never took its place
        _remove_file(folder.data_file + leftover)
    disk.sync_folder(folder.path)


def _mend(folder: DatabaseFolder, disk: Disk) -> None:
    folder.check_parts()
    _complete_blob_folder(folder, disk)
    if not is_there(folder.marker):
        folder.refuse_unmarked()
        _write_marker(folder, disk)


def _write_marker(folder: DatabaseFolder, disk: Disk) -> None:
    disk.write_file(folder.marker, MARKER)
    disk.sync_folder(folder.path)


def _complete_blob_folder(folder: DatabaseFolder, disk: Disk) -> None:
    temporary = os.path.join(folder.blobs, "tmp")
    if not _is_empty(temporary):
        # What is in there belongs to transactions of processes that are gone.
        shutil.rmtree(temporary, ignore_errors=True)
        os.makedirs(temporary, exist_ok=True)
    if not _has_content(folder.layout_file):
        disk.write_file(folder.layout_file, LAYOUT.encode())
        disk.sync_folder(folder.blobs)


def _is_empty(path: str) -> bool:
    """Whether there is a folder at *path* with nothing in it."""
    try:
        return not os.listdir(path)
    except OSError:
        return False


def _has_content(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except FileNotFoundError:
        return False


def _remove_file(path: str) -> None:
    if is_there(path):
        os.remove(path)
