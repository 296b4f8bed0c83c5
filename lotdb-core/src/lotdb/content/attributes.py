"""A node's attributes as a mapping."""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterator, KeysView, Mapping, MutableMapping, Sequence
from typing import Any

from lotdb.content.defaults import POLICY
from lotdb.errors import (
    AttributeNotFoundError,
    InvalidKeyError,
    PayloadExistsError,
)
from lotdb.interfaces.options import pairs_of
from lotdb.keys import check_name, some, stored_form
from lotdb.records import Own
from lotdb.records.entries import own_of
from lotdb.records.own import (
    EMPTY_OWN,
    get_value,
    note_checked,
    position,
    simple_leaf,
    with_values,
    without_value,
)
from lotdb.segments.payload_form import is_payload
from lotdb.tree.handle import Handle
from lotdb.tree.node import Node
from lotdb.tree.whole import put as put_entry
from lotdb.values import values

__all__ = ["Attributes", "NamedItems", "Names"]

_ABSENT = object()


class Names(KeysView[str]):
    """The keys of a mapping by names; what can be no name is none of them."""

    _mapping: Any

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and stored_form(name) == name != "" and name in self._mapping


class NamedItems(ItemsView[str, Any]):
    """The items of a mapping by names."""

    _mapping: Any

    __slots__ = ()

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        return item[0] in Names(self._mapping) and super().__contains__(item)


