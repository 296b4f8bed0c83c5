"""Conditions of ``find``: what of a node is compared, and with what.

A condition holds no code: ``queries/matching.py`` makes of it a test of stored entries, and
``queries/parsing.py`` makes one of a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn

from lotdb.errors import InvalidConditionError, shown, written
from lotdb.keys import check_name

__all__ = ["Both", "Condition", "Either", "Field", "Not", "PayloadFields", "Test", "attr", "payload"]

# Each level of a condition takes some levels of Python's stack.
_MOST_LEVELS = 100

_COMBINE = (
    "combine conditions with &, | and ~, each comparison in parentheses: (attr('a') == 1) & (attr('b') > 2)"
)


class Condition:
    """A condition on nodes, made by comparing ``lotdb.attr(...)`` or ``lotdb.payload(...)``.

    ``&`` means and, ``|`` or, ``~`` not. A condition on something that a node does not have is neither
    true nor false, as in SQL: neither ``attr("x") == 1`` nor ``~(attr("x") == 1)`` finds a node without it.

    Examples
    --------
    >>> (attr("label") == "walk") & (attr("subject.height_m") > 1.7)
    (attr('label') == 'walk') & (attr('subject.height_m') > 1.7)
    """

    __slots__ = ("levels",)

    levels: int

    def __and__(self, other: object) -> Condition:
        return Both(self, _checked(other, self, "&"))

    def __or__(self, other: object) -> Condition:
        return Either(self, _checked(other, self, "|"))

    def __invert__(self) -> Condition:
        return self.condition if isinstance(self, Not) else Not(self)

    def __rand__(self, other: object) -> NoReturn:
        _checked(other, self, "&")
        raise AssertionError

    def __ror__(self, other: object) -> NoReturn:
        _checked(other, self, "|")
        raise AssertionError

    def __bool__(self) -> NoReturn:
        raise InvalidConditionError(
            f"{_short(self)} is true or false of a node, not by itself, so 'and', 'or', 'not', 'if' and "
            f"1 < attr(...) < 2 cannot be used with it; {_COMBINE}"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise InvalidConditionError(f"a condition has no {name!r}; {_COMBINE}")

    def _note_levels(self, *parts: Condition) -> None:
        self.levels = 1 + max((part.levels for part in parts), default=0)
        if self.levels > _MOST_LEVELS:
            raise InvalidConditionError(
                f"the condition is nested deeper than {_MOST_LEVELS} levels; is_in compares with many values"
            )


class Test(Condition):
    """One comparison: *operator* applied to *field* and *value*."""

    __slots__ = ("field", "operator", "value")

    def __init__(self, field: Field, operator: str, value: Any = None) -> None:
        self.field, self.operator, self.value = field, operator, value
        self._note_levels()

    def __repr__(self) -> str:
        if self.operator == "exists":
            return f"{self.field!r}.exists()"
        if self.operator in ("is_in", "matches", "contains"):
            value = self.value.pattern if self.operator == "matches" else self.value
            return f"{self.field!r}.{self.operator}({written(value)})"
        return f"({self.field!r} {self.operator} {written(self.value)})"


class Not(Condition):
    """What is true where *condition* is false."""

    __slots__ = ("condition",)

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self._note_levels(condition)

    def __repr__(self) -> str:
        inner = repr(self.condition)
        return f"~{inner}" if isinstance(self.condition, Test) else f"~({inner})"


class _Several(Condition):
    __slots__ = ("parts",)

    _sign = ""

    def __init__(self, *parts: Condition) -> None:
        # A chain of a thousand is one level, not a thousand.
        self.parts: tuple[Condition, ...] = tuple(
            inner for part in parts for inner in (part.parts if type(part) is type(self) else (part,))
        )
        self._note_levels(*self.parts)

    def __repr__(self) -> str:
        shown_parts = (f"({part!r})" if isinstance(part, _Several) else repr(part) for part in self.parts)
        return f" {self._sign} ".join(shown_parts)


class Both(_Several):
    """What is true where all parts are."""

    __slots__ = ()

    _sign = "&"


class Either(_Several):
    """What is true where one of the parts is."""

    __slots__ = ()

    _sign = "|"


class Field:
    """Something of a node that conditions compare with a value: an attribute, or what a payload is like.

    ``==``, ``!=``, ``<``, ``<=``, ``>`` and ``>=`` make a condition. Values that cannot be
    compared, such as a text and a number by ``<``, do not match.
    """

    __slots__ = ("name", "part", "path")

    def __init__(self, name: str, part: str | None = None, path: tuple[str, ...] = ()) -> None:
        self.name = name
        #: None for an attribute; of a payload, what of it: "dtype", …
        self.part = part
        #: Where in the metadata.
        self.path = path

    def __repr__(self) -> str:
        if self.part is None:
            return f"attr({self.name!r})"
        part = "" if self.part == "payload" else f".{self.part}"
        return f"payload({self.name!r}){part}{''.join(f'[{name!r}]' for name in self.path)}"

    def exists(self) -> Condition:
        """True of nodes that have it, and false of those that do not."""
        return Test(self, "exists")

    def is_in(self, values: Iterable[Any]) -> Condition:
        """True where it equals one of *values*.

        >>> attr("label").is_in(["walk", "run"])
        attr('label').is_in(['walk', 'run'])
        """
        wrong = InvalidConditionError(
            f"{self!r}.is_in({shown(values)}): give the values as a list; "
            "contains and matches look for a part of a text"
        )
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise wrong
        try:
            several = list(values)
        except TypeError:  # an array without axes looks as if it had elements
            raise wrong from None
        return Test(self, "is_in", [self._value(value, "is_in") for value in several])

    def matches(self, pattern: str) -> Condition:
        """True where it is a text in which the regular expression *pattern* is found, anywhere.

        >>> attr("label").matches("^walk")
        attr('label').matches('^walk')
        """
        if not isinstance(pattern, (str, re.Pattern)):
            raise InvalidConditionError(
                f"{self!r}.matches({shown(pattern)}): a regular expression is a text, such as '^walk'"
            )
        try:
            compiled = re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise InvalidConditionError(
                f"{self!r}.matches({shown(pattern)}): no regular expression: {error}"
            ) from error
        if isinstance(compiled.pattern, bytes):
            raise InvalidConditionError(f"{self!r}.matches({shown(pattern)}): it is of bytes; give a text")
        return Test(self, "matches", compiled)

    def contains(self, item: Any) -> Condition:
        """True where it is a list, tuple, set, array or dict with *item* in it, or such a text."""
        return Test(self, "contains", self._value(item, "contains"))

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return self._compared("==", value)

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]
        return self._compared("!=", value)

    def __lt__(self, value: object) -> Condition:
        return self._compared("<", value)

    def __le__(self, value: object) -> Condition:
        return self._compared("<=", value)

    def __gt__(self, value: object) -> Condition:
        return self._compared(">", value)

    def __ge__(self, value: object) -> Condition:
        return self._compared(">=", value)

    __hash__ = None  # type: ignore[assignment]

    def _compared(self, operator: str, value: object) -> Condition:
        return Test(self, operator, self._value(value, operator))

    def _value(self, value: object, operator: str) -> Any:
        if isinstance(value, (Field, PayloadFields, Condition)):
            raise InvalidConditionError(
                f"{self!r} {operator} {_short(value)}: a condition compares with a value, not with another "
                "field or condition" + (f"; {_COMBINE}" if isinstance(value, Condition) else "")
            )
        if self.part == "dtype":
            import numpy as np

            try:
                return np.dtype(value)  # type: ignore[call-overload]
            except Exception as error:  # numpy's, of whatever kind
                raise InvalidConditionError(
                    f"{self!r} {operator} {shown(value)}: no dtype; write it as numpy does, such as 'float32'"
                ) from error
        return tuple(value) if self.part == "shape" and isinstance(value, list) else value

    # -- mistakes ----------------------------------------------------------------------------------

    def _no_condition(self, *_: object) -> NoReturn:
        raise InvalidConditionError(
            f"{self!r} by itself is no condition; compare it with a value, or ask {self!r}.exists(), and "
            f"{_COMBINE}"
        )

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = __bool__ = _no_condition

    def __contains__(self, item: object) -> NoReturn:
        raise InvalidConditionError(f"write {self!r}.contains({shown(item)}) in place of {shown(item)} in …")

    __iter__ = None

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        hint = "" if self.part else f"; a value in a dict is attr('{self.name}.{name}'), with a dot"
        raise InvalidConditionError(
            f"{self!r} has no {name!r}; use ==, !=, <, <=, >, >=, exists(), is_in(values), matches(pattern) "
            f"or contains(item){hint}"
        )

    def __getitem__(self, name: object) -> Field:
        if self.part != "metadata":
            raise InvalidConditionError(
                f"{self!r} has no parts"
                + ("" if self.part else f"; a value in a dict is attr('{self.name}.name'), with a dot")
            )
        if not isinstance(name, str):
            raise InvalidConditionError(f"{self!r}[{shown(name)}]: the name of a metadata field is a text")
        return Field(self.name, self.part, (*self.path, name))


PARTS = (
    "kind",
    "shape",
    "dtype",
    "ndim",
    "rows",
    "size",
    "nbytes",
    "samplerate_hz",
    "duration_s",
    "backend",
    "content_type",
    "metadata",
)


class PayloadFields:
    """What conditions can ask of the payload *name*; the names are those of :class:`lotdb.Payload`.

    ``kind``, ``shape``, ``dtype``, ``ndim``, ``rows`` (its length), ``size``, ``nbytes``, ``samplerate_hz``,
    ``duration_s``, ``backend``, ``content_type``, and ``metadata["unit"]``. Nothing is read of the data.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"payload({self.name!r})"

    def exists(self) -> Condition:
        """True of nodes that have the payload, and false of those that do not."""
        return Test(Field(self.name, "payload"), "exists")

    def __getattr__(self, name: str) -> Field:
        if name in PARTS:
            return Field(self.name, name)
        if name.startswith("_"):
            raise AttributeError(name)
        raise InvalidConditionError(f"{self!r} has no {name!r}; there are exists(), {', '.join(PARTS)}")

    def _no_condition(self, *_: object) -> NoReturn:
        raise InvalidConditionError(
            f"{self!r} by itself is no condition; ask {self!r}.exists(), or compare what it is like, such as "
            f"{self!r}.dtype == 'float32'"
        )

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = __bool__ = _no_condition
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _no_condition
    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> NoReturn:
        raise InvalidConditionError(f"write {self!r}.rows in place of len({self!r})")


