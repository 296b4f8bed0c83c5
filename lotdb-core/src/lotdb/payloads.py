"""Writing, appending to and deleting the payloads of a node."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from lotdb import tables, values, walk
from lotdb.arrays import as_array
from lotdb.copying import rewrite_payload
from lotdb.errors import (
    DataMismatchError,
    InvalidDataError,
    InvalidKeyError,
    InvalidOptionError,
    PayloadExistsError,
    PayloadNotFoundError,
    UnsupportedValueError,
    WrongNodeError,
    shown,
)
from lotdb.ingester import Blocks
from lotdb.keys import check_name
from lotdb.payload import Payload, PayloadRecord, decode_record, is_payload
from lotdb.policy import BACKEND, DATA_ATTRIBUTE, SAMPLERATE, check_backend
from lotdb.ranges import check_rate
from lotdb.records import get_value, own_of, with_values, without_value
from lotdb.stage import Layout, Segment, Stage
from lotdb.tree import Handle

if TYPE_CHECKING:
    from lotdb.nodes import BaseNode

__all__ = [
    "IfExists",
    "append",
    "compact",
    "compact_tree",
    "delete",
    "find",
    "get",
    "has",
    "is_payload",
    "write",
]

IfExists = Literal["replace", "error", "append"]

POLICY = (SAMPLERATE, BACKEND, DATA_ATTRIBUTE)

_ARGUMENTS = ("samplerate_hz", "data_attribute", "backend", "metadata", "content_type", "if_exists")

_CONTENT_TYPES = {
    "array": "application/x-npy",
    "bytes": "application/octet-stream",
    "table": "text/csv",
    "text": "text/plain",
}


class Written(NamedTuple):
    """A payload whose rows are written, for the node to be told."""

    name: str
    record: PayloadRecord
    boxed: bool = False


def check_database(node: Handle, database: Any) -> None:
    """Raise ``WrongNodeError`` if *database* is given and not the one that *node* is in."""
    if database is None or node._tree.belongs_to(database):
        return
    if node._tree.owner is None and hasattr(type(database), "open_connection"):
        return  # a tree in memory is in none, and may be on its way into this one
    raise WrongNodeError(
        f"database={shown(database)} is not the database of {node!r}; leave it out, and name other "
        "arguments, such as samplerate_hz="
    )


def find(node: Handle, name: str) -> PayloadRecord | None:
    """The record of payload *name*, or None if there is none; an attribute in its place is an error."""
    own = own_of(node._entry())
    if type(name) is not str or name not in own[0]:
        name = check_name(name, "payload")  # which may have another spelling for it
        if name not in own[0]:
            return None
    stored = get_value(own, name)
    if not is_payload(stored):
        raise PayloadExistsError(
            f"attribute {name!r} of {node._place()} is a value and no payload; "
            "choose another name, or delete_attribute it"
        )
    return decode_record(node, name, stored)


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
    record = find(node, name)
    if record is None:
        name = check_name(name, "payload")
        own = own_of(node._entry())
        there = [repr(key) for key, value in zip(own[0], own[1:], strict=True) if is_payload(value)]
        raise PayloadNotFoundError(
            f"{node._place()} has no payload {name!r} (there: {', '.join(there) or 'none'})"
        )
    return Payload(node, name, record)


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
    written = prepare(
        node,
        name,
        data,
        backend=backend,
        samplerate_hz=samplerate_hz,
        metadata=metadata,
        content_type=content_type,
        if_exists=if_exists,
        options=options,
    )
    return store(node, [written])[0]


def prepare(
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
) -> Written:
    """Write the rows of *data*; the node does not know of them until :func:`store` is told."""
    if if_exists not in ("replace", "error", "append"):
        raise InvalidOptionError(f"if_exists is {if_exists!r}; use 'replace', 'error' or 'append'")
    name = check_name(name, "payload")
    if name in POLICY:
        raise InvalidKeyError(f"{name!r} cannot be a payload: it keeps a default of data nodes")
    existing = find(node, name)
    if existing is not None and if_exists == "error":
        raise PayloadExistsError(
            f"{node._place()} has a payload {name!r} already; use if_exists='replace' or 'append'"
        )
    where = f"payload {name!r} of {node._place()}"
    rate = check_rate(samplerate_hz)
    given = _as_given(data, where=where, rate=rate, said={name, *_names(metadata)})
    content_type = _check_content_type(content_type)
    tree = node._tree
    if existing is not None and if_exists == "append":
        layout = existing.layout
        _check_fits(where, existing, given, backend, rate, content_type)
        if options:
            asked = _layout(node, layout.dtype, layout.row_shape, layout.backend, options)
            _compare(where, "options", tree.decode_options(layout), tree.decode_options(asked))
        if metadata is not None:
            old = {} if existing.metadata is None else values.decode(existing.metadata, extra=tree.plugins)
            both = {**_mapping(old), **_mapping(metadata)}
            existing = replace(existing, metadata=_encode_metadata(node, both))
        tree.check_writable()
        layout = tree.noted(layout, existing.samplerate_hz, existing.metadata)
        rows, segments = _append(tree.stage, layout, existing.segments, given)
        # A payload that grows gets a record of its own: its neighbours are not written again each time.
        return Written(name, existing.with_rows(existing.shape[0] + rows, segments), boxed=True)
    backend = tree.default_backend if backend is None else backend
    layout = _layout(node, given.dtype, given.row_shape, backend, options or {})
    encoded = _encode_metadata(node, metadata)
    tree.check_writable()
    layout = tree.noted(layout, rate, encoded)
    rows, segments = _append(tree.stage, layout, (), given)
    shape = (rows, *given.row_shape) if given.has_rows else ()
    content_type = content_type or _CONTENT_TYPES[given.kind]
    return Written(name, PayloadRecord(given.kind, layout, shape, rate, content_type, encoded, segments))


def append(node: Handle, name: str, data: Any, **how: Any) -> Payload:
    """Add rows to payload *name*, or make it; of what is there, only small segments are written again."""
    return write(node, name, data, **how, if_exists="append")


def store(
    node: Handle,
    several: Sequence[Written],
    attributes: Mapping[str, Any] | None = None,
    gone: Collection[str] = (),
) -> list[Payload]:
    """Make what was written payloads of *node*, with *attributes* in their stored form, and remove *gone*."""
    own = own_of(node._entry())
    for name in gone:
        own = without_value(own, name)
    stored = {written.name: written.record.encode() for written in several} | dict(attributes or {})
    boxed = any(written.boxed for written in several)
    node._put_own(with_values(own, stored), boxed=boxed)
    for written in several:
        node._tree.plugins.emit("lotdb_payload_written", node=node, name=written.name)
    return [Payload(node, written.name, written.record) for written in several]


def _append(
    stage: Stage, layout: Layout, segments: tuple[Segment, ...], given: _Given
) -> tuple[int, tuple[Segment, ...]]:
    """How many rows were given, and the segments that then hold all rows."""
    if given.array is not None:
        array = given.fitted(given.array, layout.dtype)
        return len(array), stage.append(layout, segments, array)
    rows = 0

    def counted() -> Iterator[np.ndarray[Any, Any]]:
        nonlocal rows
        for block in given.blocks:
            rows += len(block)
            yield given.fitted(block, layout.dtype)

    if given.rows is not None and not segments:
        return given.rows, stage.write_blocks(layout, counted(), given.rows)
    segments = stage.write_stream(layout, counted(), segments)
    return rows, segments


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
    record = rewrite_payload(record, tree.stage, tree, layout)
    return store(node, [Written(check_name(name), record, boxed=True)])[0]


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


# -- checking what is given -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Given:
    """What was given to be stored: an array, or blocks of rows that are made as they are asked for."""

    kind: str
    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    array: np.ndarray[Any, Any] | None = None
    blocks: Iterable[np.ndarray[Any, Any]] = ()
    rows: int | None = None
    has_rows: bool = True

    def fitted(self, block: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """*block* as it is stored."""
        return tables.fit(tables.to_stored(block), dtype) if self.kind == "table" else block


def _as_given(data: Any, *, where: str, rate: float | None, said: Collection[str]) -> _Given:
    """What is to be stored of *data*; *said* are the names of what the caller says as well."""
    if isinstance(data, Blocks):
        dtype = tables.stored_dtype(data.dtype) if data.kind == "table" else data.dtype
        _check_dtype(dtype, where)
        return _Given(data.kind, dtype, data.row_shape, blocks=data.blocks, rows=data.rows)
    try:
        if tables.is_table(data):
            table = tables.as_table(data, said=said)
            return _Given("table", tables.stored_dtype(table.dtype), (), array=table)
        if isinstance(data, Payload):
            _check_plain(data, rate, said)
        kind, array = _as_array(data, said)
    except InvalidDataError as error:
        raise InvalidDataError(f"{where}: {error}") from error
    _check_dtype(array.dtype, where)
    flat = array.reshape(1) if array.ndim == 0 else array
    return _Given(kind, array.dtype, flat.shape[1:], array=flat, has_rows=array.ndim > 0)


def _check_plain(payload: Payload, rate: float | None, said: Collection[str]) -> None:
    """Raise ``InvalidDataError`` if *payload* is more than the array that would be stored of it."""
    lost = [name for name in payload.metadata if name not in said]
    if payload.samplerate_hz not in (None, rate):
        lost.append(f"the rate of {payload.samplerate_hz:g} Hz")
    if payload.kind != "array":
        lost.append(f"that it is of kind {payload.kind!r}")
    if lost:
        raise InvalidDataError(
            f"a Payload is more than its data, and {shown(lost)} would be lost; pass its read(), with "
            "samplerate_hz= and metadata=, or copy its node: add_tree(node, copy=True)"
        )


def _check_fits(
    where: str, record: PayloadRecord, given: _Given, backend: Any, rate: float | None, content_type: Any
) -> None:
    """Raise ``DataMismatchError`` unless the rows of *given* can follow those of *record*."""
    layout = record.layout
    _compare(where, "kind", record.kind, given.kind)
    if not record.shape or not given.has_rows:
        there, new = record.shape, (given.row_shape if given.has_rows else ())
        raise DataMismatchError(f"{where} has shape {there}, the new data {new}: both need rows")
    if record.kind != "table":  # whose columns are compared one by one
        _compare(where, "dtype", layout.dtype, given.dtype)
    _compare(where, "shape of a row", layout.row_shape, given.row_shape)
    _compare(where, "backend", layout.backend, layout.backend if backend is None else backend)
    _compare(where, "content type", record.content_type, content_type or record.content_type)
    _compare(where, "sample rate", record.samplerate_hz, rate or record.samplerate_hz)


def _as_array(data: Any, said: Collection[str]) -> tuple[str, np.ndarray[Any, Any]]:
    """The kind of *data*, and a C-contiguous array of what is stored for it."""
    if isinstance(data, str):
        return "text", np.frombuffer(data.encode("utf-8", "surrogatepass"), np.uint8)
    if isinstance(data, memoryview) and (data.ndim != 1 or data.format not in "Bc"):
        raise InvalidDataError(
            f"a memoryview of shape {data.shape} and format {data.format!r} would come back as bytes; pass "
            "numpy.asarray(x) for an array, or bytes(x)"
        )
    if isinstance(data, bytes | bytearray | memoryview):
        return "bytes", np.frombuffer(bytes(data), np.uint8)
    if data is None or isinstance(data, Mapping | set | frozenset):
        more = "; DataWriter.write_table stores columns" if isinstance(data, Mapping) else ""
        raise InvalidDataError(f"{type(data).__name__} is not an array, text or bytes{more}")
    array = as_array(data, said=said)
    if array.dtype.itemsize == 0:
        raise InvalidDataError(f"dtype {array.dtype} has elements of no bytes")
    if array.dtype.type is np.record:
        array = array.view(np.dtype((np.void, array.dtype)))
    return "array", np.asarray(array, order="C")


def _check_dtype(dtype: np.dtype[Any], where: str) -> None:
    if dtype.metadata:
        raise InvalidDataError(f"{where}: the metadata of dtype {dtype} would be lost; pass it as metadata=")
    if not dtype.names and not dtype.subdtype and not _is_numpys(dtype):
        raise InvalidDataError(
            f"{where}: dtype {dtype} is not one of numpy's, and would be read as bytes; convert it, as "
            "with x.astype('float32')"
        )
    if dtype.names:
        try:
            values.encode(dtype, name="dtype")
        except UnsupportedValueError as error:
            raise InvalidDataError(f"{where}: dtype {dtype} cannot be stored: {error}") from error


def _is_numpys(dtype: np.dtype[Any]) -> bool:
    try:
        return bool(np.dtype(dtype.str) == dtype)
    except TypeError:
        return False


def _layout(
    node: Handle, dtype: np.dtype[Any], row_shape: tuple[int, ...], backend: Any, options: Mapping[str, Any]
) -> Layout:
    backend = check_backend(node._tree, backend)
    try:
        return node._tree.layout(backend, dtype, row_shape, options)
    except (InvalidDataError, InvalidOptionError) as error:
        raise type(error)(f"{node._place()}: {error}{_meant(options)}") from error


def _meant(options: Mapping[str, Any]) -> str:
    """What to add to a message where a backend's option may be a misspelt argument of ours."""
    from difflib import get_close_matches  # it takes a while

    for name in options:
        for close in get_close_matches(name, _ARGUMENTS, n=1, cutoff=0.75):
            return f"; did you mean {close}=?"
    return ""


def check_metadata(node: Handle, metadata: Any) -> None:
    """Raise the right error if *metadata* cannot be kept."""
    _encode_metadata(node, metadata)


def _encode_metadata(node: Handle, metadata: Any) -> Any:
    if metadata is None or not _mapping(metadata):
        return None
    return values.encode(_mapping(metadata), name="metadata", extra=node._tree.plugins)


def _names(metadata: Any) -> list[Any]:
    return list(metadata) if isinstance(metadata, Mapping) else []


def _mapping(metadata: Any) -> dict[Any, Any]:
    if not isinstance(metadata, Mapping):
        raise InvalidOptionError(f"metadata is {shown(metadata)}; use a mapping of names to values")
    return dict(metadata)


def _check_content_type(content_type: Any) -> str | None:
    if content_type is not None and not isinstance(content_type, str):
        raise InvalidOptionError(f"content_type is {content_type!r}; use a media type such as 'audio/wav'")
    return content_type


def _compare(where: str, what: str, there: Any, given: Any) -> None:
    if there != given:
        raise DataMismatchError(f"{where} has {what} {there!s}, the new data {given!s}; nothing was appended")
