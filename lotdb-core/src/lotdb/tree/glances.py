"""Finding one child in a record that is not in memory, without loading the record.

A record holds up to 128 leaves. To make objects of them that stay takes three times as long as to make ones
that are dropped at once: memory that was not used before, and the garbage collector, which goes through all
there is once so many were added. So a look-up takes one entry out of the state of a record and leaves it at
that, unless look-ups come back to the same records; ``Glanced.glance`` says so. What was found is remembered
until the tree changes, and so are columns that were looked into: a text and a few bytes objects hold all
entries of a record, and the next one is taken out of them in a tenth of the time that reading took.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Protocol

from lotdb.errors import DamagedError
from lotdb.records import Children, Entry
from lotdb.storage.folding import Columns, columns_in

__all__ = ["Glances", "flat_children"]

# How many entries are remembered.
_MOST = 10_000
# How many bytes of columns, as they are stored.
_MOST_BYTES = 4 << 20
# How many entries are taken out of the columns of one record before it is loaded. That takes about as long as
# to take so many, and from then on each is found in half the time.
_MOST_TAKEN = 16

# In place of an entry of a record that is better loaded.
_BETTER_LOADED: Any = object()


class Glanced(Protocol):
    """What is looked into; a tree is one."""

    #: Another number after each write, and for each transaction.
    version: int

    def glance(self, record: Any) -> tuple[Any, int] | None:
        """The stored state of *record*, which is not in memory, and its bytes; None if it is better loaded.

        The bytes are 0 if the state keeps other records in memory.
        """


def flat_children(state: Any) -> tuple[Any, ...] | None:
    """Keys and entries, one after the other, of children of that *state*; None if other records hold them."""
    for _ in range(3):
        if type(state) is not tuple or len(state) != 1:
            return None
        state = state[0]
    return state if type(state) is tuple and state else None


class _Looked:
    """Columns that were looked into."""

    __slots__ = ("columns", "left")

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        #: How many more entries are taken out of them.
        self.left = _MOST_TAKEN - 1


class Glances:
    """What was found in records that are not in memory."""

    __slots__ = ("_bytes", "_found", "_looked", "_version")

    def __init__(self) -> None:
        self._version = -1
        self._found: dict[tuple[Children, str], Entry] = {}
        self._looked: dict[Children, _Looked] = {}
        self._bytes = 0

    def entry(self, tree: Glanced, children: Children, key: str) -> Entry | None:
        """What is at *key* among *children*, whose record is not in memory; None if nothing is."""
        if self._version != tree.version:
            self._found.clear()
            self._drop_columns()
            self._version = tree.version
        found: Entry | None = self._found.get((children, key))
        if found is not None:
            return found
        try:
            found = self._without_loading(tree, children, key)
        except DamagedError:  # loading the record says of which file it is
            found = _BETTER_LOADED
        if found is _BETTER_LOADED:
            found = children.get(key)
        elif found is not None:
            if len(self._found) >= _MOST:
                self._found.clear()
            self._found[children, key] = found
        return found

    def _without_loading(self, tree: Glanced, children: Children, key: str) -> Any:
        looked = self._looked.get(children)
        if looked is not None:
            if not looked.left:
                return _BETTER_LOADED
            looked.left -= 1
            return looked.columns.entry(key)
        glanced = tree.glance(children)
        if glanced is None:
            return _BETTER_LOADED
        state, size = glanced
        columns = columns_in(state)
        if columns is not None:
            if size:
                self._keep(children, columns, size)
            return columns.entry(key)
        flat = flat_children(state)
        if flat is None:
            return _BETTER_LOADED
        keys = flat[:-1:2]
        at = bisect_left(keys, key)
        return flat[2 * at + 1] if at < len(keys) and keys[at] == key else None

    def _keep(self, children: Children, columns: Columns, size: int) -> None:
        if self._bytes + size > _MOST_BYTES:
            self._drop_columns()
        self._looked[children] = _Looked(columns)
        self._bytes += size

    def _drop_columns(self) -> None:
        self._looked.clear()
        self._bytes = 0
