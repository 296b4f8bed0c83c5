"""Pickles of lotdb 1.x as plain data: what they name is never imported, and never called.

Each class that a pickle names gets a stand-in, which keeps the name and the state. A few harmless types of
the standard library, and numpy's arrays, are made from their parts by functions of this file.
"""

from __future__ import annotations

import datetime as dt
import math
import pathlib
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np

from lotdb.storage import compat

__all__ = ["Array", "Ref", "Unknown", "is_uuid", "load_record", "uuid_of"]


class Ref:
    """A reference to another record."""

    def __init__(self, oid: bytes) -> None:
        self.oid = oid


class Unknown:
    """Stands for an object of a class that was not imported."""

    named: ClassVar[str] = ""

    def __new__(cls, *_args: Any, **_named: Any) -> Unknown:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_named: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def _ignore(self, *_args: Any) -> None:
        """What unpickling calls for subclasses of lists, sets and dicts."""

    append = extend = add = __setitem__ = _ignore


class Array:
    """The parts of a numpy array."""

    def __init__(self, kind: type[Unknown]) -> None:
        self.named = kind.named
        self._state: Any = None

    def __setstate__(self, state: Any) -> None:
        self._state = state

    def value(self) -> np.ndarray[Any, Any]:
        """The array; ValueError if it holds objects, or the parts are no array."""
        if self.named != "numpy.ndarray":
            raise ValueError(f"it is of the class {self.named}")
        try:
            _, shape, dtype, is_fortran, raw = self._state
            real, size = dtype.real(), math.prod(shape)
            if not size or not real.itemsize:
                return np.empty(shape, real)
            flat = np.frombuffer(raw, real, size)
        except (TypeError, AttributeError, KeyError) as error:
            raise ValueError(f"it is no whole array: {error}") from error
        return flat.reshape(shape, order="F" if is_fortran else "C").copy("K")


