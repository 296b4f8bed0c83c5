"""``lotdb.restore``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lotdb.renamed import names_misspelt

if TYPE_CHECKING:
    from lotdb.database.copied import BackupReport, Progress

__all__ = ["restore"]


@names_misspelt
def restore(
    backup: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    name: str = "lotdb.fs",
    verify: bool = True,
    progress: Progress | None = None,
    backends: Mapping[str, Mapping[str, Any]] | None = None,
) -> BackupReport:
    """Copy a backup to a new folder, as a database to work with.

    The backup is only read. The new folder appears when it is whole; after an interruption, call this again.

    Parameters
    ----------
    backup
        The folder that :meth:`LOTDB.backup` has written. Any other database will do.
    folder
        The folder of the new database, which must not exist.
    name
        Name of the data file in both.
    verify
        Whether the copy is read before it appears, every byte of it. False restores what there is of a backup
        that is damaged.
    progress
        Function that is called with the number of bytes copied, that of all, and the last file.
    backends
        Settings for backends, as :class:`LOTDB` takes them. Arrays in stores outside of the folder stay
        there.

    Returns
    -------
    BackupReport
        How much was copied.

    Raises
    ------
    DatabaseNotFoundError
        If there is no backup.
    DatabaseExistsError
        If *folder* exists.
    DatabaseBusyError
        If another process restores to *folder*.
    DamagedError
        If the backup is damaged. Then *folder* does not appear.
    FileSystemError
        If the system could not read or write a file.
    """
    from lotdb.backups.restoring import restore_to  # which few programs need

    return restore_to(backup, folder, name=name, verify=verify, progress=progress, backends=backends)
