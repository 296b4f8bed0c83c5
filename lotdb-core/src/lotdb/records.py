"""What ZODB stores: three small persistent classes, and tuples of plain values.

A node has no record of its own unless it needs one. Its *entry* is a tuple in its parent's
children, of one of two forms::

    (type name, names, value, value, ...)     a leaf, packed: names is the tuple of attribute names
    (type name, record, shared)               a node with a record: a Branch or a Box

*own* is what a node holds itself: ``(names, value, value, ...)``, in the plain form of ``values.py``.
A :class:`Box` is a record for a leaf whose own has grown large or keeps changing. A :class:`Branch` is
a node with children; its own lies in ``children[""]``, a key that no child can have, so that two
transactions that change an attribute and add a child merge.

``shared`` says that another parent may point to the same record. Nothing is ever changed in or below a
shared record: the first write puts a clone in its place, in which every child record is shared in turn.
Copying a branch is therefore one new entry, whatever lies below.

The Branch record itself holds nothing but the reference to its children. It is the *guard* of that
reference: who deletes, moves or shares a branch stores its guard anew, who writes anywhere below
depends on all guards above. So a write below conflicts with such a change that was committed first, while
writes to different children merge. In the other order the change comes after the write, and what it deletes
or copies includes it; only a write to a few children of the branch itself conflicts then, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from BTrees.OOBTree import OOBTree, OOBucket
from persistent import Persistent

from lotdb.merge import merge_buckets, merge_trees

Own = tuple[Any, ...]
Entry = tuple[Any, ...]

OWN_KEY = ""

# A bucket is rewritten whole when one of its leaves changes, so leaves are kept small. Beyond this many
# bytes (as estimated) a leaf gets a Box; a bucket of 60 leaves then stays around 8 KiB as a rule.
BOX_BYTES = 512

# Integers up to here take nine bytes at most.
_SHORT = 1 << 63

_EMPTY_NAMES: tuple[str, ...] = ()
EMPTY_OWN: Own = (_EMPTY_NAMES,)
EMPTY_ENTRY: Entry = ("", *EMPTY_OWN)


class Bucket(OOBucket):
    """Some neighbouring children of a branch; what is rewritten when one of them changes."""

    __slots__ = ()

    def _p_resolveConflict(self, old: Any, committed: Any, new: Any) -> Any:
        return merge_buckets(old, committed, new)


class Children(OOBTree):
    """The children of a branch: key to entry, in the order of the keys."""

    __slots__ = ()
    _bucket_type = Bucket

    # Twice the default of 30: a third fewer bytes a leaf, and still small records.
    max_leaf_size = 60

    def _p_resolveConflict(self, old: Any, committed: Any, new: Any) -> Any:
        return merge_trees(old, committed, new)


class Branch(Persistent):
    """A node with children, and the guard of the reference to it."""

    __slots__ = ("children",)

    def __init__(self, children: Children) -> None:
        self.children = children

    def __getstate__(self) -> Children:
        return self.children

    def __setstate__(self, state: Children) -> None:
        self.children = state


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
    if type(record) is Branch:
        record = record.children[OWN_KEY]
        if type(record) is tuple:
            return record
    own: Own = record.own
    return own


def children_of(entry: Entry) -> Children | None:
    """The children of the node of *entry*, or None for a node that never had any."""
    record = entry[1]
    return record.children if type(record) is Branch else None


def child_items(children: Children, after: str = OWN_KEY) -> Any:
    """Key and entry of each child whose key is greater than *after*."""
    return children.items(min=after, excludemin=True)


# -- own: names and values ------------------------------------------------------------------------


_known_names: dict[tuple[str, ...], tuple[str, ...]] = {}


def _same_names(names: tuple[str, ...]) -> tuple[str, ...]:
    # Leaves with the same attributes hold the very same tuple, which a pickle writes once a bucket.
    known = _known_names.get(names)
    if known is None:
        if len(_known_names) >= 4096:
            _known_names.clear()
        known = _known_names[names] = names
    return known


def known_names(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """The tuple that leaves with attributes *names* hold, if there has been one; its names are checked."""
    return _known_names.get(names)


def are_small(plain: Iterable[Any]) -> bool:
    """Whether the values are numbers and short texts, which are stored as they are, and fit into a leaf."""
    size = 0
    for value in plain:
        kind = type(value)
        if kind is float or (kind is int and -_SHORT < value < _SHORT) or kind is bool:
            size += 13
        elif kind is str and len(value) < BOX_BYTES:
            size += 4 * len(value) + 7
        else:
            return False
    return size <= BOX_BYTES


def get_value(own: Own, name: str, default: Any = None) -> Any:
    """The stored value of attribute *name*, or *default*."""
    names = own[0]
    return own[names.index(name) + 1] if name in names else default


def with_values(own: Own, values: dict[str, Any]) -> Own:
    """*own* with the stored *values* set; new names come last."""
    if not own[0]:
        return (_same_names(tuple(values)), *values.values())
    merged = dict(zip(own[0], own[1:], strict=True))
    merged.update(values)
    return (_same_names(tuple(merged)), *merged.values())


def without_value(own: Own, name: str) -> Own:
    """*own* without attribute *name*, which must be there."""
    at = own[0].index(name)
    return (_same_names(own[0][:at] + own[0][at + 1 :]), *own[1 : at + 1], *own[at + 2 :])


# -- making and cloning records -------------------------------------------------------------------


def new_branch(own: Own | Box) -> Branch:
    """A branch without children."""
    children = Children()
    children[OWN_KEY] = own
    return Branch(children)


def empty_entry(type_name: str) -> Entry:
    """The entry of a new node without attributes or children."""
    return (type_name, *EMPTY_OWN)


def shared_entry(entry: Entry) -> Entry:
    """*entry* as two parents may hold it."""
    return entry if type(entry[1]) is tuple else (entry[0], entry[1], True)


def clone_record(record: Branch | Box) -> Branch | Box:
    """A new record of the same content, whose child records are shared with the old one."""
    if type(record) is Box:
        return Box(record.own)
    assert type(record) is Branch
    own = record.children[OWN_KEY]
    clone = new_branch(own if type(own) is tuple else Box(own.own))
    clone.children.update([(key, shared_entry(entry)) for key, entry in child_items(record.children)])
    return clone
