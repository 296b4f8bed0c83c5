"""Conditions of ``find`` as lists and texts, and back: what a result notes of what its step has asked."""

from __future__ import annotations

import re
from typing import Any

from lotdb.errors import LotdbError
from lotdb.queries.conditions import Both, Condition, Either, Field, Not, Test
from lotdb.values import values
from lotdb.values.python_text import literal

__all__ = ["from_plain", "to_plain"]

_SEVERAL: dict[str, type[Both] | type[Either]] = {"and": Both, "or": Either}


def to_plain(condition: Any) -> Any:
    """*condition* as JSON has it; a text and None are that already.

    Raises
    ------
    ValueError
        If it compares with a value that cannot be written down so.
    """
    if condition is None or isinstance(condition, str):
        return condition
    if isinstance(condition, Test):
        field = condition.field
        value = condition.value
        if condition.operator == "matches":
            value = value.pattern, value.flags
        return ["test", field.name, field.part, list(field.path), condition.operator, _text(value)]
    if isinstance(condition, Not):
        return ["not", to_plain(condition.condition)]
    for name, kind in _SEVERAL.items():
        if type(condition) is kind:
            return [name, *map(to_plain, condition.parts)]
    raise ValueError(f"a condition of type {type(condition).__name__}")


def from_plain(plain: Any) -> Condition | str | None:
    """The condition of which :func:`to_plain` gave *plain*."""
    if plain is None or isinstance(plain, str):
        return plain
    kind, *parts = plain
    if kind == "test":
        name, part, path, operator, value = parts
        compared: Any = values.decode(literal(value))
        if operator == "matches":
            compared = re.compile(*compared)
        return Test(Field(name, part, tuple(path)), operator, compared)
    conditions: list[Any] = [from_plain(each) for each in parts]
    return Not(*conditions) if kind == "not" else _SEVERAL[kind](*conditions)


def _text(value: Any) -> str:
    try:
        encoded = values.encode(value, name="value")
        text = repr(encoded)
        if literal(text) == encoded:
            return text
    except (LotdbError, ValueError, SyntaxError) as error:
        raise ValueError(f"the value {type(value).__name__}") from error
    raise ValueError("a value such as NaN")
