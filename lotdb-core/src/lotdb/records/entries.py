"""What an entry says of its node, and entries of new, copied and changed nodes.

Other rooms look into an entry by these functions only, but for a few loops in which the calls were
measured and take time; these say so.
"""

from __future__ import annotations

from typing import Any

from lotdb.records import OWN_KEY, Box, Children, Entry, Guard, Own
from lotdb.records.own import EMPTY_OWN
from lotdb.values import values

EMPTY_ENTRY: Entry = ("", *EMPTY_OWN)

# Types whose values are the same if they are equal.
_EQUAL = frozenset((str, int, bool, bytes, type(None)))


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


def packed_values(entry: Entry) -> tuple[Any, ...] | None:
    """The stored values of a packed leaf; None for an entry of another form."""
    return entry[2:] if type(entry[1]) is tuple else None


def is_same_entry(one: Any, other: Any) -> bool:
    """Whether two entries, or two owns, are the same but for what their records hold, and who shares them."""
    if one is other:
        return True
    if type(one) is not tuple or type(other) is not tuple or len(one) == 1 or len(other) == 1:
        return bool(one == other)
    if type(one[1]) in (Box, Children):
        return bool(one[0] == other[0] and one[1] is other[1])
    # All entries of a record that has changed come here, and most values are plain and equal.
    head = 2 if type(one[0]) is str else 1  # type and names, or names: texts alone
    if len(one) != len(other) or one[:head] != other[:head]:
        return False
    for mine, theirs in zip(one[head:], other[head:], strict=True):
        kind = type(mine)
        if kind in _EQUAL and kind is type(theirs):
            if mine != theirs:
                return False
        elif not values.is_same(mine, theirs):
            return False
    return True


def is_shared(entry: Entry) -> bool:
    """Whether another parent may point to the same record."""
    return type(entry[1]) is not tuple and entry[2]


def guard_of(entry: Entry) -> Any:
    """The record to store when the node of *entry* is deleted, moved or shared; None for a packed leaf."""
    record = entry[1]
    return entry[3] if type(record) is Children else None if type(record) is tuple else record


def load_guard(entry: Entry) -> None:
    """Read the guard of the node of *entry*, if it is a branch and in a database."""
    if type(entry[1]) is Children:
        entry[3]._p_activate()


def new_branch(type_name: str, own: Own | Box) -> Entry:
    """The entry of a branch without children."""
    children = Children()
    children[OWN_KEY] = own
    return (type_name, children, False, Guard())


def empty_entry(type_name: str) -> Entry:
    """The entry of a new node without attributes or children."""
    return (str(type_name), *EMPTY_OWN)  # which may be of a class of its own


def leaf_with(entry: Entry, own: Own, boxed: bool) -> Entry:
    """The leaf *entry* with *own*, in a record of its own if it is *boxed*."""
    return (entry[0], Box(own), False) if boxed else (entry[0], *own)


def with_type(entry: Entry, type_name: str) -> Entry:
    """*entry* as that of a node of another type."""
    return (str(type_name), *entry[1:])


def shared_entry(entry: Entry) -> Entry:
    """*entry* as two parents may hold it."""
    return entry if type(entry[1]) is tuple else (entry[0], entry[1], True, *entry[3:])


def touch(entry: Entry) -> None:
    """Have the guard of *entry* stored again, because its reference is about to change.

    A shared record needs no guard: a write below it changes the reference first.
    """
    guard = guard_of(entry)
    if guard is not None and not entry[2]:
        guard._p_activate()
        guard._p_changed = True
