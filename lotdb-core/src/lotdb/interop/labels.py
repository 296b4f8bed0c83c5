"""What nodes are to libraries with labelled axes: a dataset each, of variables with dims and coordinates.

A payload says in its metadata, under ``dims``, what its axes are called. What ``write_xarray`` has stored has
under ``_xarray`` what else is needed to give back the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lotdb.content import tables
from lotdb.content.payload import Payload
from lotdb.content.unbound import Unbound, UnboundNode
from lotdb.errors import DamagedError, InvalidDataError, LotdbError, NodeNotFoundError, shown
from lotdb.interop.time_axis import START_NAMES, TIME_TYPES, TimeAxis, as_start, fitting, start_of
from lotdb.keys import node_text
from lotdb.records.entries import own_of
from lotdb.records.own import get_value
from lotdb.segments.payload_form import PLACE, is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.tree import walk
from lotdb.values import values

if TYPE_CHECKING:
    from lotdb.tree.node import Node

__all__ = [
    "FRAME_NOTES",
    "NOTES",
    "NOT_SHOWN",
    "NodeDataset",
    "NodeDatasets",
    "NodeVariable",
    "own_name",
    "safe_name",
    "token_of",
    "variables_of",
]

Array = np.ndarray[Any, Any]

#: The name in a payload's metadata of what ``write_xarray`` keeps there.
NOTES = "_xarray"

#: And of what ``write_frame`` keeps there.
FRAME_NOTES = "_pandas"

# What of a table's metadata is no attribute of its dataset.
NOT_SHOWN = (NOTES, FRAME_NOTES, "dims")

# What is read where no cell is, of the kinds of columns that have something for that.
_MISSING: dict[str, Any] = {"f": np.nan, "c": complex(np.nan, np.nan), "m": "NaT", "M": "NaT", "O": np.nan}

# Up to here float64 has all integers.
_EXACT = 1 << 53

# Of a table so much is in memory at once while its missing cells are looked for.
_SCANNED_BYTES = 4 << 20


@dataclass(frozen=True, eq=False)
class NodeVariable:
    """An array with named axes: a payload, a column of a table, or the times of rows.

    Any thread may read it, as long as the connection is open.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    is_coordinate: bool = False
    payload: Payload | None = None
    column: str | None = None
    axis: TimeAxis | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    rows_axis: int = 0
    """Which of its axes is that of the rows of the payload, where it is the first one."""

    @property
    def rows(self) -> int:
        """How many rows it has, 1 without axes."""
        return self.shape[self.rows_axis] if self.shape else 1

    @property
    def chunk_rows(self) -> int:
        """How many rows are read at once at least, such as those of a chunk of a zarr array; 1 for any."""
        if self.payload is None or not self.payload._record.segments:
            return 1
        unbound: Any = self.payload._tree
        source = unbound.source(self.payload._record.segments[0].locator)
        return 1 if source.held is not None else int(source.backend.chunk_rows(source.original))

    def read(self, first: int, last: int) -> Array:
        """The rows from *first* to before *last*; all of an array without axes, as one row.

        The axis of the rows is the first one of the result, wherever it is in the variable.

        Raises
        ------
        ClosedError
            If the connection is closed.
        DamagedError
            If the stored bytes are missing or altered.
        InvalidDataError
            If cells of a column are missing, and it is of a type that has nothing for that.
        """
        if not self.shape:
            return np.asarray(self[()], self.dtype)[None]
        return np.asarray(self._stored(slice(first, last)), self.dtype)

    def __getitem__(self, index: Any) -> Any:
        if not self.rows_axis:
            return self._stored(index)
        # Numbers and slices, of which each means one axis.
        places = [*(index if isinstance(index, tuple) else (index,))]
        places += [slice(None)] * (len(self.shape) - len(places))
        rows = places.pop(self.rows_axis)
        found = self._stored((rows, *places))
        if not isinstance(rows, slice):
            return found
        return np.moveaxis(found, 0, sum(isinstance(each, slice) for each in places[: self.rows_axis]))

    def _stored(self, index: Any) -> Any:
        """What is at *index*, of which the rows are the first axis."""
        if self.payload is None:
            assert self.axis is not None
            return self.axis.at(np.arange(self.shape[0])[index])
        if self.payload.kind == "text":
            return _as_text(self.payload, self.dtype)[index]
        if self.payload.kind == "bytes":
            return np.frombuffer(self.payload.read(), np.uint8)[index]
        if self.column is None:
            return self.payload[index]
        head, rest = (index[0], index[1:]) if isinstance(index, tuple) and index else (index, ())
        cells = self._filled(self.payload[head][self.column])
        return cells[rest if np.ndim(head) == 0 and not isinstance(head, slice) else (slice(None), *rest)]

    def _filled(self, cells: Any) -> Any:
        there = np.ma.getdata(cells)
        if there.dtype != self.dtype:
            there = np.asarray(there).astype(self.dtype)
        if not isinstance(cells, np.ma.MaskedArray) and cells is not np.ma.masked:
            return there
        if not np.any(np.ma.getmaskarray(cells)):
            return there
        if self.dtype.kind not in _MISSING:
            raise InvalidDataError(
                f"column {self.column!r} of {self._place()} has missing cells, which an array of "
                f"{self.dtype} cannot tell; use to_pandas()"
            )
        filled = np.array(there)
        filled[np.ma.getmaskarray(cells)] = _MISSING[self.dtype.kind]
        return filled

    def _place(self) -> str:
        return f"payload {self.payload.name!r}" if self.payload is not None else "an axis of times"

    def token(self) -> str:
        """A text that is the same for the same values, in any process, and for no others."""
        about: list[Any] = [self.column, str(self.dtype), self.shape, self.axis]
        if self.rows_axis:
            about.append(self.rows_axis)
        about.append(None if self.payload is None else token_of(self.payload))
        return blake2b(repr(about).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class NodeDataset:
    """What a node, or a table of one, holds: its attributes, and its variables by name.

    ``path`` is that below the node that was asked, ``""`` for itself. All variables that name an axis alike
    have the same coordinate there, and so have the datasets above.
    """

    path: str
    attrs: dict[str, Any]
    variables: dict[str, NodeVariable]


def token_of(payload: Payload) -> str:
    """What tells the rows of *payload* from all others; two of the same token are equal."""
    record = payload._record
    unbound: Any = payload._tree
    layout = record.layout
    about = [record.kind, layout.dtype.descr if layout.dtype.names else layout.dtype.str, record.shape]
    rows = [(unbound.source(each.locator).where, *each[1:4]) for each in record.segments]
    return blake2b(repr((about, rows)).encode(), digest_size=16).hexdigest()


def safe_name(name: str) -> str:
    """*name* without ``/``, which xarray and zarr take for the end of a group's name.

    No two names become one, and :func:`own_name` gives each back.

    >>> safe_name("left/x"), safe_name("100%"), safe_name("left%2Fx")
    ('left%2Fx', '100%', 'left%252Fx')
    """
    if "/" not in name and "%" not in name:
        return name
    return _ESCAPED.sub(lambda found: f"%25{found[1]}2F", name).replace("/", "%2F")


def own_name(name: str) -> str:
    """The name of which :func:`safe_name` made *name*.

    >>> own_name("left%2Fx"), own_name("100%"), own_name("left%252Fx")
    ('left/x', '100%', 'left%2Fx')
    """
    if "%" not in name:
        return name
    return _ESCAPED.sub(lambda found: f"%{found[1][2:]}2F" if found[1] else "/", name)


# How ``/`` is written, or what looks like it, with one more "25" for each time that it was written so.
_ESCAPED = re.compile("%((?:25)*)2F")


def _as_text(payload: Payload, dtype: np.dtype[Any]) -> Array:
    text = payload.read()
    if text.endswith("\0"):
        raise InvalidDataError(
            f"{payload._place} ends in a null character, which numpy's texts cannot; use read()"
        )
    return np.array(text, dtype)


# -- one payload ----------------------------------------------------------------------------------


def variables_of(payload: Payload, node_attributes: Mapping[str, Any] | None = None) -> list[NodeVariable]:
    """The variable that an unbound *payload* is, or those of its columns, and then the times of its rows."""
    attrs = payload.metadata
    notes = attrs.pop(NOTES, None)
    written = isinstance(notes, dict)
    notes = notes if isinstance(notes, dict) else {}
    dims = _dims(attrs, payload)
    axis = _axis(payload, attrs, notes if written else None, node_attributes or {})
    attrs.update(notes.get("attrs", {}))
    shape, dtype = payload.shape, payload.dtype
    place = _rows_axis(notes, len(shape))
    about_it = {**notes, "written": written}
    common: dict[str, Any] = {"payload": payload, "notes": about_it, "rows_axis": place}
    if payload.kind == "text":
        shape, dtype = (), np.dtype(f"U{max(1, payload.shape[0])}")
    found = []
    if dtype.names and payload.shape:
        filled = _filled_dtypes(payload)
        dims, shape = _moved(dims, place), _moved(shape, place)
        for column in dtype.names:
            inner = dtype[column]
            more = tuple(f"{column}_{axis}" for axis in range(len(inner.shape)))
            of_cells = filled.get(column, inner.base)
            found.append(
                NodeVariable(
                    column, (*dims, *more), (*shape, *inner.shape), of_cells, column=column, **common
                )
            )
    else:
        dims, shape = _moved(dims[: len(shape)], place), _moved(shape, place)
        is_coordinate = notes.get("role") == "coordinate"
        found.append(NodeVariable(payload.name, dims, shape, dtype, attrs, is_coordinate, **common))
    axes = {} if axis is None else {place: (axis, notes.get("time_attrs"))}
    others = [number for number in range(len(shape)) if number != place]
    axes.update({others[number]: said for number, said in _other_axes(notes, len(others))})
    for number, (each, about) in axes.items():
        attrs = dict(each.attrs if about is None else about)
        name, length = dims[number], shape[number]
        found.append(NodeVariable(name, (name,), (length,), each.dtype, attrs, True, axis=each))
    return found


def _rows_axis(notes: Mapping[str, Any], axes: int) -> int:
    """Where of so many *axes* that of the rows was."""
    place = notes.get("rows_axis")
    return place if type(place) is int and 0 <= place < axes else 0


def _other_axes(notes: Mapping[str, Any], axes: int) -> Iterator[tuple[int, tuple[TimeAxis, Any]]]:
    """The regular times of axes beside that of the rows, by the axes' numbers among them."""
    several = notes.get("axes")
    if isinstance(several, list) and len(several) == axes:
        for number, said in enumerate(several):
            if isinstance(said, dict) and isinstance(said.get("rate"), float):
                yield number, (TimeAxis(said["rate"], said.get("start")), said.get("attrs"))


def _moved(axes: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    """*axes* with the first one at *place*."""
    return (*axes[1 : place + 1], *axes[:1], *axes[place + 1 :])


def _filled_dtypes(payload: Payload) -> dict[str, np.dtype[Any]]:
    """The dtypes of columns with missing cells for which their own has nothing, by the columns' names.

    As where xarray itself fills: float64 for integers that it holds, and otherwise objects.
    """
    dtype = payload.dtype
    kinds = {name: dtype[name].kind for name in dtype.names or ()}
    if payload.kind != "table" or all(kind in _MISSING for kind in kinds.values()):
        return {}
    exact = dict.fromkeys((name for name, kind in kinds.items() if kind in "iu"), True)
    gone = dict.fromkeys(kinds, False)
    step = max(1, _SCANNED_BYTES // max(1, payload._record.layout.row_bytes))
    edges = [(first, min(first + step, len(payload))) for first in range(0, len(payload), step)]
    for stored in payload._read_runs(edges):
        for name, is_gone in zip(kinds, tables.missing_cells(stored), strict=True):
            gone[name] = gone[name] or bool(is_gone.any())
        for name in exact:
            cells = stored["row"][name]
            if len(cells) and not -_EXACT <= int(cells.min()) <= int(cells.max()) <= _EXACT:
                exact[name] = False
    return {
        name: np.dtype(float if exact.get(name) else object)
        for name, kind in kinds.items()
        if gone[name] and kind not in _MISSING
    }


def _dims(attrs: dict[str, Any], payload: Payload) -> tuple[str, ...]:
    """What the axes are called, as the metadata say or as is usual."""
    axes = 0 if payload.kind == "text" else len(payload.shape)
    said = attrs.get("dims")
    if isinstance(said, list | tuple) and len(said) == axes == len({each for each in said if _is_name(each)}):
        del attrs["dims"]
        return tuple(said)
    if payload.kind == "bytes":
        return ("byte",)
    if payload.samplerate_hz is None:
        return ("row",) if payload.dtype.names and axes == 1 else tuple(f"dim_{axis}" for axis in range(axes))
    return tuple(["time", "channel", *(f"dim_{axis}" for axis in range(2, axes))][:axes])


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and bool(name)


def _axis(
    payload: Payload, attrs: dict[str, Any], notes: Mapping[str, Any] | None, of_node: Mapping[str, Any]
) -> TimeAxis | None:
    if payload.samplerate_hz is None or not payload.shape or payload.kind in ("text", "bytes"):
        return None
    seconds = payload.shape[0] / payload.samplerate_hz
    if notes is not None:
        start = attrs.pop("start_time", None)
        # The unit as it was written: times that were whole microseconds have no nanoseconds.
        if getattr(start, "dtype", None) not in TIME_TYPES:
            start = as_start(start)
        return TimeAxis(payload.samplerate_hz, fitting(start, seconds))
    start = fitting(start_of(attrs, of_node), seconds)
    for name in START_NAMES:
        if start is not None and as_start(attrs.get(name)) is not None:
            del attrs[name]  # the coordinate says it
    return TimeAxis(payload.samplerate_hz, start)


# -- a node, and all below it ---------------------------------------------------------------------

# Of an axis of a name: its length, and what tells its coordinate from others, if it has one.
_Spec = tuple[int, Any]


_BACKEND, _SEGMENTS = PLACE["backend"], PLACE["segments"]


class _Held(NamedTuple):
    """What a node holds, as it is stored, and its path in its tree."""

    own: Any
    hidden: frozenset[str]
    path: str


class NodeDatasets(Mapping[str, NodeDataset]):
    """What a node and those below it are to libraries with labelled axes, by their paths, those above first.

    It shows what is there when it is made. Each is put together when it is first asked for, by any thread.
    """

    def __init__(self, node: Node) -> None:
        unbound = Unbound(node._tree)
        top = node._path()
        cut = len(top) + 1 if top else 0
        self._plugins = node._tree.plugins
        self._nodes: dict[str, _Held] = {}
        self._tables: dict[str, tuple[str, str]] = {}  # their node, and their name there
        self._paths: list[str] = []
        self._payloads = 0
        self._known: dict[str, NodeDataset] = {}
        structured: list[tuple[str, str]] = []
        for found in walk.everything(node):
            whole = found._path()
            path = whole[cut:]
            own = own_of(found._entry())
            self._nodes[path] = _Held(own, found._hidden, whole)
            self._paths.append(path)
            for name, stored in zip(own[0], own[1:], strict=True):
                if type(stored) is tuple and is_payload(stored):
                    self._payloads += 1
                    try:
                        unbound.look_up(stored[_BACKEND], stored[_SEGMENTS])
                        if _is_structured(stored):
                            structured.append((path, name))
                    except (TypeError, ValueError, LookupError, AttributeError) as error:
                        if isinstance(error, LotdbError):
                            raise
                        raise DamagedError(
                            f"payload {name!r} of {found._place()}: its record makes no sense: {error}"
                        ) from error
        for path, name in structured:
            table = self._free_name(path, name)
            self._tables[table] = (path, name)
            self._paths.append(table)
        self._unbound = unbound

    def __getitem__(self, path: str) -> NodeDataset:
        found = self._known.get(path) if isinstance(path, str) else None
        if found is None:
            if path not in self:
                raise NodeNotFoundError(f"there was no {shown(path)} when these datasets were made")
            # Those above first, from the top: each axis has to know what is called alike there.
            keys = path.split("/") if path else []
            for depth in range(len(keys) + 1):
                above = "/".join(keys[:depth])
                if above not in self._known and (above in self._nodes or above in self._tables):
                    self._known[above] = self._made(above)
            found = self._known[path]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and (path in self._nodes or path in self._tables)

    @property
    def payloads(self) -> int:
        """How many payloads there are."""
        return self._payloads

    def _free_name(self, path: str, name: str) -> str:
        """The path of payload *name*, or one like it that no node has: arrays and groups share names."""
        found = f"{path}/{safe_name(name)}" if path else safe_name(name)
        while found in self._nodes:
            found += "_data"
        return found

    def _specs_above(self, path: str) -> dict[str, _Spec]:
        specs: dict[str, _Spec] = {}
        keys = path.split("/") if path else []
        for depth in range(len(keys)):
            specs.update(_specs(self._known["/".join(keys[:depth])]))
        return specs

    def _made(self, path: str) -> NodeDataset:
        above = self._specs_above(path)
        if path in self._tables:
            node, name = self._tables[path]
            payload = self._payload(node, name)
            attrs = {key: value for key, value in payload.metadata.items() if key not in NOT_SHOWN}
            table = NodeDataset(path, attrs, {})
            _settle(table, [_safe(variables_of(payload, self._attributes(node)))], above)
            return table
        attrs = self._attributes(path)
        groups = []
        own = self._nodes[path].own
        for name, stored in zip(own[0], own[1:], strict=True):
            if is_payload(stored) and not _is_structured(stored):
                variables = _safe(variables_of(self._payload(path, name), attrs))
                called = self._free_name(path, name).rpartition("/")[2]
                groups.append([_called(variables[0], called, variables[0].dims), *variables[1:]])
        dataset = NodeDataset(path, attrs, {})
        _settle(dataset, groups, above)
        return dataset

    def _attributes(self, path: str) -> dict[str, Any]:
        held = self._nodes[path]
        return {
            name: values.decode(stored, extra=self._plugins) if type(stored) is tuple else stored
            for name, stored in zip(held.own[0], held.own[1:], strict=True)
            if name not in held.hidden and not is_payload(stored)
        }

    def _payload(self, path: str, name: str) -> Payload:
        held = self._nodes[path]
        try:
            record = PayloadRecord.decode(get_value(held.own, name))
        except DamagedError as error:
            raise DamagedError(f"payload {name!r} of {node_text([held.path])}: {error}") from error
        place: Any = UnboundNode(held.path, self._unbound)
        return Payload(place, name, self._unbound.free(record))


def _safe(variables: list[NodeVariable]) -> list[NodeVariable]:
    """*variables* under names that a group of xarray or zarr can have."""
    return [_called(each, safe_name(each.name), tuple(map(safe_name, each.dims))) for each in variables]


def _called(variable: NodeVariable, name: str, dims: tuple[str, ...]) -> NodeVariable:
    """*variable*, itself if it is called so already: to make another one takes a while."""
    if (variable.name, variable.dims) == (name, dims):
        return variable
    return replace(variable, name=name, dims=dims)


def _is_structured(stored: Any) -> bool:
    """Whether a stored payload is a table, or an array of structures with an axis."""
    if stored[PLACE["kind"]] == "table":
        return True
    dtype = stored[PLACE["dtype"]]
    if type(dtype) is str or not stored[PLACE["shape"]]:
        return False
    decoded: Any = values.decode(dtype)
    return bool(decoded.names)


def _specs(dataset: NodeDataset) -> dict[str, _Spec]:
    found: dict[str, _Spec] = {}
    for variable in dataset.variables.values():
        for dim, length in zip(variable.dims, variable.shape, strict=True):
            found.setdefault(dim, (length, None))
    for variable in dataset.variables.values():
        if variable.is_coordinate and variable.dims == (variable.name,):
            found[variable.name] = (variable.shape[0], _coordinate_token(variable))
    return found


def _coordinate_token(variable: NodeVariable) -> Any:
    return variable.axis if variable.axis is not None else variable.token()


def _settle(dataset: NodeDataset, groups: list[list[NodeVariable]], above: Mapping[str, _Spec]) -> None:
    """Put the variables of *groups*, each of one payload, into *dataset*; axes that differ get own names."""
    by_payload = {
        variables[0].payload.name: variables[0]
        for variables in groups
        if variables[0].is_coordinate and variables[0].payload is not None
    }
    wanted: dict[str, set[_Spec]] = {}
    of_group: list[tuple[str, list[NodeVariable], dict[str, _Spec], dict[str, NodeVariable]]] = []
    for variables in groups:
        first = variables[0]
        if first.is_coordinate and first.notes.get("of"):
            continue  # those of one array come with it
        assert first.payload is not None
        coordinates = {
            safe_name(name): replace(by_payload[stored], name=safe_name(name))
            for name, stored in first.notes.get("coords", {}).items()
            if stored in by_payload
        }
        coordinates |= {each.name: each for each in variables[1:] if each.is_coordinate}
        specs: dict[str, _Spec] = {}
        for variable in variables:
            for dim, length in zip(variable.dims, variable.shape, strict=True):
                specs.setdefault(dim, (length, None))
        # What was appended to since then has no labels there any more.
        coordinates = {
            name: each
            for name, each in coordinates.items()
            if all(specs.get(dim, [size])[0] == size for dim, size in zip(each.dims, each.shape, strict=True))
        }
        for name, variable in coordinates.items():
            if variable.dims == (name,):
                specs[name] = (variable.shape[0], _coordinate_token(variable))
        if first.is_coordinate and first.dims == (first.name,):
            specs[first.name] = (first.shape[0], _coordinate_token(first))
        of_group.append((first.payload.name, variables, specs, coordinates))
    for dim, spec in above.items():
        wanted.setdefault(dim, set()).add(spec)
    for _, _, specs, _ in of_group:
        for dim, spec in specs.items():
            wanted.setdefault(dim, set()).add(spec)
    for _, variables, specs, _ in of_group:
        if variables[0].notes.get("written"):
            # Without a coordinate of its own, it was stored beside what has that of the axis.
            for dim, (length, token) in specs.items():
                like = [each for each in wanted[dim] if each[0] == length and each[1] is not None]
                if token is None and len(like) == 1:
                    specs[dim] = like[0]
    names: dict[tuple[str, _Spec], str] = {}
    for dim in wanted:
        found = {specs[dim] for _, _, specs, _ in of_group if dim in specs}
        for name, _, specs, _ in of_group:
            if dim in specs and found | {above.get(dim, specs[dim])} != {specs[dim]}:
                spec = specs[dim]
                if (dim, spec) not in names:
                    names[dim, spec] = _new_dim(f"{dim}_{safe_name(name)}", spec, names.values(), above)
    for _, variables, specs, coordinates in of_group:
        renamed = {dim: names[dim, spec] for dim, spec in specs.items() if (dim, spec) in names}
        for variable in [*variables, *coordinates.values()]:
            _put(dataset, variable, renamed)


def _new_dim(name: str, spec: _Spec, taken: Collection[str], above: Mapping[str, _Spec]) -> str:
    while above.get(name, spec) != spec or name in taken:
        name += "_2"
    return name


def _put(dataset: NodeDataset, variable: NodeVariable, renamed: Mapping[str, str]) -> None:
    dims = tuple(renamed.get(dim, dim) for dim in variable.dims)
    name = variable.name
    if variable.is_coordinate and name in renamed:
        name = renamed[name]
    variable = _called(variable, name, dims)
    there = dataset.variables.get(name)
    if there is not None and _coordinate_token(there) != _coordinate_token(variable):
        while name in dataset.variables:
            name += "_data" if variable.axis is None else "_2"
        variable = replace(variable, name=name)
    dataset.variables[name] = variable
