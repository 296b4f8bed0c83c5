"""Storing what xarray holds: arrays as payloads, regular times as a rate and a start, groups as nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lotdb.content import attributes, payloads
from lotdb.content.arrays import as_array
from lotdb.content.payload import Payload
from lotdb.content.payloads import IfExists, Request
from lotdb.errors import InvalidDataError, InvalidOptionError, NodeNotFoundError, PayloadExistsError, shown
from lotdb.extras import import_extra
from lotdb.interfaces.options import check_choice
from lotdb.interfaces.row_blocks import Blocks
from lotdb.interop.labels import FRAME_NOTES, NOTES, own_name
from lotdb.interop.time_axis import START_NAMES, TimeAxis
from lotdb.keys import check_key, check_name
from lotdb.records.entries import own_of
from lotdb.records.own import get_value
from lotdb.segments.payload_form import is_payload
from lotdb.tree.handle import all_or_nothing
from lotdb.values import values

if TYPE_CHECKING:
    from lotdb.tree.node import Node

__all__ = ["write_xarray"]

# What is not in memory is written in blocks of about so many bytes.
BLOCK_BYTES = 16 << 20

# What of an encoding says how the values were stored before, as opposed to how they lay in a file.
_ENCODINGS = ("_FillValue", "add_offset", "calendar", "dtype", "missing_value", "scale_factor", "units")

# Names in an object's attributes that mean something else in a payload's metadata.
_TAKEN = (NOTES, FRAME_NOTES, "dims", *START_NAMES)

_SECONDS = ("s", "sec", "second", "seconds")


@dataclass
class _Plan:
    """A variable that will be a payload."""

    name: str
    variable: Any
    metadata: dict[str, Any]
    axes: dict[str, TimeAxis] = field(default_factory=dict)
    """The axes of regular times; the first one is that of the rows."""

    @property
    def rows_axis(self) -> int:
        return self.variable.dims.index(next(iter(self.axes))) if self.axes else 0


@dataclass
class _Group:
    """What will be stored in a node: nothing of it was written yet."""

    path: str
    plans: list[_Plan] = field(default_factory=list)
    attrs: dict[str, Any] = field(default_factory=dict)


def write_xarray(
    node: Node,
    data: Any,
    *,
    data_attribute: str | None,
    backend: str | None,
    if_exists: IfExists,
    options: Mapping[str, Any],
) -> None:
    """See :meth:`lotdb.BaseNode.write_xarray`."""
    xarray = import_extra("xarray", "lotdb-core[xarray]", "write_xarray()")
    check_choice("if_exists", if_exists, ("replace", "error"))
    if isinstance(data, xarray.DataArray):
        groups = [_array_group(data, data_attribute)]
    elif data_attribute is not None:
        raise InvalidOptionError(
            f"data_attribute={shown(data_attribute)} is for a DataArray; a {type(data).__name__} has names"
        )
    elif isinstance(data, xarray.Dataset):
        groups = [_dataset_group(data, "")]
    elif isinstance(data, xarray.DataTree):
        groups = list(_tree_groups(data))
    else:
        raise InvalidDataError(
            f"{type(data).__name__} is no DataArray, Dataset or DataTree of xarray; write_data stores "
            "arrays, write_frame a DataFrame"
        )
    for group in groups:
        _check_place(node, group, if_exists)
    node._tree.check_writable()
    with all_or_nothing(node):
        for group in groups:
            target: Any = node.get_node_path(group.path) if group.path else node
            _remove_old(target, group)
            for plan in group.plans:
                _write(target, plan, backend, options)
            if group.attrs:
                attributes.write(target, group.attrs)


# -- what will be written -------------------------------------------------------------------------


def _array_group(array: Any, data_attribute: str | None) -> _Group:
    name = data_attribute
    if name is None:
        name = "data" if array.name is None else own_name(_name(array.name, "the DataArray"))
    name = check_name(name, "payload")
    what = f"DataArray {shown(array.name)}"
    _check_indexes(array, what)
    coords = {_name(each, f"a coordinate of {what}"): array.coords[each] for each in array.coords}
    axes = _time_axes(array.variable, coords, array.xindexes)
    stored = {each: f"{name}.{each}" for each in coords if each not in axes}
    _check_unique([name, *stored.values()], what)
    about: dict[str, Any] = {"coords": stored}
    if array.name != name:
        about["name"] = array.name
    group = _Group("", [_plan(name, array.variable, about, what, axes, coords)])
    for each, payload in stored.items():
        of_it = {"role": "coordinate", "of": name, "name": each, "index": each in array.xindexes}
        said = f"coordinate {each!r} of {what}"
        group.plans.append(_plan(payload, coords[each].variable, of_it, said, {}, coords))
    return group


def _dataset_group(dataset: Any, path: str) -> _Group:
    what = f"group {path!r}" if path else "the Dataset"
    _check_indexes(dataset, what)
    names = {_name(each, f"a variable of {what}"): dataset.variables[each] for each in dataset.variables}
    # Those of a tree have no "/", but what stands for it there.
    in_a_tree = not any("/" in each for each in (*names, *map(str, dataset.dims)))
    called = own_name if in_a_tree else str
    _check_unique([called(each) for each in names], what)
    coords = {each: dataset.coords[each] for each in names if each in dataset.coords}
    group = _Group(path, attrs=_attrs(dataset.attrs, what))
    for name in group.attrs:
        if name in {check_name(called(each)) for each in names}:
            raise InvalidDataError(
                f"{what} has an attribute and a variable {name!r}, and a node one thing of a name; rename one"
            )
    axes = {name: _time_axes(names[name], coords, dataset.xindexes) for name in names if name not in coords}
    regular = {each for found in axes.values() for each in found}
    kept = [each for each in coords if each not in regular]
    for name, variable in names.items():
        about: dict[str, Any] = {}
        if name in kept:
            about = {"role": "coordinate", "name": called(name), "index": name in dataset.xindexes}
        elif name in coords:
            continue
        else:
            about["coords"] = {
                called(each): called(each) for each in kept if set(coords[each].dims) <= set(variable.dims)
            }
        said = f"variable {name!r} of {what}"
        group.plans.append(_plan(called(name), variable, about, said, axes.get(name, {}), coords, called))
    return group


def _tree_groups(tree: Any) -> Iterator[_Group]:
    for each in tree.subtree:
        path = each.relative_to(tree)
        path = "" if path == "." else path
        for key in filter(None, path.split("/")):
            if check_key(key) != key:
                raise InvalidDataError(f"group {path!r} has no normal Unicode name; rename it")
        yield _dataset_group(each.to_dataset(inherit=False), path)


def _plan(
    name: str,
    variable: Any,
    about: dict[str, Any],
    what: str,
    axes: dict[str, TimeAxis],
    coords: Mapping[str, Any],
    called: Callable[[str], str] = str,
) -> _Plan:
    _check_dtype(variable, what)
    dims = [called(_name(dim, f"an axis of {what}")) for dim in variable.dims]
    if len(set(dims)) < len(dims):
        raise InvalidDataError(f"{what} has two axes called alike ({shown(dims)}); rename one")
    plan = _Plan(check_name(name, "payload"), variable, {}, axes)
    place = plan.rows_axis
    if place:
        about["rows_axis"] = place
        dims.insert(0, dims.pop(place))
    metadata = plan.metadata
    attrs = _attrs(variable.attrs, what)
    taken = {key: value for key, value in attrs.items() if key in _TAKEN}
    metadata.update({key: value for key, value in attrs.items() if key not in _TAKEN})
    if dims:
        metadata["dims"] = dims
    if taken:
        about["attrs"] = taken
    encoding = _encoding_of(variable.encoding)
    if encoding:
        about["encoding"] = encoding
    of_axes = {}
    for axis, times in axes.items():
        of_axis: dict[str, Any] = {"rate": times.rate}
        if times.start is not None:
            of_axis["start"] = times.start
        if dict(coords[axis].attrs) != times.attrs:
            of_axis["attrs"] = _attrs(coords[axis].attrs, f"coordinate {axis!r} of {what}")
        of_axes[axis] = of_axis
    if axes:
        # Those of the rows are the payload's own rate and start.
        first = of_axes.pop(next(iter(axes)))
        if "start" in first:
            metadata["start_time"] = first["start"]
        if "attrs" in first:
            about["time_attrs"] = first["attrs"]
    if of_axes:
        others = [each for each in variable.dims if each != next(iter(axes))]
        about["axes"] = [of_axes.get(each) for each in others]
    metadata[NOTES] = about
    return plan


def _encoding_of(encoding: Mapping[Any, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name in _ENCODINGS:
        value = encoding.get(name)
        if name == "dtype" and value is not None:
            try:
                dtype = np.dtype(value)
            except TypeError:
                continue
            if not dtype.hasobject:
                kept[name] = {"dtype": dtype.str}
        elif isinstance(value, str | int | float | np.generic):
            kept[name] = value
    return kept


def _attrs(attrs: Mapping[Any, Any], what: str) -> dict[str, Any]:
    found = {}
    for key, value in attrs.items():
        name = check_name(_name(key, f"an attribute of {what}"))
        try:
            values.encode(value, name=name)
        except Exception as error:
            raise type(error)(f"{what} cannot be stored: {error}") from error
        found[name] = value
    return found


# -- what cannot be carried -----------------------------------------------------------------------


def _name(name: Any, what: str) -> str:
    if not isinstance(name, str):
        raise InvalidDataError(f"{what} has the name {shown(name)}, which is no text; rename it")
    return str(name)


def _check_unique(names: list[str], what: str) -> None:
    normal = [check_name(name, "payload") for name in names]
    for name in normal:
        if normal.count(name) > 1:
            raise InvalidDataError(f"{what} has two variables that would be called {name!r}; rename one")


def _check_indexes(data: Any, what: str) -> None:
    for name, index in data.xindexes.items():
        if type(index).__name__ == "PandasMultiIndex":
            raise InvalidDataError(
                f"{what} has a MultiIndex {shown(name)}, which cannot be stored; use reset_index({name!r})"
            )


def _check_dtype(variable: Any, what: str) -> None:
    dtype = variable.dtype
    if isinstance(dtype, np.dtype) and dtype.kind not in "OT":
        if dtype.metadata or (not dtype.names and np.dtype(dtype.str) != dtype):
            raise InvalidDataError(f"{what} is of type {dtype}, which cannot be stored; convert it")
        if dtype.itemsize == 0:
            raise InvalidDataError(f"{what} is of type {dtype}, with elements of no bytes; convert it")
        return
    kind = "objects" if getattr(dtype, "kind", "") == "O" else f"type {dtype}"
    raise InvalidDataError(
        f"{what} holds {kind}, which cannot be stored as they are; convert it, texts with .astype('U')"
    )


def _check_place(node: Node, group: _Group, if_exists: IfExists) -> None:
    try:
        there: Any = node.get_node_path(group.path, False) if group.path else node
    except NodeNotFoundError:
        return
    own = own_of(there._entry())
    for plan in group.plans:
        stored = get_value(own, plan.name)
        if stored is None and plan.name not in own[0]:
            continue
        if not is_payload(stored):
            raise PayloadExistsError(
                f"attribute {plan.name!r} of {there._place()} is a value, and a variable has its name; "
                "rename the variable, or delete_attribute it"
            )
        owner = plan.metadata[NOTES].get("of")
        if owner is not None and _owner_of(there, plan.name) != owner:
            raise PayloadExistsError(
                f"{there._place()} has a payload {plan.name!r} already, and a coordinate of {owner!r} would "
                "have its name; rename one, or pass another data_attribute="
            )
        if if_exists == "error":
            raise PayloadExistsError(
                f"{there._place()} has a payload {plan.name!r} already; use if_exists='replace'"
            )
    for name in group.attrs:
        if is_payload(get_value(own, name)):
            raise PayloadExistsError(
                f"payload {name!r} of {there._place()} has the name of an attribute of the Dataset; "
                "rename one"
            )


def _remove_old(node: Any, group: _Group) -> None:
    """Delete the coordinates that belonged to an array which is about to be replaced."""
    for plan in group.plans:
        if not payloads.has(node, plan.name):
            continue
        notes = payloads.get(node, plan.name).metadata.get(NOTES)
        old = notes.get("coords", {}) if isinstance(notes, dict) else {}
        for name in old.values():
            if payloads.has(node, name) and _owner_of(node, name) == plan.name:
                payloads.delete(node, name)


def _owner_of(node: Any, name: str) -> Any:
    """The array that payload *name* is a coordinate of, and of no other."""
    notes = payloads.get(node, name).metadata.get(NOTES)
    return notes.get("of") if isinstance(notes, dict) else None


# -- regular times --------------------------------------------------------------------------------


def _time_axes(variable: Any, coords: Mapping[str, Any], indexes: Any) -> dict[str, TimeAxis]:
    """The axes of *variable* whose coordinates are regular times; the one whose rate it gets is the first."""
    found = {}
    for name in variable.dims:
        if name in coords and name in indexes and (axis := _time_axis(name, coords[name], indexes[name])):
            found[name] = axis
    if "time" in found:
        found = {"time": found["time"], **found}
    return found


def _time_axis(name: str, coordinate: Any, index: Any) -> TimeAxis | None:
    """The axis whose times are exactly those of *coordinate*."""
    if type(index).__name__ == "TimeIndex" and index.transform.rows == range(len(coordinate)):
        axis: TimeAxis = index.transform.axis
        return axis
    if len(coordinate) < 2 or type(index).__name__ == "TimeIndex" or _encoding_of(coordinate.encoding):
        return None
    units = coordinate.attrs.get("units")
    # Of milliseconds, or of minutes, the rate would be a wrong one.
    is_seconds = name == "time" if units is None else str(units).partition(" since ")[0] in _SECONDS
    if coordinate.dtype.kind == "f" and coordinate.dtype.itemsize == 8 and is_seconds:
        start = None
    elif coordinate.dtype in (np.dtype("M8[ns]"), np.dtype("M8[us]")):
        start = coordinate.values[0]
    else:
        return None
    times = coordinate.values
    for rate in _rates(times, start):
        axis = TimeAxis(rate, start)
        if axis.dtype == times.dtype and np.array_equal(axis.at(np.arange(len(times))), times):
            return axis
    return None


def _rates(times: Any, start: Any) -> list[float]:
    """The rates that *times* may have."""
    if start is None:
        if times[0] != 0:
            return []
        steps = [times[-1] / (len(times) - 1), times[1]]
    else:
        if np.isnat(times).any():
            return []
        second = np.timedelta64(1, "s")
        steps = [(times[-1] - start) / second / (len(times) - 1), (times[1] - start) / second]
    rates = [1 / step for step in steps if np.isfinite(step) and step > 0]
    rounded = [round(rate, digits) for rate in rates for digits in (0, 3, 6)]
    return [float(rate) for rate in dict.fromkeys([*rounded, *rates]) if 0 < rate < np.inf]


# -- writing --------------------------------------------------------------------------------------


def _write(node: Any, plan: _Plan, backend: str | None, options: Mapping[str, Any]) -> Payload:
    rate = next(iter(plan.axes.values())).rate if plan.axes else None
    request = Request(plan.name, backend, rate, plan.metadata, None, "replace", options)
    variable, place = plan.variable, plan.rows_axis
    if not variable.dims or variable._in_memory or not all(variable.shape):
        data = np.asarray(variable.values)
        if place:
            data = np.ascontiguousarray(np.moveaxis(data, place, 0))
        return payloads.write(node, np.asarray(as_array(data)), request)
    rows = variable.shape[place]
    row_shape = (*variable.shape[:place], *variable.shape[place + 1 :])
    blocks = Blocks(_blocks(variable, place), variable.dtype, row_shape=row_shape, rows=rows)
    return payloads.write(node, blocks, request)


def _blocks(variable: Any, place: int) -> Iterator[np.ndarray[Any, Any]]:
    """The rows of *variable* along the axis at *place*, of which one block is in memory at a time."""
    chunks = variable.chunks[place] if variable.chunks else ()
    rows = variable.shape[place]
    row_bytes = max(1, variable.dtype.itemsize * (variable.size // rows))
    step = max(1, BLOCK_BYTES // row_bytes)
    first = 0
    while first < rows:
        last, edge = first + step, 0
        # Where one ends that fits, so that no chunk is computed twice; a large one is computed as a whole.
        ends = [edge := edge + size for size in chunks]
        fitting = [end for end in ends if first < end <= last]
        last = fitting[-1] if fitting else next((end for end in ends if end > first), last)
        last = min(last, rows)
        block = variable.isel({variable.dims[place]: slice(first, last)}).values
        block = np.ascontiguousarray(np.moveaxis(block, place, 0))
        for low in range(0, len(block), step):
            yield block[low : low + step]
        first = last
