"""Where a node is: finding its entry and its children, and making their containers ready to be changed.

A handle remembers the container in which it found its entry, which is the children of its parent. The tree's
epoch tells whether that may be wrong by now. If so, the handle looks its container up again, from the nearest
ancestor that is up to date. As long as the tree's version is the same, it remembers its entry as well.
Copy-on-write happens here: a container above which a record is shared is cloned before it is changed.
Nothing here recurses: a tree may be deeper than Python's stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import get_ident
from typing import Any

from lotdb.errors import StaleNodeError
from lotdb.records import Box, Children, Entry
from lotdb.records.clones import clone_branch, clone_in_parts
from lotdb.records.entries import (
    children_of,
    guard_of,
    is_shared,
    new_branch,
    own_of,
    record_of,
    type_of,
)
from lotdb.records.patchwork import is_wide
from lotdb.tree.tree import Tree

__all__ = ["Place"]

_NOWHERE: Mapping[str, Entry] = {}


class Place:
    """The place of a node in a tree: its parent's handle and its key.

    ``_entry``, ``_container_to_write`` and ``_children`` are what the rest asks of it.
    """

    __slots__ = (
        "__weakref__",
        "_container",
        "_epoch",
        "_key",
        "_kids",
        "_kids_epoch",
        "_parent",
        "_seen",
        "_tree",
        "_version",
    )

    _tree: Tree
    _parent: Place | None
    _key: str
    _container: Any
    _epoch: int  # the tree's, when _container was looked up
    _seen: Entry  # the entry that was found there last
    _version: int  # the tree's, when _seen was
    _kids: Children  # the children of this node
    _kids_epoch: int  # the tree's, when they were looked up

    # -- reading -------------------------------------------------------------------------------------

    def _entry(self) -> Entry:
        tree = self._tree
        in_its_thread = tree.owner is None or tree.owner == get_ident()  # as is_here says, without the call
        if self._version == tree.version and in_its_thread:
            return self._seen
        if self._epoch != tree.epoch or not in_its_thread:
            self._locate()
            tree = self._tree
        entry: Entry | None = self._container.get(self._key)
        if entry is None:
            raise self._stale()
        self._seen, self._version = entry, tree.version
        return entry

    def _children(self) -> Children | None:
        """The children of this node, or None if it never had any; they are remembered for an epoch."""
        tree = self._tree
        if self._kids_epoch == tree.epoch and tree.is_here():
            return self._kids
        children = children_of(self._entry())
        if children is not None:
            self._kids, self._kids_epoch = children, self._tree.epoch
        return children

    def _stand_at(self, tree: Tree, parent: Place | None, key: str, container: Any, epoch: int) -> None:
        """Be the handle of this place; *container* is where its entry lay in *epoch*, -1 to look it up."""
        self._tree, self._parent, self._key = tree, parent, key
        self._container, self._epoch = container, epoch
        self._version = self._kids_epoch = -1

    def _locate(self) -> None:
        # A change of the epoch makes each node look up all above it, so nothing is called to go up.
        chain: list[Place] = []
        above: Place | None = self
        while above is not None and above._epoch != above._tree.epoch:
            chain.append(above)
            above = above._parent
        top = chain[-1] if chain else self
        (top._parent or top)._tree.check()
        for node in reversed(chain):
            parent = node._parent
            if parent is None:
                node._container = node._tree.roots
            else:
                node._tree = parent._tree  # another than before if the root was added to a database
                entry = parent._container.get(parent._key)
                children = None if entry is None else children_of(entry)
                # A place that is not there is not remembered: it may be made before the next epoch.
                node._container = _NOWHERE if children is None else children
            node._version = -1
            node._epoch = -1 if node._container is _NOWHERE else node._tree.epoch

    # -- writing -------------------------------------------------------------------------------------

    def _container_to_write(self) -> Any:
        """The container of this node's entry, in which it may be changed."""
        tree = self._tree
        if self._epoch == tree.epoch and (tree.owner is None or tree.owner == get_ident()):  # as is_here says
            if id(self._container) in tree.writable:
                tree.version += 1
                return self._container
            if (patchwork := tree.patched.get(id(self._container))) is not None:
                patchwork.own(self._key)
                tree.version += 1
                return self._container
        self._entry()  # right thread, and still there
        tree = self._tree
        tree.check_writable()
        chain: list[Place] = []
        above: Place | None = self
        while above is not None and not (
            above._epoch == tree.epoch
            and (id(above._container) in tree.writable or id(above._container) in tree.patched)
        ):
            chain.append(above)
            above = above._parent
        epoch = tree.epoch
        for node in reversed(chain):
            parent = node._parent
            node._container = tree.roots if parent is None else parent._branch_to_write()
            tree.note_writable(node._container)
        # Clones made on the way down have changed the epoch, but not for the nodes of this chain.
        for node in chain:
            node._epoch = tree.epoch
            if tree.epoch != epoch:
                tree.note_writable(node._container)
        if (patchwork := tree.patched.get(id(self._container))) is not None:
            patchwork.own(self._key)
        tree.version += 1  # last, so that no handle takes what is there now for what will be
        return self._container

    def _branch_to_write(self) -> Children:
        """The children of this node, made or cloned if need be; the containers above are ready."""
        container, tree = self._container, self._tree
        patchwork = tree.patched.get(id(container))
        if patchwork is not None:
            patchwork.own(self._key)
        entry = container[self._key]
        children, shared = children_of(entry), is_shared(entry)
        if children is None or shared:
            record = record_of(entry)
            # Another transaction may not know yet that it is shared, and change it in place; so what is
            # copied of it must be what it is.
            if children is None:
                if record is not None and shared:
                    tree.depend_on_content(record)
                own = own_of(entry) if record is None else Box(own_of(entry)) if shared else record
                entry = new_branch(type_of(entry), own)
            else:
                if is_wide(children) and tree.share_parts():
                    entry = clone_in_parts(entry, tree.depend_on)
                else:
                    tree.depend_on_content(children)
                    entry = clone_branch(entry)
                tree.new_epoch()
            if patchwork is None:
                container[self._key] = entry
            else:
                patchwork.put(self._key, entry)
            children = children_of(entry)
        tree.depend_on(guard_of(entry))
        if tree.journal is not None:
            tree.journal.below(container, self._key, children)
        return children  # type: ignore[return-value]  # a branch by now

    def _children_to_write(self) -> Children:
        tree = self._tree
        if (
            self._kids_epoch == tree.epoch
            and (id(self._kids) in tree.writable or id(self._kids) in tree.patched)
            and (tree.owner is None or tree.owner == get_ident())  # as is_here says
        ):
            tree.version += 1
            return self._kids
        self._container_to_write()
        tree = self._tree
        epoch = tree.epoch
        children = self._branch_to_write()
        if tree.epoch != epoch:
            # The clone is below this node, so its own container is still the right one.
            self._epoch = tree.epoch
            tree.note_writable(self._container)
        self._kids, self._kids_epoch = children, tree.epoch
        tree.note_writable(children)
        tree.version += 1
        return children

    # -- names, which any thread may ask for ---------------------------------------------------------

    def _keys(self) -> tuple[str, ...]:
        """The keys from below the root down to this node."""
        keys: list[str] = []
        node: Place = self
        while node._parent is not None:
            keys.append(node._key)
            node = node._parent
        return tuple(reversed(keys))

    def _path(self) -> str:
        return "/".join(self._keys())

    def _top(self) -> Place:
        """The handle of the root, whose tree is the right one whatever has become of the tree."""
        node: Place = self
        while node._parent is not None:
            node = node._parent
        return node

    # -- errors --------------------------------------------------------------------------------------

    def _place(self) -> str:
        """The node, as messages name it."""
        return f"node {self._path()!r}" if self._parent is not None else "the root"

    def _stale(self) -> StaleNodeError:
        return StaleNodeError(
            f"{self._place()} is gone: it was deleted, moved away, or its creation was undone"
        )
