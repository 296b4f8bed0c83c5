"""The blob folder: real folders with regular files in them, all the way down.

ZODB opens, makes and removes what a path leads to. In a stranger's folder, that may be anywhere.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

import ZODB.blob
from ZODB.FileStorage import FileStorage
from ZODB.POSException import POSKeyError

from lotdb.errors import system_errors
from lotdb.storage.parts import check_file, check_folder

__all__ = ["PlainBlobs", "leave_files_to_parent"]

_BLOB = r"0x[0-9a-f]{16}\.blob"


def leave_files_to_parent() -> None:
    """In a forked child: leave the files of blobs alone that are not committed, for they are the parent's.

    A blob removes such a file when it is no longer used, and so would the child's copy, at its end.
    """
    references: list[Any] = getattr(ZODB.blob, "_blob_close_refs", [])
    for reference in references:
        if (blob := reference()) is not None:
            blob._p_blob_ref = None
    references.clear()  # what they would call is gone with them


class PlainBlobs(FileStorage):
    """A FileStorage that never leaves its blob folder."""

    fshelper: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Folders above those of single blobs that were found to be real.
        self._plain_folders: set[str] = set()
        super().__init__(*args, **kwargs)

    def loadBlob(self, oid: bytes, serial: bytes) -> str:
        """The path of the file of a blob.

        Raises
        ------
        POSKeyError
            It is missing.
        DamagedError
            It is a link, or whatever else is no regular file, or lies behind a link.
        """
        path: str = self.fshelper.getBlobFilename(oid, serial)
        with system_errors():
            self._check_folders(os.path.dirname(path))
            if not check_file(path):
                raise POSKeyError(f"No blob file at {path}", oid, serial)
        return path

    def _blob_storeblob(self, oid: bytes, serial: bytes, blobfilename: str) -> None:
        # ZODB makes them as well, and if it fails says so by an assertion without a word.
        self._check_folders(self.fshelper.getPathForOID(oid), create=True)
        check_file(self.fshelper.getBlobFilename(oid, serial))
        super()._blob_storeblob(oid, serial, blobfilename)

    def _check_folders(self, folder: str, *, create: bool = False) -> None:
        """Raise ``DamagedError`` unless *folder* and those above it are real, or absent."""
        unknown = []
        above = folder
        while len(above) > len(self.blob_dir) and above not in self._plain_folders:
            unknown.append(above)
            above = os.path.dirname(above)
        for each in reversed(unknown):
            if not check_folder(each):
                if not create:
                    return
                with contextlib.suppress(FileExistsError):
                    os.mkdir(each)
            if each is not folder:  # of which there is one for each blob
                self._plain_folders.add(each)

    def _forget_folders(self) -> None:
        self._plain_folders.clear()

    def blob_files(self) -> Iterator[tuple[bytes, bytes, str]]:
        """Object id, transaction id and path of each file that has the form of a blob's; links are none."""
        for oid, folder in self.fshelper.listOIDs():
            with os.scandir(folder) as entries:
                named = [entry for entry in entries if re.fullmatch(_BLOB, entry.name)]
                found = [entry for entry in named if entry.is_file(follow_symlinks=False)]
            for entry in found:
                yield oid, bytes.fromhex(entry.name[2:18]), entry.path
