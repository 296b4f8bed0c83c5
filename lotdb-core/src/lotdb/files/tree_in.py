"""Taking in what a node was exported as: each node with all that it had."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lotdb.content import attributes, payloads, tables
from lotdb.content.defaults import POLICY, check_backend, check_kept
from lotdb.content.new_folder import UNFINISHED, recover
from lotdb.content.payloads import Request, Written
from lotdb.errors import (
    FileNotReadError,
    IngestError,
    InvalidDataError,
    InvalidKeyError,
    InvalidOptionError,
    InvalidRangeError,
    LotdbError,
    MissingPluginError,
    lacking,
    shown,
    text_of,
)
from lotdb.files.asking import check_source, measured, open_source, parts_of
from lotdb.files.tree_folder import INDEX, read_folder
from lotdb.files.tree_index import IngestedTree, Progress, from_json, stored_value
from lotdb.interfaces.ingester import IngestedNode
from lotdb.interfaces.options import MAX_BYTES
from lotdb.interfaces.row_blocks import Blocks
from lotdb.keys import check_key, check_name, node_text
from lotdb.records.entries import own_of, type_of
from lotdb.tree.node import Node
from lotdb.tree.walk import has_children
from lotdb.values import values

__all__ = ["ingest"]

_TOP = "the first node"


def ingest(
    node: Node, source: str | os.PathLike[str], *, backend: str | None, progress: Progress | None
) -> bool:
    """Put into *node* what another node was exported as; False if *source* is a file of another kind.

    Raises
    ------
    IngestError
        If it is damaged, or *node* is not empty; then the tree is as it was.
    """
    tree = node._tree
    tree.check_writable()
    check_source(source)
    if backend is not None:
        check_backend(tree, backend)
    if os.fspath(source).rstrip("/").endswith(UNFINISHED):
        raise IngestError(
            f"cannot ingest {os.fspath(source)!r}: an export that was killed left it; remove it"
        )
    recover(Path(os.path.realpath(source)))
    with tree.whole(), tree.stage.all_or_nothing():
        if os.path.isdir(source):
            with _of(source):
                given = _in_folder(node, Path(source))
                if isinstance(given, IngestedTree):
                    _restore(node, given, backend, progress)
                else:
                    _take(node, given, backend, progress)
            return True
        with open_source(source, format=None, options={}, max_bytes=MAX_BYTES) as file:
            for _, function in tree.plugins.ingesters("lotdb_ingest_tree"):
                with _of(source):
                    file.file.seek(0)
                    tree_given = function(source=file)
                    if tree_given is not None:
                        _restore(node, tree_given, backend, progress)
                        return True
    return False


def _in_folder(node: Node, folder: Path) -> IngestedTree | IngestedNode:
    for plugin, function in node._tree.plugins.ingesters("lotdb_ingest_folder"):
        given = function(folder=folder)
        if isinstance(given, IngestedTree | IngestedNode):
            return given
        if given is not None:
            raise IngestError(f"plugin {plugin!r} returned {type(given).__name__}")
    if not os.path.lexists(folder / INDEX) and _is_zarr(folder):
        raise MissingPluginError(
            f"cannot ingest {str(folder)!r}: it is a zarr store, and no installed plugin reads such; install "
            "one with: pip install lotdb-backend-zarr"
        )
    return read_folder(folder)


def _is_zarr(folder: Path) -> bool:
    return any(os.path.lexists(folder / name) for name in ("zarr.json", ".zgroup", ".zarray"))


@contextlib.contextmanager
def _of(source: Any) -> Iterator[None]:
    """Says of which source an error is, and makes one ``IngestError`` of what a library raises."""
    try:
        yield
    except IngestError as error:
        if isinstance(error, FileNotReadError):
            raise
        raise IngestError(f"cannot ingest {os.fspath(source)!r}: {error}") from error
    except (InvalidKeyError, InvalidDataError, InvalidRangeError, InvalidOptionError) as error:
        raise IngestError(f"cannot ingest {os.fspath(source)!r}: its index is damaged: {error}") from error
    except LotdbError:
        raise
    except Exception as error:
        if failure := lacking(error):
            text = f"cannot ingest {os.fspath(source)!r}: {failure.strerror}"
            raise FileNotReadError(failure.errno, text, os.fspath(source)) from error
        about = f"it is damaged: {type(error).__name__}: {text_of(error)}"
        raise IngestError(f"cannot ingest {os.fspath(source)!r}: {about}") from error


def _check_empty(node: Node) -> None:
    if own_of(node._entry())[0] or has_children(node._entry()):
        raise IngestError(
            f"{node._place()} holds something already; ingest into a new node, such as get_node('copy')"
        )


def _take(node: Node, given: IngestedNode, backend: str | None, progress: Progress | None) -> None:
    """Put into *node* what a folder of another program holds."""
    _check_empty(node)
    parts = list(parts_of(given, node._tree.plugins))
    count, done, nbytes = sum(len(part.payloads) for part in parts), 0, 0
    told: list[tuple[Node, list[Written]]] = []
    for part in parts:
        here = node.get_node_path(list(part.path)) if part.path else node
        if part.payloads or part.node_type:
            here = _typed(here, part.node_type or "data")
        written = []
        for name, ingested in part.payloads.items():
            data = ingested.data
            rows = data.rows or 0 if isinstance(data, Blocks) else 0
            nbytes += rows * data.dtype.itemsize * math.prod(data.row_shape) if rows else measured(data)
            if nbytes > MAX_BYTES:
                raise IngestError(f"it announces {nbytes} bytes of data, the limit is {MAX_BYTES}")
            request = Request(
                name or "data",
                backend=ingested.backend if backend is None else backend,
                samplerate_hz=ingested.samplerate_hz,
                metadata=dict(ingested.metadata) or None,
                content_type=ingested.content_type,
            )
            written.append(payloads.write_rows(here, data, request))
            done += 1
            if progress is not None:
                progress(done, count, "/".join((*part.path, request.name)))
        stored = attributes.encode(here, part.attributes)
        if twice := stored.keys() & {one.name for one in written}:
            raise IngestError(f"{min(twice)!r} is an attribute and a payload of {node_text(part.path, _TOP)}")
        payloads.put(here, written, stored)
        told.append((here, written))
    for here, written in told:
        payloads.announce(here, written)


def _restore(node: Node, given: IngestedTree, backend: str | None, progress: Progress | None) -> None:
    _check_empty(node)
    count = sum(len(each["payloads"]) for each in given.index.nodes)
    done = 0
    seen: set[tuple[str, ...]] = set()
    told: list[tuple[Node, list[Written]]] = []
    for each in given.index.nodes:
        path = tuple(check_key(key) for key in each["path"])
        if path in seen or (not seen) != (not path) or (path and path[:-1] not in seen):
            raise IngestError(f"its index holds {node_text(path, _TOP)} twice, or at a wrong place")
        seen.add(path)
        here = node.get_node_path(list(path)) if path else node
        here = _typed(here, each["type"])
        stored = {check_name(name): stored_value(value) for name, value in each["values"]}
        for name in POLICY & stored.keys():
            check_kept(here._place, name, values.decode(stored[name]))
        written = []
        for about in each["payloads"]:
            written.append(_write(here, about, given, backend))
            done += 1
            if progress is not None:
                progress(done, count, "/".join((*path, about["name"])))
        names = [one.name for one in written]
        if len({*names, *stored}) < len(names) + len(each["values"]):
            raise IngestError(f"its index names a value of {node_text(path, _TOP)} twice")
        if written or stored:
            payloads.put(here, written, stored)
            told.append((here, written))
    for here, written in told:
        payloads.announce(here, written)


def _typed(node: Node, node_type: Any) -> Node:
    """*node* with that type, also if it is of a plugin that is not installed."""
    if not isinstance(node_type, str):
        raise IngestError(f"its index says a node type {shown(node_type)}")
    if node_type == type_of(node._entry()):
        return node
    if type_of(node._entry()):
        raise IngestError(
            f"{node._place()} is of type {type_of(node._entry())!r}, and was of type {node_type!r}; ingest "
            "into a new node"
        )
    node._put_type(node_type)
    parent = node._parent
    return parent.get_node_path([node._key]) if isinstance(parent, Node) else node


def _write(node: Node, about: dict[str, Any], given: IngestedTree, backend: str | None) -> Written:
    name, kind, rows = check_name(about["name"], "payload"), about["kind"], about["rows"]
    dtype = values.decode(from_json(about["dtype"]))
    row_shape = tuple(about["row_shape"])
    if not isinstance(dtype, np.dtype) or kind not in ("array", "bytes", "table", "text"):
        raise IngestError(f"its index describes payload {shown(name)} wrongly")
    if any(type(size) is not int or size < 0 for size in (rows, *row_shape)):
        raise IngestError(f"its index gives payload {shown(name)} a wrong shape")
    if kind in ("bytes", "text") and (dtype != np.uint8 or row_shape):
        raise IngestError(f"its index describes payload {shown(name)} wrongly")
    blocks = _checked(given.rows(about["where"], dtype, (rows, *row_shape)), name, dtype, rows, row_shape)
    columns = dtype
    if kind == "table":
        columns = tables.columns_of(dtype)
        if tables.stored_dtype(columns) != dtype:
            raise IngestError(f"its index describes table {shown(name)} wrongly")
        blocks = map(tables.from_stored, blocks)
    options = values.decode(from_json(about["options"])) if backend is None else {}
    request = Request(
        name,
        backend=about["backend"] if backend is None else backend,
        samplerate_hz=from_json(about["samplerate_hz"]),
        content_type=about["content_type"],
        options=options,  # type: ignore[arg-type]
    )
    written = payloads.write_rows(node, Blocks(blocks, columns, row_shape, rows, kind), request)
    record = replace(written.record, metadata=stored_value(about["metadata"]))
    if about["is_scalar"] and rows == 1 and not row_shape:
        record = replace(record, shape=())
    return written._replace(record=record)


def _checked(blocks: Any, name: str, dtype: np.dtype[Any], rows: int, row_shape: tuple[int, ...]) -> Any:
    """The blocks, if all together are what the index announces."""
    left = rows
    for block in blocks:
        left -= len(block)
        if block.dtype != dtype or block.shape[1:] != row_shape or left < 0:
            break
        yield block
    else:
        if left == 0:
            return
    raise IngestError(f"payload {shown(name)} has not the {rows * math.prod(row_shape)} values of its index")
