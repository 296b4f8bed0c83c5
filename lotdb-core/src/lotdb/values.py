"""Attribute values <-> plain tagged data, the only form in which they are stored.

None, bool, int, float, str and bytes are stored as they are. Every other value becomes a tuple ``(tag, ...)``
made of such values and further tuples, so what is stored names no class, and loading it runs no code::

    ("l", item, ...)    list              ("t", item, ...)    tuple
    ("s", item, ...)    set               ("f", item, ...)    frozenset
    ("d", k, v, ...)    dict              ("x", name, v)      a type that a plugin adds

    ("c", real, imag)   complex           ("b", bytes)        bytearray
    ("D", text)         Decimal           ("F", n, d)         Fraction
    ("u", bytes)        UUID              ("r", a, b, step)   range
    ("pa", text)        Path              ("pp" or "pw", text)   PurePosixPath or PureWindowsPath

    ("dt", year, ..., microsecond, fold, zone)   datetime     ("da", year, month, day)             date
    ("ti", hour, ..., microsecond, fold, zone)   time         ("td", days, seconds, microseconds)  timedelta
    ("tz", microseconds, name or None)           timezone     ("zi", key)                          ZoneInfo

    ("n", dtype, bytes)           numpy scalar       ("ns", text)     numpy.str_
    ("na", dtype, shape, bytes)   numpy.ndarray      ("nb", bytes)    numpy.bytes_
    ("nd", dtype)                 numpy.dtype

The tag ``"p"`` belongs to payloads, which are no values.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import Enum
from types import NoneType
from typing import Any, Protocol, TypeAlias

from lotdb.errors import PluginError, UnsupportedValueError, ValueTooLargeError
from lotdb.values_table import Leaf, find_leaf, leaf_of_tag, leaf_types, make_leaf, mass, type_name

__all__ = [
    "MAX_DEPTH",
    "MAX_VALUE_BYTES",
    "PLAIN",
    "Encoded",
    "Undecodable",
    "ValueType",
    "ValueTypes",
    "decode",
    "encode",
    "encoded_size",
    "is_larger",
]

MAX_VALUE_BYTES = 1 << 20
"""Largest attribute value, as :func:`encoded_size` estimates it."""

MAX_DEPTH = 64
"""How deep containers may stand within each other."""

_SHORT = 1 << 63

PLAIN: frozenset[type] = frozenset({NoneType, bool, int, float, str, bytes})
"""The types stored as they are. Their subclasses are not."""

Encoded: TypeAlias = bool | int | float | str | bytes | tuple[Any, ...] | None
"""A value as it is stored."""

# What decoding takes on: more than encoding gives, so that limits may grow, and little enough to be harmless.
_MOST_BYTES = 4 * MAX_VALUE_BYTES
_MOST_LEVELS = 2 * MAX_DEPTH


@dataclass(frozen=True)
class ValueType:
    """A type of attribute values that a plugin adds.

    Parameters
    ----------
    name
        What the type is called in the database, for good. Begin it with the name of your package.
    type
        The type itself; subclasses are not included.
    encode
        Gives for a value of the type any value that an attribute can hold, such as a dict.
    decode
        Gives the value again for what *encode* gave.

    Examples
    --------
    >>> from ipaddress import IPv4Address
    >>> address = ValueType("acme.ipv4", IPv4Address, encode=int, decode=IPv4Address)
    """

    name: str
    type: type[Any]
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]


class ValueTypes(Protocol):
    """The plugins' types, by either end."""

    def by_type(self, kind: type, /) -> ValueType | None:
        """The registered type for values of exactly this type, if there is one."""

    def by_name(self, name: str, /) -> ValueType | None:
        """The registered type of that name, if there is one."""


@dataclass(frozen=True, repr=False)
class Undecodable:
    """Stands for a stored value that cannot be read here and now; setting it stores that value unchanged.

    Parameters
    ----------
    tag
        Name of the plugin's type, or the tag of the stored form.
    encoded
        The value as it is stored.
    reason
        Why it cannot be read.
    missing_plugin
        Whether all that it takes is a plugin that is not installed.
    """

    tag: str
    # Not hashed: in damaged data it may hold anything, nested to any depth.
    encoded: Any = field(hash=False)
    reason: str = field(compare=False)
    missing_plugin: bool = field(default=False, compare=False)

    def __repr__(self) -> str:
        return f"<undecodable value {self.tag!r}: {self.reason}>"


