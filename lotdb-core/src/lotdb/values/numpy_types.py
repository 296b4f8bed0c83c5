"""numpy scalars, arrays and dtypes <-> plain tuples; the part of :mod:`lotdb.values` that knows numpy.

A ``take_`` function gives the plain parts of an object, the ``make_`` function beside it the object again.
Taking raises UnsupportedValueError with nothing but advice for a message: the caller knows which attribute it
is about. Making raises whatever it likes for parts that never came from taking.

A dtype is written as one of these::

    "<f8"                                     numpy's own text for it
    ("c", "<f16", "g", 63)                    a C type that shares its text with another: longlong, longdouble
    ("v", dtype, shape)                       a subarray
    ("s", itemsize, aligned, field, ...)      a structure; a field is (name, offset, dtype, title or None)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from sys import intern
from typing import Any

import numpy as np

from lotdb.errors import UnsupportedValueError
from lotdb.values.leaf import Leaf

__all__ = [
    "BY_TAG",
    "LEAVES",
    "contiguous",
    "find_leaf",
    "make_array",
    "make_dtype",
    "make_scalar",
    "take_array",
    "take_dtype",
    "take_scalar",
]

# Not those of text and bytes: their dtypes pad with NUL and so cannot tell how the scalar ends.
SCALAR_TYPES: tuple[type, ...] = tuple({np.dtype(char).type for char in "?bhilqBHILQefdgFDGmMV"})

_TEXT = re.compile(r"[<>|][biufcmMSUV][0-9]+(\[[0-9A-Za-z]+\])?")
_NESTED = 16  # structures within structures
_TO_PLAIN = "convert it with numpy.asarray(value, dtype=...) to numbers, text, dates or structures of such"


def take_scalar(scalar: Any) -> tuple[Any, ...]:
    """Parts of a scalar: its dtype and its bytes."""
    return _FIXED.get(type(scalar)) or take_dtype(scalar.dtype)[0], scalar.tobytes()


def make_scalar(dtype: Any, data: bytes) -> object:
    """The scalar of :func:`take_scalar`."""
    # The array is fresh, and so is what a structured scalar, which is a view, looks into.
    return make_array(dtype, (), data)[()]


def take_array(array: Any) -> tuple[Any, ...]:
    """Parts of an array: its dtype, shape and bytes in C order."""
    return take_dtype(array.dtype)[0], tuple(array.shape), contiguous(array).tobytes()


def contiguous(array: Any) -> np.ndarray[Any, Any]:
    """*array* in C order: itself, with all of its bytes, or a copy with zeros between the fields of items.

    The bytes between the fields of numpy's own copies are whatever was in memory before.
    """
    if array.dtype.names is None or array.flags.c_contiguous:
        return np.asarray(array, order="C")
    whole = np.zeros(array.shape, array.dtype)
    whole[...] = array
    return whole


def make_array(dtype: Any, shape: tuple[int, ...], data: bytes) -> np.ndarray[Any, Any]:
    """The array of :func:`take_array`, writable."""
    kind = make_dtype(dtype)
    if kind.subdtype or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("no shape of an array")
    if math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes do not make an array of shape {shape} and dtype {kind}")
    if not kind.itemsize:
        # A copy would give items of size 0 a size of 1; and there may be any number of them.
        return np.ndarray(shape, kind, buffer=bytearray())
    if kind.names is not None:
        # A copy of an array leaves the bytes between its fields as they were in memory before.
        return np.ndarray(shape, kind, buffer=bytearray(data))
    return np.ndarray(shape, kind, buffer=data).copy()


def take_dtype(dtype: np.dtype[Any], *, nested: int = 0) -> tuple[Any]:
    """Parts of a dtype: its description (see the top of this module)."""
    if dtype.hasobject or dtype.metadata or nested > _NESTED:
        raise UnsupportedValueError(_objection(dtype))
    if dtype.subdtype:
        base, shape = dtype.subdtype
        return (("v", take_dtype(base, nested=nested + 1)[0], shape),)
    if dtype.type is np.void and dtype.names is not None:
        fields = [_take_field(name, *dtype.fields[name], nested=nested) for name in dtype.names]  # type: ignore[index]
        return (("s", dtype.itemsize, dtype.isalignedstruct, *fields),)
    return (_take_simple(dtype),)


def make_dtype(described: Any) -> np.dtype[Any]:
    """The dtype of :func:`take_dtype`; never one that holds Python objects."""
    if isinstance(described, str):
        if not _TEXT.fullmatch(described):
            raise ValueError(f"no dtype: {described!r}")
        return np.dtype(described)
    return _MAKE[described[0]](*described[1:])


def _take_field(name: str, dtype: np.dtype[Any], offset: int, title: Any = None, *, nested: int) -> Any:
    if title is not None and type(title) is not str:
        raise UnsupportedValueError(_TO_PLAIN)
    return str(name), offset, take_dtype(dtype, nested=nested + 1)[0], title


def _take_simple(dtype: np.dtype[Any]) -> Any:
    text = intern(dtype.str)  # interned, a pickle holds it once, however many values share it
    if _TEXT.fullmatch(text) and np.dtype(text).type is dtype.type and dtype.char not in "gG":
        return text
    if dtype.char in "ilqILQgG":
        return "c", text, dtype.char, _mantissa(dtype.char)
    raise UnsupportedValueError(_objection(dtype))


def _make_c(text: str, char: str, mantissa: int) -> np.dtype[Any]:
    if char not in tuple("ilqILQgG") or not _TEXT.fullmatch(text):
        raise ValueError(f"no C type: {char!r}, {text!r}")
    dtype = np.dtype(char).newbyteorder(text[0])  # type: ignore[arg-type]
    if dtype.str != text:
        return np.dtype(text)  # another platform, where this size goes by another name
    if _mantissa(char) != mantissa:
        # x86 and ARM both write 16 bytes, and mean different numbers by them.
        raise ValueError(f"a longdouble of {mantissa} bits, from another kind of machine")
    return dtype


def _make_subarray(base: Any, shape: tuple[int, ...]) -> np.dtype[Any]:
    return np.dtype((make_dtype(base), shape))


def _make_structure(itemsize: int, aligned: bool, *fields: Any) -> np.dtype[Any]:
    names, offsets, formats, titles = zip(*fields, strict=True) if fields else ((), (), (), ())
    layout: dict[str, Any] = {
        "names": list(names),
        "formats": [make_dtype(described) for described in formats],
        "offsets": list(offsets),
        "itemsize": itemsize,
    }
    if any(title is not None for title in titles):
        layout["titles"] = list(titles)
    return np.dtype(layout, align=aligned)  # type: ignore[call-overload, no-any-return]


def _mantissa(char: str) -> int:
    return int(np.finfo(np.longdouble).nmant) if char in "gG" else 0


def _objection(dtype: np.dtype[Any]) -> str:
    if dtype.metadata:
        return "its dtype carries metadata, which would be lost; store that as an attribute of its own"
    if dtype.kind == "T":
        return "it holds text of variable length; convert it with value.tolist()"
    if dtype.hasobject:
        return "it holds Python objects; convert it with value.tolist() or give it a dtype without objects"
    return f"its dtype {dtype} cannot be kept; {_TO_PLAIN}"


_MAKE: dict[str, Callable[..., np.dtype[Any]]] = {"c": _make_c, "v": _make_subarray, "s": _make_structure}

# Nearly all scalars are of types whose dtype says nothing that the type does not.
_FIXED = {
    kind: take_dtype(np.dtype(kind))[0]
    for kind in SCALAR_TYPES
    if kind not in (np.void, np.datetime64, np.timedelta64)
}

_SCALAR = Leaf("n", (object, bytes), take_scalar, make_scalar)
_DTYPE = Leaf("nd", (object,), take_dtype, make_dtype)

#: The rows of numpy's types; see ``types``.
LEAVES: dict[type, Leaf] = {
    **dict.fromkeys(SCALAR_TYPES, _SCALAR),
    np.str_: Leaf("ns", (str,), lambda v: (str.__str__(v),), np.str_),
    np.bytes_: Leaf("nb", (bytes,), lambda v: (bytes(v),), np.bytes_),
    np.ndarray: Leaf("na", (object, tuple, bytes), take_array, make_array),
    np.dtype: _DTYPE,
}
BY_TAG = {leaf.tag: leaf for leaf in LEAVES.values()}


def find_leaf(value: object) -> Leaf | None:
    """The row for this very value; none for a subclass."""
    # Each dtype has a class of its own below numpy.dtype.
    return LEAVES.get(type(value)) or (_DTYPE if isinstance(value, np.dtype) else None)