class Attributes(MutableMapping[str, Any]):
    """The attributes of one node, as a mapping that always shows the current attributes.

    Reading a value gives a copy of it, with its type. Changing a list that you have read does not change
    the stored list. The payloads are among the attributes, each as its :class:`lotdb.Payload`.
    """

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def __repr__(self) -> str:
        return f"<Attributes of {self._node!r}: {', '.join(map(repr, self)) or 'none'}>"

    def __getitem__(self, name: str) -> Any:
        value = get(self._node, name, _ABSENT)
        if value is _ABSENT:
            raise missing(self._node, name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        write_one(self._node, name, value)

    def __delitem__(self, name: str) -> None:
        delete(self._node, name)

    def __iter__(self) -> Iterator[str]:
        return iter(shown_names(self._node))

    def __len__(self) -> int:
        return len(shown_names(self._node))

    def __contains__(self, name: object) -> bool:
        name = check_name(name)
        return position(own_of(self._node._entry())[0], name) >= 0 and name not in self._node._hidden

    def keys(self) -> KeysView[str]:
        """The names, as a view that always shows the current ones."""
        return Names(self)

    def items(self) -> ItemsView[str, Any]:
        """Name and value of each, as a view that always shows the current ones."""
        return NamedItems(self)

    def _ipython_key_completions_(self) -> list[str]:
        from lotdb.looking.completions import first

        return first(self)

    def update(self, other: Any = (), /, **named: Any) -> None:
        """Set several attributes at once: all of them, or none if one is refused."""
        if type(other) is dict and not named:  # the usual case
            write(self._node, other)
            return
        if type(other) is tuple and not other:
            write(self._node, named)
            return
        write(self._node, pairs_of("attributes", other, named))

    def clear(self) -> None:
        """Delete all attributes; payloads and the defaults of a data node stay."""
        own = own_of(self._node._entry())
        self._node._put_own(keep_payloads(own, self._node._hidden))


def shown_names(node: Handle) -> Sequence[str]:
    """The names of the user's attributes and payloads."""
    names: tuple[str, ...] = own_of(node._entry())[0]
    hidden = node._hidden
    return [name for name in names if name not in hidden] if hidden else names


def get(node: Handle, name: str, default: Any) -> Any:
    """The value of attribute *name*, or *default*; a default of a data node is no attribute."""
    entry = node._entry()
    names = entry[1]
    # A packed leaf is the usual case, and is not taken apart.
    if type(names) is tuple and type(name) is str:
        if name not in names:
            if check_name(name) is name:
                return default
        elif name not in POLICY:
            stored = entry[names.index(name) + 2]
            return stored if type(stored) is not tuple else as_read(node, name, stored)
    own = own_of(entry)
    place = position(own[0], name) if type(name) is str else -1
    if place < 0:
        checked = check_name(name)  # which may have another spelling for it
        if checked is name or (place := position(own[0], checked)) < 0:
            return default
        name = checked
    if name in POLICY and name in node._hidden:
        return default
    stored = own[place + 1]
    return stored if type(stored) is not tuple else as_read(node, name, stored)


def has_payload(node: Handle, name: str) -> bool:
    """Whether there is a payload *name*."""
    return is_payload(get_value(own_of(node._entry()), check_name(name, "payload")))


def read(node: Handle, name: str, default: Any) -> Any:
    """The value under *name*, be it of an attribute or a default of a data node; *default* if none is."""
    entry = node._entry()
    names = entry[1]
    if type(names) is tuple:  # a packed leaf, which is the usual case, and is not taken apart
        if name not in names:
            return default
        stored = entry[names.index(name) + 2]
    else:
        stored = get_value(own_of(entry), name, default)
    return stored if type(stored) is not tuple else as_read(node, name, stored)


def as_read(node: Handle, name: str, stored: Any) -> Any:
    """What is read of a *stored* value."""
    if is_payload(stored):
        from lotdb.content.payload import Payload, decode_record  # which need numpy

        return Payload(node, name, decode_record(node, name, stored))
    return values.decode(stored, extra=node._tree.plugins)


def write_one(node: Handle, name: str, value: Any) -> None:
    """Set the attribute *name*."""
    # What can be no name may be no key of a dict either.
    write(node, {name if type(name) is str else check_name(name): value})


def write(node: Handle, named: Mapping[str, Any]) -> None:
    """Set the attributes *named*: all of them, or none if one is refused."""
    entry = node._entry()
    tree = node._tree
    # The first attributes of a new node: most leaves of a large tree are made so.
    is_new = entry[1] == () and entry[0] in tree.plugins.unchecked
    if is_new and (leaf := simple_leaf(entry[0], named)):
        container = node._container_to_write()
        if (touched := tree.touched) is not None and touched.made is not node:
            touched.leaf(node)
        if tree.steps is None:
            container[node._key] = leaf
        else:
            put_entry(tree, container, node._key, leaf)
        return
    own = own_of(entry)
    own = with_values(own, _encoded(node, own, named))
    if is_new:
        note_checked(own)
    node._put_own(own)


def encode(node: Handle, named: Mapping[str, Any]) -> dict[str, Any]:
    """The stored form of the attributes *named*, each checked."""
    return _encoded(node, own_of(node._entry()), named)


def _encoded(node: Handle, own: Own, named: Mapping[str, Any]) -> dict[str, Any]:
    stored, names, plugins = {}, own[0], node._tree.plugins
    for name, value in named.items():
        name = check_name(name)
        if name in POLICY:
            raise _is_default_error(node, name)
        if names and (place := position(names, name)) >= 0 and is_payload(own[place + 1]):
            raise _is_payload_error(node, name)
        stored[name] = values.encode(value, name=name, extra=plugins)
    return stored


def put(node: Handle, stored: dict[str, Any]) -> None:
    """Set attributes that are already in their stored form."""
    own = own_of(node._entry())
    node._put_own(with_values(own, stored))


def delete(node: Handle, name: str) -> None:
    """Delete attribute *name*."""
    own = own_of(node._entry())
    name = check_name(name)
    if name in node._hidden:
        raise _is_default_error(node, name)
    if position(own[0], name) < 0:
        raise missing(node, name)
    if is_payload(get_value(own, name)):
        raise _is_payload_error(node, name)
    node._put_own(without_value(own, name))


def keep_payloads(own: Own, hidden: Collection[str]) -> Own:
    """*own* without attributes: with its payloads and the *hidden* names only."""
    pairs = zip(own[0], own[1:], strict=True)
    kept = {name: stored for name, stored in pairs if is_payload(stored) or name in hidden}
    return with_values(EMPTY_OWN, kept)


def _is_default_error(node: Handle, name: str) -> InvalidKeyError:
    return InvalidKeyError(
        f"{name!r} of {node._place()} cannot be an attribute: it keeps a default of data nodes; "
        "configure_data sets and unsets it"
    )


def _is_payload_error(node: Handle, name: str) -> PayloadExistsError:
    return PayloadExistsError(
        f"attribute {name!r} of {node._place()} is a payload; write_data replaces it, delete_data removes it"
    )


def missing(node: Handle, name: str) -> AttributeNotFoundError:
    """The error for an attribute that does not exist."""
    there = shown_names(node)
    return AttributeNotFoundError(f"{node._place()} has no attribute {name!r} (there: {some(there)})")
