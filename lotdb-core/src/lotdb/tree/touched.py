"""Which places a transaction has changed, as other threads may ask.

A reference names a node by its path in a moment that is committed, so it must not be made of a node that the
transaction has changed or made. Executors pickle what they send in a thread of theirs, while the thread of
the connection goes on writing results. Theirs must not touch what ZODB loads. So each write leaves a mark
here, and the marks alone tell.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

__all__ = ["Touched"]

# Of more marks nobody keeps track: then every place counts as changed.
MOST = 100_000

# Of more marks nobody wants to know the places one by one.
_LISTED = 1000

# One for all, as it is seldom needed, and each transaction has marks of its own.
_LOCK = threading.Lock()


class Placed(Protocol):
    """A node, as far as it matters here."""

    _key: str

    @property
    def _parent(self) -> Placed | None: ...

    def _keys(self) -> tuple[str, ...]:
        """The keys from below the root down to it."""


class Touched:
    """The marks of one transaction.

    A mark is a node in a tuple if what the node itself holds has changed, and a text if a child of that key
    has come, gone, or become another one. The node whose children these are comes before the texts, once:
    writes come in runs, and a mark that keeps no handle and is no new object costs next to nothing.
    """

    __slots__ = ("_below", "_marks", "_own", "_paths", "_sorted_below", "_too_many", "_tops", "made")

    def __init__(self) -> None:
        self._marks: deque[Placed | tuple[Placed] | str] = deque()
        self._below: Placed | None = None  # the last node that was put before texts
        self._sorted_below: tuple[str, ...] = ()  # the keys of the last such node among the sorted marks
        self._own: set[tuple[str, ...]] = set()  # the nodes of which what they hold themselves has changed
        self._paths: set[tuple[str, ...]] = set()  # the nodes that were written to, and all above them
        self._tops: set[tuple[str, ...]] = set()  # at and below these, nothing is as it was
        self._too_many = False
        #: The last node that was made: what is written to it needs no other mark.
        self.made: Placed | None = None

    def own(self, node: Placed) -> None:
        """Mark that what *node* itself holds has changed."""
        if len(self._marks) < MOST:
            self._marks.append((node,))
        else:
            self._too_many = True

    def child(self, node: Placed, key: str) -> None:
        """Mark that the child *key* of *node* has come, gone, or become another one, with all below it."""
        if len(self._marks) >= MOST:
            self._too_many = True
            return
        if self._below is not node:
            self._below = node
            self._marks.append(node)
        self._marks.append(key)

    def leaf(self, node: Placed) -> None:
        """Mark that what *node* itself holds has changed, where it has no children."""
        if node._parent is None:
            self.own(node)
        else:
            self.child(node._parent, node._key)

    def has(self, keys: tuple[str, ...]) -> bool:
        """Whether the node at *keys*, or what is below it, may be another than was committed; in any thread.

        What a rollback has taken back still counts.
        """
        with _LOCK:
            self._sort()
            return (
                self._too_many
                or keys in self._paths
                or any(keys[:length] in self._tops for length in range(len(keys) + 1))
            )

    def places(self) -> list[tuple[str, ...]]:
        """The keys of the nodes that were written to, made, moved or deleted, in order; none if very many."""
        with _LOCK:
            if self._too_many or len(self._marks) > _LISTED:
                return []
            self._sort()
            return sorted(self._own | self._tops)

    def _sort(self) -> None:
        while self._marks:
            mark = self._marks.popleft()
            if type(mark) is str:
                self._tops.add((*self._sorted_below, mark))
                continue
            if type(mark) is tuple:
                keys = mark[0]._keys()
                self._own.add(keys)
            else:
                keys = self._sorted_below = mark._keys()  # type: ignore[union-attr]
            for length in range(len(keys), -1, -1):
                if keys[:length] in self._paths:
                    break
                self._paths.add(keys[:length])
