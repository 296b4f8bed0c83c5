"""How a handle finds its place in a tree; copy-on-write lives here.

A handle stores its parent's handle and its key, and remembers the container (the children of its parent)
in which its entry lies. If that was in another epoch of the tree, it looks its container up anew, from the
nearest ancestor that is up to date. It remembers its entry as well, as long as nothing in the tree was
changed. Nothing here recurses: a tree may be deeper than Python's stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from typing import Any, ClassVar

from lotdb.errors import DamagedError, StaleNodeError
from lotdb.records import OWN_KEY, Box, Children, Entry, Own
from lotdb.records.entries import (
    children_of,
    clone_branch,
    guard_of,
    is_shared,
    leaf_with,
    new_branch,
    own_of,
    record_of,
    type_of,
    with_type,
)
from lotdb.records.own import BOX_BYTES
from lotdb.tree.tree import Tree
from lotdb.tree.whole import put
from lotdb.values import values

__all__ = ["Handle", "all_or_nothing"]

# How many levels above a node are looked at when it is looked up.
RING_LEVELS = 16

_NOWHERE: Mapping[str, Entry] = {}


class Handle:
    """The place of a node in a tree: its parent's handle and its key."""

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
    _parent: Handle | None
    _key: str
    _container: Any
    _epoch: int  # the tree's, when _container was looked up
    _seen: Entry  # the entry that was found there last
    _version: int  # the tree's, when _seen was
    _kids: Children  # the children of this node
    _kids_epoch: int  # the tree's, when they were looked up

    #: Names under which the node keeps what is no attribute of the user's.
    _hidden: ClassVar[frozenset[str]] = frozenset()

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

    def _stand_at(self, tree: Tree, parent: Handle | None, key: str, container: Any, epoch: int) -> None:
        """Be the handle of this place; *container* is where its entry lay in *epoch*, -1 to look it up."""
        self._tree, self._parent, self._key = tree, parent, key
        self._container, self._epoch = container, epoch
        self._version = self._kids_epoch = -1

    def _ancestry(self, is_current: Callable[[Handle], bool]) -> list[Handle]:
        """Self and its ancestors, upwards, up to the first that *is_current* (left out)."""
        chain: list[Handle] = []
        node: Handle | None = self
        while node is not None and not is_current(node):
            chain.append(node)
            node = node._parent
        return chain

    def _refuse_ring(self, children: Children, levels: int | None = RING_LEVELS) -> None:
        """Raise ``DamagedError`` if *children*, those of this node, are as well those of one above it.

        Only *levels* levels are looked at, or all for None: in a deep tree, to look at all each time would
        cost more than all else. Who goes down without end looks at all from time to time.
        """
        node: Handle | None = self
        while node is not None and levels != 0:
            if node._container is children and self._is_in_ring(children):
                raise DamagedError(
                    f"{self._place()} is below itself: its children are those of a node above it"
                )
            node = node._parent
            levels = None if levels is None else levels - 1

    def _is_in_ring(self, children: Children) -> bool:
        # A handle may remember what is no longer so; what is stored, it looks up.
        above = self._ancestry(lambda node: False)[1:]
        return any(children_of(node._entry()) is children for node in above)

    def _locate(self) -> None:
        chain = self._ancestry(lambda node: node._epoch == node._tree.epoch)
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
        if self._epoch == tree.epoch and id(self._container) in tree.writable and tree.is_here():
            tree.version += 1
            return self._container
        self._entry()  # right thread, and still there
        tree = self._tree
        tree.check_writable()
        chain = self._ancestry(
            lambda node: node._epoch == tree.epoch and id(node._container) in tree.writable
        )
        for node in reversed(chain):
            parent = node._parent
            node._container = tree.roots if parent is None else parent._branch_to_write()
        # Clones made on the way down have changed the epoch, but not for the nodes of this chain.
        for node in chain:
            node._epoch = tree.epoch
            tree.writable[id(node._container)] = node._container
        tree.version += 1  # last, so that no handle takes what is there now for what will be
        return self._container

    def _branch_to_write(self) -> Children:
        """The children of this node, made or cloned if need be; the containers above are ready."""
        container, tree = self._container, self._tree
        entry = container[self._key]
        record, shared = record_of(entry), is_shared(entry)
        if record is not None and shared:
            # Another transaction may not know yet that it is shared, and change it in place.
            tree.depend_on_content(record)
        if type(record) is not Children:
            own = own_of(entry) if record is None else Box(record.own) if shared else record
            entry = container[self._key] = new_branch(type_of(entry), own)
        elif shared:
            clone = clone_branch(entry)
            tree.new_epoch()
            entry = container[self._key] = clone
        tree.depend_on(guard_of(entry))
        children: Children = entry[1]
        if tree.journal is not None:
            tree.journal.below(container, self._key, children)
        return children

    def _children_to_write(self) -> Children:
        tree = self._tree
        if self._kids_epoch == tree.epoch and id(self._kids) in tree.writable and tree.is_here():
            tree.version += 1
            return self._kids
        self._container_to_write()
        tree = self._tree
        epoch = tree.epoch
        children = self._branch_to_write()
        if tree.epoch != epoch:
            # The clone is below this node, so its own container is still the right one.
            self._epoch = tree.epoch
            tree.writable[id(self._container)] = self._container
        self._kids, self._kids_epoch = children, tree.epoch
        tree.writable[id(children)] = children
        tree.version += 1
        return children

    def _put_own(self, own: Own, *, boxed: bool = False) -> None:
        """Store *own* as what this node holds itself, in a record of its own if it is large or *boxed*."""
        container = self._container_to_write()
        entry = container[self._key]
        if entry[0] not in self._tree.plugins.unchecked:
            self._check_own(own)
            container = self._container_to_write()  # once more: what was read meanwhile is about to change
            entry = container[self._key]
        record = record_of(entry)
        # How large it is, is only asked where it is packed: what has a box keeps it.
        if record is None:
            boxed = boxed or values.is_larger(own[1:], BOX_BYTES)
            put(self._tree, container, self._key, leaf_with(entry, own, boxed))
        elif type(record) is Box:
            if is_shared(entry):
                self._tree.depend_on_content(record)
                put(self._tree, container, self._key, leaf_with(entry, own, True))
            else:
                self._put_in_box(record, own)
                if self._tree.journal is not None:
                    self._tree.journal.here(container, self._key)
        else:
            children = self._children_to_write()
            held = children[OWN_KEY]
            if type(held) is Box:
                self._put_in_box(held, own)
            else:
                boxed = boxed or values.is_larger(own[1:], BOX_BYTES)
                put(self._tree, children, OWN_KEY, Box(own) if boxed else own)

    def _check_own(self, own: Own, type_name: str | None = None) -> None:
        """Have the class of the node's type refuse *own*, if it does; *type_name* is a new type."""

    def _put_in_box(self, box: Box, own: Own) -> None:
        steps = self._tree.steps
        if steps is not None:
            steps.append(partial(setattr, box, "own", box.own))
        box.own = own

    def _put_type(self, type_name: str) -> None:
        if type_name not in self._tree.plugins.unchecked:
            self._check_own(own_of(self._entry()), type_name)
        container = self._container_to_write()
        put(self._tree, container, self._key, with_type(container[self._key], type_name))

    # -- listeners -----------------------------------------------------------------------------------

    def _tell(self, event: str, **about: Any) -> None:
        """Tell the listeners of *event* about the node, within the change, which they may refuse."""
        plugins = self._tree.plugins
        if event not in plugins.unheard:
            plugins.emit(event, node=self, database=self._tree.database, **about)

    # -- errors --------------------------------------------------------------------------------------

    def _path(self) -> str:
        return "/".join(node._key for node in reversed(self._ancestry(lambda node: node._parent is None)))

    def _place(self) -> str:
        """The node, as messages name it."""
        return f"node {self._path()!r}" if self._parent is not None else "the root"

    def _stale(self) -> StaleNodeError:
        return StaleNodeError(
            f"{self._place()} is gone: it was deleted, moved away, or its creation was undone"
        )


@contextmanager
def all_or_nothing(node: Handle) -> Iterator[None]:
    """Undo what the block did at and below *node* if it fails."""
    roll_back = node._tree.savepoint()
    if roll_back is None:
        with node._tree.whole():
            yield
        return
    try:
        yield
    except BaseException:
        roll_back()
        raise
