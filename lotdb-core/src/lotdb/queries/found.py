"""What ``find`` gives: the nodes that match, found when they are asked for."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from numbers import Number
from typing import Any, Generic, TypeVar, cast, overload

import numpy as np

from lotdb.errors import InvalidConditionError, InvalidOptionError, shown, written
from lotdb.extras import import_extra
from lotdb.queries.conditions import Condition, Field, PayloadFields, attr
from lotdb.queries.globs import first_step
from lotdb.queries.matching import MISSING, Names, Reader, Tests, reader
from lotdb.queries.scan import Found, laid_out, scan
from lotdb.segments.payload_form import is_payload
from lotdb.tree.node import Node, class_for

__all__ = ["Matches", "matches"]

N = TypeVar("N", bound=Node)
T = TypeVar("T")

_NAN = float("nan")


class Matches(Generic[N]):
    """The nodes that ``find`` finds, in the order of their paths.

    Nothing is searched before you iterate, and each iteration searches anew. It needs memory for a few nodes,
    however many there are.
    """

    __slots__ = ("_node_type", "_pattern", "_step", "_tests", "_top", "_where")

    def __init__(self, top: N, pattern: object, where: Condition | None, node_type: str | None) -> None:
        self._top = top
        self._pattern = pattern
        self._where = where
        self._node_type = node_type
        self._step = first_step(pattern)
        self._tests = Tests(where, top._tree.plugins)

    def __repr__(self) -> str:
        where = "" if self._where is None else f", where={self._where!r}"
        node_type = "" if self._node_type is None else f", node_type={self._node_type!r}"
        return f"<Matches of {self._pattern!r}{where}{node_type} below {self._top!r}>"

    def __iter__(self) -> Iterator[N]:
        top = self._top
        # A missing node is told now, and not when the first one is asked for.
        top._entry()
        return (
            top if parent is None else parent._child(key, entry, container, epoch, version)
            for parent, key, entry, container, epoch, version in self._scan()
        )

    def __bool__(self) -> bool:
        """Whether there is any."""
        return next(self._scan(), None) is not None

    def _scan(self) -> Iterator[Found]:
        return scan(self._top, self._step, self._tests, self._node_type)

    def count(self) -> int:
        """How many there are."""
        return sum(1 for _ in self._scan())

    @overload
    def first(self, default: None = None) -> N | None: ...

    @overload
    def first(self, default: T) -> N | T: ...

    def first(self, default: T | None = None) -> N | T | None:
        """The first of them, or *default*."""
        return next(iter(self), default)

    def distinct(self, name: str | Field) -> dict[Any, int]:
        """How many of them have which value.

        Parameters
        ----------
        name
            Name of an attribute, with dots as in :func:`lotdb.attr`; or what a payload is like, such as
            ``lotdb.payload("imu").dtype``.

        Returns
        -------
        dict
            Each value with the number of nodes that have it, the most frequent first. Nodes that do not have
            it are not counted. Lists and arrays are keys as tuples, sets as frozensets, dicts as tuples of
            pairs.

        Raises
        ------
        InvalidKeyError
            If it cannot be a name.
        InvalidConditionError
            If it is neither a name nor a field.
        """
        read = _Column(_field(name, "distinct"), self._top)
        counts: dict[Any, int] = {}
        for found in self._scan():
            value = read(found[2])
            if value is not MISSING:
                key = _hashable(value)
                counts[key] = counts.get(key, 0) + 1
        return dict(sorted(counts.items(), key=lambda each: -each[1]))

    def to_frame(self, columns: Iterable[str | Field] | None = None) -> Any:
        """A pandas DataFrame with a row for each node, and the paths as its index.

        Parameters
        ----------
        columns
            Names of attributes, or fields such as ``lotdb.payload("imu").rows``; by default all attributes
            that any of the nodes has, in the order in which they are come upon.

        Returns
        -------
        pandas.DataFrame
            Cells of nodes without the attribute are missing: NaN or None, as pandas has it. The paths
            begin at the root.

        Raises
        ------
        MissingPluginError
            If pandas is not installed; install the extra ``lotdb-core[pandas]``.
        """
        fields = None if columns is None else [_field(each, "columns") for each in _listed(columns)]
        pandas = import_extra("pandas", "lotdb-core[pandas]", "to_frame()")
        paths: list[str] = []
        table: dict[str, list[Any]] = {}
        reads: dict[str, _Column] = {}
        for field in fields or ():
            name = field.name if field.part is None else repr(field)
            reads[name], table[name] = _Column(field, self._top), []
        for found in self._scan():
            if fields is None:
                for name in self._attributes(found):
                    if name not in table:
                        # That attribute itself, and not what has its name with dots in a dict.
                        column = _Column(attr(name), self._top, itself=True)
                        reads[name], table[name] = column, [None] * len(paths)
            for name, read in reads.items():
                value = read(found[2])
                table[name].append(None if value is MISSING else value)
            paths.append(_path(found[0], found[1]) if found[0] else self._top._path())
        index = pandas.Index(paths, name="path", dtype=object)
        # Made column by column: a list in a cell is a value, not a row of cells.
        frame = {name: pandas.Series(_cells(cells), index=index) for name, cells in table.items()}
        return pandas.DataFrame(frame, index=index, columns=list(table))

    def _attributes(self, found: Found) -> Iterator[str]:
        """The names of the attributes that are no payloads."""
        entry = laid_out(found[2], self._top._tree)
        hidden = class_for(self._top._tree.plugins, entry[0])._hidden if entry[0] else ()
        pairs = zip(entry[1], entry[2:], strict=True)
        return (name for name, stored in pairs if name not in hidden and not is_payload(stored))


class _Column:
    """Reads one field of entries of any form; with *itself*, an attribute that has this very name."""

    def __init__(self, field: Field, top: Node, *, itself: bool = False) -> None:
        self._field = field
        self._itself = itself
        self._tree = top._tree
        self._names: Names | None = None
        self._read: Reader | None = None

    def __call__(self, entry: Any) -> Any:
        entry = laid_out(entry, self._tree)
        names = entry[1]
        if names is not self._names:
            self._names = names
            is_there = not self._itself or self._field.name in names
            self._read = reader(self._field, names, self._tree.plugins) if is_there else None
        return MISSING if self._read is None else self._read(entry)


def matches(top: N, pattern: object, where: object, node_type: object) -> Matches[N]:
    """What ``find`` finds below *top*; the arguments are checked.

    Raises
    ------
    InvalidConditionError
        If the pattern or the condition is none.
    InvalidOptionError
        If *node_type* is not the name of a type.
    """
    top._entry()  # which knows whether it is there
    if isinstance(where, str):
        from lotdb.queries.parsing import parse  # which needs Python's parser

        where = parse(where)
    elif where is not None and not isinstance(where, Condition):
        raise InvalidConditionError(_no_condition(where))
    if node_type is not None and not isinstance(node_type, str):
        raise InvalidOptionError(f"node_type is {shown(node_type)}; use the name of a type, such as 'data'")
    return Matches(top, pattern, where, node_type)


def _no_condition(where: object) -> str:
    if isinstance(where, (Field, PayloadFields)):
        return (
            f"where is {where!r}, which is no condition; compare it with a value, or ask {where!r}.exists()"
        )
    if callable(where):
        return (
            f"where is {shown(where)}; a condition is made of lotdb.attr and lotdb.payload. For a test "
            "of your own write [node for node in node.find(...) if ...]"
        )
    return (
        f"where is {shown(where)}; use a condition such as lotdb.attr('label') == 'walk', or a text such as "
        "'label == \"walk\"'"
    )


def _field(name: object, what: str) -> Field:
    if isinstance(name, Field):
        return name
    if isinstance(name, (Condition, PayloadFields)):
        raise InvalidConditionError(
            f"{what} takes names of attributes, or fields such as lotdb.payload('imu').dtype, not {name!r}"
        )
    if isinstance(name, str) and name.startswith("payload("):  # as in a condition that is a text
        from lotdb.queries.parsing import parse_field

        return parse_field(name)
    return attr(cast("str", name))


def _listed(columns: Any) -> list[Any]:
    if isinstance(columns, (str, Field, PayloadFields)) or not isinstance(columns, Iterable):
        raise InvalidOptionError(f"columns is {shown(columns)}; give a list of names, such as ['label']")
    try:
        return list(columns)
    except TypeError:  # an array without axes looks as if it had elements
        raise InvalidOptionError(
            f"columns is {shown(columns)}; give a list of names, such as ['label']"
        ) from None


def _path(parent: Node, key: str) -> str:
    above = parent._path()
    return f"{above}/{key}" if above else key


def _cells(cells: list[Any]) -> Any:
    """*cells* as pandas is to see them: what has parts is one object."""
    if not any(hasattr(cell, "__len__") and not isinstance(cell, (str, bytes)) for cell in cells):
        return cells
    column = np.empty(len(cells), object)
    for at, cell in enumerate(cells):
        column[at] = cell
    return column


def _hashable(value: Any) -> Hashable:
    kind = type(value)
    if kind is str or kind is int:
        return value  # type: ignore[no-any-return]
    if isinstance(value, float):
        return value if value == value else _NAN  # one NaN is not the other
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashable, value))
    if isinstance(value, dict):
        pairs = [(_hashable(key), _hashable(part)) for key, part in value.items()]
        return tuple(sorted(pairs, key=_sort_key))  # equal dicts may have other orders
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, np.ndarray):
        return _hashable(value.tolist())
    try:
        hash(value)
    except TypeError:
        return repr(value)
    if isinstance(value, (Number, np.generic)) and value != value:  # NaN and NaT of other types
        one: Hashable = _unequal.setdefault((kind, repr(value)), value)
        return one
    return value  # type: ignore[no-any-return]


# Of each kind of what does not equal itself, the one that counts: there are few.
_unequal: dict[tuple[type, str], Any] = {}


def _sort_key(pair: tuple[Hashable, Hashable]) -> tuple[str, str]:
    return type(pair[0]).__name__, written(pair[0])
