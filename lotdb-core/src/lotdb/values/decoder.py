"""Attribute values on their way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lotdb.values.plain import TAGS, Undecodable, ValueTypes, tag_of, type_name
from lotdb.values.types import leaf_of_tag, make_leaf

__all__ = ["Decoder"]

_CONTAINERS: dict[str, Callable[[Iterable[Any]], object]] = {tag: kind for kind, tag in TAGS.items()}


class Decoder:
    """One value on its way out; it counts what it had to leave undecoded."""

    def __init__(self, extra: ValueTypes | None) -> None:
        self._extra = extra
        self._left_out = 0

    def item(self, encoded: Any) -> object:
        if type(encoded) is not tuple:
            return encoded
        try:
            return self._tagged(encoded)
        except (MemoryError, RecursionError):  # says something about here and now, not about the data
            raise
        except Exception as error:  # whatever a constructor makes of damaged parts
            return self._undecodable(tag_of(encoded), encoded, f"damaged ({error})")

    def _tagged(self, encoded: tuple[Any, ...]) -> object:
        tag, *parts = encoded
        if container := _CONTAINERS.get(tag):
            return container([self.item(part) for part in parts])
        if tag == "d":
            items = [self.item(part) for part in parts]
            return dict(zip(items[::2], items[1::2], strict=True))
        if leaf := leaf_of_tag(tag):
            return make_leaf(leaf, parts)
        if tag == "x":
            return self._added(encoded)
        why = "a payload, not a value" if tag == "p" else "written by a newer version of lotdb, or damaged"
        return self._undecodable(tag_of(encoded), encoded, why)

    def _added(self, whole: tuple[Any, ...]) -> object:
        _, name, encoded = whole
        if type(name) is not str:
            raise TypeError(f"{type_name(name)} in place of a name")
        added = self._extra.by_name(name) if self._extra else None
        if added is None:
            self._left_out += 1
            return Undecodable(name, whole, "no installed plugin provides this type of values", True)
        before = self._left_out
        plain = self.item(encoded)
        if self._left_out > before:
            return self._undecodable(name, whole, "a value inside it cannot be decoded")
        try:
            return added.decode(plain)
        except Exception as error:
            return self._undecodable(name, whole, f"its decoder failed: {error!r}")

    def _undecodable(self, tag: str, encoded: Any, reason: str) -> Undecodable:
        self._left_out += 1
        return Undecodable(tag, encoded, reason)
