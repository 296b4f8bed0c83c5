"""A node's payloads by name, and its children by key, as mappings."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar

from lotdb.content.attributes import NamedItems, Names, has_payload
from lotdb.errors import InvalidKeyError, PayloadExistsError
from lotdb.keys import check_key, is_plain_key
from lotdb.records.entries import own_of
from lotdb.segments.payload_form import is_payload
from lotdb.tree import walk
from lotdb.tree.handle import Handle
from lotdb.tree.node import Node

if TYPE_CHECKING:
    from lotdb.content.payload import Payload

    ByName = Mapping[str, Payload]
else:
    ByName = Mapping  # Payload needs numpy, and is loaded with the first

__all__ = ["ChildItems", "ChildKeys", "ChildNodes", "Payloads"]

N = TypeVar("N", bound=Node)


class Payloads(ByName):
    """The payloads of one node by name: a read-only mapping that always shows the current payloads.

    ``write_data`` and ``delete_data`` change them.
    """

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def __repr__(self) -> str:
        return f"<Payloads of {self._node!r}: {', '.join(map(repr, self)) or 'none'}>"

    def __getitem__(self, name: str) -> Payload:
        from lotdb.content import payloads

        try:
            return payloads.get(self._node, name)
        except PayloadExistsError:  # an attribute has the name
            raise payloads.not_found(self._node, name) from None

    def __contains__(self, name: object) -> bool:
        return has_payload(self._node, name)  # type: ignore[arg-type]  # which refuses what is no text

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def keys(self) -> KeysView[str]:
        """The names, as a view that always shows the current ones."""
        return Names(self)

    def items(self) -> ItemsView[str, Payload]:
        """Name and payload of each, as a view that always shows the current ones."""
        return NamedItems(self)

    def _ipython_key_completions_(self) -> list[str]:
        from lotdb.looking.completions import first

        return first(self)

    def _names(self) -> list[str]:
        own = own_of(self._node._entry())
        return [name for name, value in zip(own[0], own[1:], strict=True) if is_payload(value)]


class ChildKeys(KeysView[str]):
    """The keys of the children of a node; a path is none of them."""

    _mapping: Any

    __slots__ = ()

    def __contains__(self, key: object) -> bool:
        if not is_plain_key(key):
            try:
                if not isinstance(key, str) or check_key(key) != key:
                    return False
            except InvalidKeyError:
                return False
        return (key,) in self._mapping


class ChildNodes(ValuesView[N]):
    """The children of a node, each looked up when the iteration comes to it."""

    _mapping: Any

    __slots__ = ()

    def __iter__(self) -> Iterator[N]:
        return (child for child, _ in walk.children(self._mapping))

    def __contains__(self, node: object) -> bool:
        if not isinstance(node, Handle) or node._parent is None or node._parent != self._mapping:
            return False
        return (node._key,) in self._mapping


class ChildItems(ItemsView[str, N]):
    """Key and node of each child."""

    _mapping: Any

    __slots__ = ()

    def __iter__(self) -> Iterator[tuple[str, N]]:
        return ((child._key, child) for child, _ in walk.children(self._mapping))

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        return item[0] in ChildKeys(self._mapping) and super().__contains__(item)
