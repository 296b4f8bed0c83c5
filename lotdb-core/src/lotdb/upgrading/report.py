"""What an upgrade has done."""

from __future__ import annotations

from dataclasses import dataclass, field

from lotdb.database.copied import ReportNote

__all__ = ["UpgradeReport"]


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
        What the new database does not have, each a :class:`ReportNote`.
    changed
        What it has under another name, or in another form.
    """

    nodes: int = 0
    data_nodes: int = 0
    attributes: int = 0
    payloads: int = 0
    payload_bytes: int = 0
    missed: list[ReportNote] = field(default_factory=list)
    changed: list[ReportNote] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.nodes} nodes ({self.data_nodes} data nodes), {self.attributes} attributes and"
            f" {self.payloads} payloads copied; {len(self.missed)} not carried,"
            f" {len(self.changed)} in another form"
        )
