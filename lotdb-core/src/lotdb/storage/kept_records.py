"""The cache of a connection, which keeps the objects that it gives out again.

The cache of ``persistent`` keeps an object as long as its state is in memory. A *ghost*, which has none, it
gives out without keeping it. So a ghost may be garbage, as part of what is left of an earlier transaction,
and be given out all the same while the garbage collector is at it: in another thread that goes on where the
collector runs a destructor or closes a file. Its state is loaded then, and next the collector clears it. What
is left says that it is up to date, and has no attributes or no children; a commit would store it.

Here each object is kept until nobody else has it, so that none is ever garbage before its connection is.
"""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any

from persistent import PickleCache

__all__ = ["KeptRecords"]

# Before there are so many, it is not worth while to look which of them nobody has.
_FEW = 4096

# What is counted of an object that only a dict has, and whoever counts.
_one = {0: object()}
_ALONE = getrefcount(_one.get(0))


# Called for each record that another one refers to; by super() it takes longer.
_new_ghost = PickleCache.new_ghost


class KeptRecords(PickleCache):
    """A cache of which no object is garbage as long as the cache is none."""

    __slots__ = ("_kept", "_most")

    def __init__(self, jar: Any, size: int, size_bytes: int) -> None:
        super().__init__(jar, size, size_bytes)
        self._kept: dict[bytes, Any] = {}
        # From so many on, those that nobody has are let go of.
        self._most = _FEW

    def new_ghost(self, oid: bytes, record: Any) -> None:
        """Put a new ghost into the cache."""
        _new_ghost(self, oid, record)
        self._kept[oid] = record

    def record(self, oid: bytes, kind: Any) -> Any:
        """The object *oid*, which is of the class *kind*; a new ghost if it is not in memory."""
        found = self.get(oid)
        if found is None:
            found = kind.__new__(kind)
            self.new_ghost(oid, found)
        return found

    def finder(self, note: Callable[[Any], object]) -> Callable[[tuple[bytes, Any]], Any]:
        """What gives the object of a reference, which is an id and a class, and calls *note* with the object.

        A record may refer to hundreds of others, and an unpickler asks for each. So it is one call.
        """
        get, kept = self.get, self._kept

        def find(reference: tuple[bytes, Any]) -> Any:
            oid, kind = reference
            found = get(oid)
            if found is None:
                found = kind.__new__(kind)
                _new_ghost(self, oid, found)
                kept[oid] = found
            note(found)
            return found

        return find

    def __setitem__(self, oid: bytes, record: Any) -> None:
        super().__setitem__(oid, record)
        self._kept[oid] = record

    def __delitem__(self, oid: bytes) -> None:
        super().__delitem__(oid)
        self._kept.pop(oid, None)

    def incrgc(self) -> None:
        """Let go of the states that were not used lately, if there are too many."""
        super().incrgc()
        if len(self._kept) > self._most:
            self._let_go()

    def minimize(self) -> None:
        """Let go of the states of all objects that have not changed."""
        super().minimize()
        self._let_go()

    def _let_go(self) -> None:
        # A list, for a destructor may load a record meanwhile.
        kept = self._kept
        for oid in list(kept):
            if getrefcount(kept.get(oid)) <= _ALONE:
                del kept[oid]
        self._most = max(_FEW, 2 * len(kept))
