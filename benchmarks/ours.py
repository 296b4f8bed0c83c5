"""What the sides of LOTDB share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lotdb import LOTDB


def load_plugins(db: LOTDB, backend: str = "blob") -> None:
    """Load what the first change and the first payload of a process load, as an import would.

    Others import all that they need before the time is taken. What this takes is a case of its own, in
    ``startup``.
    """
    from lotdb import BaseNode

    db.plugins.backend(backend)
    BaseNode(plugins=db.plugins).get_data_node("signal").write_data([0.0])
