"""Writing, appending to and deleting the payloads of a node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from lotdb.content import tables
from lotdb.content.arrays import as_array
from lotdb.content.attributes import has_payload as has
from lotdb.content.defaults import POLICY, check_backend
from lotdb.content.payload import Payload, decode_record, remember
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
from lotdb.interfaces.options import check_choice
from lotdb.interfaces.row_blocks import Blocks, check_blocks, checked
from lotdb.keys import check_name, some
from lotdb.ranges import check_rate
from lotdb.records import Own
from lotdb.records.entries import own_of
from lotdb.records.own import get_value, position, with_values, without_value
from lotdb.segments.layout import Layout, Segment
from lotdb.segments.payload_form import is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.reader import Wanted, read_ahead
from lotdb.segments.stage import Stage
from lotdb.tree import walk
from lotdb.tree.handle import Handle, all_or_nothing
from lotdb.tree.node import Node
from lotdb.values import values
from lotdb.values.numpy_types import contiguous

__all__ = [
    "IfExists",
    "Request",
    "announce",
    "check",
    "check_if_exists",
    "compact",
    "compact_tree",
    "delete",
    "encode",
    "find",
    "get",
    "has",
    "is_payload",
    "not_found",
    "put",
    "record",
    "with_metadata",
    "write",
    "write_rows",
]

IfExists = Literal["replace", "error", "append"]

_ARGUMENTS = ("samplerate_hz", "data_attribute", "backend", "metadata", "content_type", "if_exists")

_CONTENT_TYPES = {
    "array": "application/x-npy",
    "bytes": "application/octet-stream",
    "table": "text/csv",
    "text": "text/plain",
}


class Request(NamedTuple):  # which is made in a fraction of the time of a dataclass
    """How to write data: the arguments of ``DataNode.write_data`` and similar methods, without the data.

    None stands for what was not said.
    """

    name: str
    backend: str | None = None
    samplerate_hz: float | None = None
    metadata: Mapping[str, Any] | None = None
    content_type: str | None = None
    if_exists: IfExists = "replace"
    options: Mapping[str, Any] = MappingProxyType({})


class Written(NamedTuple):
    """A payload whose rows are written, but which :func:`record` has not yet stored in the node."""

    name: str
    record: PayloadRecord
    boxed: bool = False


def check_database(node: Handle, database: Any) -> None:
    """Raise ``WrongNodeError`` if *database* is given and not the one that *node* is in."""
    if database is None or node._tree.belongs_to(database):
        return
    if node._tree.owner is None and hasattr(type(database), "open_connection"):
        return  # a tree in memory is in none, and may be on its way into this one
    what = "a payload with data_attribute=" if isinstance(database, str) else "others, such as samplerate_hz="
    raise WrongNodeError(
        f"database={shown(database)} is not the database of {node!r}; leave it out, and name {what}"
    )


def find(node: Handle, name: str) -> PayloadRecord | None:
    """The record of payload *name*, or None if there is none; an attribute in its place is an error."""
    own = own_of(node._entry())
    if type(name) is not str or position(own[0], name) < 0:
        name = check_name(name, "payload")  # which may have another spelling for it
    return _find(node, own, name)


def _find(node: Handle, own: Own, name: str) -> PayloadRecord | None:
    """The same of a node that holds *own*, for a *name* that was checked."""
    place = position(own[0], name)
    if place < 0:
        return None
    stored = own[place + 1]
    if not is_payload(stored):
        raise PayloadExistsError(
            f"attribute {name!r} of {node._place()} is a value and no payload; "
            "choose another name, or delete_attribute it"
        )
    return decode_record(node, name, stored)


def get(node: Handle, name: str, *, by_default: bool = False) -> Payload:
    """Payload *name*, to be read; *by_default* if nobody has named it.

    Raises
    ------
    PayloadNotFoundError
        If no payload has that name.
    """
    found = find(node, name)
    if found is None:
        raise not_found(node, name, by_default=by_default)
    return Payload(node, name if name.isascii() else check_name(name, "payload"), found)


def not_found(node: Handle, name: str, *, by_default: bool = False) -> PayloadNotFoundError:
    """The error for a payload that is not there; *by_default* if nobody has named it."""
    own = own_of(node._entry())
    there = [key for key, value in zip(own[0], own[1:], strict=True) if is_payload(value)]
    name = check_name(name, "payload")
    advice = "; say which one, with data_attribute=" if by_default and there else ""
    return PayloadNotFoundError(f"{node._place()} has no payload {name!r} (there: {some(there)}){advice}")


def write(node: Handle, data: Any, request: Request) -> Payload:
    """Store *data* as *request* says; see ``DataNode.write_data``."""
    tree = node._tree
    if tree.version >= tree.full_at:
        tree.put_aside()  # before the rows are written, which a failure deletes
    mark = tree.mark()
    return record(node, [write_rows(node, data, request)], mark=mark)[0]


def write_rows(node: Handle, data: Any, request: Request) -> Written:
    """Write the rows of *data*; :func:`record` then makes them a payload of the node."""
    request, existing = check(node, request)
    given = encode(data, request, partial(_where, node, request.name))
    if existing is not None:
        return _add_rows(node, given, request, existing)
    return _write_new(node, given, request)


def check_if_exists(if_exists: Any) -> None:
    """Raise ``InvalidOptionError`` unless *if_exists* is one of the words that are known."""
    check_choice("if_exists", if_exists, ("replace", "error", "append"))


def check(node: Handle, request: Request) -> tuple[Request, PayloadRecord | None]:
    """The checked *request*, and the existing payload to which it appends, if any.

    It does not check what depends on the data or on the backend.
    """
    check_if_exists(request.if_exists)
    name = check_name(request.name, "payload")
    if name in POLICY:
        raise InvalidKeyError(f"{name!r} cannot be a payload: it keeps a default of data nodes")
    existing = _find(node, own_of(node._entry()), name)
    if existing is not None and request.if_exists == "error":
        raise PayloadExistsError(
            f"{node._place()} has a payload {name!r} already; use if_exists='replace' or 'append'"
        )
    rate = check_rate(request.samplerate_hz)
    content_type = _check_content_type(request.content_type)
    is_as_given = name is request.name and rate is request.samplerate_hz
    if not is_as_given or content_type is not request.content_type:
        request = request._replace(name=name, samplerate_hz=rate, content_type=content_type)
    return request, existing if request.if_exists == "append" else None


def _add_rows(node: Handle, given: _Given, request: Request, existing: PayloadRecord) -> Written:
    """Write the given rows after those of *existing*."""
    where, tree, layout = partial(_where, node, request.name), node._tree, existing.layout
    before, mark = existing, tree.stage.mark()
    if request.backend is not None:
        request = request._replace(backend=check_backend(tree, request.backend))
    _check_fits(where, existing, given, request)
    if request.options:
        asked = _layout(node, layout.dtype, layout.row_shape, layout.backend, request.options)
        _compare(where, "options", tree.decode_options(layout), tree.decode_options(asked))
    if request.metadata is not None:
        old = {} if existing.metadata is None else values.decode(existing.metadata, extra=tree.plugins)
        both = {**_mapping(old), **_mapping(request.metadata)}
        existing = replace(existing, metadata=_encode_metadata(node, request.name, both))
    tree.check_writable()
    layout = tree.noted(layout, existing.samplerate_hz, existing.metadata)
    rows, segments = _append(tree.stage, layout, existing.segments, given, where)
    if given.array is None and not before.is_same(find(node, request.name)):
        tree.stage.discard_segments(mark, segments)
        raise DataMismatchError(
            f"{where()} was changed while the blocks that follow it were written; nothing was appended"
        )
    # A payload that grows gets a record of its own, so that an append does not rewrite its neighbours.
    return Written(request.name, existing.with_rows(existing.shape[0] + rows, segments), boxed=True)


def _write_new(node: Handle, given: _Given, request: Request) -> Written:
    tree, rate = node._tree, request.samplerate_hz
    backend = tree.default_backend if request.backend is None else request.backend
    layout = _layout(node, given.dtype, given.row_shape, backend, request.options)
    metadata = _encode_metadata(node, request.name, request.metadata)
    tree.check_writable()
    layout = tree.noted(layout, rate, metadata)
    rows, segments = _append(tree.stage, layout, (), given, partial(_where, node, request.name))
    shape = (rows, *given.row_shape) if given.has_rows else ()
    content_type = request.content_type or _CONTENT_TYPES[given.kind]
    return Written(
        request.name, PayloadRecord(given.kind, layout, shape, rate, content_type, metadata, segments)
    )


def record(
    node: Handle,
    several: Sequence[Written],
    attributes: Mapping[str, Any] | None = None,
    gone: Collection[str] = (),
    mark: int | None = None,
) -> list[Payload]:
    """Store *several* as payloads of *node*, with *attributes* in their stored form, and delete *gone*."""
    tree = node._tree
    if "lotdb_payload_written" in tree.plugins.unheard and node._entry()[0] in tree.plugins.unchecked:
        put(node, several, attributes, gone)
        return announce(node, several)
    with tree.whole():  # the node's type, or a listener, may refuse what is written already
        if mark is not None:
            tree.discard_with_steps(mark, [each for written in several for each in written.record.segments])
        put(node, several, attributes, gone)
        return announce(node, several)


def put(
    node: Handle,
    several: Sequence[Written],
    attributes: Mapping[str, Any] | None = None,
    gone: Collection[str] = (),
) -> None:
    """What :func:`record` does, without telling the listeners."""
    own = own_of(node._entry())
    for name in gone:
        own = without_value(own, name)
    stored: dict[str, Any] = {}
    boxed = False
    for written in several:
        stored[written.name] = encoded = written.record.encode()
        place = position(own[0], written.name)
        remember(node, encoded, written.record, own[place + 1] if place >= 0 else None)
        boxed = boxed or written.boxed
    if attributes:
        stored.update(attributes)
    node._put_own(with_values(own, stored) if stored else own, boxed=boxed)


def announce(node: Handle, several: Sequence[Written]) -> list[Payload]:
    """Tell the listeners that *several* were written; what was written, to be read."""
    for written in several:
        node._tell("lotdb_payload_written", name=written.name)
    return [Payload(node, written.name, written.record) for written in several]


def with_metadata(node: Handle, written: Written, metadata: Mapping[str, Any]) -> Written:
    """*written* with more *metadata*."""
    there = written.record.metadata
    old = {} if there is None else values.decode(there, extra=node._tree.plugins)
    both = {**_mapping(old), **metadata}
    return written._replace(
        record=replace(written.record, metadata=_encode_metadata(node, written.name, both))
    )


def _append(
    stage: Stage, layout: Layout, segments: tuple[Segment, ...], given: _Given, where: Callable[[], str]
) -> tuple[int, tuple[Segment, ...]]:
    """Write the given rows; return their number, and the segments of all rows."""
    if given.array is not None:
        array = given.fitted(given.array, layout.dtype)
        return len(array), stage.append(layout, segments, array)
    rows, failure = 0, None

    def counted() -> Iterator[np.ndarray[Any, Any]]:
        nonlocal rows, failure
        blocks = iter(given.blocks)
        while True:
            try:
                block = next(blocks)
            except StopIteration:
                break
            except BaseException as error:
                failure = error
                raise
            rows += len(block)
            if given.rows is not None and rows > given.rows:
                raise InvalidDataError(f"{where()}: {given.rows} rows were announced, and more came")
            yield given.fitted(block, layout.dtype)
        if given.rows not in (None, rows):
            raise InvalidDataError(f"{where()}: {given.rows} rows were announced, and {rows} came")

    outer, stage.is_streaming = stage.is_streaming, True
    try:
        if given.rows is not None and not segments:
            return given.rows, stage.write_blocks(layout, counted(), given.rows)
        segments = stage.write_stream(layout, counted(), segments)
    except Exception as error:
        if failure is None or error is failure:
            raise
        raise failure from failure.__cause__  # what the program that gives the blocks has raised
    finally:
        stage.is_streaming = outer
    return rows, segments


def compact(
    node: Handle, name: str, *, backend: str | None = None, options: Mapping[str, Any] | None = None
) -> Payload:
    """Rewrite payload *name* as one segment; see ``DataNode.compact_data``."""
    there = get(node, name)._record
    tree, old = node._tree, there.layout
    to = old.backend if backend is None else check_backend(node._tree, backend)
    if not options and to == old.backend:
        layout = old
    else:
        layout = _layout(node, old.dtype, old.row_shape, to, options or {})
    tree.check_writable()
    from lotdb.tree.copying import rewrite_payload  # which few programs need

    rewritten = rewrite_payload(there, tree.stage, tree, layout)
    return record(node, [Written(check_name(name), rewritten, boxed=True)])[0]


def compact_tree(node: Node, *, backend: str | None, options: Mapping[str, Any]) -> int:
    """Rewrite all payloads at and below *node*; return their number."""
    done = 0
    node._tree.check_writable()
    if backend is not None:
        check_backend(node._tree, backend)
    with all_or_nothing(node):
        for found, name in read_ahead(_payloads_below(node), _wanted):
            compact(found, name, backend=backend, options=options)
            done += 1
    return done


def _payloads_below(node: Node) -> Iterator[tuple[Node, str]]:
    """Each payload at and below *node*: the node that it is on, and its name."""
    for found in walk.everything(node):
        own = own_of(found._entry())
        for name, stored in zip(own[0], own[1:], strict=True):
            if is_payload(stored):
                yield found, name


def _wanted(payload: tuple[Node, str]) -> Iterator[Wanted]:
    node, name = payload
    from lotdb.tree.copying import wanted_of

    return wanted_of(get_value(own_of(node._entry()), name), node._tree)


def delete(node: Handle, name: str) -> None:
    """Delete payload *name*; ``PayloadNotFoundError`` if it does not exist."""
    get(node, name)
    node._put_own(without_value(own_of(node._entry()), check_name(name, "payload")))


# -- checking what is given -----------------------------------------------------------------------


class _Given(NamedTuple):
    """The data to store: an array, or blocks of rows that are produced when they are needed."""

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


def _where(node: Handle, name: str) -> str:
    return f"payload {name!r} of {node._place()}"


def encode(data: Any, request: Request, where: Callable[[], str]) -> _Given:
    """*data* in the form in which it is stored; *where* returns the place for messages."""
    if type(data) is np.ndarray and data.dtype.isbuiltin == 1 and data.dtype.kind in "biufc":
        # Nearly always; of numpy's own numbers there is nothing to check, and nothing to convert.
        flat = contiguous(data) if data.ndim else data.reshape(1)
        return _Given("array", data.dtype, flat.shape[1:], flat, (), None, data.ndim > 0)
    said = {request.name, *_names(request.metadata)}
    if isinstance(data, Blocks):
        check_blocks(data, lambda: f"{where()}: these are")
        dtype = tables.stored_dtype(data.dtype) if data.kind == "table" else data.dtype
        _check_dtype(dtype, where)
        blocks = checked(data, lambda: f"{where()}: its Blocks")
        # Plain numbers and texts, whatever was given: a record holds nothing else.
        row_shape, rows = tuple(map(int, data.row_shape)), None if data.rows is None else int(data.rows)
        return _Given(str(data.kind), dtype, row_shape, blocks=blocks, rows=rows)
    try:
        if tables.is_table(data):
            table = tables.as_table(data, said=said)
            return _Given("table", tables.stored_dtype(table.dtype), (), array=table)
        if isinstance(data, Payload):
            _check_plain(data, request.samplerate_hz, said)
        kind, array = _as_array(data, said)
    except InvalidDataError as error:
        raise InvalidDataError(f"{where()}: {error}") from error
    _check_dtype(array.dtype, where)
    flat = array.reshape(1) if array.ndim == 0 else array
    return _Given(kind, array.dtype, flat.shape[1:], array=flat, has_rows=array.ndim > 0)


def _check_plain(payload: Payload, rate: float | None, said: Collection[str]) -> None:
    """Raise ``InvalidDataError`` if *payload* has more than an array holds, which would be lost."""
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


def _check_fits(where: Callable[[], str], record: PayloadRecord, given: _Given, request: Request) -> None:
    """Raise ``DataMismatchError`` unless the rows of *given* can follow those of *record*."""
    layout = record.layout
    _compare(where, "kind", record.kind, given.kind)
    if not record.shape or not given.has_rows:
        there, new = record.shape, (given.row_shape if given.has_rows else ())
        raise DataMismatchError(f"{where()} has shape {there}, the new data {new}: both need rows")
    if record.kind != "table":  # whose columns are compared one by one
        _compare(where, "dtype", layout.dtype, given.dtype)
    _compare(where, "shape of a row", layout.row_shape, given.row_shape)
    _compare(where, "backend", layout.backend, layout.backend if request.backend is None else request.backend)
    _compare(where, "content type", record.content_type, request.content_type or record.content_type)
    _compare(where, "sample rate", record.samplerate_hz, request.samplerate_hz or record.samplerate_hz)


def _as_array(data: Any, said: Collection[str]) -> tuple[str, np.ndarray[Any, Any]]:
    """The kind of *data*, and a C-contiguous array of what is stored for it."""
    if type(data) is np.ndarray:  # as it nearly always is
        return _of_elements(data, said)
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
        if type(data).__module__.partition(".")[0] == "xarray":
            more = "; node.write_xarray stores it, with its labels"
        raise InvalidDataError(f"{type(data).__name__} is not an array, text or bytes{more}")
    return _of_elements(data, said)


def _of_elements(data: Any, said: Collection[str]) -> tuple[str, np.ndarray[Any, Any]]:
    array = as_array(data, said=said)
    if array.dtype.type is np.record:
        array = array.view(np.dtype((np.void, array.dtype)))
    return "array", contiguous(array)


def _check_dtype(dtype: np.dtype[Any], where: Callable[[], str]) -> None:
    if dtype.itemsize == 0:
        raise InvalidDataError(f"{where()}: dtype {dtype} has elements of no bytes")
    if dtype.hasobject and dtype.kind != "T":
        raise InvalidDataError(f"{where()}: arrays of objects cannot be stored")
    if dtype.metadata:
        raise InvalidDataError(
            f"{where()}: the metadata of dtype {dtype} would be lost; pass it as metadata="
        )
    if not dtype.names and not dtype.subdtype and not _is_numpys(dtype):
        raise InvalidDataError(
            f"{where()}: dtype {dtype} is not one of numpy's, and would be read as bytes; convert it, as "
            "with x.astype('float32')"
        )
    if dtype.names:
        try:
            values.encode(dtype, what=lambda: "a payload")
        except UnsupportedValueError as error:
            raise InvalidDataError(f"{where()}: dtype {dtype} cannot be stored: {error}") from error


def _is_numpys(dtype: np.dtype[Any]) -> bool:
    try:
        return bool(np.dtype(dtype.str) == dtype)
    except TypeError:
        return False


def _layout(
    node: Handle, dtype: np.dtype[Any], row_shape: tuple[int, ...], backend: Any, options: Mapping[str, Any]
) -> Layout:
    tree = node._tree
    # What is known was checked, and so was its backend.
    known = None if options or type(backend) is not str else tree.known_layout(backend, dtype, row_shape)
    if known is not None:
        return known
    backend = check_backend(tree, backend)
    try:
        return tree.layout(backend, dtype, row_shape, options)
    except (InvalidDataError, InvalidOptionError) as error:
        raise type(error)(f"{node._place()}: {error}{_meant(options)}") from error


def _meant(options: Mapping[str, Any]) -> str:
    """The end of a message, if one of the backend's options looks like a misspelt argument of ours."""
    from difflib import get_close_matches  # it takes a while

    for name in options:
        for close in get_close_matches(name, _ARGUMENTS, n=1, cutoff=0.75):
            return f"; did you mean {close}=?"
    return ""


