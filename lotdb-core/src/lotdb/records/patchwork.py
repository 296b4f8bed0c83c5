"""Many children that share records with those of a branch: a tree of which some parts are its own.

The clone of a branch with many children begins as one record, which refers to the parts of the other as they
are. Whoever changes a child makes copies of the records on the way to it first, and leaves the others shared.
So the first change in a branch of a million children writes some kilobytes.

Each record of a patchwork says which of the parts below it are shared (``Children._v_shared``). All that
lies in or below a shared part is shared, whatever it says itself: an entry gets its mark when its bucket is
copied. The own of the branch lies in the first bucket. If it is a box, which has no mark, that bucket is
copied at once.

Any BTree finds a key in a patchwork. It is another tree in two ways: the chain of buckets leads through those
of the other branch, and an insertion by BTrees would change what is shared. So who lists it, or changes it,
comes here. Buckets of its own have no next one. What is shared stays as it is, and keeps what followed it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from BTrees.OOBTree import OOBTree, OOBucket

from lotdb.records import OWN_KEY, Box, Bucket, Children, Entry
from lotdb.records.entries import shared_entry
from lotdb.storage.signals import uninterrupted

__all__ = ["MOST_COPIED", "Patchwork", "is_wide", "owned_buckets", "patchwork_of", "size_of"]

#: Children that lie in at most so many buckets are copied when their branch is cloned. It takes a few
#: milliseconds, and two transactions that change two of them later merge.
MOST_COPIED = 16

_OWN, _SHARED = b"\0", b"\1"


def is_wide(children: Children) -> bool:
    """Whether the clone of *children* is to share their records."""
    if children._v_shared is not None:
        return True
    flat, _ = _opened(children)
    return len(flat) >= 2 * MOST_COPIED or type(flat[0]) is Children


def owned_buckets(children: Children, key: str = OWN_KEY) -> Iterator[tuple[Bucket, bool]]:
    """The buckets of *children* from the one of *key* on, and whether each is their own."""
    stack = [_Step(children, key, True)]
    while stack:
        step = stack[-1]
        if step.at >= len(step.flat):
            stack.pop()
            continue
        part, is_owned = step.flat[step.at], step.owns(step.at)
        step.at += 2
        if type(part) is Bucket:
            key = OWN_KEY  # all further ones from their beginning
            yield part, is_owned
        else:
            stack.append(_Step(part, key, is_owned))


def size_of(bucket: Bucket) -> int:
    """How many keys are in *bucket*.

    It is loaded first: ``len`` would hide why that failed behind a ``SystemError``.
    """
    bucket._p_activate()
    return len(bucket)


def patchwork_of(children: Children, depend_on: Callable[[Any], object]) -> Children:
    """Children of the same content that share the records of *children*.

    *depend_on* is called with each record that is copied.
    """
    depend_on(children)
    flat, _ = _opened(children)
    clone = Children()
    _lay(clone, flat, _SHARED * (len(flat) // 2 + 1))
    own = children[OWN_KEY]
    if type(own) is not tuple:  # a record that has no mark, so it must not lie in what is shared
        depend_on(own)
        Patchwork(clone, depend_on).own(OWN_KEY)[OWN_KEY] = Box(own.own)
    return clone


def _no_matter(record: Any) -> None:
    """What is called with records that nobody changes."""


class Patchwork:
    """Writes to *children* that share records; *depend_on* is called with each one that is copied.

    It remembers the bucket that was written to last, so it is to be used by one transaction only.
    """

    __slots__ = ("_bucket", "_children", "_depend_on", "_first", "_last")

    def __init__(self, children: Children, depend_on: Callable[[Any], object] = _no_matter) -> None:
        self._children = children
        self._depend_on = depend_on
        # The bucket that was written to last, and the keys from and before which it lies.
        self._bucket: Any = None
        self._first: str = OWN_KEY
        self._last: str | None = None

    def own(self, key: str) -> Any:
        """The bucket in which *key* lies, or would lie: one of its own, as are all records above it."""
        if self._bucket is not None and self._first <= key and (self._last is None or key < self._last):
            return self._bucket
        way = self._way(key)
        step = way[-1]
        part: Any = step.flat[step.at]
        self._first, self._last = step.bounds(*self._bounds(way[:-1]))
        if not (step.is_owned and step.owns(step.at)):
            with uninterrupted():
                part = self._copied(way)
        self._bucket = part
        return part

    def put(self, key: str, entry: Entry) -> None:
        """Set what is at *key*."""
        bucket = self.own(key)
        if size_of(bucket) >= Children.max_leaf_size and key not in bucket:
            with uninterrupted():
                self._split(key)
            bucket = self.own(key)
        bucket[key] = entry

    def take(self, key: str) -> None:
        """Take away what is at *key*."""
        bucket = self.own(key)
        if size_of(bucket) > 1 or key not in bucket:
            del bucket[key]
            return
        with uninterrupted():
            self._bucket = None
            self._drop(self._way(key))

    def _way(self, key: str) -> list[_Step]:
        """The records from the top down to the one above the bucket of *key*."""
        way = [_Step(self._children, key, True)]
        while type(part := way[-1].flat[way[-1].at]) is Children:
            way.append(_Step(part, key, way[-1].is_owned and way[-1].owns(way[-1].at)))
        return way

    @staticmethod
    def _bounds(way: list[_Step]) -> tuple[str, str | None]:
        bounds: tuple[str, str | None] = (OWN_KEY, None)
        for step in way:
            bounds = step.bounds(*bounds)
        return bounds

    # Each of these goes from the bottom up. First it says of all records that it is about to change that they
    # have changed. So they are read before, and stay in memory: one that was let go of in between would be
    # read beside what has changed below it already, and the two would not fit together.

    def _copied(self, way: list[_Step]) -> Bucket:
        """A copy of the bucket at the end of *way*, with copies of all records above it that are shared."""
        end = way[-1]
        old: Any = end.flat[end.at]
        for step in way[1:]:
            if not step.is_owned:
                self._depend_on(step.node)
        self._depend_on(old)
        for step in reversed(way):
            if step.is_owned:
                step.node._p_changed = True
                if step.at:
                    break
        bucket = Bucket()
        bucket.__setstate__((_marked(OOBucket.__getstate__(old)[0]),))
        part: Any = bucket
        for step in reversed(way):
            flat = (*step.flat[: step.at], part, *step.flat[step.at + 1 :])
            at = step.at // 2
            if step.is_owned:
                _lay(step.node, flat, step.marks[:at] + _OWN + step.marks[at + 1 :])
                part = step.node
                if at:  # what is above refers to this record, and to its first bucket, as it did
                    break
            else:
                part = Children()
                _lay(part, flat, _SHARED * at + _OWN + _SHARED * (len(flat) // 2 - at))
        return bucket

    def _split(self, key: str) -> None:
        """Put two buckets in the place of the one of *key*, and so on above it where that is full."""
        self._bucket = None
        way = self._way(key)
        end = way[-1]
        bucket: Any = end.flat[end.at]
        is_full = has_first = True  # whether all so far are; and whether the bucket is the first one below
        for step in reversed(way):
            step.node._p_changed = True
            is_full = is_full and len(step.marks) >= Children.max_internal_size
            has_first = has_first and step.at == 0
            if not is_full and not has_first:
                break
        bucket._p_changed = True
        flat = OOBucket.__getstate__(bucket)[0]
        half = len(flat) // 4 * 2
        part: Any = Bucket()
        part.__setstate__((flat[:half],))
        new: Any = Bucket()
        new.__setstate__((flat[half:],))
        first = flat[half]
        has_first = True
        while way:
            step = way.pop()
            at = step.at + 1
            parts = (*step.flat[: at - 1], part, first, new, *step.flat[at:])
            marks = step.marks[: at // 2 + 1] + _OWN + step.marks[at // 2 + 1 :]
            has_first = has_first and step.at == 0
            if len(marks) <= Children.max_internal_size:
                _lay(step.node, parts, marks)
                break
            middle = len(marks) // 2
            first = parts[2 * middle - 1]
            lower, upper = parts[: 2 * middle - 1], parts[2 * middle :]
            new = Children()
            _lay(new, upper, marks[middle:])
            if way:
                _lay(step.node, lower, marks[:middle])
                part = step.node
                continue
            left = Children()  # the top keeps its identity
            _lay(left, lower, marks[:middle])
            _lay(step.node, (left, first, new), _OWN * 2)
        while way and has_first:
            step = way.pop()
            _lay(step.node, step.flat, step.marks)
            has_first = step.at == 0
        _leave(bucket)

    def _drop(self, way: list[_Step]) -> None:
        """Take the bucket at the end of *way* out, and the records above it that have no other part."""
        end = way[-1]
        bucket: Any = end.flat[end.at]
        is_left = False  # whether what remains has a place in a record further down
        for step in reversed(way):
            if is_left or len(step.flat) > 1:
                step.node._p_changed = is_left = True
                if step.at:
                    break
        bucket._p_changed = True
        while way:
            step = way.pop()
            at = step.at
            if len(step.flat) == 1:
                continue
            flat = step.flat[2:] if at == 0 else step.flat[: at - 1] + step.flat[at + 1 :]
            _lay(step.node, flat, step.marks[: at // 2] + step.marks[at // 2 + 1 :])
            break
        while way and step.at == 0:  # what was the first bucket below is another one now
            step = way.pop()
            _lay(step.node, step.flat, step.marks)
        _leave(bucket)


class _Step:
    """A record of a tree, and the place in it of the part in which a key lies."""

    __slots__ = ("at", "flat", "is_owned", "marks", "node")

    def __init__(self, node: Children, key: str, is_owned: bool) -> None:
        self.node = node
        self.is_owned = is_owned
        self.flat, self.marks = _opened(node)
        self.at = 2 * bisect_right(self.flat[1::2], key)

    def owns(self, at: int) -> bool:
        """Whether the part at *at* is the tree's own."""
        return self.is_owned and not self.marks[at // 2]

    def bounds(self, first: str, last: str | None) -> tuple[str, str | None]:
        """From and before which keys the part lies; the record itself lies from *first* and before *last*."""
        return (
            self.flat[self.at - 1] if self.at else first,
            self.flat[self.at + 1] if self.at + 1 < len(self.flat) else last,
        )


def _opened(node: Children) -> tuple[tuple[Any, ...], bytes]:
    """The parts of a record, with the first key of each but the first in between; and which are shared."""
    state: Any = OOBTree.__getstate__(node)
    flat = (node._firstbucket,) if len(state) == 1 else state[0]
    shared = node._v_shared
    return flat, bytes(len(flat) // 2 + 1) if shared is None else shared


def _marked(flat: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keys and entries of a bucket that is copied, one after the other."""
    marked = list(flat)
    for at in range(3 if flat[0] == OWN_KEY else 1, len(flat), 2):
        if type(flat[at][1]) is not tuple:  # as shared_entry says, without a call for each leaf
            marked[at] = shared_entry(flat[at])
    return tuple(marked)


def _lay(node: Children, flat: tuple[Any, ...], marks: bytes) -> None:
    """Have a record consist of these parts."""
    first = flat[0] if type(flat[0]) is Bucket else flat[0]._firstbucket
    node._v_shared = marks
    _set(node, OOBTree, (flat, first))


def _leave(bucket: Bucket) -> None:
    """Note that no key lies in a bucket any more, to which nothing refers by now."""
    # It is stored all the same, and empty: another transaction that has put something there, or is about to,
    # conflicts, whichever is committed first. Else that would be lost with the bucket. It has no next one, by
    # which a merge would see that it was divided; with half of its keys left, it would take in one that
    # belongs to the other half, where no search comes.
    _set(bucket, OOBucket, ((),))


def _set(record: Any, kind: Any, state: Any) -> None:
    # A record takes a state that it is given for the stored one, and so does not say that it has changed.
    kind.__setstate__(record, state)
    record._p_changed = True
