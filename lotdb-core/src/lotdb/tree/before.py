"""The tree as it was when the transaction began, read beside what it has become.

The records that a transaction has changed are in memory as they are now. As they were, their states come from
the storage; what they refer to are the very records of the connection. So a record that is the same in both
is the same object, and what lies in it need not be read to tell.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from lotdb.records import OWN_KEY, Box, Bucket, Children, Entry, Own
from lotdb.records.entries import is_same_entry

__all__ = ["Before"]


class Before:
    """What was stored.

    Parameters
    ----------
    is_changed : callable
        Tells whether the transaction has changed a record, or made it.
    load : callable
        The state of such a record as it was; None if it was not there.
    """

    def __init__(self, is_changed: Callable[[Any], bool], load: Callable[[Any], Any]) -> None:
        self._is_changed = is_changed
        self._load = load
        self._states: dict[int, tuple[Any, Any]] = {}  # with the record, so that no other gets its identity

    def was_there(self, entry: Entry) -> bool:
        """Whether the node of *entry* has a record of its own that this transaction has not made."""
        record = entry[1]
        return type(record) is not tuple and (not self._is_changed(record) or self._state(record) is not None)

    def own(self, entry: Entry) -> Own:
        """What the node of *entry* held itself."""
        record = entry[1]
        if type(record) is tuple:
            return entry[1:]
        if type(record) is Children:
            record = self.get(record, OWN_KEY)
        if type(record) is Box:
            record = self._state(record)
        own: Own = record
        return own

    def get(self, children: Children, key: str) -> Any:
        """What was in *children* at *key*; None if there was nothing."""
        state = self._state(children)
        while state is not None:
            if len(state) == 1:
                return _flat_get(state[0][0][0], key)
            parts = state[0]
            part = parts[2 * bisect_right(parts[1::2], key)]
            state = self._state(part)
            if type(part) is Bucket:
                return _flat_get(state[0], key)
        return None

    def items(self, children: Children) -> dict[str, Any]:
        """All that was in *children*."""
        return {key: entry for flat in self._buckets(children) for key, entry in _pairs(flat)}

    def differing(self, children: Children) -> set[str]:
        """The keys at which there is something else in *children* now; unchanged buckets are not read."""
        if children._v_shared is None:
            before = self._buckets(children, unchanged=False)
            now = list(_changed_now(children, self._is_changed))
        else:
            before, now = self._differing_parts(children)
        old = {key: entry for flat in before for key, entry in _pairs(flat)}
        new = {key: entry for flat in now for key, entry in _pairs(flat)}
        return {
            key
            for key in old.keys() | new.keys()
            if key not in old or key not in new or not is_same_entry(old[key], new[key])
        }

    def _differing_parts(self, children: Children) -> tuple[list[Any], list[Any]]:
        """What the buckets held, and hold, that are not the same: of the shared ones there are copies now."""
        then = {id(part): part for part in self._parts(children, self._state)}
        now = {id(part): part for part in self._parts(children, lambda part: part.__getstate__())}
        return (
            [
                _flat_in(part, self._state(part))
                for number, part in then.items()
                if number not in now or self._is_changed(part)
            ],
            [
                _flat_in(part, part.__getstate__())
                for number, part in now.items()
                if number not in then or self._is_changed(part)
            ],
        )

    @staticmethod
    def _parts(children: Children, state_of: Callable[[Any], Any]) -> Iterator[Any]:
        pending: list[Any] = [children]
        while pending:
            part = pending.pop()
            if type(part) is Bucket or len(state := state_of(part)) == 1:
                yield part
            else:
                pending.extend(state[0][::2])

    def _state(self, record: Any) -> Any:
        known = self._states.get(id(record))
        if known is None:
            state = self._load(record) if self._is_changed(record) else record.__getstate__()
            known = self._states[id(record)] = (record, state)
        return known[1]

    def _buckets(self, children: Children, *, unchanged: bool = True) -> list[tuple[Any, ...]]:
        """What the buckets held; those that are what they were only if *unchanged*."""
        found: list[tuple[Any, ...]] = []
        pending: list[Any] = [children]
        while pending:
            part = pending.pop()
            if type(part) is Bucket:
                if unchanged or self._is_changed(part):
                    found.append(self._state(part)[0])
                continue
            state = self._state(part)
            if state is not None and len(state) > 1:
                pending.extend(state[0][::2])
            elif state is not None and (unchanged or self._is_changed(part)):
                found.append(state[0][0][0])
        return found


def _changed_now(children: Children, is_changed: Callable[[Any], bool]) -> Iterator[tuple[Any, ...]]:
    """What the buckets hold now of which the transaction has changed or made the record."""
    pending: list[Any] = [children]
    while pending:
        part = pending.pop()
        if type(part) is Bucket:
            if is_changed(part):
                bucket: Any = part.__getstate__()
                yield bucket[0]
            continue
        state: Any = part.__getstate__()
        if state is not None and len(state) > 1:
            pending.extend(state[0][::2])
        elif state is not None and is_changed(part):
            yield state[0][0][0]


def _flat_in(part: Any, state: Any) -> Any:
    """Keys and entries, one after the other, of a bucket, or of a record that has one bucket in it."""
    return state[0] if type(part) is Bucket else state[0][0][0]


def _pairs(flat: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Key and value of each, of what BTrees stores in a row."""
    return zip(flat[::2], flat[1::2], strict=True)


def _flat_get(flat: tuple[Any, ...], key: str) -> Any:
    keys = flat[::2]
    return flat[2 * keys.index(key) + 1] if key in keys else None
