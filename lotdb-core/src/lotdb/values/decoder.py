"""Attribute values on their way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from lotdb.errors import FileSystemError, PluginError, system_error
from lotdb.values.plain import TAGS, ValueTypes, tag_of, type_name

if TYPE_CHECKING:
    from lotdb.values.undecodable import Undecodable
    from lotdb.values.valuetype import ValueType

__all__ = ["Decoder"]

_CONTAINERS: dict[str, Callable[[Iterable[Any]], object]] = {tag: kind for kind, tag in TAGS.items()}


@cache
def _types() -> Any:
    """The table of types, which containers of plain values, the most there are, do not need."""
    from lotdb.values import types

    return types


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
        except (MemoryError, RecursionError, FileSystemError):  # is about here and now, not about the data
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
        types = _types()
        if leaf := types.leaf_of_tag(tag):
            return types.make_leaf(leaf, parts)
        if tag == "x" and len(parts) == 2:
            return self._added(encoded, parts[0], 1, parts[1])
        if tag == "xv" and len(parts) == 3:
            return self._added(encoded, *parts)
        why = "a payload, not a value" if tag == "p" else "written by a newer version of lotdb, or damaged"
        return self._undecodable(tag_of(encoded), encoded, why)

    def _added(self, whole: tuple[Any, ...], name: Any, version: Any, encoded: Any) -> object:
        if type(name) is not str or type(version) is not int:
            raise TypeError(f"{type_name(name)} and {type_name(version)} in place of a name and a version")
        try:
            added = self._extra.by_name(name) if self._extra else None
        except PluginError as error:  # of two plugins none can be chosen
            return self._undecodable(name, whole, str(error), missing=True)
        if added is None:
            why = "no installed plugin that is switched on provides this type of values"
            return self._undecodable(name, whole, why, missing=True)
        decode = added.decode if version == added.version else added.older.get(version)
        if decode is None:
            return self._undecodable(name, whole, _of_another_version(added, version), missing=True)
        before = self._left_out
        plain = self.item(encoded)
        if self._left_out > before:
            return self._undecodable(name, whole, "a value inside it cannot be decoded")
        try:
            return decode(plain)
        except MemoryError:
            raise
        except Exception as error:
            if failure := system_error(error):  # says nothing about the data
                raise FileSystemError.of(failure, f"{added._said()} cannot decode") from error
            # A library that the plugin lacks is no fault of the value either.
            missing = isinstance(error, ImportError)
            reason = f"the decoder of {added._said()} failed: {error!r}"
            return self._undecodable(name, whole, reason, missing=missing)

    def _undecodable(self, tag: str, encoded: Any, reason: str, *, missing: bool = False) -> Undecodable:
        from lotdb.values.undecodable import Undecodable

        self._left_out += 1
        return Undecodable(tag, encoded, reason, missing)


def _of_another_version(added: ValueType, version: int) -> str:
    known = ", ".join(map(str, sorted({*added.older, added.version})))
    then = "update the plugin" if version > added.version else "give it a decoder for that one: older="
    return f"it is of version {version}, and {added._said()} reads {known} only; {then}"
