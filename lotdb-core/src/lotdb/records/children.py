"""Listing and counting the children of a branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lotdb.errors import DamagedError
from lotdb.records import NO_TREE, OWN_KEY, Bucket, Children, Entry


def child_items(children: Children, after: str = OWN_KEY) -> Any:
    """Key and entry of each child whose key is greater than *after*."""
    return children.items(min=after, excludemin=True)


def buckets(children: Children) -> Iterator[Bucket]:
    """The buckets in which *children* lie, in order.

    Raises
    ------
    DamagedError
        The chain of buckets, along which BTrees walks, is another than that of the tree above them.
    """
    first = children._firstbucket
    if first is not None and first._next is None and first._p_oid is None:
        yield first  # it lies in the record itself
        return
    last = None
    for bucket in parts(children):
        if last is not None and last._next is not bucket:
            raise DamagedError(NO_TREE)
        last = bucket
        yield bucket
    if last is not None and last._next is not None:
        raise DamagedError(NO_TREE)


def parts(children: Children) -> Iterator[Bucket]:
    """The buckets in which *children* lie, as the tree above them has them; none of them is read."""
    state: Any = children.__getstate__()
    if state is None:
        return
    if len(state) == 1:  # the bucket lies in the record itself
        yield children._firstbucket
        return
    for part in state[0][::2]:
        if type(part) is Bucket:
            yield part
        else:
            yield from parts(part)


def count_children(children: Children) -> int:
    """How many children there are."""
    first = children._firstbucket
    if first is not None and first._next is None and first._p_oid is None:
        return len(first) - 1  # all lie in the record itself, as they mostly do
    return sum(map(len, buckets(children))) - 1


def count_up_to(children: Children, most: int) -> int:
    """How many children there are, or a number above *most* if they are more."""
    counted = -1
    for bucket in buckets(children):
        counted += len(bucket)
        if counted > most:
            break
    return counted


def all_items(children: Children) -> Iterator[tuple[str, Entry]]:
    """Key and entry of each child."""
    for bucket in buckets(children):
        for key, entry in bucket.items():
            if key != OWN_KEY:
                yield key, entry
