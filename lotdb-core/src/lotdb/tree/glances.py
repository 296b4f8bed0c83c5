"""Finding one child in a record that is not in memory, without loading the record.

A record holds up to 128 leaves. To make objects of them that stay takes three times as long as to make ones
that are dropped at once: memory that was not used before, and the garbage collector, which goes through all
there is once so many were added. So a look-up takes one entry out of the state of a record and leaves it at
that, unless look-ups come back to the same records; ``Glanced.glance`` says so. What was found is remembered
until the tree changes.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Protocol

from lotdb.errors import DamagedError
from lotdb.records import Children, Entry
from lotdb.storage.folding import columns_in

__all__ = ["Glances", "flat_children"]

# How many entries are remembered.
_MOST = 10_000


class Glanced(Protocol):
    """What is looked into; a tree is one."""

    #: Another number after each write, and for each transaction.
    version: int

    def glance(self, record: Any) -> Any:
        """The stored state of *record*, which is not in memory; None if it is better loaded."""


def flat_children(state: Any) -> tuple[Any, ...] | None:
    """Keys and entries, one after the other, of children of that *state*; None if other records hold them."""
    for _ in range(3):
        if type(state) is not tuple or len(state) != 1:
            return None
        state = state[0]
    return state if type(state) is tuple and state else None


class Glances:
    """What was found in records that are not in memory."""

    __slots__ = ("_found", "_version")

    def __init__(self) -> None:
        self._version = -1
        self._found: dict[tuple[Children, str], Entry] = {}

    def entry(self, tree: Glanced, children: Children, key: str) -> Entry | None:
        """What is at *key* among *children*, whose record is not in memory; None if nothing is."""
        if self._version != tree.version or len(self._found) >= _MOST:
            self._found.clear()
            self._version = tree.version
        found: Entry | None = self._found.get((children, key))
        if found is not None:
            return found
        state = tree.glance(children)
        try:
            columns = columns_in(state)
            if columns is not None:
                found = columns.entry(key)
                if found is not None:
                    self._found[children, key] = found
                return found
        except DamagedError:  # loading the record says of which file it is
            found = children.get(key)
            return found
        flat = flat_children(state)
        if flat is None:
            found = children.get(key)
            return found
        keys = flat[:-1:2]
        at = bisect_left(keys, key)
        if at == len(keys) or keys[at] != key:
            return None
        found = self._found[children, key] = flat[2 * at + 1]
        return found
