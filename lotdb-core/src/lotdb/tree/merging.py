"""Adding to a node what another one has, and it has not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial

from lotdb.errors import InvalidMoveError
from lotdb.interfaces.options import check_flag
from lotdb.records import Entry
from lotdb.records.entries import own_of, record_of
from lotdb.records.own import with_values
from lotdb.segments.payload_form import is_payload
from lotdb.segments.reader import Wanted, read_ahead
from lotdb.tree import copying, walk
from lotdb.tree.edit import Edit
from lotdb.tree.graft import add_tree, check_node
from lotdb.tree.handle import all_or_nothing
from lotdb.tree.node import Node

__all__ = ["merge_tree"]


def merge_tree(target: Node, tree: Node, *, overwrite: bool) -> None:
    """Add to *target* what *tree* has and it has not; see ``BaseNode.merge_tree``."""
    check_node(tree)
    overwrite = check_flag("overwrite", overwrite)
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
