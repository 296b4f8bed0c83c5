"""What a salvage has found, and what it has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lotdb.database.copied import ReportNote

__all__ = ["Progress", "SalvageReport"]

#: Called with the number of nodes copied so far, and the path of the last.
Progress = Callable[[int, str], object]


@dataclass
class SalvageReport:
    """What :func:`lotdb.salvage` has found in a damaged database, and what was lost.

    Parameters
    ----------
    nodes, attributes, payloads
        How many of each are in the new database; nodes that share a branch count once.
    payload_bytes
        Bytes of the rows of the payloads.
    lost
        What is lost, or older than it was, each a :class:`ReportNote`.
    unreadable
        Parts of the data file that cannot be read, as texts. What they held is not known: nodes may be as
        they were at an earlier commit.
    unplaced
        Paths of nodes that were found, but not where they were. Among them may be what had been deleted.
    """

    nodes: int = 0
    attributes: int = 0
    payloads: int = 0
    payload_bytes: int = 0
    lost: list[ReportNote] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unplaced: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost."""
        return not (self.lost or self.unreadable or self.unplaced)

    def __str__(self) -> str:
        return (
            f"{self.nodes} nodes, {self.attributes} attributes and {self.payloads} payloads found;"
            f" {len(self.lost)} losses, {len(self.unreadable)} parts of the data file cannot be read"
        )
