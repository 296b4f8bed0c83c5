"""Bringing back what was: a subtree of an earlier moment as a part of the tree of now.

A record of then cannot be shared like a branch's if it has changed since: its id stands for what it is now.
Such records are copied, with what they held then. What has not changed since is shared, whatever is below.
Payloads are always shared, because segments never change.

A record may be shared only if no place holds it that could change it. Each place that holds a shared record
must say so. A record that was not shared has one place; moving it, deleting it and sharing it store its
guard again. So if the guard is that of then, the record is where it was, below what it was below. If not, the
commit that stored the guard says whether it put the record elsewhere. In that case all of it is copied.
"""

from __future__ import annotations

from typing import Any, Protocol

from lotdb.records import OWN_KEY, Box, Entry
from lotdb.records.children import all_items
from lotdb.records.entries import (
    children_of,
    guard_of,
    is_shared,
    leaf_with,
    new_branch,
    own_of,
    record_of,
    type_of,
)
from lotdb.records.identity import is_same_place
from lotdb.records.own import EMPTY_OWN
from lotdb.tree.edit import Edit
from lotdb.tree.graft import check_added, put_added
from lotdb.tree.node import Node

__all__ = ["Past", "is_in_place", "restore", "revived"]


class Past(Protocol):
    """The tree as it was at a moment, beside the one of now."""

    def find(self, node: Node) -> Node:
        """The node that was at the place of *node*; ``NodeNotFoundError`` if there was none."""

    def is_below_changed(self, entry: Entry) -> bool:
        """Whether what the branch of *entry* holds, or anything below it, may have changed since."""

    def is_stored_since(self, record: Any) -> bool:
        """Whether *record* was stored since, or is changed now."""

    def is_elsewhere(self, entry: Entry) -> bool:
        """Whether the guard of *entry* was stored when its record was put where it can be changed."""

    def here(self, stored: Any) -> Any:
        """What was stored, with the records and blobs of the tree of now."""

    def keep(self, record: Any) -> None:
        """Have the commit fail if somebody else changes *record* before, or what is below its branch."""


def restore(node: Node, past: Past) -> Node:
    """Make *node* what it was; see ``BaseNode.restore``."""
    then = past.find(node)
    entry = then._entry()
    if _is_as_it_was(node._entry(), entry, past):
        return node
    parent = node._parent
    assert parent is None or isinstance(parent, Node)
    if parent is None:
        _restore_root(node, entry, past)
        return node
    brought = revived(entry, past, is_in_place(then, node, past))
    with Edit(parent) as edit:
        put_added(edit, parent, node._key, brought, None)
        found: Node = parent._get(node._key, create=False)
        check_added(found, set())
        found._tell("lotdb_node_created")
    return found


def _is_as_it_was(entry: Entry, was: Entry, past: Past) -> bool:
    """Whether nothing was changed, as far as can be told without looking at what lies below."""
    if not is_same_place(entry, was):
        return False
    record = record_of(was)
    if type(record) is Box:
        return not past.is_stored_since(record)
    return record is None or not past.is_below_changed(was)


def _restore_root(root: Node, entry: Entry, past: Past) -> None:
    """Make the root what it was, child by child: it has no place that another could take."""
    with root._tree.whole():
        if type_of(root._entry()) != type_of(entry):
            root._put_type(type_of(entry))
        root._put_own(past.here(own_of(entry)))
        with Edit(root) as edit:
            were = dict(all_items(children_of(entry)))  # type: ignore[arg-type]  # a root is a branch
            for key in [key for key, _ in all_items(edit.children) if key not in were]:
                edit.remove(key)
            for key, was in were.items():
                there = edit.children.get(key)
                if there is None or not _is_as_it_was(there, was, past):
                    in_place = there is not None and is_same_place(there, was)
                    put_added(edit, root, key, revived(was, past, _is_mine(was, past, in_place)), None)


def is_in_place(then: Node, node: Node | None, past: Past) -> bool:
    """Whether no place but that of *node*, which was *then*, can change what it held.

    The lowest of the node and those above it whose guard was stored since decides.
    """
    each: Any = then
    while each is not None:
        entry = each._entry()
        if is_shared(entry):
            return True  # and has never changed since
        guard = guard_of(entry)
        if guard is not None and past.is_stored_since(guard):
            return not past.is_elsewhere(entry)
        each = each._parent
    return node is not None and is_same_place(node._entry(), then._entry())


def _is_mine(entry: Entry, past: Past, otherwise: bool) -> bool:
    """The same of the node of *entry*, which was below one of which it is known."""
    guard = guard_of(entry)
    if guard is not None and not is_shared(entry) and past.is_stored_since(guard):
        return not past.is_elsewhere(entry)
    return otherwise


def revived(entry: Entry, past: Past, mine: bool) -> Entry:
    """The entry for the tree of now of a node that was that of *entry*.

    *mine* says whether no other place can change what is shared with it.
    """
    copied: dict[str, Entry] = {}
    stack: list[tuple[Any, str, Entry, bool]] = [(copied, "", entry, mine)]
    while stack:
        place, key, was, mine = stack.pop()
        record = record_of(was)
        if record is None:
            place[key] = past.here(was)
        elif is_shared(was):
            place[key] = past.here(was)  # it has not changed since, and will not
        elif type(record) is Box:
            if mine and not past.is_stored_since(record):
                past.keep(record)
                place[key] = (was[0], past.here(record), True)
            else:
                place[key] = leaf_with(was, past.here(own_of(was)), True)
        elif _is_mine(was, past, mine) and not past.is_below_changed(was):
            past.keep(guard_of(was))
            place[key] = (was[0], past.here(record), True, past.here(was[3]))
        else:
            mine = _is_mine(was, past, mine)
            place[key] = branch = new_branch(type_of(was), EMPTY_OWN)
            children: Any = children_of(branch)
            own = past.here(own_of(was))
            children[OWN_KEY] = Box(own) if type(record[OWN_KEY]) is Box else own
            stack += [(children, each, child, mine) for each, child in all_items(record)]
    return copied[""]
