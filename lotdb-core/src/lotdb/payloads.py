"""Writing, appending to and deleting the payloads of a node."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lotdb import values, walk
from lotdb.copying import rewrite_payload
from lotdb.errors import (
    DataMismatchError,
    InvalidDataError,
    InvalidKeyError,
    InvalidOptionError,
    PayloadExistsError,
    PayloadNotFoundError,
    UnsupportedValueError,
)
from lotdb.keys import check_name
from lotdb.payload import Payload, PayloadRecord, is_payload
from lotdb.policy import BACKEND, DATA_ATTRIBUTE, SAMPLERATE, check_backend
from lotdb.ranges import check_rate
from lotdb.records import get_value, own_of, with_values, without_value
from lotdb.stage import Layout
from lotdb.tree import Handle

if TYPE_CHECKING:
    from lotdb.nodes import BaseNode

__all__ = ["IfExists", "append", "compact", "compact_tree", "delete", "find", "get", "has", "write"]

IfExists = Literal["replace", "error", "append"]

POLICY = (SAMPLERATE, BACKEND, DATA_ATTRIBUTE)

_CONTENT_TYPES = {"array": "application/x-npy", "text": "text/plain", "bytes": "application/octet-stream"}


def find(node: Handle, name: str) -> PayloadRecord | None:
    """The record of payload *name*, or None if there is none; an attribute in its place is an error."""
    own = own_of(node._entry())
    name = check_name(name, "payload")
    if name not in own[0]:
        return None
    stored = get_value(own, name)
    if not is_payload(stored):
        raise PayloadExistsError(
            f"attribute {name!r} of node {node._path()!r} is a value and no payload; "
            "choose another name, or delete_attribute it"
        )
    return PayloadRecord.decode(stored)


def has(node: Handle, name: str) -> bool:
    """Whether there is a payload *name*."""
    return is_payload(get_value(own_of(node._entry()), check_name(name, "payload")))


def get(node: Handle, name: str) -> Payload:
    """Payload *name*, to be read.

    Raises
    ------
    PayloadNotFoundError
        If there is none of that name.
    """
    name = check_name(name, "payload")
    record = find(node, name)
    if record is None:
        own = own_of(node._entry())
        there = [repr(key) for key, value in zip(own[0], own[1:], strict=True) if is_payload(value)]
        raise PayloadNotFoundError(
            f"node {node._path()!r} has no payload {name!r} (there: {', '.join(there) or 'none'})"
        )
    return Payload(node._tree, node._path(), name, record)


def write(
    node: Handle,
    name: str,
    data: Any,
    *,
    backend: str | None = None,
    samplerate_hz: Any = None,
    metadata: Mapping[str, Any] | None = None,
    content_type: str | None = None,
    if_exists: IfExists = "replace",
    options: Mapping[str, Any] | None = None,
) -> Payload:
    """Store *data* as payload *name*; see ``DataNode.write_data``."""
    if if_exists not in ("replace", "error", "append"):
        raise InvalidOptionError(f"if_exists is {if_exists!r}; use 'replace', 'error' or 'append'")
    name = check_name(name, "payload")
    if name in POLICY:
        raise InvalidKeyError(f"{name!r} cannot be a payload: it keeps a default of data nodes")
    existing = find(node, name)
    if existing is not None and if_exists == "error":
        raise PayloadExistsError(
            f"node {node._path()!r} has a payload {name!r} already; use if_exists='replace' or 'append'"
        )
    if existing is not None and if_exists == "append":
        return append(
            node,
            name,
            data,
            backend=backend,
            samplerate_hz=samplerate_hz,
            metadata=metadata,
            content_type=content_type,
            options=options,
        )
    kind, array = _as_array(data, where=f"payload {name!r} of node {node._path()!r}")
    shape, array = array.shape, array.reshape(1) if array.ndim == 0 else array
    rate = check_rate(samplerate_hz)
    tree = node._tree
    layout = _layout(
        node,
        array.dtype,
        array.shape[1:],
        tree.default_backend if backend is None else backend,
        options or {},
    )
    record = PayloadRecord(
        kind=kind,
        layout=layout,
        shape=shape,
        samplerate_hz=rate,
        content_type=_check_content_type(content_type) or _CONTENT_TYPES[kind],
        metadata=_encode_metadata(node, metadata),
    )
    tree.check_writable()
    return _store(node, name, replace(record, segments=tree.stage.write(layout, array)))


def append(
    node: Handle,
    name: str,
    data: Any,
    *,
    backend: str | None = None,
    samplerate_hz: Any = None,
    metadata: Mapping[str, Any] | None = None,
    content_type: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Payload:
    """Add rows to payload *name*, or make it; of what is there, only small segments are written again."""
    name = check_name(name, "payload")
    record = find(node, name)
    if record is None:
        return write(
            node,
            name,
            data,
            backend=backend,
            samplerate_hz=samplerate_hz,
            metadata=metadata,
            content_type=content_type,
            options=options,
        )
    where = f"payload {name!r} of node {node._path()!r}"
    kind, array = _as_array(data, where=where)
    layout = record.layout
    _compare(where, "kind", record.kind, kind)
    if not record.shape or not array.shape:
        raise DataMismatchError(
            f"{where} has shape {record.shape}, the new data {array.shape}: both need rows"
        )
    _compare(where, "dtype", layout.dtype, array.dtype)
    _compare(where, "shape of a row", layout.row_shape, array.shape[1:])
    _compare(where, "backend", layout.backend, layout.backend if backend is None else backend)
    _compare(
        where, "content type", record.content_type, _check_content_type(content_type) or record.content_type
    )
    _compare(where, "sample rate", record.samplerate_hz, check_rate(samplerate_hz) or record.samplerate_hz)
    if options:
        _compare(
            where, "options", layout, _layout(node, layout.dtype, layout.row_shape, layout.backend, options)
        )
    if metadata is not None:
        old = {} if record.metadata is None else values.decode(record.metadata, extra=node._tree.plugins)
        record = replace(record, metadata=_encode_metadata(node, {**_mapping(old), **_mapping(metadata)}))
    node._tree.check_writable()
    segments = node._tree.stage.append(layout, record.segments, array)
    # A payload that grows gets a record of its own: its neighbours are not written again each time.
    return _store(node, name, record.with_rows(record.shape[0] + len(array), segments), boxed=True)


def compact(
    node: Handle, name: str, *, backend: str | None = None, options: Mapping[str, Any] | None = None
) -> Payload:
    """Rewrite payload *name* as one segment; see ``DataNode.compact_data``."""
    record = get(node, name)._record
    tree, old = node._tree, record.layout
    if not options and backend in (None, old.backend):
        layout = old
    else:
        layout = _layout(node, old.dtype, old.row_shape, backend or old.backend, options or {})
    tree.check_writable()
    return _store(node, check_name(name), rewrite_payload(record, tree.stage, tree, layout), boxed=True)


def compact_tree(node: BaseNode, *, backend: str | None, options: Mapping[str, Any]) -> int:
    """Rewrite all payloads at and below *node*; how many."""
    done = 0
    node._tree.check_writable()
    with node._tree.all_or_nothing(node):
        for found in walk.everything(node):
            own = own_of(found._entry())
            for name in [name for name, stored in zip(own[0], own[1:], strict=True) if is_payload(stored)]:
                compact(found, name, backend=backend, options=options)
                done += 1
    return done


def delete(node: Handle, name: str) -> None:
    """Remove payload *name*; ``PayloadNotFoundError`` if there is none."""
    get(node, name)
    node._put_own(without_value(own_of(node._entry()), check_name(name, "payload")))


def _store(node: Handle, name: str, record: PayloadRecord, *, boxed: bool = False) -> Payload:
    node._put_own(with_values(own_of(node._entry()), {name: record.encode()}), boxed=boxed)
    node._tree.plugins.emit("lotdb_payload_written", node=node, name=name)
    return Payload(node._tree, node._path(), name, record)


# -- checking what is given -----------------------------------------------------------------------


def _as_array(data: Any, *, where: str) -> tuple[str, np.ndarray[Any, Any]]:
    """The kind of *data*, and a C-contiguous array of what is stored for it."""
    if isinstance(data, str):
        return "text", np.frombuffer(data.encode("utf-8", "surrogatepass"), np.uint8)
    if isinstance(data, bytes | bytearray | memoryview):
        return "bytes", np.frombuffer(bytes(data), np.uint8)
    if isinstance(data, np.ma.MaskedArray):
        raise InvalidDataError(
            f"{where}: a masked array would lose its mask; store data and mask as two payloads"
        )
    if data is None or isinstance(data, Mapping | set | frozenset):
        raise InvalidDataError(f"{where}: {type(data).__name__} is no array, text or bytes")
    try:
        array = np.asarray(data)
    except Exception as error:
        raise InvalidDataError(f"{where}: {type(data).__name__} cannot become an array: {error}") from error
    if array.dtype.hasobject:
        raise InvalidDataError(
            f"{where}: arrays of objects ({type(data).__name__}) cannot be stored; give them a numeric dtype"
        )
    if array.dtype.itemsize == 0:
        raise InvalidDataError(f"{where}: dtype {array.dtype} has elements of no bytes")
    if array.dtype.type is np.record:
        array = array.view(np.dtype((np.void, array.dtype)))
    _check_dtype(array.dtype, where)
    return "array", np.asarray(array, order="C")


def _check_dtype(dtype: np.dtype[Any], where: str) -> None:
    if dtype.metadata:
        raise InvalidDataError(f"{where}: the metadata of dtype {dtype} would be lost; pass it as metadata=")
    if dtype.names:
        try:
            values.encode(dtype, name="dtype")
        except UnsupportedValueError as error:
            raise InvalidDataError(f"{where}: dtype {dtype} cannot be stored: {error}") from error


def _layout(
    node: Handle, dtype: np.dtype[Any], row_shape: tuple[int, ...], backend: Any, options: Mapping[str, Any]
) -> Layout:
    backend = check_backend(node._tree, backend)
    try:
        return node._tree.layout(backend, dtype, row_shape, options)
    except (InvalidDataError, InvalidOptionError) as error:
        raise type(error)(f"node {node._path()!r}: {error}") from error


def check_metadata(node: Handle, metadata: Any) -> None:
    """Raise the right error if *metadata* cannot be kept."""
    _encode_metadata(node, metadata)


def _encode_metadata(node: Handle, metadata: Any) -> Any:
    if metadata is None or not _mapping(metadata):
        return None
    return values.encode(_mapping(metadata), name="metadata", extra=node._tree.plugins)


def _mapping(metadata: Any) -> dict[Any, Any]:
    if not isinstance(metadata, Mapping):
        raise InvalidOptionError(f"metadata is {reprlib.repr(metadata)}; use a mapping of names to values")
    return dict(metadata)


def _check_content_type(content_type: Any) -> str | None:
    if content_type is not None and not isinstance(content_type, str):
        raise InvalidOptionError(f"content_type is {content_type!r}; use a media type such as 'audio/wav'")
    return content_type


def _compare(where: str, what: str, there: Any, given: Any) -> None:
    if there != given:
        raise DataMismatchError(f"{where} has {what} {there!s}, the new data {given!s}; nothing was appended")
