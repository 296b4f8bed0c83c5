"""Which commits changed a node, or anything below it.

A commit names the records that it stored. So what is needed is which records lie at and below the node at
each moment: they are found once, at the newest, and from there on each commit that stored one of them says
what they were before it. Branches share records, so a record may be reached by several ways, which are
counted.

A record that was stored need not have changed: a guard is stored again when its node is moved or shared. So
what it held before and after is compared.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from ZODB.utils import z64

from lotdb.database.commits import Commit
from lotdb.database.opened import Opened
from lotdb.database.session import ROOT_KEY, following
from lotdb.keys import split_path
from lotdb.records import Box, Bucket, Children
from lotdb.records.identity import is_same_place
from lotdb.storage.history import Stored
from lotdb.storage.states import States

__all__ = ["changes_at"]

# The kinds of records that refer to others.
_HOLDERS = (Box, Bucket, Children)


def changes_at(database: Opened, commits: Iterable[tuple[Commit, Stored]], path: Any) -> Iterator[Commit]:
    """Those of *commits*, the newest first, that changed the node at *path* or anything below it."""
    keys = () if isinstance(path, str) and path == "" else split_path(path)
    return _changes(_Below(database, (ROOT_KEY, *keys)), commits)


def _changes(below: _Below, commits: Iterable[tuple[Commit, Stored]]) -> Iterator[Commit]:
    for commit, stored in commits:
        if below.go_before(stored):
            yield commit


class _Below:
    """The records at and below a path, at one moment after the other, back in time."""

    def __init__(self, database: Opened, keys: tuple[str, ...]) -> None:
        self._storage = database._storage
        self._keys = keys
        self._states = States()
        #: What the records below refer to, and how many refer to each.
        self._references: dict[bytes, list[Any]] = {}
        self._counts: dict[bytes, int] = {}
        #: The entry of the node, and the records on the way to it.
        self._entry: Any = None
        self._way: set[bytes] = set()
        self._is_there = False

    def go_before(self, commit: Stored) -> bool:
        """Go to the moment before *commit*; whether it changed the node or what is below."""
        after = following(commit.tid)
        if not self._is_there:
            self._is_there = True
            self._entry = self._look_up(after)
            self._add(_held(self._entry), after)
        stored = set(commit.oids)
        inside = [oid for oid in stored if oid in self._references]
        if not inside and not stored & self._way:
            return False
        before = commit.tid
        was = self._look_up(before) if stored & self._way else self._entry
        changed = not is_same_place(was, self._entry)
        for oid in inside:
            if not changed:
                changed = self._has_changed(oid, before, after)
        for oid in inside:
            if oid in self._references:
                now = self._references[oid]
                self._references[oid] = list(self._load(oid, before)[2])
                self._add(self._references[oid], before)
                self._remove(now)
        self._add(_held(was), before)
        self._remove(_held(self._entry))
        self._entry = was
        return changed

    def _load(self, oid: bytes, before: bytes) -> tuple[Any, Any, list[Any]]:
        found = self._storage.load_before(oid, before)
        return (None, None, []) if found is None else self._states.read(found[0])

    def _look_up(self, before: bytes) -> Any:
        """The entry of the node, or None."""
        self._way = {z64}
        _, root, _ = self._load(z64, before)
        container = None if root is None else root["data"].get("tree")
        entry = None
        for key in self._keys:
            entry = None if type(container) is not Children else self._get(container, key, before)
            container = None if entry is None else entry[1]
        return entry

    def _get(self, children: Any, key: str, before: bytes) -> Any:
        part = children
        while True:
            self._way.add(part._p_oid)
            kind, state, _ = self._load(part._p_oid, before)
            if state is None:
                return None
            if kind is Children and len(state) > 1:
                parts = state[0]
                part = parts[2 * bisect_right(parts[1::2], key)]
                continue
            return _items(kind, state).get(key)

    def _has_changed(self, oid: bytes, before: bytes, after: bytes) -> bool:
        was_kind, was, _ = self._load(oid, before)
        kind, state, _ = self._load(oid, after)
        if was_kind is None or kind is not was_kind:
            return True
        if kind is Box:
            return not is_same_place(("", *was), ("", *state))
        if kind is Children and (was is None or state is None or len(was) > 1 or len(state) > 1):
            return True  # it got another bucket, or lost one: a child was added or removed
        if kind not in (Bucket, Children):
            return False  # a guard
        old, new = _items(kind, was), _items(kind, state)
        return old.keys() != new.keys() or not all(
            is_same_place(_whole(old[key]), _whole(new[key])) for key in new
        )

    def _add(self, objects: list[Any], before: bytes) -> None:
        """Count references to *objects*, and what they refer to if they were not there."""
        pending = list(objects)
        while pending:
            each = pending.pop()
            oid = each._p_oid
            self._counts[oid] = self._counts.get(oid, 0) + 1
            if self._counts[oid] == 1:
                held = self._load(oid, before)[2] if type(each) in _HOLDERS else []
                self._references[oid] = list(held)
                pending += held

    def _remove(self, objects: list[Any]) -> None:
        pending = list(objects)
        while pending:
            oid = pending.pop()._p_oid
            self._counts[oid] -= 1
            if not self._counts[oid]:
                del self._counts[oid]
                pending += self._references.pop(oid)


def _items(kind: Any, state: Any) -> dict[str, Any]:
    flat = state[0][0][0] if kind is Children else state[0]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _whole(stored: Any) -> Any:
    """An entry, or what a node holds itself, in the form of an entry."""
    if type(stored) is not tuple or not stored or type(stored[0]) is tuple:
        return ("", stored)
    return stored


def _held(entry: Any) -> list[Any]:
    """The record of an entry; what the values of a packed leaf refer to never changes."""
    return [] if entry is None or type(entry[1]) not in (Box, Children) else [entry[1]]