def check_metadata(node: Handle, metadata: Any, name: str | None = None) -> None:
    """Raise the error that storing *metadata* of payload *name*, or of those of many files, would raise."""
    _encode_metadata(node, name, metadata)


def _encode_metadata(node: Handle, name: str | None, metadata: Any) -> Any:
    if metadata is None or not (plain := _mapping(metadata)):
        return None
    return values.encode(plain, extra=node._tree.plugins, what=partial(_whose, node, name))


def _whose(node: Handle, name: str | None) -> str:
    return "the metadata of the files" if name is None else f"the metadata of {_where(node, name)}"


def _names(metadata: Any) -> list[Any]:
    return list(metadata) if isinstance(metadata, Mapping) else []


def _mapping(metadata: Any) -> dict[Any, Any]:
    if not isinstance(metadata, Mapping):
        raise InvalidOptionError(f"metadata is {shown(metadata)}; use a mapping of names to values")
    return dict(metadata)


def _check_content_type(content_type: Any) -> str | None:
    if content_type is not None and not isinstance(content_type, str):
        raise InvalidOptionError(f"content_type is {shown(content_type)}; use a text such as 'audio/wav'")
    return None if content_type is None else str(content_type)  # which may be of a class of its own


def _compare(where: Callable[[], str], what: str, there: Any, given: Any) -> None:
    if there != given:
        # A text is any text, also one that no terminal takes.
        both = [text if (text := str(each)).isprintable() else shown(each) for each in (there, given)]
        raise DataMismatchError(
            f"{where()} has {what} {both[0]}, the new data {both[1]}; nothing was appended"
        )
