"""What an upgrade has done."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["UpgradeNote", "UpgradeReport"]


@dataclass(frozen=True)
class UpgradeNote:
    """Something of the old database that the new one does not have, or has in another form.

    Parameters
    ----------
    path
        Path of the node in the new database; "" for the root.
    name
        Name of the attribute or payload; "" for the node itself.
    reason
        Why, or in which form.
    """

    path: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path or '.'}{f' {self.name!r}' if self.name else ''}: {self.reason}"


@dataclass
class UpgradeReport:
    """What :func:`lotdb.upgrade` has copied, and what it has not.

    Parameters
    ----------
    nodes, data_nodes, attributes, payloads
        How many of each were copied; data nodes count as nodes, too.
    payload_bytes
        Bytes of the rows, texts and bytes of the payloads.
    missed
        What the new database does not have, each a :class:`UpgradeNote`.
    changed
        What it has under another name, or in another form.
    """

    nodes: int = 0
    data_nodes: int = 0
    attributes: int = 0
    payloads: int = 0
    payload_bytes: int = 0
    missed: list[UpgradeNote] = field(default_factory=list)
    changed: list[UpgradeNote] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.nodes} nodes ({self.data_nodes} data nodes), {self.attributes} attributes and"
            f" {self.payloads} payloads copied; {len(self.missed)} not carried,"
            f" {len(self.changed)} in another form"
        )
