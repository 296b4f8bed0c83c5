"""Putting nodes elsewhere: moving, adding and deleting what is below a node."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, TypeVar

from lotdb.errors import (
    InvalidMoveError,
    NodeExistsError,
    WrongNodeError,
    shown,
)
from lotdb.interfaces.options import check_choice, check_flag
from lotdb.keys import check_key
from lotdb.records import Entry
from lotdb.records.children import all_items
from lotdb.records.entries import (
    children_of,
    is_shared,
    own_of,
    shared_entry,
    touch,
    type_of,
)
from lotdb.tree import walk
from lotdb.tree.edit import Edit, share, stand_for
from lotdb.tree.handle import Handle
from lotdb.tree.node import Node
from lotdb.tree.whole import put, take

__all__ = [
    "IfExists",
    "add_tree",
    "check_added",
    "check_node",
    "delete_node",
    "put_added",
    "rename_root",
]

IfExists = Literal["error", "replace", "rename"]
N = TypeVar("N", bound=Node)


def check_node(node: Any) -> Any:
    """*node*, if it is one."""
    if not isinstance(node, Handle):
        raise WrongNodeError(f"{shown(node)} is of type {type(node).__name__}; pass a node")
    return node


# -- adding and moving ----------------------------------------------------------------------------


def add_tree(parent: N, tree: N, *, key: str | int | None, copy: bool, if_exists: IfExists) -> N:
    """Put *tree* below *parent*; see ``BaseNode.add_tree``."""
    check_node(tree)
    copy = check_flag("copy", copy)
    key = check_key(tree._key if key is None else key)
    check_choice("if_exists", if_exists, ("error", "replace", "rename"))
    tree._entry()
    parent._entry()
    if not copy and tree._key == key and tree._parent is not None and tree._parent == parent:
        return tree  # as it is
    there: Collection[str] = parent._children() or ()
    if key in there and if_exists == "error":
        raise NodeExistsError(
            f"{parent._place()} has a child {key!r} already; "
            "choose another key (add_tree takes if_exists='replace')"
        )
    if if_exists == "rename":
        key = _free_key(there, key)
    if not copy:
        _check_can_move(tree, parent)
    parent._tree.check_writable()
    if parent._tree.version >= parent._tree.full_at:
        parent._tree.put_aside()  # before the arrays of a copy are written, which a failure deletes
    if copy:
        return _add_copy(parent, tree, key)
    return _move(parent, tree, key) if tree._tree is parent._tree else _take_over(parent, tree, key)


def _free_key(there: Collection[str], key: str) -> str:
    number, free = 1, key
    while free in there:
        number += 1
        free = check_key(f"{key}_{number}")
    return free


def _check_can_move(tree: Node, parent: Node) -> None:
    if tree._tree is not parent._tree:
        if tree._tree.owner is not None:
            raise WrongNodeError(
                f"{tree!r} belongs to another database or connection; to copy it over, call "
                "parent.add_tree(node, copy=True)"
            )
        return
    if tree._parent is None:
        raise InvalidMoveError(f"{tree!r} is the root and cannot be moved")
    if parent == tree or parent._path().startswith(tree._path() + "/"):
        raise InvalidMoveError(f"node {tree._path()!r} cannot be moved below itself, to {parent._path()!r}")


def _add_copy(parent: N, tree: N, key: str) -> N:
    types: set[str] = set()
    source, mark = None, parent._tree.mark()
    if tree._tree is parent._tree:
        entry, source = share(tree), tree._path()
    else:
        from lotdb.tree.copying import copy_entry  # which needs numpy, for the payloads that it copies

        entry = copy_entry(tree._entry(), tree._tree, parent._tree, types)
    with Edit(parent) as edit:
        parent._tree.discard_with_steps(mark)
        put_added(edit, parent, key, entry, source)
        node = parent._get(key, create=False)
        check_added(node, types)
        node._tell("lotdb_node_created")
    return node


def put_added(edit: Edit, parent: Node, key: str, entry: Entry, source: str | None) -> None:
    """Put a node with all that is below it at *key* of *parent*; *source* is what it is a copy of."""
    edit.put(key, entry)
    if parent._tree.journal is not None:
        parent._tree.journal.added(edit.children, key, source)


def check_added(node: Node, types: set[str]) -> None:
    """Have the types of what was added refuse it: *node*, and all below it if nodes of *types* came in."""
    unchecked = node._tree.plugins.unchecked
    for found in walk.everything(node) if types - unchecked else (node,):
        entry = found._entry()
        if type_of(entry) not in unchecked:
            found._check_own(own_of(entry), type_of(entry))


def _move(parent: N, tree: N, key: str) -> N:
    """Move *tree* to another place of its own tree."""
    old_path = tree._path()
    with Edit(parent, tree) as edit:
        edit.put(key, edit.take(key))
        tree._tell("lotdb_node_moved", old_path=old_path)
    return tree


def _take_over(parent: N, tree: N, key: str) -> N:
    """Make *tree*, of a tree in memory, part of the tree of *parent*."""
    from lotdb.tree.copying import copy_entry  # which needs numpy, for the payloads that it copies

    types: set[str] = set()
    mark = parent._tree.mark()
    copied = copy_entry(tree._entry(), tree._tree, parent._tree, types)
    with Edit(parent, tree) as edit:
        parent._tree.discard_with_steps(mark)
        # The handle stands for the new place from now on, and so do those below it, through it.
        edit.take(key)
        put_added(edit, parent, key, copied, None)
        check_added(tree, types)
        tree._tell("lotdb_node_created")
    return tree


def rename_root(root: Node, key: str) -> None:
    """Give the root of a tree in memory another key."""
    if root._tree.owner is not None:
        raise InvalidMoveError("the root of a database cannot be renamed")
    tree, container, old = root._tree, root._container, root._key
    with tree.whole():
        stand_for(root, tree, None, key)
        put(tree, container, key, take(tree, container, old))


# -- deleting -------------------------------------------------------------------------------------


def delete_node(parent: Node, key: str | int, *, only_node: bool) -> None:
    """Delete child *key* of *parent*; see ``BaseNode.delete_node``."""
    only_node = check_flag("only_node", only_node)
    key = check_key(key)
    child = parent._get(key, create=False)
    parent._tree.check_writable()
    if parent._tree.version >= parent._tree.full_at:
        parent._tree.put_aside()
    tree, below = parent._tree, child._children()
    with Edit(parent) as edit:
        lifted = _lifted(child, parent) if only_node else {}
        if lifted and tree.journal is not None:
            tree.journal.below(edit.children, key, below)
        edit.remove(key)
        for each, entry in lifted.items():
            edit.put(each, entry)
            if tree.journal is not None:
                tree.journal.moved(below, each, edit.children, each)
        if "lotdb_node_deleted" not in tree.plugins.unheard:
            tree.plugins.emit("lotdb_node_deleted", parent=parent, key=key, database=tree.database)
        if "lotdb_node_moved" not in tree.plugins.unheard:
            for each in lifted:
                node = parent._get(each, create=False)
                node._tell("lotdb_node_moved", old_path=f"{child._path()}/{each}")


def _lifted(child: Node, parent: Node) -> dict[str, Entry]:
    """The entries of the children of *child*, ready to stand beside it."""
    entry = child._entry()
    children = children_of(entry)
    entries: dict[str, Entry] = {} if children is None else dict(all_items(children))
    beside: Collection[str] = parent._children() or ()
    clash = next((key for key in entries if key != child._key and key in beside), None)
    if clash is not None:
        raise NodeExistsError(
            f"cannot delete only node {child._path()!r}: its child {clash!r} would clash with "
            f"{clash!r} of {parent._place()}"
        )
    if children is not None and entries:
        # What somebody adds to it meanwhile would not be lifted, and be lost.
        parent._tree.depend_on_content(children)
    if entries and is_shared(entry):
        return {key: shared_entry(lifted) for key, lifted in entries.items()}
    for lifted in entries.values():
        touch(lifted)
    return entries
