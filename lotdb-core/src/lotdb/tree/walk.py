"""Iteration over trees: depth first, in the order of the keys, without recursion.

Children are fetched in batches by key, so a tree may be changed, or its transaction committed, during a walk.
A node that is gone by then is skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from lotdb.errors import DamagedError, InvalidOptionError, StaleNodeError, shown
from lotdb.ranges import is_whole
from lotdb.records import NO_TREE, OWN_KEY, Children, Entry
from lotdb.records.children import child_items
from lotdb.records.entries import children_of
from lotdb.tree import rings
from lotdb.tree.node import Node

T = TypeVar("T")
N = TypeVar("N", bound=Node)
_BATCH = 256


# Keys and entries of some children that stand next to each other; and their container, with the tree's epoch,
# version and removals when they were fetched.
Batch: TypeAlias = tuple[list[tuple[str, Entry]], Any, int, int, int]


def children(node: N) -> Iterator[tuple[N, Entry]]:
    """Each child of *node*, with its entry as it was when its batch was fetched."""
    for batch, container, epoch, version, removals in batches(node):
        tree = node._tree
        for key, entry in batch:
            if tree.removals == removals or key in container:
                yield node._child(key, entry, container, epoch, version), entry


def batches(node: Node) -> Iterator[Batch]:
    """The children of *node*, in batches."""
    last = OWN_KEY
    while True:
        try:
            container = node._children()
        except StaleNodeError:
            return
        if container is None:
            return
        tree = node._tree
        epoch, version, removals = tree.epoch, tree.version, tree.removals
        batch = list(islice(child_items(container, last), _BATCH))
        # BTrees goes along the chain of buckets. In a stranger's file it may lead back, or end too early.
        end = batch[-1][0] if batch else last
        if (batch and not last < batch[0][0] <= end) or (len(batch) < _BATCH and end != container.maxKey()):
            raise DamagedError(f"the children of {node._place()} cannot be listed: {NO_TREE}")
        if batch:
            yield batch, container, epoch, version, removals
        tree.trim_cache()
        if len(batch) < _BATCH:
            return
        last = end


def has_children(entry: Entry) -> bool:
    """Whether the node of *entry* has any child."""
    below = children_of(entry)
    return below is not None and next(iter(child_items(below)), None) is not None


def everything(node: N) -> Iterator[N]:
    """*node* and all nodes below it."""
    node._entry()
    return (found for found, _, _ in _descend(node))


def leaves(node: N) -> Iterator[N]:
    """The nodes at or below *node* that have no children."""
    return _leaves(node) if has_children(node._entry()) else iter((node,))


def _leaves(node: N) -> Iterator[N]:
    stack = [children(node)]
    while stack:
        for child, entry in stack[-1]:
            # As children_of says, whose call would take a tenth of the walk; so below.
            if type(entry[1]) is Children and has_children(entry):
                _refuse_endless((child, entry), len(stack))
                stack.append(children(child))
                break  # and go on with the rest of these later
            yield child
        else:
            stack.pop()


def level(node: N, depth: Any) -> Iterator[N]:
    """The nodes *depth* levels below *node*; ``"deepest"`` for the lowest level there is."""
    node._entry()
    if isinstance(depth, str) and depth == "deepest":
        return _deepest(node)
    if not is_whole(depth) or depth < 0:
        raise InvalidOptionError(f"level is {shown(depth)}; use a number of levels from 0 on, or 'deepest'")
    return (found for found, _, at in _descend(node, depth) if at == depth)


def _deepest(node: N) -> Iterator[N]:
    depth = max(at for _, _, at in _descend(node))
    yield from level(node, depth)


def _descend(node: N, depth: int | None = None) -> Iterator[tuple[N, Entry, int]]:
    """*node* and all below it, each with its entry and depth, down to level *depth*."""
    entry = node._entry()
    yield node, entry, 0
    stack = [children(node)] if depth != 0 else []
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        yield *found, len(stack)
        if depth != len(stack) and type(found[1][1]) is Children:
            _refuse_endless(found, len(stack))
            stack.append(children(found[0]))


def _refuse_endless(found: tuple[Node, Entry], depth: int) -> None:
    """Raise ``DamagedError`` if a walk would go on for ever.

    All levels above are looked at whenever the depth has doubled, which costs little in all.
    """
    if depth >= rings.LEVELS and depth & (depth - 1) == 0:
        node, entry = found
        children = children_of(entry)
        assert children is not None
        rings.refuse_ring(node, children, levels=None)


def buffered(items: Iterable[T], size: Any) -> Iterator[list[T]]:
    """*items* in lists of *size*; the last may be shorter."""
    if not is_whole(size) or size < 1:
        raise InvalidOptionError(f"buffer_size is {shown(size)}; use a whole number from 1 on")
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, min(size, sys.maxsize))), [])
