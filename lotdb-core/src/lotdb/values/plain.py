"""What encoding and decoding of attribute values have in common: the plain types, limits, and sizes."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from lotdb.values.valuetype import ValueType

__all__ = [
    "MAX_DEPTH",
    "MAX_VALUE_BYTES",
    "MOST_LEVELS",
    "PLAIN",
    "SHORT",
    "TAGS",
    "Encoded",
    "ValueTypes",
    "encoded_size",
    "flaw_of",
    "is_larger",
    "is_same",
    "tag_of",
    "type_name",
]

MAX_VALUE_BYTES = 1 << 20
"""Largest attribute value, as :func:`encoded_size` estimates it."""

MAX_DEPTH = 64
"""How deep containers may stand within each other."""

SHORT = 1 << 63
"""Integers below it take nine bytes at most."""

PLAIN: frozenset[type] = frozenset({NoneType, bool, int, float, str, bytes})
"""The types stored as they are. Their subclasses are not."""

Encoded: TypeAlias = bool | int | float | str | bytes | tuple[Any, ...] | None
"""A value as it is stored."""

# What decoding takes on: more than encoding gives, so that limits may grow, and little enough to be harmless.
_MOST_BYTES = 4 * MAX_VALUE_BYTES
MOST_LEVELS = 2 * MAX_DEPTH

TAGS: dict[type, str] = {list: "l", tuple: "t", set: "s", frozenset: "f"}
"""The tags of containers whose parts are items."""


class ValueTypes(Protocol):
    """The plugins' types, by either end."""

    def by_type(self, kind: type, /) -> ValueType | None:
        """The registered type for values of exactly this type, if there is one."""

    def by_name(self, name: str, /) -> ValueType | None:
        """The registered type of that name, if there is one."""


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
    if kind is not tuple:
        return _plain_size(encoded, kind)
    return _tuple_size(encoded, math.inf)


def _tuple_size(encoded: Any, enough: float) -> int:
    """The size of an encoded tuple; of one of more than *enough* bytes, some number above that."""
    # Not by recursion: encoded values are a few dozen levels deep, but nobody promised that.
    total, pending = 0, [encoded]
    while pending and total <= enough:
        total += 4
        for part in pending.pop():
            kind = type(part)
            # As _plain_size says, without the calls: most sizes that are asked for are those of payloads.
            if kind is tuple:
                pending.append(part)
            elif kind is str and part.isascii():
                total += len(part) + 7
            elif kind is int:
                total += 5 + part.bit_length() // 8
            elif kind is float:
                total += 9
            elif kind is str or kind is bytes:
                total += _text_size(part)
            else:
                total += 1
    return total


def _plain_size(value: Any, kind: type) -> int:
    if kind is str or kind is bytes:
        return _text_size(value)
    if kind is float:
        return 9
    if kind is int:
        return 5 + int(value.bit_length()) // 8
    return 1


def is_larger(encoded: Sequence[Encoded], limit: int) -> bool:
    """Whether the encoded values take more than about *limit* bytes in all."""
    most = least = 0
    others = []  # whose sizes take longer to tell; a long text may decide without them
    for value in encoded:
        kind = type(value)
        if kind is str or kind is bytes:
            most += 4 * len(value) + 7  # type: ignore[arg-type]
            least += len(value) + 7  # type: ignore[arg-type]
        elif kind is float or kind is bool or (kind is int and -SHORT < value < SHORT):  # type: ignore[operator]
            most += 13
        else:
            others.append(value)
    for value in others:
        if least > limit:
            return True
        size = _tuple_size(value, limit) if type(value) is tuple else encoded_size(value)
        most += size
        least += size
    # Most are much smaller; those that may be larger are looked at closely.
    return least > limit or (most > limit and _are_larger(encoded, limit))


def _are_larger(encoded: Iterable[Encoded], limit: int) -> bool:
    size = 0
    for value in encoded:
        size += _tuple_size(value, limit) if type(value) is tuple else encoded_size(value)
        if size > limit:
            return True
    return False


def is_same(one: object, other: object) -> bool:
    """Whether two encoded values are one and the same value: 1, 1.0 and True are not, and NaN is.

    Examples
    --------
    >>> nan, other_nan = float("nan"), float("nan")
    >>> is_same(("l", 1), ("l", 1)), is_same(1, True), is_same(0.0, -0.0), is_same(nan, other_nan)
    (True, False, False, True)
    """
    pending = [(one, other)]
    while pending:  # not by recursion, as in encoded_size
        one, other = pending.pop()
        if one is other:
            continue
        if type(one) is not type(other):
            return False
        if isinstance(one, tuple) and isinstance(other, tuple):
            if len(one) != len(other):
                return False
            pending.extend(zip(one, other, strict=True))
        elif isinstance(one, float) and isinstance(other, float):
            if struct.pack("d", one) != struct.pack("d", other):
                return False
        elif one != other:
            return False
    return True


def exact_text(encoded: object) -> str:
    """The repr of an encoded value, also where Python writes none: an int of thousands of digits."""
    try:
        return repr(encoded)
    except ValueError:
        return _with_long_ints(encoded)


def _with_long_ints(encoded: object) -> str:
    if isinstance(encoded, (tuple, list)):
        return f"({', '.join(map(_with_long_ints, encoded))})"
    return hex(encoded) if type(encoded) is int else repr(encoded)


def _text_size(text: str | bytes) -> int:
    # A long one is not encoded just to be counted: its length alone decides that it is too large.
    if isinstance(text, bytes) or text.isascii() or len(text) > MAX_VALUE_BYTES:
        return len(text) + 7
    return len(text.encode("utf-8", "surrogatepass")) + 7


def flaw_of(encoded: object, *, levels: int = MOST_LEVELS) -> str | None:
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


def tag_of(encoded: object) -> str:
    """The tag of an encoded value, or what it is if it has none."""
    if type(encoded) is tuple and encoded and type(encoded[0]) is str:
        return encoded[0]
    return type_name(encoded)


def type_name(value: object) -> str:
    """The value's type as one would import it."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
