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

# One for all, as it is seldom needed, and each transaction has marks of its own.
_LOCK = threading.Lock()


class Placed(Protocol):
    """A node, as far as it matters here."""

    def _keys(self) -> tuple[str, ...]:
        """The keys from below the root down to it."""


class Touched:
    """The marks of one transaction.

    ``mark`` is called with a node and None if what the node itself holds has changed, or with a node and the
    key of a child that has come, gone, or become another one.
    """

    __slots__ = ("_marks", "_paths", "_too_many", "_tops", "mark")

    def __init__(self) -> None:
        self._marks: deque[tuple[Placed, str | None]] = deque(maxlen=MOST)
        #: What each write calls, so it is a call of C code alone.
        self.mark = self._marks.append
        self._paths: set[tuple[str, ...]] = set()  # the nodes that were written to, and all above them
        self._tops: set[tuple[str, ...]] = set()  # at and below these, nothing is as it was
        self._too_many = False

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

    def _sort(self) -> None:
        self._too_many |= len(self._marks) == MOST  # the first ones may have been dropped
        while self._marks:
            node, child = self._marks.popleft()
            keys = node._keys()
            if child is not None:
                self._tops.add((*keys, child))
            for length in range(len(keys), -1, -1):
                if keys[:length] in self._paths:
                    break
                self._paths.add(keys[:length])
