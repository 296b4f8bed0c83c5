"""What a transaction did to places in the tree: where to look for changes, and which node went where.

The journal proves nothing. ``tree/changes.py`` compares what is stored with what was stored, and that alone
says what changed. A leaf that is packed has no identity in storage, so the comparison cannot tell a node that
was moved from one that was deleted and another one that was made; the journal can. It is kept for those that
listen to commits only.

A place is a container (the children of a node) and a key. Nodes that have moved since are followed: the steps
are played back, in their order, among stand-ins of the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["Journal", "StandIn"]

_BELOW, _HERE, _GONE, _MOVED, _ADDED = range(5)


class StandIn:
    """A node, told by where it was when the transaction began; or a new one.

    Parameters
    ----------
    parent, key
        Where it was; None for a new node and for what holds the root.
    """

    __slots__ = ("added", "claimed", "found", "key", "kids", "new", "now", "old", "parent", "source")

    def __init__(self, parent: StandIn | None = None, key: str = "", *, new: bool = False) -> None:
        self.parent = parent
        self.key = key
        self.new: bool = new or (parent is not None and parent.new)
        #: Whether it was put there with all below it, and the path of what it is a copy of.
        self.added = False
        self.source: str | None = None
        #: What was below it at the beginning, as far as the transaction came there.
        self.kids: dict[str, StandIn] = {}
        #: What is elsewhere than it was: None where a node was taken away.
        self.now: dict[str, StandIn | None] = {}
        #: For who compares: whether it was found in the tree as it is now; and its entry at the beginning.
        self.claimed = False
        self.found = False
        self.old: Any = None

    def kid(self, key: str) -> StandIn:
        """The child that was at *key* at the beginning."""
        kid = self.kids.get(key)
        if kid is None:
            kid = self.kids[key] = StandIn(self, key)
        return kid

    def at(self, key: str) -> StandIn:
        """The child that is at *key* by now; a new one where one was taken away."""
        if key not in self.now:
            return self.kid(key)
        node = self.now[key]
        if node is None:
            node = self.now[key] = StandIn(new=True)
        return node


class Journal:
    """The steps of a transaction, of which a rollback takes the last ones back."""

    def __init__(self) -> None:
        self._steps: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self._steps)

    def take_back(self, keep: int) -> None:
        """Forget all steps but the first *keep*."""
        del self._steps[keep:]

    def below(self, container: Any, key: str, children: Any) -> None:
        """The *children* of the node at a place may be changed from now on."""
        self._steps.append((_BELOW, container, key, children))

    def here(self, container: Any, key: str) -> None:
        """A record of its own that the node at a place has is changed, and its entry is not."""
        self._steps.append((_HERE, container, key))

    def gone(self, container: Any, key: str) -> None:
        """The node at a place is taken away."""
        self._steps.append((_GONE, container, key))

    def moved(self, container: Any, key: str, to: Any, new_key: str) -> None:
        """The node at a place is put at another one."""
        self._steps.append((_MOVED, container, key, to, new_key))

    def added(self, container: Any, key: str, source: str | None) -> None:
        """A node is put at a place with all below it, as a copy of the one at *source* if that is a path."""
        self._steps.append((_ADDED, container, key, source))

    def play(self, roots: Any) -> StandIn:
        """What stands for the parent of the root, whose container is *roots*, after all steps."""
        top = StandIn()
        owners = {id(roots): top}
        for step, owner in self._owned(owners):
            kind, _, key, *more = step
            if kind == _BELOW:
                owners[id(more[0])] = owner.at(key)
            elif kind == _HERE:
                owner.at(key)
            elif kind == _GONE:
                owner.now[key] = None
            elif kind == _MOVED:
                node = owner.at(key)
                owner.now[key] = None
                owners[id(more[0])].now[more[1]] = node
            else:
                owner.now[key] = node = StandIn(new=True)
                node.added, node.source = True, more[0]
        return top

    def _owned(self, owners: dict[int, StandIn]) -> Iterator[tuple[tuple[Any, ...], StandIn]]:
        for step in self._steps:
            # A container was made ready to be written to before, so its owner is known.
            yield step, owners[id(step[1])]
