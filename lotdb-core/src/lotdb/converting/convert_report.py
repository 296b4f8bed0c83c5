"""What a conversion has done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ConvertReport", "Progress"]

#: Called with how much is done, of how much, and with what was done last.
Progress = Callable[[int, int, str], object]


@dataclass
class ConvertReport:
    """What :func:`lotdb.convert` has copied.

    Parameters
    ----------
    commits, records
        How many of each were copied. A record holds nodes; each commit that changed it has its own.
    arrays
        How many stored arrays were written anew. Those in files that could be copied as they are do not
        count.
    history
        Whether earlier commits were copied; otherwise the newest state was.
    """

    commits: int = 0
    records: int = 0
    arrays: int = 0
    history: bool = True

    def __str__(self) -> str:
        what = "with their ids and times" if self.history else "of the newest state"
        return f"{self.commits} commits {what}, {self.records} records, {self.arrays} arrays written anew"
