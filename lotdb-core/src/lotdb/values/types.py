"""The types of values without parts that attributes hold, and how each is taken apart and made again.

One row of the table is one type. To add a type that has no values inside, add a row; its tag and the parts
that it takes are from then on a promise to every database written. numpy's types have their rows in
``numpy_types``, which is loaded when a value is one of theirs: numpy takes longer to load than all the rest.
"""

from __future__ import annotations

import datetime as dt
import pathlib
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from lotdb.errors import UnsupportedValueError
from lotdb.values.leaf import Leaf
from lotdb.values.plain import PLAIN, TAGS, type_name

__all__ = ["find_leaf", "is_held", "leaf_of_tag", "leaf_types", "make_leaf", "mass"]

_ZONES = "use zoneinfo.ZoneInfo('Area/City') or datetime.timezone"


def _take_zone(zone: dt.tzinfo | None) -> tuple[Any, ...] | None:
    if zone is None:
        return None
    if type(zone) not in (dt.timezone, ZoneInfo):
        raise UnsupportedValueError(f"its time zone is of type {type_name(zone)}; {_ZONES}")
    leaf = _LEAVES[type(zone)]
    return (leaf.tag, *leaf.take(zone))


def _make_zone(encoded: Any) -> Any:
    if encoded is None:
        return None
    tag, *parts = encoded
    if tag not in ("tz", "zi"):
        raise ValueError(f"no time zone: {tag!r}")
    return make_leaf(_BY_TAG[tag], parts)


def _take_offset(zone: dt.timezone) -> tuple[Any, ...]:
    offset, text = zone.utcoffset(None), zone.tzname(None)
    named = text != dt.timezone(offset).tzname(None)
    return offset // dt.timedelta(microseconds=1), text if named else None


def _make_offset(microseconds: int, text: Any) -> dt.timezone:
    offset = dt.timedelta(microseconds=microseconds)
    return dt.timezone(offset) if text is None else dt.timezone(offset, text)


def _take_zoneinfo(zone: ZoneInfo) -> tuple[Any, ...]:
    if zone.key is None:
        raise UnsupportedValueError(f"it is a time zone without a key; {_ZONES}")
    return (str(zone.key),)


def _take_datetime(moment: dt.datetime) -> tuple[Any, ...]:
    return (moment.year, moment.month, moment.day, *_take_time(moment))


def _take_time(clock: dt.datetime | dt.time) -> tuple[Any, ...]:
    zone = _take_zone(clock.tzinfo)
    return clock.hour, clock.minute, clock.second, clock.microsecond, clock.fold, zone


def _make_datetime(year: int, month: int, day: int, *clock: Any) -> dt.datetime:
    return dt.datetime.combine(dt.date(year, month, day), _make_time(*clock))


def _make_time(hour: int, minute: int, second: int, microsecond: int, fold: int, zone: Any) -> dt.time:
    return dt.time(hour, minute, second, microsecond, _make_zone(zone), fold=fold)


def _text_of(value: Any) -> tuple[str]:
    return (str(value),)


# A WindowsPath is kept with forward slashes, so that it is the same relative path elsewhere.
_PATH = Leaf("pa", (str,), lambda v: (v.as_posix(),), pathlib.Path)
_INTS = (int,) * 8

_LEAVES: dict[type, Leaf] = {
    complex: Leaf("c", (float, float), lambda v: (v.real, v.imag), complex),
    bytearray: Leaf("b", (bytes,), lambda v: (bytes(v),), bytearray),
    range: Leaf("r", _INTS[:3], lambda v: (int(v.start), int(v.stop), int(v.step)), range),
    Decimal: Leaf("D", (str,), _text_of, Decimal),
    Fraction: Leaf("F", _INTS[:2], lambda v: (int(v.numerator), int(v.denominator)), Fraction),
    uuid.UUID: Leaf("u", (bytes,), lambda v: (v.bytes,), lambda data: uuid.UUID(bytes=data)),
    dt.datetime: Leaf("dt", (*_INTS, object), _take_datetime, _make_datetime),
    dt.date: Leaf("da", _INTS[:3], lambda v: (v.year, v.month, v.day), dt.date),
    dt.time: Leaf("ti", (*_INTS[:5], object), _take_time, _make_time),
    dt.timedelta: Leaf("td", _INTS[:3], lambda v: (v.days, v.seconds, v.microseconds), dt.timedelta),
    dt.timezone: Leaf("tz", (int, object), _take_offset, _make_offset),
    ZoneInfo: Leaf("zi", (str,), _take_zoneinfo, ZoneInfo),
    pathlib.PosixPath: _PATH,
    pathlib.WindowsPath: _PATH,
    pathlib.PurePosixPath: Leaf("pp", (str,), _text_of, pathlib.PurePosixPath),
    pathlib.PureWindowsPath: Leaf("pw", (str,), _text_of, pathlib.PureWindowsPath),
}
_BY_TAG = {leaf.tag: leaf for leaf in _LEAVES.values()}

# The tags of numpy's rows.
_NUMPYS = frozenset(("n", "na", "nb", "nd", "ns"))

# Asked before the bytes are copied, since they may be more than fits into memory twice.
_MASS: dict[str, Callable[[Any], int]] = {"b": len, "na": lambda array: int(array.nbytes)}


@cache
def _of_numpy() -> Any:
    """The module that knows numpy's types, whose rows are in the table from now on."""
    from lotdb.values import numpy_types

    _LEAVES.update(numpy_types.LEAVES)
    _BY_TAG.update(numpy_types.BY_TAG)
    return numpy_types


def find_leaf(value: object) -> Leaf | None:
    """The row for this very value; none for a container, and none for a subclass."""
    leaf = _LEAVES.get(type(value))
    if leaf is None and "numpy" in sys.modules:  # which has made the value, if it is one of its
        leaf = _of_numpy().find_leaf(value)
    return leaf


def leaf_of_tag(tag: str) -> Leaf | None:
    """The row of that tag."""
    leaf = _BY_TAG.get(tag)
    if leaf is None and tag in _NUMPYS:
        leaf = _of_numpy().BY_TAG[tag]
    return leaf


def leaf_types() -> Iterable[type]:
    """All types in the table."""
    return {*_LEAVES, *_of_numpy().LEAVES}


def is_held(kind: type) -> bool:
    """Whether attributes hold values of exactly this type without a plugin."""
    return (
        kind in PLAIN
        or kind in TAGS
        or kind is dict
        or kind in _LEAVES
        or ("numpy" in sys.modules and kind in _of_numpy().LEAVES)
    )


def make_leaf(leaf: Leaf, parts: Sequence[Any]) -> object:
    """The value of these parts, or any error if they never were its parts."""
    # Constructors take more than their own parts: bytearray(10**12), Fraction("1e999999999").
    if len(parts) != len(leaf.parts):
        raise ValueError(f"{len(parts)} parts in place of {len(leaf.parts)}")
    for part, kind in zip(parts, leaf.parts, strict=True):
        if kind is not object and type(part) is not kind:
            raise TypeError(f"{type_name(part)} in place of {kind.__name__}")
    return leaf.make(*parts)


def mass(leaf: Leaf, value: object) -> int:
    """Bytes that taking the value of that row would copy at least."""
    count = _MASS.get(leaf.tag)
    return count(value) if count else 0
