"""Attribute values on their way in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import tzinfo
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

from lotdb.errors import (
    FileSystemError,
    LotdbError,
    PluginError,
    UnsupportedValueError,
    ValueTooLargeError,
    shown,
    system_error,
)
from lotdb.values.plain import (
    MAX_DEPTH,
    MAX_VALUE_BYTES,
    MOST_LEVELS,
    PLAIN,
    TAGS,
    Encoded,
    ValueTypes,
    encoded_size,
    flaw_of,
    type_name,
)

if TYPE_CHECKING:
    from lotdb.values.leaf import Leaf
    from lotdb.values.undecodable import Undecodable
    from lotdb.values.valuetype import ValueType

__all__ = ["Encoder"]


@cache
def _types() -> Any:
    """The table of types, which containers of plain values, the most there are, do not need."""
    from lotdb.values import types

    return types


class _Label(str):
    """A step into a value that is no index and no key."""

    __slots__ = ()


# Made once: each key of each dict takes such a step.
_A_KEY, _AN_ITEM = _Label(".keys()"), _Label("{...}")


class Encoder:
    """One value on its way in: how many bytes are left for it, and where inside it we are."""

    def __init__(self, what: Callable[[], str], extra: ValueTypes | None) -> None:
        self._what = what  # what messages are about
        self._extra = extra
        self._left = MAX_VALUE_BYTES
        self._steps: list[object] = []

    def item(self, value: Any) -> Encoded:
        kind = type(value)
        if kind in PLAIN:  # as _counted, without the calls: most of what is in a value is plain
            if kind is str and value.isascii():
                self._left -= len(value) + 7
            elif kind is int:
                self._left -= 5 + value.bit_length() // 8
            else:
                self._left -= encoded_size(value)
            if self._left < 0:
                raise self._too_large()
            return value  # type: ignore[no-any-return]
        if kind in TAGS:
            return self._items(value, TAGS[kind])
        if kind is dict:
            return self._dict(value)
        if leaf := _types().find_leaf(value):
            return self._leaf(value, leaf)
        from lotdb.values.undecodable import Undecodable

        if kind is Undecodable:
            return self._undecodable(value)
        if self._extra and (added := self._by_type(kind)):
            return self._added(value, added)
        raise self._unsupported(value, _advice(value))

    def _by_type(self, kind: type) -> ValueType | None:
        try:
            return self._extra.by_type(kind) if self._extra else None
        except PluginError as error:
            raise PluginError(f"{self._what()}: {error}") from None

    def _items(self, value: Iterable[object], tag: str) -> Encoded:
        self._enter()
        parts = []
        for index, item in enumerate(value):
            self._steps[-1] = index if tag in "lt" else _AN_ITEM
            parts.append(self.item(item))
        self._steps.pop()
        if tag in "sf":
            parts.sort(key=_order)
        return (tag, *parts)

    def _dict(self, value: dict[object, object]) -> Encoded:
        self._enter()
        parts: list[Encoded] = ["d"]
        for key, item in value.items():
            # As item does, without the calls: nearly all keys are short texts, and many of the values.
            if type(key) is str and key.isascii() and len(key) + 7 <= self._left:
                self._left -= len(key) + 7
                parts.append(key)
            else:
                self._steps[-1] = _A_KEY
                parts.append(self.item(key))
            if type(item) is str and item.isascii() and len(item) + 7 <= self._left:
                self._left -= len(item) + 7
                parts.append(item)
            else:
                self._steps[-1] = key
                parts.append(self.item(item))
        self._steps.pop()
        return tuple(parts)

    def _leaf(self, value: object, leaf: Leaf) -> Encoded:
        if _types().mass(leaf, value) > self._left:
            raise self._too_large()
        try:
            parts = leaf.take(value)
        except UnsupportedValueError as objection:
            raise self._unsupported(value, str(objection)) from None
        return self._counted((leaf.tag, *parts))

    def _added(self, value: object, added: ValueType) -> Encoded:
        self._enter()
        self._steps[-1] = _Label(f" (as {added.name!r} encodes it)")
        try:
            plain = added.encode(value)
        except Exception as error:
            raise self._failed(f"the encoder of {added._said()} failed", error) from error
        encoded = self.item(plain)
        self._steps.pop()
        if (form := _form(encoded)) not in added._proven:
            self._prove(value, added, encoded)
            added._proven.add(form)
        if added.version == 1:  # as it was before types had versions
            return ("x", added.name, encoded)
        return ("xv", added.name, added.version, encoded)

    def _prove(self, value: object, added: ValueType, encoded: Encoded) -> None:
        """Raise ``PluginError`` unless *value* comes back as it is."""
        from lotdb.values.decoder import Decoder
        from lotdb.values.sameness import came_back

        try:
            back = added.decode(Decoder(self._extra).item(encoded))
        except Exception as error:
            raise self._failed(f"{added._said()} cannot decode what it has encoded", error) from error
        try:
            same = back is value or (came_back if added.equal is None else added.equal)(value, back)
            same = bool(same)
        except Exception as error:
            raise self._failed(f"{added._said()} cannot compare two values", error) from error
        if type(back) is not type(value) or not same:
            raise PluginError(
                f"{self._what()}: {added._said()} loses something: {shown(value)} comes back as "
                f"{shown(back)}; mend its encode or decode, or say by equal= when two values are equal"
            )

    def _failed(self, what: str, error: Exception) -> LotdbError:
        """The error for a plugin's function that raised *error*."""
        if failure := system_error(error):
            return FileSystemError.of(failure, f"{self._what()}: {what}")
        return PluginError(f"{self._what()}: {what}: {error!r}")

    def _undecodable(self, value: Undecodable) -> Encoded:
        flaw = flaw_of(value.encoded, levels=MOST_LEVELS - len(self._steps))
        if flaw is None and value.encoded[:1] == ("p",):
            flaw = "a payload, which copying its node keeps"
        if flaw is not None:
            raise self._unsupported(value, f"it is {flaw}")
        return self._counted(value.encoded)

    def _enter(self) -> None:
        if len(self._steps) == MAX_DEPTH:
            raise ValueTooLargeError(
                f"{self._what()} nests deeper than {MAX_DEPTH} levels{self._where()}; "
                "does it contain itself? Flatten it, or make nodes of its levels"
            )
        self._spend(12)  # for its tag and framing; else empty lists would cost nothing
        self._steps.append(None)

    def _counted(self, encoded: Encoded) -> Encoded:
        self._spend(encoded_size(encoded))
        return encoded

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self._too_large()

    def _too_large(self) -> ValueTooLargeError:
        return ValueTooLargeError(
            f"{self._what()} takes more than {MAX_VALUE_BYTES} bytes (1 MiB){self._where()}; "
            "keep large data in a payload: node.write_data(...)"
        )

    def _unsupported(self, value: object, advice: str) -> UnsupportedValueError:
        return UnsupportedValueError(
            f"{self._what()} cannot hold {type_name(value)}{self._where()}: {advice}"
        )

    def _where(self) -> str:
        steps = [step if type(step) is _Label else f"[{shown(step)}]" for step in self._steps[:8]]
        rest = "…" if len(self._steps) > 8 else ""
        return f" in {''.join(steps)}{rest}" if steps else ""


