"""What ZODB stores: a few small persistent classes, and tuples of plain values.

A node has no record of its own unless it needs one. Its *entry* is a tuple in its parent's
children, of one of three forms::

    (type name, names, value, value, ...)     a leaf, packed: names is the tuple of attribute names
    (type name, box, shared)                  a leaf with a record of its own
    (type name, children, shared, guard)      a branch: a node with children

*own* is what a node holds itself: ``(names, value, value, ...)``, in the plain form of ``values/values.py``.
A :class:`Box` is a record for a leaf whose own has grown large or keeps changing. The own of a branch lies in
``children[""]``, a key that no child can have, so that two transactions that change an attribute and add a
child merge.

``shared`` says that another parent may point to the same record. Nothing is ever changed in or below a
shared record: the first write puts a clone in its place, in which every child record is shared in turn.
Copying a branch is therefore one new entry, whatever lies below.

The :class:`Guard` of a branch holds nothing. Who deletes, moves or shares a branch stores its guard anew, who
writes anywhere below depends on all guards above. So a write below conflicts with such a change that was
committed first, while writes to different children merge; who only reads never loads a guard. In the other
order the change comes after the write, and what it deletes or copies includes it; only a write to a few
children of the branch itself conflicts then, too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from BTrees.OOBTree import OOBTree, OOBucket
from persistent import Persistent

from lotdb.errors import DamagedError
from lotdb.records.merge import merge_buckets, merge_trees
from lotdb.values.plain import SHORT

Own = tuple[Any, ...]
Entry = tuple[Any, ...]

OWN_KEY = ""

# A bucket is rewritten whole when one of its leaves changes, so leaves are kept small. Beyond this many
# bytes (as estimated) a leaf gets a Box; a bucket is then a few KiB as a rule.
BOX_BYTES = 512

# A tree of so many levels has more children than there are atoms.
_LEVELS = 30
NO_TREE = "the records that hold the children of a node do not make up a tree"

# The records that are being loaded, one below the other.
_loading = threading.local()

_EMPTY_NAMES: tuple[str, ...] = ()
EMPTY_OWN: Own = (_EMPTY_NAMES,)
EMPTY_ENTRY: Entry = ("", *EMPTY_OWN)


class Bucket(OOBucket):
    """Some neighbouring children of a branch; what is rewritten when one of them changes."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        # A search goes on to the next bucket from an empty one, without a look where it came from.
        if type(state) is not tuple or (
            len(state) > 1 and not (state[0] and type(state[1]) is Bucket and state[1] is not self)
        ):
            raise DamagedError(NO_TREE)
        super().__setstate__(state)

    def _p_resolveConflict(self, old: Any, committed: Any, new: Any) -> Any:
        return merge_buckets(old, committed, new)


class Children(OOBTree):
    """The children of a branch: key to entry, in the order of the keys."""

    __slots__ = ()
    _bucket_type = Bucket

    def __setstate__(self, state: Any) -> None:
        if state is not None and (type(state) is not tuple or len(state) > 1):
            self._check_parts(state)
        super().__setstate__(state)

    def _check_parts(self, state: Any) -> None:
        """Raise ``DamagedError`` unless what is below is a tree: BTrees searches a ring for ever.

        Most have buckets below them. What has more is read down to the last level above the buckets: about
        one record for 16 000 children.
        """
        parts = state[0][::2] if type(state) is tuple and type(state[0]) is tuple else ()
        kind = type(parts[0]) if parts else None
        if kind not in (Bucket, Children) or any(type(part) is not kind for part in parts):
            raise DamagedError(NO_TREE)
        if kind is Bucket:
            if state[1] is not parts[0]:
                raise DamagedError(NO_TREE)
            return
        above: list[Children] = _loading.__dict__.setdefault("above", [])
        above.append(self)
        try:
            for part in parts:
                if len(above) > _LEVELS or any(part is each for each in above) or part._firstbucket is None:
                    raise DamagedError(NO_TREE)
            if state[1] is not parts[0]._firstbucket:
                raise DamagedError(NO_TREE)
        finally:
            above.pop()

    # Four times the default. While all fit into one bucket, it lies in this very record: one load finds one.
    max_leaf_size = 128

    def _p_resolveConflict(self, old: Any, committed: Any, new: Any) -> Any:
        return merge_trees(old, committed, new)


