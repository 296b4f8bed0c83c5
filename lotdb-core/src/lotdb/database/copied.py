"""What a backup or a restore has copied, and how all that copy say what a new database lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["BackupReport", "Progress", "ReportNote"]

#: Called with the number of bytes that are copied, the number of all that are to be, and the last file.
Progress = Callable[[int, int, str], object]


@dataclass(frozen=True)
class BackupReport:
    """What :meth:`lotdb.LOTDB.backup`, or :func:`lotdb.restore`, has copied.

    Parameters
    ----------
    commit
        Id of the commit that the copy shows, 16 hexadecimal digits, as ``LOTDB.last_commit``.
    commits
        How many commits the copy did not have before.
    tree_bytes
        Bytes of records that were copied.
    payload_files, payload_bytes
        Files of payloads that were copied, and their bytes; an array that was copied from a store outside
        of the folder counts as one file.
    anew
        Whether all records were copied, and not only the new ones: in the first backup, and after a pack.
    left_out
        Names of the backends whose arrays lie in a store outside of the folder, and were not copied.
    missing
        Files that the database names and does not have, so that they could not be copied.
    """

    commit: str
    commits: int = 0
    tree_bytes: int = 0
    payload_files: int = 0
    payload_bytes: int = 0
    anew: bool = False
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = "all records" if self.anew else f"{self.commits} new commits"
        size = self.tree_bytes + self.payload_bytes
        missing = f"; {len(self.missing)} files are missing" if self.missing else ""
        return f"{what} and {self.payload_files} files of payloads copied, {size} bytes in all{missing}"


@dataclass(frozen=True)
class ReportNote:
    """Something that a new database does not have as the one that was read had it.

    Parameters
    ----------
    path
        Path of the node in the new database, or where it would be; "" for the root.
    name
        Name of the attribute or payload; "" for the node itself, or its children.
    reason
        What is lost, and why; or in which other form it is.
    """

    path: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path or '.'}{f' {self.name!r}' if self.name else ''}: {self.reason}"
