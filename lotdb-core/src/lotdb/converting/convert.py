"""``lotdb.convert``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lotdb.database import LOTDB
from lotdb.interfaces.options import check_flag, check_progress
from lotdb.renamed import names_misspelt

if TYPE_CHECKING:
    from lotdb.converting.convert_report import ConvertReport, Progress

__all__ = ["convert"]


@names_misspelt
def convert(
    source: LOTDB | str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    storage: str | None = None,
    name: str = "lotdb.fs",
    payloads: str | os.PathLike[str] | None = None,
    backends: Mapping[str, Mapping[str, Any]] | None = None,
    history: bool = True,
    verify: bool = True,
    progress: Progress | None = None,
) -> ConvertReport:
    """Copy a database into another storage, or into the same one elsewhere.

    All commits are copied with their ids, times and notes, and the payloads of all backends. What branches
    share they share in the copy, which has the id of the source. The source is only read, and others may
    write to it meanwhile: commits made after the beginning are not copied. A folder appears when the copy is
    whole and on the disk. What an interruption leaves on a server cannot be opened as a database; it names
    this function, which begins anew.

    Parameters
    ----------
    source
        The database: a path or a URL, or one that is open, for what needs settings to be opened.
    target
        A folder that does not exist, or the URL of a database that does not.
    storage
        Name of the storage of the copy, such as ``"sqlite"``; by default ``"file"``, or that of the URL.
    name
        Name of the database in its folder, of the source and of the copy.
    payloads, backends
        As of :class:`lotdb.LOTDB`, for the copy. If both name the same store elsewhere, its arrays stay, and
        both databases use them.
    history
        False to copy the newest state only, as a pack leaves it. So it is as well if the storage of the copy
        cannot take commits with their ids.
    verify
        Whether to read the copy, and to compare it with the source.
    progress
        Function that is called with how many commits, arrays or nodes are done, of how many, and with the
        last one.

    Returns
    -------
    ConvertReport
        How much was copied.

    Raises
    ------
    DatabaseNotFoundError, DatabaseFormatError
        If there is no database at *source*.
    DatabaseExistsError
        If *target* exists.
    DatabaseBusyError
        If another conversion to *target* is under way.
    MissingPluginError
        If the storage, or a backend of the source, is not installed.
    DamagedError
        If the source cannot be read, or the copy is not the same. A folder was removed; what is on a server
        cannot be opened.
    """
    # Which few programs need:
    from lotdb.backups.source import open_source
    from lotdb.converting.conversion import Copy, copy_to

    history, verify = check_flag("history", history), check_flag("verify", verify)
    check_progress(progress)
    copy = Copy(target, name, storage, payloads, backends)
    if isinstance(source, LOTDB):
        return copy_to(source, copy, history=history, verify=verify, progress=progress)
    with open_source(source, name, option="source") as opened:
        return copy_to(opened, copy, history=history, verify=verify, progress=progress)