class Guard(Persistent):
    """What a transaction depends on that writes below a branch."""

    __slots__ = ()

    def __getstate__(self) -> None:
        """Nothing: what counts is when it was stored."""

    def __setstate__(self, state: None) -> None:
        """Take the nothing back."""


class Box(Persistent):
    """The own of one node, in a record of its own."""

    __slots__ = ("own",)

    def __init__(self, own: Own) -> None:
        self.own = own

    def __getstate__(self) -> Own:
        return self.own

    def __setstate__(self, state: Own) -> None:
        self.own = state


# -- reading entries ------------------------------------------------------------------------------


def own_of(entry: Entry) -> Own:
    """What the node of *entry* holds itself."""
    record = entry[1]
    if type(record) is tuple:
        return entry[1:]
    if type(record) is Children:
        record = record[OWN_KEY]
        if type(record) is tuple:
            return record
    own: Own = record.own
    return own


def children_of(entry: Entry) -> Children | None:
    """The children of the node of *entry*, or None for a node that never had any."""
    record = entry[1]
    return record if type(record) is Children else None


def type_of(entry: Entry) -> str:
    """Registered name of the node's type; "" for a plain node."""
    name: str = entry[0]
    return name


def record_of(entry: Entry) -> Box | Children | None:
    """The record of the node of *entry*; None for a leaf that is packed."""
    record = entry[1]
    return None if type(record) is tuple else record


def is_shared(entry: Entry) -> bool:
    """Whether another parent may point to the same record."""
    return type(entry[1]) is not tuple and entry[2]


def guard_of(entry: Entry) -> Any:
    """What who deletes, moves or shares the node of *entry* stores anew; None for a leaf that is packed."""
    record = entry[1]
    return entry[3] if type(record) is Children else None if type(record) is tuple else record


def load_guard(entry: Entry) -> None:
    """Read the guard of the node of *entry*, if it is a branch and in a database."""
    if type(entry[1]) is Children:
        entry[3]._p_activate()


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
    for bucket in _buckets(children):
        if last is not None and last._next is not bucket:
            raise DamagedError(NO_TREE)
        last = bucket
        yield bucket
    if last is not None and last._next is not None:
        raise DamagedError(NO_TREE)


def _buckets(children: Children) -> Iterator[Bucket]:
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
            yield from _buckets(part)


def count_children(children: Children) -> int:
    """How many children there are."""
    first = children._firstbucket
    if first is not None and first._next is None and first._p_oid is None:
        return len(first) - 1  # all lie in the record itself, as they mostly do
    return sum(map(len, buckets(children))) - 1


def all_items(children: Children) -> Iterator[tuple[str, Entry]]:
    """Key and entry of each child."""
    for bucket in buckets(children):
        for key, entry in bucket.items():
            if key != OWN_KEY:
                yield key, entry


# -- own: names and values ------------------------------------------------------------------------


_known_names: dict[tuple[str, ...], tuple[str, ...]] = {}

# From so many names on, where each is comes from a dict, which is kept for the names that were asked lately.
_MANY_NAMES = 32
_positions: dict[int, tuple[tuple[str, ...], dict[str, int]]] = {}


def _same_names(names: tuple[str, ...]) -> tuple[str, ...]:
    # Leaves with the same attributes hold the very same tuple, which a pickle writes once a bucket.
    known = _known_names.get(names)
    if known is None:
        if len(_known_names) >= 4096:
            _known_names.clear()
        known = _known_names[names] = names
    return known