def encode(value: object, *, name: str, extra: ValueTypes | None = None) -> Encoded:
    """The value as it is stored.

    Parameters
    ----------
    value
        The value of an attribute.
    name
        Name of the attribute, for messages.
    extra
        The types that plugins add.

    Returns
    -------
    Encoded
        The value itself or a tuple; it shares nothing that could change with *value*.

    Raises
    ------
    UnsupportedValueError
        If the value, or something inside it, is of a type that attributes cannot hold. Subclasses of the
        types they can hold are refused too, since they would come back as something else.
    ValueTooLargeError
        If it would take more than ``MAX_VALUE_BYTES``, or nests deeper than ``MAX_DEPTH``, as a container
        within itself does.
    PluginError
        If a plugin's encoder fails.

    Examples
    --------
    >>> encode([1, 2.5], name="gains")
    ('l', 1, 2.5)
    """
    # Most values are plain and short; they are decided here without a detour.
    kind = type(value)
    if kind is float or (kind is str and len(value) < 1024) or (kind is int and -_SHORT < value < _SHORT):  # type: ignore[arg-type, operator]
        return value  # type: ignore[return-value]
    if kind in PLAIN and encoded_size(value) <= MAX_VALUE_BYTES:  # type: ignore[arg-type]
        return value  # type: ignore[return-value]
    return _Encoder(name, extra).item(value)


def decode(encoded: object, *, extra: ValueTypes | None = None) -> object:
    """The value that was encoded; mutable ones are fresh at every call.

    Nothing that is stored can make this fail: what cannot be read, the whole or a part inside, comes as
    :class:`Undecodable`.

    Parameters
    ----------
    encoded
        What :func:`encode` gave.
    extra
        The types that plugins add.

    Returns
    -------
    object
        The value.

    Examples
    --------
    >>> decode(("l", 1, 2.5)), decode(("x", "acme.ipv4", 1))
    ([1, 2.5], <undecodable value 'acme.ipv4': no installed plugin provides this type of values>)
    """
    if type(encoded) in PLAIN:
        return encoded
    if flaw := _flaw(encoded):
        return Undecodable(_tag(encoded), encoded, flaw)
    return _Decoder(extra).item(encoded)


def encoded_size(encoded: Encoded) -> int:
    """About how many bytes the encoded value takes in a pickle.

    Parameters
    ----------
    encoded
        What :func:`encode` gave.

    Returns
    -------
    int
        Bytes; rather too many than too few.
    """
    kind = type(encoded)
    if kind is float:
        return 9
    if kind is str or kind is bytes:
        return _text_size(encoded)  # type: ignore[arg-type]
    if kind is int:
        return 5 + encoded.bit_length() // 8  # type: ignore[union-attr]
    if kind is not tuple:
        return 1
    # Not by recursion: encoded values are a few dozen levels deep, but nobody promised that.
    total, pending = 0, [encoded]
    while pending:
        total += 4
        for part in pending.pop():  # type: ignore[union-attr]
            if type(part) is tuple:
                pending.append(part)
            else:
                total += encoded_size(part)
    return total


def is_larger(encoded: Iterable[Encoded], limit: int) -> bool:
    """Whether the encoded values take more than about *limit* bytes in all."""
    most = 0
    for value in encoded:
        kind = type(value)
        if kind is str or kind is bytes:
            most += 4 * len(value) + 7  # type: ignore[arg-type]
        elif kind is float or kind is bool or (kind is int and -_SHORT < value < _SHORT):  # type: ignore[operator]
            most += 13
        else:
            most += encoded_size(value)
    # Most are much smaller; only those that may be larger are worth looking at closely.
    return most > limit and sum(map(encoded_size, encoded)) > limit


def _text_size(text: str | bytes) -> int:
    # A long one is not encoded just to be counted: its length alone decides that it is too large.
    if isinstance(text, bytes) or text.isascii() or len(text) > MAX_VALUE_BYTES:
        return len(text) + 7
    return len(text.encode("utf-8", "surrogatepass")) + 7


def _flaw(encoded: object, *, levels: int = _MOST_LEVELS) -> str | None:
    """What shows that an encoded value never came from encoding: a foreign object, absurd size or depth."""
    if type(encoded) is not tuple:
        return f"not plain data, but {type_name(encoded)}"
    left, level = _MOST_BYTES, [encoded]
    for _ in range(levels):
        below = []
        for parts in level:
            left -= len(parts) + 1
            for part in parts:
                if (kind := type(part)) is tuple:
                    below.append(part)
                elif kind is bytes:  # a small pickle may refer to large bytes many times over
                    left -= len(part)
                elif kind not in PLAIN:
                    return f"not plain data: {type_name(part)} is in it"
            if left < 0:
                return "larger than any attribute"
        if not below:
            return None
        level = below
    return "nested deeper than any attribute"


def _tag(encoded: object) -> str:
    if type(encoded) is tuple and encoded and type(encoded[0]) is str:
        return encoded[0]
    return type_name(encoded)


# -- encoding -------------------------------------------------------------------------------------

_TAGS: dict[type, str] = {list: "l", tuple: "t", set: "s", frozenset: "f"}


