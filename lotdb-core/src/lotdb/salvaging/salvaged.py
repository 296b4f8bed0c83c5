"""``lotdb.salvage``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lotdb.renamed import names_misspelt

if TYPE_CHECKING:
    from lotdb.registry.registry import Plugins
    from lotdb.salvaging.findings import Progress, SalvageReport

__all__ = ["salvage"]


@names_misspelt
def salvage(
    folder: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    name: str = "lotdb.fs",
    progress: Progress | None = None,
    backends: Mapping[str, Mapping[str, Any]] | None = None,
    plugins: Plugins | None = None,
) -> SalvageReport:
    """Read what can be read of a damaged database into a new one.

    The damaged database is only read: nothing in its folder changes, and no lock is taken. The new database
    appears when it is done. A payload that lost rows does not keep its name: the rows that can be read are in
    payloads such as ``data_rows_0_4096``.

    Parameters
    ----------
    folder
        The folder of the damaged database, in any state. No program should write to it meanwhile.
    target
        The folder of the new database, which must not exist.
    name
        Name of the data file in both.
    progress
        Function that is called with the number of nodes copied so far, and the path of the last.
    backends
        Settings for backends, as :class:`LOTDB` takes them, for stores outside of the folder.
    plugins
        The plugins to use; by default the installed plugins.

    Returns
    -------
    SalvageReport
        How much was found, and what was lost.

    Raises
    ------
    DatabaseNotFoundError
        If there is no data file, or none in which any record can be read.
    DatabaseExistsError
        If *target* exists.
    FileSystemError
        If the system could not read or write a file, which says nothing about the data.
    """
    from lotdb.salvaging.salvage import salvage_to  # which few programs need

    return salvage_to(folder, target, name=name, progress=progress, backends=backends, plugins=plugins)
