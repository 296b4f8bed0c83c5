"""Changing which nodes are where: the steps of moving, replacing and deleting, and their order.

1. All places are made ready before any is changed. Making one ready may clone a branch that another is in.
2. The guard of what leaves its place is stored, so that another transaction that writes below it conflicts.
3. The epoch, or at least the version, changes before the tree does. An interrupt in between leaves no handle
   that remembers what is no longer right.
4. Each step is noted before it is made. If one fails, those before it are taken back, in both trees if a node
   goes from one tree to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any

from lotdb.records import Children, Entry
from lotdb.records.entries import children_of, is_shared, record_of, shared_entry, touch
from lotdb.storage.signals import uninterrupted
from lotdb.tree.handle import Handle
from lotdb.tree.tree import Tree
from lotdb.tree.whole import Whole, put, take, unset_entry

__all__ = ["Edit", "share", "stand_for"]


class Edit:
    """A change of the children of *parent*, made whole or not at all.

    *moved* is the node that comes to be one of them, from elsewhere in the tree or from a tree in memory::

        with Edit(parent, moved) as edit:
            edit.put(key, edit.take(key))
    """

    __slots__ = ("_children", "_moved", "_parent", "_source", "_tree", "_wholes")

    _children: Children
    _source: Any  # the container that the moved node is taken from
    _tree: Tree
    _wholes: tuple[Whole, ...]

    def __init__(self, parent: Handle, moved: Handle | None = None) -> None:
        self._parent = parent
        self._moved = moved

    def __enter__(self) -> Edit:
        parent, moved = self._parent, self._moved
        self._children = parent._children_to_write()
        self._tree = parent._tree
        if moved is None:
            self._wholes = (Whole(self._tree),)
        else:
            moved._container_to_write()
            # Now that both places are ready, neither call clones anything.
            self._children = parent._children_to_write()
            self._source = moved._container_to_write()
            trees = (self._tree,) if moved._tree is self._tree else (self._tree, moved._tree)
            self._wholes = tuple(map(Whole, trees))
        for whole in self._wholes:
            whole.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._end(kind, error, trace)
        else:
            with uninterrupted():
                self._end(kind, error, trace)

    def _end(self, *how: Any) -> None:
        for whole in reversed(self._wholes):
            whole.__exit__(*how)

    @property
    def children(self) -> Children:
        """The children of the parent, ready to be written to."""
        return self._children

    def take(self, key: str) -> Entry:
        """Take the moved node from its place; its handle is that of *key* below the parent from now on."""
        node, source = self._moved, self._source
        assert node is not None
        tree, parent, old_key = node._tree, node._parent, node._key
        entry: Entry = source[old_key]
        if tree.touched is not None and parent is not None:
            tree.touched.child(parent, old_key)

        def give_back() -> None:
            if tree is not self._tree:  # in memory, which no transaction restores
                source[old_key] = entry
            node._stand_at(tree, parent, old_key, source, -1)
            tree.new_epoch()

        touch(entry)
        if tree is self._tree and tree.journal is not None:
            tree.journal.moved(source, old_key, self._children, key)
        stand_for(node, self._tree, self._parent, key)
        self._tree.on_rollback(give_back)
        tree.removals += 1
        return take(tree, source, old_key)

    def put(self, key: str, entry: Entry) -> None:
        """Set the child *key*, in place of one that may be there."""
        self._mark(key)
        self._own(key)
        there = self._children.get(key)
        if there is not None:
            self._retire(there)
        self._tree.version += 1
        put(self._tree, self._children, key, entry)

    def put_new(self, entries: Sequence[tuple[str, Entry]], source: str | None) -> None:
        """Set leaves where there is none; they are copies of those below *source*, if that is a path."""
        tree, children, keys = self._tree, self._children, [key for key, _ in entries]
        if tree.steps is not None:
            tree.steps.append(partial(_take_all, tree, children, keys))
        tree.version += len(keys)
        if tree.touched is not None:
            for key in keys:
                tree.touched.child(self._parent, key)
        patchwork = tree.patchwork(children)
        if patchwork is None:
            children.update(entries)
        else:
            for key, entry in entries:
                patchwork.put(key, entry)
        if tree.journal is not None:
            above = f"{source}/" if source else ""
            for key in keys:
                tree.journal.added(children, key, None if source is None else above + key)

    def remove(self, key: str) -> None:
        """Delete the child *key*."""
        self._mark(key)
        self._own(key)
        self._retire(self._children[key])
        self._tree.removals += 1
        self._tree.version += 1
        take(self._tree, self._children, key)

    def _mark(self, key: str) -> None:
        if self._tree.touched is not None:
            self._tree.touched.child(self._parent, key)

    def _own(self, key: str) -> None:
        # In a record that another branch shares, what is at the key would not say that it is shared, too.
        patchwork = self._tree.patchwork(self._children)
        if patchwork is not None:
            patchwork.own(key)

    def _retire(self, entry: Entry) -> None:
        """Make the transaction conflict with one that changes what is at *entry*, as far as that is cheap."""
        touch(entry)
        children = children_of(entry)
        if children is not None:
            if not is_shared(entry):
                self._tree.retire(children)
            self._tree.new_epoch()  # those below it are gone, too


def _take_all(tree: Tree, children: Children, keys: list[str]) -> None:
    for key in keys:
        if key in children:
            unset_entry(tree, children, key)


def stand_for(node: Handle, tree: Tree, parent: Handle | None, key: str) -> None:
    """Have *node* be the handle of another place, to which what is at its own is about to go."""
    if tree.steps is not None:
        tree.steps.append(partial(node._stand_at, node._tree, node._parent, node._key, node._container, -1))
    node._tree.new_epoch()
    node._stand_at(tree, parent, key, node._container, -1)


def share(node: Handle) -> Entry:
    """The entry of *node* for a second place in the same tree: O(1), whatever is below."""
    entry = node._entry()
    if record_of(entry) is not None and not is_shared(entry):
        container = node._container_to_write()
        entry = container[node._key]
        if not is_shared(entry):
            touch(entry)
            patchwork = node._tree.patchwork(container)
            node._tree.new_epoch()  # nothing below may be written to as it is
            entry = shared_entry(entry)
            if patchwork is None:
                container[node._key] = entry
            else:
                patchwork.put(node._key, entry)
    return entry