class _Label(str):
    """A step into a value that is no index and no key."""

    __slots__ = ()


class _Encoder:
    """One value on its way in: how many bytes are left for it, and where inside it we are."""

    def __init__(self, name: str, extra: ValueTypes | None) -> None:
        self._name = name
        self._extra = extra
        self._left = MAX_VALUE_BYTES
        self._steps: list[object] = []

    def item(self, value: Any) -> Encoded:
        kind = type(value)
        if kind in PLAIN:
            return self._counted(value)
        if kind in _TAGS:
            return self._items(value, _TAGS[kind])
        if kind is dict:
            return self._dict(value)
        if leaf := find_leaf(value):
            return self._leaf(value, leaf)
        if kind is Undecodable:
            return self._undecodable(value)
        if self._extra and (added := self._extra.by_type(kind)):
            return self._added(value, added)
        raise self._unsupported(value, _advice(value))

    def _items(self, value: Iterable[object], tag: str) -> Encoded:
        self._enter()
        parts = []
        for index, item in enumerate(value):
            self._steps[-1] = index if tag in "lt" else _Label("{...}")
            parts.append(self.item(item))
        self._steps.pop()
        if tag in "sf":
            parts.sort(key=_order)
        return (tag, *parts)

    def _dict(self, value: dict[object, object]) -> Encoded:
        self._enter()
        parts: list[Encoded] = ["d"]
        for key, item in value.items():
            self._steps[-1] = _Label(".keys()")
            parts.append(self.item(key))
            self._steps[-1] = key
            parts.append(self.item(item))
        self._steps.pop()
        return tuple(parts)

    def _leaf(self, value: object, leaf: Leaf) -> Encoded:
        if mass(value) > self._left:
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
            raise PluginError(
                f"attribute {self._name!r}: the encoder of value type {added.name!r} failed: {error!r}"
            ) from error
        encoded = self.item(plain)
        self._steps.pop()
        return ("x", added.name, encoded)

    def _undecodable(self, value: Undecodable) -> Encoded:
        flaw = _flaw(value.encoded, levels=_MOST_LEVELS - len(self._steps))
        if flaw is None and value.encoded[:1] == ("p",):
            flaw = "a payload, which copying its node keeps"
        if flaw is not None:
            raise self._unsupported(value, f"it is {flaw}")
        return self._counted(value.encoded)

    def _enter(self) -> None:
        if len(self._steps) == MAX_DEPTH:
            raise ValueTooLargeError(
                f"attribute {self._name!r} nests deeper than {MAX_DEPTH} levels{self._where()}; "
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
            f"attribute {self._name!r} takes more than {MAX_VALUE_BYTES} bytes (1 MiB){self._where()}; "
            "keep large data in a payload: node.write_data(...)"
        )

    def _unsupported(self, value: object, advice: str) -> UnsupportedValueError:
        return UnsupportedValueError(
            f"attribute {self._name!r} cannot hold {type_name(value)}{self._where()}: {advice}"
        )

    def _where(self) -> str:
        shown = [step if type(step) is _Label else f"[{_shown(step)}]" for step in self._steps[:8]]
        rest = "…" if len(self._steps) > 8 else ""
        return f" in {''.join(shown)}{rest}" if shown else ""


def _shown(key: object) -> str:
    try:
        return reprlib.repr(key)
    except ValueError:  # Python refuses to write out integers of more than some thousand digits
        return f"<{type_name(key)}>"


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
    (dataclasses.is_dataclass, "convert it with dataclasses.asdict(value)"),
    (lambda value: isinstance(value, tzinfo), "use zoneinfo.ZoneInfo('Area/City') or datetime.timezone"),
    (lambda value: isinstance(value, (Iterator, range)), "convert it with list(value)"),
    (lambda value: isinstance(value, memoryview), "convert it with bytes(value)"),
)


def _advice(value: object) -> str:
    for fits, advice in _ADVICE:
        if fits(value):
            return advice
    held = {*PLAIN, *_TAGS, dict, *leaf_types()}
    if base := next((base for base in type(value).__mro__ if base in held), None):
        return f"only {base.__name__} itself comes back as it was; convert it to that"
    if isinstance(value, Mapping):
        return "convert it with dict(value)"
    if hasattr(type(value), "__array__"):
        return "convert it with numpy.asarray(value); if it is large, keep it with node.write_data(...)"
    return "convert it to numbers, text, dates, arrays or a dict of such, or let a plugin register its type"


# -- decoding -------------------------------------------------------------------------------------

_CONTAINERS: dict[str, Callable[[Iterable[Any]], object]] = {tag: kind for kind, tag in _TAGS.items()}


class _Decoder:
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
            return self._undecodable(_tag(encoded), encoded, f"damaged ({error})")

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
        return self._undecodable(_tag(encoded), encoded, why)

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