class _Dtype:
    def __init__(self, text: Any, *_flags: Any) -> None:
        self._text = text
        self._state: Any = None

    def __setstate__(self, state: Any) -> None:
        self._state = state

    def real(self) -> np.dtype[Any]:
        if not isinstance(self._text, str) or not re.fullmatch(r"[a-zA-Z?]\d{0,9}", self._text):
            raise ValueError(f"its dtype is {self._text!r}")
        if self._text[0] == "O":
            raise ValueError("it holds objects")
        if self._state is None:
            return np.dtype(self._text)
        _, order, base, names, fields, size, _, flags, *more = self._state
        if base is not None:
            return np.dtype((base[0].real(), base[1]))
        if names is not None:
            found = {
                "names": list(names),
                "formats": [fields[name][0].real() for name in names],
                "offsets": [fields[name][1] for name in names],
                "itemsize": size,
            }
            if any(len(fields[name]) > 2 for name in names):
                found["titles"] = [fields[name][2] if len(fields[name]) > 2 else None for name in names]
            return np.dtype(found, align=bool(flags & 0x80))  # type: ignore[call-overload, no-any-return]
        text = self._text
        if text[0] in "mM" and more:
            unit, count, *_ = more[0][1]
            unit = unit.decode() if isinstance(unit, bytes) else unit
            text = f"{text[0]}8" + ("" if unit == "generic" else f"[{int(count)}{unit}]")
        elif text in ("U", "S", "V"):
            text += str(size // 4 if text == "U" else size)
        real = np.dtype(text)
        return real.newbyteorder(order) if order in ("<", ">") else real


class _Uuid(Unknown):
    named = "uuid.UUID"


def _scalar(dtype: _Dtype, raw: bytes) -> Any:
    real = dtype.real()
    return np.frombuffer(raw, real, 1)[0] if real.itemsize else real.type()


def _fraction(top: Any, bottom: Any = None) -> Fraction:
    if isinstance(top, str):
        top, _, bottom = top.partition("/")
    return Fraction(int(top), 1 if bottom in (None, "") else int(bottom))


def _bytearray(data: Any = b"", encoding: Any = "latin-1") -> bytearray:
    return bytearray(data.encode("latin-1") if isinstance(data, str) else bytes(memoryview(data)))


def _items(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    def make(given: Any = ()) -> Any:
        if not isinstance(given, list | tuple | dict | set | frozenset):
            raise TypeError("not what such a value is made of")
        return kind(given)

    return make


def _default_dict(*_factory: Any) -> dict[Any, Any]:
    return {}


def _encode(text: str, encoding: str = "latin-1") -> bytes:
    return text.encode("latin-1" if encoding in ("latin1", "latin-1") else "utf-8")


def _zone(key: str, *_from: Any) -> ZoneInfo:
    return ZoneInfo(key)


def _attribute(of: Any, name: str) -> Any:
    # A class method is pickled as the attribute of its class. Of one only a pickle may ask.
    if of is _MADE["zoneinfo", "ZoneInfo"] and name == "_unpickle":
        return of
    raise TypeError("not an attribute that a value needs")


def _guarded(module: str, name: str, make: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        try:
            return make(*args)
        except Exception:  # parts that never were those of such a value
            return _unknown(module, name)()

    return call


def _paths(kind: type[pathlib.PurePath]) -> Callable[..., pathlib.PurePath]:
    return lambda *parts: kind(*map(str.__str__, parts))


_builtins: dict[str, Callable[..., Any]] = {
    "set": _items(set),
    "frozenset": _items(frozenset),
    "list": _items(list),
    "tuple": _items(tuple),
    "dict": _items(dict),
    "complex": lambda real, imag: complex(float(real), float(imag)),
    "bytearray": _bytearray,
    "range": range,
    "getattr": _attribute,
}
_others: dict[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): _encode,
    ("collections", "Counter"): _items(dict),
    ("collections", "OrderedDict"): _items(dict),
    ("collections", "defaultdict"): _default_dict,
    ("collections", "deque"): lambda given=(), *_most: list(_items(list)(given)),
    ("datetime", "date"): dt.date,
    ("datetime", "datetime"): dt.datetime,
    ("datetime", "time"): dt.time,
    ("datetime", "timedelta"): dt.timedelta,
    ("datetime", "timezone"): dt.timezone,
    ("decimal", "Decimal"): Decimal,
    ("fractions", "Fraction"): _fraction,
    ("zoneinfo", "ZoneInfo"): _zone,
    ("zoneinfo", "ZoneInfo._unpickle"): _zone,
}
for _module in ("pathlib", "pathlib._local"):
    _others[_module, "PosixPath"] = _others[_module, "PurePosixPath"] = _paths(pathlib.PurePosixPath)
    _others[_module, "WindowsPath"] = _others[_module, "PureWindowsPath"] = _paths(pathlib.PureWindowsPath)
for _module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray"):
    _others[_module, "_reconstruct"] = lambda kind, *_shape: Array(kind)
    _others[_module, "scalar"] = _scalar
    _others[_module, "dtype"] = _Dtype

_MADE: dict[tuple[str, str], Any] = {key: _guarded(*key, make) for key, make in _others.items()}
for _name, _make in _builtins.items():
    for _module in ("builtins", "__builtin__"):
        _MADE[_module, _name] = _guarded("builtins", _name, _make)
_MADE["uuid", "UUID"] = _Uuid


def _unknown(module: Any, name: Any) -> type[Unknown]:
    return type("Unknown", (Unknown,), {"named": f"{module}.{name}"})


def _find(module: str, name: str) -> Any:
    return _MADE.get((module, name)) or _unknown(module, name)


def _reference(reference: Any) -> Any:
    oid = reference[0] if isinstance(reference, tuple) else reference
    # A list stands for a weak reference, or one into another database.
    return Ref(oid) if isinstance(oid, bytes) else _unknown("persistent.wref", "WeakRef")()


def load_record(data: bytes) -> tuple[str, Any]:
    """The dotted name of the class of a record, and its state as plain data.

    Raises
    ------
    Exception
        Any, if *data* is not a record.
    """
    unpickler = compat.unpickler(BytesIO(data), _find, _reference)
    kind = unpickler.load()
    if isinstance(kind, tuple):
        kind = kind[0]
    named = ".".join(kind) if isinstance(kind, tuple) else getattr(kind, "named", str(kind))
    return named, unpickler.load()


def uuid_of(found: Any) -> uuid.UUID:
    """The UUID that *found* stands for."""
    return uuid.UUID(int=found.state["int"])


def is_uuid(found: Any) -> bool:
    """Whether *found* stands for a UUID."""
    return isinstance(found, _Uuid) and isinstance(found.state, dict) and "int" in found.state
