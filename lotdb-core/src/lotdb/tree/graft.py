"""Putting nodes elsewhere: moving, adding, merging and deleting what is below a node."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, Literal, TypeVar

from lotdb.errors import (
    InvalidMoveError,
    InvalidOptionError,
    NodeExistsError,
    WrongNodeError,
)
from lotdb.keys import check_key
from lotdb.records import Entry
from lotdb.records.children import all_items
from lotdb.records.entries import (
    children_of,
    is_shared,
    own_of,
    record_of,
    shared_entry,
    touch,
    type_of,
)
from lotdb.records.own import with_values
from lotdb.segments.payload_record import is_payload
from lotdb.segments.reader import Wanted, read_ahead
from lotdb.tree import copying, walk
from lotdb.tree.edit import Edit, share, stand_for
from lotdb.tree.handle import Handle, all_or_nothing
from lotdb.tree.node import Node
from lotdb.tree.whole import put, take

__all__ = [
    "IfExists",
    "add_tree",
    "check_added",
    "check_node",
    "delete_node",
    "merge_tree",
    "put_added",
    "rename_root",
]

IfExists = Literal["error", "replace", "rename"]
N = TypeVar("N", bound=Node)


def check_node(node: Any) -> Any:
    """*node*, if it is one."""
    if not isinstance(node, Handle):
        raise WrongNodeError(f"{node!r} is of type {type(node).__name__}; pass a node")
    return node


# -- adding and moving ----------------------------------------------------------------------------


def add_tree(parent: N, tree: N, *, key: str | int | None, copy: bool, if_exists: IfExists) -> N:
    """Put *tree* below *parent*; see ``BaseNode.add_tree``."""
    check_node(tree)
    key = check_key(tree._key if key is None else key)
    if if_exists not in ("error", "replace", "rename"):
        raise InvalidOptionError(f"if_exists is {if_exists!r}; use 'error', 'replace' or 'rename'")
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
                f"{tree!r} belongs to another database or connection; pass copy=True to copy it over"
            )
        return
    if tree._parent is None:
        raise InvalidMoveError(f"{tree!r} is the root and cannot be moved")
    if parent == tree or parent._path().startswith(tree._path() + "/"):
        raise InvalidMoveError(f"node {tree._path()!r} cannot be moved below itself, to {parent._path()!r}")


def _add_copy(parent: N, tree: N, key: str) -> N:
    types: set[str] = set()
    source, mark = None, parent._tree.stage.mark()
    if tree._tree is parent._tree:
        entry, source = share(tree), tree._path()
    else:
        entry = copying.copy_entry(tree._entry(), tree._tree, parent._tree, types)
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
    types: set[str] = set()
    mark = parent._tree.stage.mark()
    copied = copying.copy_entry(tree._entry(), tree._tree, parent._tree, types)
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


# -- merging --------------------------------------------------------------------------------------


def merge_tree(target: Node, tree: Node, *, overwrite: bool) -> None:
    """Add to *target* what *tree* has and it has not; see ``BaseNode.merge_tree``."""
    check_node(tree)
    tree._entry()
    target._entry()
    if target == tree:
        return
    if tree._tree is target._tree and (_is_above(tree, target) or _is_above(target, tree)):
        raise InvalidMoveError(
            f"{tree._place()} cannot be merged with {target._place()}: one is above the other"
        )
    target._tree.check_writable()
    with all_or_nothing(target):
        _merge(target, tree, overwrite)


def _merge(target: Node, tree: Node, overwrite: bool) -> None:
    for into, source in read_ahead(_pairs(target, tree), partial(_compared, overwrite)):
        _merge_own(into, source, overwrite)


def _pairs(target: Node, tree: Node) -> Iterator[tuple[Node, Node]]:
    """Each node of *target* and the one of *tree* in the same place; what *target* has not is added to it."""
    stack = [(target, tree)]
    while stack:
        into, source = stack.pop()
        if _is_shared(into, source):
            continue
        yield into, source
        for child in read_ahead(_add_leaves(into, source), partial(_added, into)):
            if (child._key,) in into:
                stack.append((into._get(child._key, create=False), child))
            else:
                add_tree(into, child, key=None, copy=True, if_exists="error")


def _add_leaves(into: Node, source: Node) -> Iterator[Node]:
    """Add to *into* the leaves below *source* that are one entry each; gives the other children."""
    plugins = into._tree.plugins
    if "lotdb_node_created" not in plugins.unheard:
        yield from (child for child, _ in walk.children(source))
        return
    is_one = into._tree is source._tree
    path = source._path() if is_one else None
    for items, container, epoch, version, removals in walk.batches(source):
        there: Collection[str] = into._children() or ()
        new = [
            (key, entry)
            for key, entry in items
            # A packed leaf, as packed_values says, without the call.
            if type(entry[1]) is tuple
            and key not in there
            and entry[0] in plugins.unchecked
            # A payload is a tuple; the call for each value takes longer than the rest.
            and (is_one or tuple not in map(type, entry[2:]) or not any(map(is_payload, entry[2:])))
        ]
        if new:
            _put_new(into, new, path)
        if len(new) == len(items):
            continue
        added = dict(new)
        for key, entry in items:
            if key not in added and (source._tree.removals == removals or key in container):
                yield source._child(key, entry, container, epoch, version)


def _put_new(into: Node, new: list[tuple[str, Entry]], path: str | None) -> None:
    if into._tree.version >= into._tree.full_at:
        into._tree.put_aside()
    with Edit(into) as edit:
        edit.put_new(new, path)


def _added(into: Node, child: Node) -> Iterator[Wanted]:
    """What is read of *child* itself if it is copied to *into*."""
    if child._tree is not into._tree and (child._key,) not in into:
        yield from copying.wanted(own_of(child._entry()), child._tree)


def _compared(overwrite: bool, pair: tuple[Node, Node]) -> Iterator[Wanted]:
    """What is read of two nodes that are merged."""
    into, source = pair
    if source._tree is into._tree:
        return
    mine, theirs = own_of(into._entry()), own_of(source._entry())
    there = dict(zip(mine[0], mine[1:], strict=True))
    for name, value in zip(theirs[0], theirs[1:], strict=True):
        if is_payload(value) and (overwrite or name not in there):
            yield from copying.wanted_of(value, source._tree)
            if is_payload(there.get(name)):
                yield from copying.wanted_of(there[name], into._tree)


def _is_above(upper: Node, lower: Node) -> bool:
    return upper._parent is None or lower._path().startswith(upper._path() + "/")


def _is_shared(into: Node, source: Node) -> bool:
    """Whether both are still one: branches share all that was changed in neither, whatever lies below."""
    record = record_of(into._entry())
    return record is not None and record is record_of(source._entry())


def _merge_own(into: Node, source: Node, overwrite: bool) -> None:
    mine, theirs = own_of(into._entry()), own_of(source._entry())
    there = dict(zip(mine[0], mine[1:], strict=True))
    new = {
        name: copying.copy_value(value, source._tree, into._tree)
        for name, value in zip(theirs[0], theirs[1:], strict=True)
        # A default of a data node is none of a plain one, and an attribute of that name no default.
        if (name in source._hidden) == (name in into._hidden)
        if name not in there
        or (overwrite and not copying.is_same(there[name], value, into._tree, source._tree))
    }
    if new:
        with into._tree.whole():
            into._put_own(with_values(mine, new))
            for name, value in new.items():
                if is_payload(value):
                    into._tell("lotdb_payload_written", name=name)


# -- deleting -------------------------------------------------------------------------------------


def delete_node(parent: Node, key: str | int, *, only_node: bool) -> None:
    """Delete child *key* of *parent*; see ``BaseNode.delete_node``."""
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
