"""Nodes that are below themselves: a stranger's file may have them, and a walk would never end."""

from __future__ import annotations

from lotdb.errors import DamagedError
from lotdb.records import Children
from lotdb.records.entries import children_of
from lotdb.tree.place import Place

__all__ = ["LEVELS", "refuse_ring"]

# How many levels above a node are looked at when it is looked up.
LEVELS = 16


def refuse_ring(node: Place, children: Children, levels: int | None = LEVELS) -> None:
    """Raise ``DamagedError`` if *children*, those of *node*, are as well those of a node above it.

    Only *levels* levels are looked at, or all for None. Looking at all levels at each look-up would cost more
    than the look-up itself, in a deep tree. So a walk that goes ever deeper looks at all levels now and then.
    """
    above: Place | None = node
    while above is not None and levels != 0:
        if above._container is children and _is_in_ring(node, children):
            raise DamagedError(f"{node._place()} is below itself: its children are those of a node above it")
        above = above._parent
        levels = None if levels is None else levels - 1


def _is_in_ring(node: Place, children: Children) -> bool:
    # What a handle remembers may be out of date, so what is stored is looked up.
    above = node._parent
    while above is not None:
        if children_of(above._entry()) is children:
            return True
        above = above._parent
    return False
