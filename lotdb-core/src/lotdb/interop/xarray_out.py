"""Payloads and nodes for xarray: lazy arrays with dims, times and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lotdb.content import attributes
from lotdb.content.payload import Payload
from lotdb.errors import InvalidOptionError, LotdbError, shown
from lotdb.extras import import_extra
from lotdb.interop.dask_arrays import dask_array
from lotdb.interop.labels import NOT_SHOWN, NodeDataset, NodeDatasets, NodeVariable, variables_of
from lotdb.interop.time_axis import START_NAMES, as_start
from lotdb.keys import check_name
from lotdb.records.entries import own_of
from lotdb.records.own import get_value
from lotdb.segments.payload_form import is_payload

if TYPE_CHECKING:
    from lotdb.tree.node import Node

__all__ = ["to_datatree", "to_xarray"]

EXTRA = "lotdb-core[xarray]"


def to_xarray(payload: Payload, chunks: Any) -> Any:
    """See :meth:`lotdb.Payload.to_xarray`."""
    xarray = import_extra("xarray", EXTRA, "to_xarray()")
    of_node = _attributes_of(payload)
    free = payload.for_threads()
    variables = variables_of(free, of_node)
    first = variables[0]
    notes = first.notes
    _check_chunks(chunks)
    attrs = {} if notes["written"] else dict(of_node)
    if any(each.axis is not None and each.axis.start is not None for each in variables):
        # The coordinate says it, and a datetime among attributes keeps xarray from writing files.
        attrs = {name: each for name, each in attrs.items() if name not in START_NAMES or not as_start(each)}
    if first.column is not None:
        columns = {each.name: each for each in variables if each.axis is None}
        times = [each for each in variables if each.axis is not None]
        rows = {each.name: each for each in times if each.name not in columns}
        attrs.update({name: value for name, value in free.metadata.items() if name not in NOT_SHOWN})
        return _dataset(xarray, NodeDataset("", attrs, {**columns, **rows}), chunks)
    coordinates = {each.name: each for each in variables[1:]}
    for name, stored in notes.get("coords", {}).items():
        coordinate = _sibling(payload, stored)
        # What was appended to since then has no labels there any more.
        lengths = dict(zip(first.dims, first.shape, strict=True))
        if coordinate is not None and all(
            lengths.get(dim) == size for dim, size in zip(coordinate.dims, coordinate.shape, strict=True)
        ):
            coordinates[name] = coordinate
    own_name = notes.get("name", first.name)
    is_index = first.is_coordinate and first.dims == (own_name,)
    variable = _variable(xarray, first, chunks)
    array = xarray.DataArray(variable, _coordinates(xarray, coordinates, chunks), name=own_name)
    array.encoding = variable.encoding
    if is_index:
        array = array.assign_coords({own_name: array.variable})
    array.attrs = {**attrs, **first.attrs}
    return array


def _attributes_of(payload: Payload) -> dict[str, Any]:
    """The attributes of the payload's node, if the node can be asked here."""
    node = payload._node
    if not hasattr(node, "_entry"):
        return {}
    payload._asks_beside("attributes")
    own = own_of(node._entry())
    return {
        name: attributes.as_read(node, name, value) if type(value) is tuple else value
        for name, value in zip(own[0], own[1:], strict=True)
        if name not in node._hidden and not is_payload(value)
    }


def _sibling(payload: Payload, name: str) -> NodeVariable | None:
    node = payload._node
    if not hasattr(node, "_entry"):
        return None
    try:
        name = check_name(name)
    except LotdbError:
        return None
    payload._asks_beside("payload", name)
    try:
        stored = get_value(own_of(node._entry()), name)
    except LotdbError:
        return None
    if not is_payload(stored):
        return None
    return variables_of(attributes.as_read(node, name, stored).for_threads())[0]


def to_datatree(node: Node, chunks: Any) -> Any:
    """See :meth:`lotdb.BaseNode.to_datatree`."""
    xarray = import_extra("xarray", EXTRA, "to_datatree()")
    _check_chunks(chunks)
    groups = {f"/{each.path}": _dataset(xarray, each, chunks) for each in NodeDatasets(node).values()}
    return xarray.DataTree.from_dict(groups, name=node._key)


def _check_chunks(chunks: Any) -> None:
    if isinstance(chunks, bool) or not (
        chunks is None or isinstance(chunks, int | str | tuple | list | Mapping)
    ):
        raise InvalidOptionError(f"chunks is {shown(chunks)}; use None, {{}}, or what dask takes")


def _dataset(xarray: Any, dataset: NodeDataset, chunks: Any) -> Any:
    coordinates = {name: each for name, each in dataset.variables.items() if each.is_coordinate}
    data = {
        name: _variable(xarray, each, chunks)
        for name, each in dataset.variables.items()
        if not each.is_coordinate
    }
    # An array of one's own name is the coordinate of its axis, whatever it was stored as.
    for name in [name for name, each in data.items() if each.dims == (name,)]:
        coordinates[name] = dataset.variables[name]
        del data[name]
    return xarray.Dataset(data, coords=_coordinates(xarray, coordinates, chunks), attrs=dataset.attrs)


def _coordinates(xarray: Any, coordinates: Mapping[str, NodeVariable], chunks: Any) -> Any:
    from lotdb.interop.time_index import time_coordinate

    found = xarray.Coordinates()
    for name, variable in coordinates.items():
        if variable.axis is not None and variable.dims == (name,):
            found = found.merge(time_coordinate(variable)).coords
            continue
        lazy = _variable(xarray, variable, chunks if variable.dims != (name,) else None)
        if variable.dims == (name,) and not variable.notes.get("index", True):
            found = found.merge(xarray.Coordinates({name: lazy}, indexes={})).coords
        else:
            found = found.merge(xarray.Coordinates(xarray.Dataset(coords={name: lazy}).coords)).coords
    return found


def _variable(xarray: Any, variable: NodeVariable, chunks: Any) -> Any:
    if chunks is None:
        from lotdb.interop.lazy_array import lazy_array

        data = lazy_array(variable)
    else:
        data = dask_array(variable, _chunks_of(variable, chunks))
    encoding = {name: _encoding(value) for name, value in dict(variable.notes.get("encoding", {})).items()}
    return xarray.Variable(variable.dims, data, dict(variable.attrs), encoding)


def _encoding(value: Any) -> Any:
    return np.dtype(value["dtype"]) if isinstance(value, dict) else value


def _chunks_of(variable: NodeVariable, chunks: Any) -> Any:
    if not isinstance(chunks, Mapping):
        return chunks
    if not any(dim in chunks for dim in variable.dims):
        return None
    return {axis: chunks[dim] for axis, dim in enumerate(variable.dims) if dim in chunks}
