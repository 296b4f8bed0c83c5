"""Listing and counting the children of a branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lotdb.errors import DamagedError
from lotdb.records import NO_TREE, OWN_KEY, Bucket, Children, Entry
from lotdb.records.entries import shared_entry
from lotdb.records.patchwork import owned_buckets, size_of


def child_items(children: Children, after: str = OWN_KEY) -> Any:
    """Key and entry of each child whose key is greater than *after*."""
    if children._v_shared is None:
        return children.items(min=after, excludemin=True)
    return _patchwork_items(children, after, False)


def items_from(children: Children, first: str) -> Any:
    """Key and entry of each child whose key is *first* or greater."""
    if children._v_shared is None:
        return children.items(min=first)
    return _patchwork_items(children, first, True)


def _patchwork_items(children: Children, key: str, with_key: bool) -> Iterator[tuple[str, Entry]]:
    # Not along the chain of buckets: in a patchwork it leads elsewhere.
    parts = owned_buckets(children, key)
    for bucket, _ in parts:
        yield from bucket.items(min=key, excludemin=not with_key)
        break
    for bucket, _ in parts:
        yield from bucket.items()


def buckets(children: Children) -> Iterator[Bucket]:
    """The buckets in which *children* lie, in order.

    Raises
    ------
    DamagedError
        The chain of buckets, along which BTrees walks, is another than that of the tree above them.
    """
    if children._v_shared is not None:
        for bucket, _ in owned_buckets(children):
            yield bucket
        return
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
    if first is not None and first._next is None and first._p_oid is None and children._v_shared is None:
        return len(first) - 1  # all lie in the record itself, as they mostly do
    return sum(map(size_of, buckets(children))) - 1


def count_up_to(children: Children, most: int) -> int:
    """How many children there are, or a number above *most* if they are more."""
    counted = -1
    for bucket in buckets(children):
        counted += size_of(bucket)
        if counted > most:
            break
    return counted


def all_items(children: Children) -> Iterator[tuple[str, Entry]]:
    """Key and entry of each child; an entry that lies in a shared part says that it is shared."""
    if children._v_shared is not None:
        for bucket, is_owned in owned_buckets(children):
            for key, entry in bucket.items():
                if key != OWN_KEY:
                    yield key, entry if is_owned else shared_entry(entry)
        return
    for bucket in buckets(children):
        for key, entry in bucket.items():
            if key != OWN_KEY:
                yield key, entry


def placed_items(children: Children) -> Iterator[tuple[str, Entry, bool]]:
    """The same, and whether a look-up of the key comes to the place in which it lies."""
    shares = children._v_shared is not None
    found = owned_buckets(children) if shares else ((bucket, True) for bucket in buckets(children))
    for (bucket, is_owned), (first, last) in zip(found, _bounds(children), strict=True):
        for key, entry in bucket.items():
            if key != OWN_KEY:
                is_placed = first <= key and (last is None or key < last) and key in bucket
                yield key, entry if is_owned else shared_entry(entry), is_placed


def _bounds(children: Children) -> Iterator[tuple[str, str | None]]:
    """Of each bucket: from and before which keys a look-up comes to it."""
    waiting: list[tuple[Any, str, str | None]] = [(children, OWN_KEY, None)]
    while waiting:
        part, first, last = waiting.pop()
        state: Any = part.__getstate__() if type(part) is Children else ()
        if state is None:
            continue
        if len(state) < 2:
            yield first, last
        else:
            flat = state[0]
            keys = (first, *flat[1::2], last)
            waiting += reversed(list(zip(flat[::2], keys, keys[1:], strict=False)))


def has_one_bucket(children: Children) -> bool:
    """Whether all children lie in one bucket."""
    if children._v_shared is not None:
        state: Any = children.__getstate__()
        return len(state[0]) == 1 and type(state[0][0]) is Bucket
    return children._firstbucket is None or children._firstbucket._next is None


def records_of(children: Children) -> Iterator[Any]:
    """The records in which *children* lie, the first of them first; only those above buckets are read."""
    yield children
    state: Any = children.__getstate__()
    if state is None or len(state) == 1:
        return  # they lie in the record itself
    for part in state[0][::2]:
        if type(part) is Bucket:
            yield part
        else:
            yield from records_of(part)