def _form(encoded: Encoded) -> object:
    """What an encoded value is made of, whatever it says: an encoder may lose something in one form only."""
    if type(encoded) is not tuple:
        return type(encoded)
    return encoded[0], frozenset([_tag_or_type(part) for part in encoded[1:]])


def _tag_or_type(part: Encoded) -> object:
    return part[0] if type(part) is tuple else type(part)


def _order(encoded: Encoded) -> Any:
    """Sorts encoded values of all kinds, so that equal sets are stored alike."""
    if isinstance(encoded, tuple):
        return "tuple", tuple([_order(part) for part in encoded])
    # As text, since NaN is neither above nor below a number.
    return type(encoded).__name__, repr(encoded) if isinstance(encoded, float) else encoded


_ADVICE: tuple[tuple[Callable[[Any], object], str], ...] = (
    (lambda value: isinstance(value, Enum), "store its .value or its .name"),
    (lambda value: hasattr(type(value), "_asdict"), "convert it with value._asdict() or tuple(value)"),
    (lambda value: hasattr(type(value), "filled"), "store value.filled() and value.mask"),
    (lambda value: hasattr(type(value), "__dataclass_fields__"), "convert it with dataclasses.asdict(value)"),
    (lambda value: isinstance(value, tzinfo), "use zoneinfo.ZoneInfo('Area/City') or datetime.timezone"),
    (lambda value: isinstance(value, (Iterator, range)), "convert it with list(value)"),
    (lambda value: isinstance(value, memoryview), "convert it with bytes(value)"),
)


def _advice(value: object) -> str:
    for fits, advice in _ADVICE:
        if fits(value):
            return advice
    held = {*PLAIN, *TAGS, dict, *_types().leaf_types()}
    if base := next((base for base in type(value).__mro__ if base in held), None):
        return f"only {base.__name__} itself comes back as it was; convert it to that"
    if isinstance(value, Mapping):
        return "convert it with dict(value)"
    if hasattr(type(value), "__array__"):
        return "convert it with numpy.asarray(value); if it is large, keep it with node.write_data(...)"
    return "convert it to numbers, text, dates, arrays or a dict of such, or let a plugin register its type"
