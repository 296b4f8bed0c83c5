"""Attribute values as JSON, in which zarr keeps attributes: what it lacks becomes a list or a text."""

from __future__ import annotations

import datetime as dt
from base64 import b64encode
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

__all__ = ["as_json"]

# Python writes no integer of more than 4300 digits.
_PRINTED_BITS = 14_000


def as_json(value: Any) -> Any:
    """*value* as dicts, lists, texts, numbers and None.

    Arrays and sets become lists, times ISO 8601 texts, complex numbers lists of two numbers, bytes a text in
    base 64, integers of more than 4000 digits texts in hexadecimal, and what else there is its own text.

    >>> as_json({"at": dt.date(2024, 5, 1), "gains": np.array([1, 2]), 3: 1j})
    {'at': '2024-05-01', 'gains': [1, 2], '3': [0.0, 1.0]}
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(value)
    if isinstance(value, np.generic):
        return as_json(value.item()) if not isinstance(value, np.void) else as_json(bytes(value.tobytes()))
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _PRINTED_BITS else hex(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, Mapping):
        return {_text(name): as_json(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        whole = value.astype(str) if value.dtype.kind in "mM" else value
        return as_json(whole.tolist())
    if isinstance(value, Set):
        return sorted((as_json(each) for each in value), key=repr)
    if isinstance(value, list | tuple | range):
        return [as_json(each) for each in value]
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return _text(value)


def _text(value: Any) -> str:
    try:
        return str(value)
    except ValueError:  # an integer of too many digits, or what is made of them
        return hex(value) if isinstance(value, int) else f"a value of type {type(value).__name__}"
