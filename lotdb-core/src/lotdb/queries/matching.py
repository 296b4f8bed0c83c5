"""Conditions as tests of stored entries: only the attributes that a condition names are looked at.

Leaves with the same attributes have equal tuples of names, so a test is made once for a tuple of names, and
knows where in the entry each value lies. There are two tests of each condition: whether it is true, and
whether it is false. Of what a node does not have, a condition is neither.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import lru_cache
from itertools import compress, count, repeat
from typing import Any, TypeAlias

import numpy as np

from lotdb.content.defaults import POLICY
from lotdb.content.tables import columns_of
from lotdb.interfaces.loader import Loader
from lotdb.queries.conditions import Both, Condition, Either, Field, Not, Test
from lotdb.records import Entry
from lotdb.records.own import position
from lotdb.segments.payload_form import PLACE, is_payload
from lotdb.storage.folding import Columns
from lotdb.tree.node import class_for
from lotdb.values import values
from lotdb.values.undecodable import Undecodable
from lotdb.values.values import PLAIN

__all__ = ["MISSING", "Names", "Reader", "Tests", "always", "reader"]

Names: TypeAlias = tuple[str, ...]
EntryTest: TypeAlias = Callable[[Entry], bool]
Reader: TypeAlias = Callable[[Entry], Any]

MISSING: Any = object()

# How many tuples of names are remembered; a tree of any size has few.
_MOST = 1024

_NAMES = operator.itemgetter(1)
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

# The keys and entries whose value at one place compares so, and those that must be looked at once more: those
# of other names, and tuples. Written out, because a call for each entry would take most of the time.
_SELECT: dict[str, Callable[[Any, Names, int, Any], list[tuple[str, Entry]]]] = {
    "==": lambda pairs, names, at, value: [
        pair
        for pair in pairs
        if (entry := pair[1])[1] is not names or entry[at] == value or type(entry[at]) is tuple
    ],
    "!=": lambda pairs, names, at, value: [
        pair for pair in pairs if (entry := pair[1])[1] is not names or entry[at] != value
    ],
    "<": lambda pairs, names, at, value: [
        pair for pair in pairs if (entry := pair[1])[1] is not names or entry[at] < value
    ],
    "<=": lambda pairs, names, at, value: [
        pair for pair in pairs if (entry := pair[1])[1] is not names or entry[at] <= value
    ],
    ">": lambda pairs, names, at, value: [
        pair for pair in pairs if (entry := pair[1])[1] is not names or entry[at] > value
    ],
    ">=": lambda pairs, names, at, value: [
        pair for pair in pairs if (entry := pair[1])[1] is not names or entry[at] >= value
    ],
}


def always(entry: Entry) -> bool:
    """The test of no condition."""
    return True


class Tests:
    """The tests of one condition, a test for each tuple of names."""

    def __init__(self, condition: Condition | None, plugins: Loader) -> None:
        self._condition = condition
        self._plugins = plugins
        self._known: dict[Names, EntryTest | None] = {}
        # Whether it is one comparison of plain values, which can be made for many entries at once.
        self._is_simple = condition is None or (
            isinstance(condition, Test)
            and condition.operator in _OPERATORS
            and type(condition.value) in PLAIN
            and condition.field.part is None
            and condition.field.name not in POLICY
        )

    def select(self, keys: tuple[str, ...], entries: tuple[Entry, ...]) -> list[tuple[str, Entry]] | None:
        """The keys and entries that match, if they can be told at once: of leaves that have the same names.

        It calls nothing for a leaf, and so takes a fifth of the time of a test for each.
        """
        names = entries[0][1]
        if not self._is_simple or type(names) is not tuple:
            return None
        condition = self._condition
        at = 0 if condition is None else position(names, condition.field.name) + 2
        if at < 2:
            if list(map(_NAMES, entries)).count(names) != len(entries):
                return None
            if condition is None:
                return list(zip(keys, entries, strict=True))
            return None if "." in condition.field.name else []
        assert isinstance(condition, Test)
        value = condition.value
        try:
            found = _SELECT[condition.operator](zip(keys, entries, strict=True), names, at, value)
            for _, entry in found:
                if entry[1] is not names or type(entry[at]) is tuple:
                    break
            else:
                return found
            # Names may be equal without being the same. What is stored as a tuple may equal the value once
            # it is decoded.
            if any(entry[1] != names or type(entry[at]) is tuple for _, entry in found):
                return None
            compare = _OPERATORS[condition.operator]
            return [pair for pair in found if compare(pair[1][at], value)]
        except (TypeError, ValueError):  # not all can be compared
            return None

    def select_in(self, columns: Columns) -> list[tuple[str, Entry]] | None:
        """The same of leaves that are stored as columns: the one that is asked for is looked at alone."""
        condition, names = self._condition, columns.same(1)
        if not self._is_simple or not isinstance(condition, Test) or type(names) is not tuple:
            return None
        at = position(names, condition.field.name) + 2
        if at < 2:
            return None if "." in condition.field.name else []
        stored = columns.plain(at)
        if stored is None:
            return None
        try:
            hits = map(_OPERATORS[condition.operator], stored, repeat(condition.value))
            return columns.some(list(compress(count(), hits)))
        except (TypeError, ValueError):  # not all can be compared
            return None

    def of(self, names: Names) -> EntryTest | None:
        """The test of entries with these *names*; None if none of them can match."""
        if self._condition is None:
            return always
        try:
            return self._known[names]
        except KeyError:
            if len(self._known) >= _MOST:
                self._known.clear()
            test = self._known[names] = _test(self._condition, names, True, self._plugins)
            return test

    @property
    def asks_nothing(self) -> bool:
        """Whether there is no condition."""
        return self._condition is None

    def match(self, entry: Entry) -> bool:
        """Whether *entry*, which is laid out as a packed leaf, matches."""
        test = self.of(entry[1])
        return test is not None and test(entry)


def _test(condition: Condition, names: Names, wanted: bool, plugins: Loader) -> EntryTest | None:
    """Whether *condition* is *wanted*: True or False."""
    if isinstance(condition, Not):
        return _test(condition.condition, names, not wanted, plugins)
    if isinstance(condition, Test):
        return _comparison(condition, names, wanted, plugins)
    assert isinstance(condition, Both | Either)
    parts = [_test(part, names, wanted, plugins) for part in condition.parts]
    return _all(parts) if isinstance(condition, Both) is wanted else _any(parts)


def _all(parts: list[EntryTest | None]) -> EntryTest | None:
    if None in parts:
        return None
    tests = [part for part in parts if part is not None and part is not always]
    if not tests:
        return always
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        one, other = tests
        return lambda entry: one(entry) and other(entry)

    def test(entry: Entry) -> bool:
        for part in tests:  # noqa: SIM110  # all() of a generator takes twice as long
            if not part(entry):
                return False
        return True

    return test


def _any(parts: list[EntryTest | None]) -> EntryTest | None:
    tests = [part for part in parts if part is not None]
    if always in tests:
        return always
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]

    def test(entry: Entry) -> bool:
        for part in tests:  # noqa: SIM110
            if part(entry):
                return True
        return False

    return test


def _comparison(test: Test, names: Names, wanted: bool, plugins: Loader) -> EntryTest | None:
    read = reader(test.field, names, plugins)
    if test.operator == "exists":
        if read is None:
            return None if wanted else always
        found = read
        return lambda entry: (found(entry) is not MISSING) is wanted
    if read is None:
        return None
    compare = _compare(test)
    slow = _slow(read, compare, wanted)
    at = position(names, test.field.name) + 1
    if test.field.part is not None or at <= 0 or test.field.name in POLICY:
        return slow
    at += 1
    if test.operator == "is_in":
        return _is_in(test.value, at, slow) if wanted else slow
    value = test.value
    if type(value) not in PLAIN or test.operator not in _OPERATORS:
        return slow
    # As nearly all are: a plain value of an attribute and another one.
    if test.operator == ("==" if wanted else "!="):

        def is_equal(entry: Entry) -> bool:
            stored = entry[at]
            return stored == value if type(stored) is not tuple else slow(entry)

        return is_equal
    apply = _OPERATORS[test.operator]

    def compared(entry: Entry) -> bool:
        stored = entry[at]
        if type(stored) is tuple:
            return slow(entry)
        try:
            return apply(stored, value) is wanted
        except TypeError:
            return False

    return compared


def _is_in(choices: list[Any], at: int, slow: EntryTest) -> EntryTest:
    if not all(type(each) in PLAIN for each in choices):
        return slow
    those = frozenset(choices)

    def is_in(entry: Entry) -> bool:
        stored = entry[at]
        return stored in those if type(stored) is not tuple else slow(entry)

    return is_in


def _slow(read: Reader, compare: Callable[[Any], Any], wanted: bool) -> EntryTest:
    def test(entry: Entry) -> bool:
        found = read(entry)
        if found is MISSING or type(found) is Undecodable:
            return False
        try:
            return _truth(compare(found)) is wanted
        except Exception:  # what cannot be compared, be it a plugin's, does not match
            return False

    return test


def _truth(answer: Any) -> bool | None:
    if type(answer) is bool:
        return answer
    return bool(answer) if isinstance(answer, np.bool_) else None


def _compare(test: Test) -> Callable[[Any], Any]:
    """What tells of a value whether *test* is true of it; not True or False if it cannot be told."""
    value, field = test.value, test.field
    if test.operator == "is_in":
        return lambda found: any(_equal(found, each) is True for each in value)
    if test.operator == "matches":
        search = value.search
        return lambda found: search(found) is not None if isinstance(found, str) else None
    if test.operator == "contains":
        return lambda found: _contains(found, value)
    if test.operator == "==":
        return lambda found: _equal(found, value)
    if test.operator == "!=":
        return lambda found: _not(_equal(found, value))
    if field.part == "dtype":  # dtypes are ordered by what can be cast to what, and nobody asks that
        return lambda found: None
    apply = _OPERATORS[test.operator]
    return lambda found: apply(found, value)


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _equal(found: Any, value: Any) -> bool | None:
    """Whether both are one value; arrays as a whole."""
    if isinstance(found, np.ndarray) or isinstance(value, np.ndarray):
        return bool(np.array_equal(found, value))
    return _truth(found == value)


def _contains(found: Any, item: Any) -> bool | None:
    if isinstance(found, str):
        return item in found if isinstance(item, str) else None
    if isinstance(found, np.ndarray):
        return bool(np.any(found == item))
    if isinstance(found, (list, tuple)):
        return any(_equal(each, item) is True for each in found)
    if isinstance(found, (dict, set, frozenset)):
        return item in found
    return None


# -- reading what a field names ---------------------------------------------------------------------


def reader(field: Field, names: Names, plugins: Loader) -> Reader | None:
    """What gives the value of *field* in an entry with these *names*; None if none has it."""
    if field.part is not None:
        return _payload_reader(field, names, plugins)
    ways = _ways(field.name, names)
    if not ways:
        return None
    if len(ways) > 1 or ways[0][1]:
        return _looking_into(ways, plugins)
    name = field.name
    at = position(names, name) + 2

    def read(entry: Entry) -> Any:
        stored = entry[at]
        if type(stored) is not tuple:
            return stored
        return MISSING if is_payload(stored) else values.decode(stored, extra=plugins)

    if name not in POLICY:
        return read
    # A data node keeps a default under this name, which is no attribute.
    return lambda entry: MISSING if entry[0] and name in class_for(plugins, entry[0])._hidden else read(entry)


def _ways(name: str, names: Names) -> list[tuple[int, str]]:
    """Where in an entry *name* may be, and what is left of it to be looked up there; the longest first."""
    ways, end = [], len(name)
    while end > 0:
        at = position(names, name[:end])
        if at >= 0:
            ways.append((at + 2, name[end + 1 :]))
        end = name.rfind(".", 0, end)
    return ways


def _looking_into(ways: list[tuple[int, str]], plugins: Loader) -> Reader:
    def read(entry: Entry) -> Any:
        for at, rest in ways:
            stored = entry[at]
            if type(stored) is tuple and is_payload(stored):
                continue
            found = _look_into(stored, rest)
            if found is not MISSING:
                return values.decode(found, extra=plugins) if type(found) is tuple else found
        return MISSING

    return read


def _look_into(stored: Any, path: str) -> Any:
    """The stored form of what *path* names in a stored dict; its keys may have dots of their own."""
    pending = [(stored, path)]
    while pending:
        stored, path = pending.pop()
        if not path:
            return stored
        if type(stored) is not tuple or not stored or stored[0] != "d":
            continue
        inside = dict(_text_items(stored))
        if not path.isascii():  # which is in the stored form of names, and keys of dicts are as they are
            from unicodedata import normalize  # which few programs need

            inside = {normalize("NFC", key): part for key, part in inside.items()} | inside
        # The one with the longest key is looked at first.
        ends = [at for at, letter in enumerate(path) if letter == "."] + [len(path)]
        pending += [(inside[path[:end]], path[end + 1 :]) for end in ends if path[:end] in inside]
    return MISSING


def _text_items(stored: tuple[Any, ...]) -> list[tuple[str, Any]]:
    keys, parts = stored[1::2], stored[2::2]
    return [(key, part) for key, part in zip(keys, parts, strict=False) if type(key) is str]


def _payload_reader(field: Field, names: Names, plugins: Loader) -> Reader | None:
    at = position(names, field.name) + 2
    if at < 2:
        return None
    find = _PARTS[field.part or ""]
    path = field.path

    def read(entry: Entry) -> Any:
        stored = entry[at]
        if type(stored) is not tuple or not is_payload(stored):
            return MISSING
        try:
            found = find(stored)
            if field.part != "metadata":
                return MISSING if found is None else found
            for name in path:
                found = dict(_text_items(found))[name] if found[0] == "d" else None
        except (TypeError, ValueError, SyntaxError, IndexError, KeyError):  # not there, or a stranger's
            return MISSING
        return MISSING if found is None and not path else values.decode(found, extra=plugins)

    return read


def _dtype(stored: Any) -> np.dtype[Any]:
    dtype = _decoded_dtype(stored[PLACE["dtype"]])
    found: np.dtype[Any] = columns_of(dtype) if stored[PLACE["kind"]] == "table" else dtype
    return found


@lru_cache(256)
def _decoded_dtype(stored: Any) -> np.dtype[Any]:
    decoded: Any = values.decode(stored) if type(stored) is tuple else np.dtype(stored)
    found: np.dtype[Any] = np.dtype(decoded)
    return found


def _rows(stored: Any) -> int:
    shape: tuple[int, ...] = stored[PLACE["shape"]]
    return shape[0] if shape else 1


def _size(stored: Any) -> int:
    return math.prod(stored[PLACE["shape"]])


def _duration(stored: Any) -> float | None:
    rate = stored[PLACE["samplerate_hz"]]
    return None if rate is None else _rows(stored) / rate


_PARTS: dict[str, Callable[[Any], Any]] = {
    "payload": lambda stored: True,
    **{
        name: operator.itemgetter(PLACE[name])
        for name in ("kind", "backend", "shape", "samplerate_hz", "content_type", "metadata")
    },
    "dtype": _dtype,
    "ndim": lambda stored: len(stored[PLACE["shape"]]),
    "rows": _rows,
    "size": _size,
    "nbytes": lambda stored: _size(stored) * _dtype(stored).itemsize,
    "duration_s": _duration,
}