def attr(name: str) -> Field:
    """The attribute *name*, to be compared in a condition.

    Parameters
    ----------
    name
        Name of the attribute. With dots it looks into dicts: ``"subject.height_m"`` is ``height_m`` in the
        dict ``subject``. An attribute that has this very name, with its dots, comes first.

    Raises
    ------
    InvalidKeyError
        If it cannot be the name of an attribute.

    Examples
    --------
    >>> attr("subject.height_m") > 1.7
    (attr('subject.height_m') > 1.7)
    """
    return Field(check_name(name))


def payload(name: str = "data") -> PayloadFields:
    """The payload *name*, of which conditions compare what it is like.

    Parameters
    ----------
    name
        Name of the payload.

    Raises
    ------
    InvalidKeyError
        If it cannot be the name of a payload.

    Examples
    --------
    >>> payload("imu").dtype == "float32"
    (payload('imu').dtype == dtype('float32'))
    >>> payload("imu").metadata["unit"].exists()
    payload('imu').metadata['unit'].exists()
    """
    return PayloadFields(check_name(name, "payload"))


def _checked(other: object, one: Condition, sign: str) -> Condition:
    if isinstance(other, Condition):
        return other
    raise InvalidConditionError(
        f"{_short(other)} {sign} {_short(one)}: both are to be conditions; {_COMBINE}"
    )


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, (Condition, Field, PayloadFields)) else shown(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
