"""Merging what two transactions did to the same children of a branch.

BTrees can merge changes of different keys, but it compares values by ``<``, which fails for most of ours: a
text and a number, None, references. Here values are compared for equality only.

The states are those of BTrees, once they are unfolded: a bucket's is ``((key, value, key, value, ...),)`` or
``((...), next bucket)``; a tree's is ``((bucket's state,),)`` while one bucket is enough. A tree that shares
records has ``((part, key, part, key, ...), first bucket, which are shared)``; two transactions may have made
copies of different parts.
"""

from __future__ import annotations

from typing import Any

from ZODB.ConflictResolution import PersistentReference
from ZODB.POSException import ConflictError

from lotdb.storage.folding import folded, is_folded, unfolded

__all__ = ["merge_buckets", "merge_trees"]

_ABSENT = object()


def merge_trees(old: Any, committed: Any, new: Any) -> Any:
    """The state of a tree with the changes of both, if all that they changed lies in its one bucket.

    So it does in a record that shares parts, if both have made copies of different ones.
    """
    states = (old, committed, new)
    if all(isinstance(state, tuple) and len(state) == 3 for state in states):
        return _merge_parts(*states)
    if not all(_is_single(state) for state in states):
        raise ConflictError("children were split among buckets by one of two transactions")
    return _stored(((_merged(*(unfolded(state)[0][0] for state in states)),),), states)


def _merge_parts(old: Any, committed: Any, new: Any) -> Any:
    keys = [state[0][1::2] for state in (old, committed, new)]
    was, theirs, ours = firsts = [state[1] for state in (old, committed, new)]
    # Whoever has made a copy of the first bucket has another one; both are refused below, or where it lies.
    first = theirs if _same(was, ours) else ours
    if not (keys[0] == keys[1] == keys[2] and any(_same(was, each) for each in firsts[1:])):
        raise ConflictError("a bucket was split by one of two transactions")
    flat = list(committed[0])
    shared = bytearray(committed[2])
    for at in range(0, len(flat), 2):
        was, theirs, ours = (state[0][at] for state in (old, committed, new))
        if _same(was, ours):
            continue
        if not _same(was, theirs):
            raise ConflictError("both of two transactions made a copy of what is shared")
        flat[at], shared[at // 2] = ours, new[2][at // 2]
    return (tuple(flat), first, bytes(shared))


def _is_single(state: Any) -> bool:
    return isinstance(state, tuple) and len(state) == 1 and len(state[0]) == 1


def merge_buckets(old: Any, committed: Any, new: Any) -> Any:
    """The state of a bucket with the changes of both transactions, which must be of different keys."""
    states = (old, committed, new)
    return _stored(_merged(*map(unfolded, states)), states)


def _stored(merged: Any, states: tuple[Any, ...]) -> Any:
    """The state that was merged of *states*, as these are stored in this database."""
    return folded(merged) if any(map(is_folded, states)) else merged


def _merged(old: Any, committed: Any, new: Any) -> Any:
    nexts = [state[1:] for state in (old, committed, new)]
    if not (_same(nexts[0], nexts[1]) and _same(nexts[0], nexts[2])):
        raise ConflictError("a bucket was split by one of two transactions")
    before, theirs, ours = (_items(state) for state in (old, committed, new))
    merged = dict(theirs)
    for key in before.keys() | ours.keys():
        was, is_now = before.get(key, _ABSENT), ours.get(key, _ABSENT)
        if _same(was, is_now):
            continue
        if not _same(was, theirs.get(key, _ABSENT)):
            raise ConflictError(f"both of two transactions changed child {key!r}")
        if is_now is _ABSENT:
            del merged[key]
        else:
            merged[key] = is_now
    # The tree above may refer to a bucket by its first key, and must not hold an empty one.
    if not before or min(before) not in merged:
        raise ConflictError("the first child of a bucket was deleted")
    return (tuple(part for key in sorted(merged) for part in (key, merged[key])), *nexts[0])


def _items(state: Any) -> dict[str, Any]:
    flat = state[0]
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _same(one: Any, other: Any) -> bool:
    """Whether two stored values are the same, whatever they are made of."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if type(one) is tuple:
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, PersistentReference):
        return bool(one.oid == other.oid and one.database_name == other.database_name)
    if type(one) is float:
        return bool(one.hex() == other.hex())  # 0.0 is not -0.0, and NaN is NaN
    return bool(one == other)
