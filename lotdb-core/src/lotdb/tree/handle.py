"""What a node itself holds: storing its attributes and payloads, and its type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from lotdb.records import OWN_KEY, Box, Own
from lotdb.records.entries import is_shared, leaf_with, own_of, record_of, with_type
from lotdb.records.own import BOX_BYTES, may_grow
from lotdb.tree.place import Place
from lotdb.tree.whole import put
from lotdb.values import values

__all__ = ["Handle", "all_or_nothing"]


class Handle(Place):
    """A node's place, and what the node there holds."""

    __slots__ = ()

    #: Names under which the node keeps what is no attribute of the user's.
    _hidden: ClassVar[frozenset[str]] = frozenset()

    def _put_own(self, own: Own, *, boxed: bool = False) -> None:
        """Store *own* as what this node holds itself, in a record of its own if it is large or *boxed*.

        Also if it is what one commit after the other changes.
        """
        # *own* was made of what is remembered. The check tells by identity what stays as it is, so it comes
        # before the container is read again, which may have been let go of.
        entry = self._seen if self._version == self._tree.version else self._entry()
        if entry[0] not in self._tree.plugins.unchecked:  # as type_of says
            self._entry()  # right thread
            self._tree.check_writable()
            self._check_own(own)
        container = self._container_to_write()
        if self._tree.touched is not None:
            self._tree.touched.own(self)
        if self._tree.version >= self._tree.full_at:
            self._tree.put_aside()
        entry = container[self._key]
        record = record_of(entry)
        # The size matters for a packed leaf only: a box stays a box.
        if record is None:
            boxed = (
                boxed
                or (may_grow(entry[1:], own) and values.is_larger(own[1:], BOX_BYTES))
                or self._tree.is_rewritten_for(container, self._key)
            )
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
                boxed = (
                    boxed
                    or (may_grow(held, own) and values.is_larger(own[1:], BOX_BYTES))
                    or self._tree.is_rewritten_for(children, OWN_KEY)
                )
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
        if self._tree.touched is not None:
            self._tree.touched.own(self)
        put(self._tree, container, self._key, with_type(container[self._key], type_name))

    def _tell(self, event: str, **about: Any) -> None:
        """Tell the listeners of *event* about the node, within the change, which they may refuse."""
        plugins = self._tree.plugins
        if event not in plugins.unheard:
            plugins.emit(event, node=self, database=self._tree.database, **about)


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
