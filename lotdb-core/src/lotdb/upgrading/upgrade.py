"""``lotdb.upgrade``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lotdb.renamed import names_misspelt

if TYPE_CHECKING:
    from lotdb.upgrading.carrying import Progress
    from lotdb.upgrading.report import UpgradeReport

__all__ = ["upgrade"]


@names_misspelt
def upgrade(
    old: str | os.PathLike[str],
    new: str | os.PathLike[str] | None,
    *,
    name: str | None = None,
    progress: Progress | None = None,
) -> UpgradeReport:
    """Copy a database of lotdb 1.x into a new one.

    The old database is only read: not a byte of it changes, nothing is locked against readers, and no class
    that it names is imported or run. The new one appears when it is whole; after an interruption, call this
    again.

    Parameters
    ----------
    old
        The folder of the old database, or its data file.
    new
        The folder of the new database, which must not exist. None writes nothing, and gives the report of
        what would be written.
    name
        Name of the old data file in its folder, if there are several.
    progress
        Function that is called with the number of nodes copied, the number of all nodes, and the path of the
        last one.

    Returns
    -------
    UpgradeReport
        How much was copied, and what was not.

    Raises
    ------
    DatabaseNotFoundError
        If there is no database of lotdb 1.x.
    DatabaseFormatError
        If *old* is a file of another kind.
    DatabaseExistsError
        If *new* exists.
    DatabaseBusyError
        If a program has the old database open for writing, or another upgrade to *new* is under way.
    MissingPluginError
        If payloads are in zarr, or are tables, and zarr or pandas is not installed. Nothing was written.
    DamagedError
        If the old data file cannot be read. What is damaged of a node or a payload is in the report.
    """
    from lotdb.upgrading.building import build  # which few programs need

    return build(old, new, name=name, progress=progress)
