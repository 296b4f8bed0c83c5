"""What a salvage has found, and what it has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Progress", "SalvageNote", "SalvageReport"]

#: Called with the number of nodes copied so far, and the path of the last.
Progress = Callable[[int, str], object]


@dataclass(frozen=True)
class SalvageNote:
    """Something that the new database does not have as the damaged one had it.

    Parameters
    ----------
    path
        Path of the node in the new database, or where it would be; "" for the root.
    name
        Name of the attribute or payload; "" for the node itself, or its children.
    reason
        What was lost, and why.
    """

    path: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path or '.'}{f' {self.name!r}' if self.name else ''}: {self.reason}"


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
        What is lost, or older than it was, each a :class:`SalvageNote`.
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
    lost: list[SalvageNote] = field(default_factory=list)
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