def simple_leaf(type_name: str, named: Mapping[str, Any]) -> Entry | None:
    """The entry of a leaf with the attributes *named*, where that needs no further look; else None.

    So it is for numbers and short texts, which are stored as they are, under names that other leaves have
    together as well, and that were checked therefore.
    """
    names = _known_names.get(tuple(named))
    if names is None:
        return None
    size = 0
    for value in named.values():
        kind = type(value)
        if kind is str:
            size += 4 * len(value) + 7
        elif kind is float or (kind is int and -SHORT < value < SHORT) or kind is bool:
            size += 13
        else:
            return None
    return (type_name, names, *named.values()) if size <= BOX_BYTES else None


def position(names: tuple[str, ...], name: str) -> int:
    """The place of *name* in *names*, or -1."""
    if len(names) < _MANY_NAMES:
        return names.index(name) if name in names else -1
    known = _positions.get(id(names))
    if known is None:
        if len(_positions) >= 256:
            _positions.clear()
        # With the names themselves, so that no others have their identity meanwhile.
        # What is no text is no name, and a stranger may have written it.
        places = {each: at for at, each in enumerate(names) if type(each) is str}
        known = _positions[id(names)] = (names, places)
    return known[1].get(name, -1)


def get_value(own: Own, name: str, default: Any = None) -> Any:
    """The stored value of attribute *name*, or *default*."""
    at = position(own[0], name)
    return default if at < 0 else own[at + 1]


def with_values(own: Own, values: dict[str, Any]) -> Own:
    """*own* with the stored *values* set; new names come last."""
    names = own[0]
    if not names:
        return (_same_names(tuple(values)), *values.values())
    places = [position(names, name) for name in values]
    if -1 not in places:  # as it mostly is: the names stay as they are
        changed = list(own)
        for at, value in zip(places, values.values(), strict=True):
            changed[at + 1] = value
        return tuple(changed)
    merged = dict(zip(names, own[1:], strict=True))
    merged.update(values)
    return (_same_names(tuple(merged)), *merged.values())


def without_value(own: Own, name: str) -> Own:
    """*own* without attribute *name*, which must be there."""
    at = own[0].index(name)
    return (_same_names(own[0][:at] + own[0][at + 1 :]), *own[1 : at + 1], *own[at + 2 :])


# -- making and cloning records -------------------------------------------------------------------


def new_branch(type_name: str, own: Own | Box) -> Entry:
    """The entry of a branch without children."""
    children = Children()
    children[OWN_KEY] = own
    return (type_name, children, False, Guard())


def empty_entry(type_name: str) -> Entry:
    """The entry of a new node without attributes or children."""
    return (type_name, *EMPTY_OWN)


def leaf_with(entry: Entry, own: Own, boxed: bool) -> Entry:
    """The leaf *entry* with *own*, in a record of its own if it is *boxed*."""
    return (entry[0], Box(own), False) if boxed else (entry[0], *own)


def with_type(entry: Entry, type_name: str) -> Entry:
    """*entry* as that of a node of another type."""
    return (type_name, *entry[1:])


def shared_entry(entry: Entry) -> Entry:
    """*entry* as two parents may hold it."""
    return entry if type(entry[1]) is tuple else (entry[0], entry[1], True, *entry[3:])


def clone_branch(entry: Entry) -> Entry:
    """The entry of a branch of the same content, whose child records are shared with that of *entry*."""
    own = entry[1][OWN_KEY]
    clone = new_branch(entry[0], own if type(own) is tuple else Box(own.own))
    clone[1].update([(key, shared_entry(child)) for key, child in all_items(entry[1])])
    return clone


def touch(entry: Entry) -> None:
    """Store the guard of *entry* anew: its reference is about to change.

    A shared record needs none: nobody writes below it without changing the reference first.
    """
    guard = guard_of(entry)
    if guard is not None and not entry[2]:
        guard._p_activate()
        guard._p_changed = True
