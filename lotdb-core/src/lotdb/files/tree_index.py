"""The index of a subtree on its way out and in: all that its nodes hold, but for the rows of the payloads."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from lotdb.content import payloads
from lotdb.content.payload import Payload
from lotdb.errors import IngestError, shown
from lotdb.interfaces.options import check_progress
from lotdb.records.entries import own_of, type_of
from lotdb.records.own import get_value
from lotdb.segments.payload_form import is_payload
from lotdb.tree import walk
from lotdb.tree.node import Node
from lotdb.values import values
from lotdb.values.plain import flaw_of

__all__ = ["IngestedTree", "Progress", "TreeIndex", "from_json", "to_json"]

FORMAT, VERSION = "lotdb-tree", 1
BLOCK_BYTES = 4 << 20

Progress: TypeAlias = Callable[[int, int, str], None]
Rows: TypeAlias = Iterator[np.ndarray[Any, Any]]
#: Stores the rows of a payload of the node at a path, and says where, as what JSON can hold.
Place: TypeAlias = Callable[[tuple[str, ...], Payload, Rows], Any]


@dataclass(frozen=True)
class TreeIndex:
    """What the nodes of a subtree hold, without the rows of payloads: an exporter stores it beside them.

    Parameters
    ----------
    nodes
        The nodes, each behind the one above it, as what JSON can hold: the ``path`` below the first, the
        ``type``, the ``values`` of attributes, and the ``payloads``, each with its ``where``.
    """

    nodes: list[dict[str, Any]]

    @classmethod
    def of(cls, node: Node, place: Place, progress: Progress | None = None) -> TreeIndex:
        """The index of *node* and what is below it.

        Parameters
        ----------
        node
            The node.
        place
            Called with the path of a node below the first, a payload, and its rows in blocks of a few MB. It
            stores the rows, and returns where, as what JSON can hold. Rows of tables are structured: ``row``
            holds the columns, and ``missing`` a bit for each cell.
        progress
            Called after each payload with the number of payloads done, of all, and the payload's path.
        """
        check_progress(progress)
        nodes: list[dict[str, Any]] = []
        done, start = 0, len(_keys(node))
        count = sum(len(_split(each)[1]) for each in walk.everything(node)) if progress else 0
        for each in walk.everything(node):
            path, (named, names) = _keys(each)[start:], _split(each)
            several = []
            for name in names:
                payload = payloads.get(each, name)
                where = place(path, payload, _rows(payload))
                several.append({**_about(payload), "where": where})
                done += 1
                if progress is not None:
                    progress(done, count, "/".join((*path, name)))
            about = {"path": list(path), "type": type_of(each._entry())}
            nodes.append({**about, "values": to_json(tuple(named.items())), "payloads": several})
        return cls(nodes)

    def to_bytes(self) -> bytes:
        """The index as JSON, in ASCII."""
        return json.dumps({"format": FORMAT, "version": VERSION, "nodes": self.nodes}).encode("ascii")

    @classmethod
    def from_bytes(cls, text: bytes) -> TreeIndex:
        """The index that :meth:`to_bytes` gave.

        Raises
        ------
        IngestError
            If it is damaged, or of a later version.
        """
        try:
            index = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise IngestError(f"its index is damaged: {error}") from error
        if not isinstance(index, dict) or index.get("format") != FORMAT:
            raise IngestError("its index is not one of lotdb")
        if index.get("version") != VERSION:
            raise IngestError(
                f"its index is of version {shown(index.get('version'))}, and this lotdb reads version "
                f"{VERSION}; install a later lotdb-core"
            )
        if not isinstance(index.get("nodes"), list) or not index["nodes"]:
            raise IngestError("its index has no nodes")
        return cls(index["nodes"])


@dataclass(frozen=True)
class IngestedTree:
    """An exported subtree on its way in: what ``lotdb_ingest_tree`` returns.

    Parameters
    ----------
    index
        The index that was stored with it.
    rows
        Called with the ``where`` of a payload, its stored dtype and its shape (rows first): its rows again,
        in blocks. It checks all that it reads, and raises ``IngestError`` for what is damaged.
    """

    index: TreeIndex
    rows: Callable[[Any, np.dtype[Any], tuple[int, ...]], Rows]


def _keys(node: Node) -> tuple[str, ...]:
    path = node._path()
    return tuple(path.split("/")) if path else ()


def _split(node: Node) -> tuple[dict[str, Any], list[str]]:
    """The stored values of the attributes of *node*, and the names of its payloads."""
    own = own_of(node._entry())
    stored = {name: get_value(own, name) for name in own[0]}
    names = [name for name, value in stored.items() if is_payload(value)]
    return {name: value for name, value in stored.items() if not is_payload(value)}, names


def _rows(payload: Payload) -> Rows:
    record = payload._record
    step = max(1, BLOCK_BYTES // max(1, record.layout.row_bytes))
    edges = [(first, min(first + step, record.rows)) for first in range(0, record.rows, step)]
    for (first, last), block in zip(edges, payload._read_runs(edges), strict=True):
        yield block.reshape(last - first, *record.layout.row_shape)


def _about(payload: Payload) -> dict[str, Any]:
    layout, record = payload._record.layout, payload._record
    return {
        "name": payload.name,
        "kind": payload.kind,
        "dtype": to_json(values.encode(layout.dtype, name="dtype")),
        "rows": record.rows,
        "row_shape": list(layout.row_shape),
        "is_scalar": not record.shape,
        "samplerate_hz": to_json(record.samplerate_hz),
        "content_type": payload.content_type,
        "backend": payload.backend,
        "options": to_json(values.encode(payload.options, name="options")),
        "metadata": to_json(record.metadata),
    }


# -- stored values as JSON ------------------------------------------------------------------------


def to_json(stored: Any) -> Any:
    """A value in its stored form as what JSON holds, and :func:`from_json` gives back exactly.

    Examples
    --------
    >>> to_json(("t", 1, 2.5, b"ab", float("inf")))
    ['t', 1, 2.5, {'bytes': 'YWI='}, {'float': 'inf'}]
    """
    if isinstance(stored, tuple):
        return [to_json(item) for item in stored]
    if isinstance(stored, bytes):
        return {"bytes": base64.b64encode(stored).decode("ascii")}
    if isinstance(stored, float) and not abs(stored) < float("inf"):
        return {"float": stored.hex()}
    if type(stored) is int and abs(stored) >= 1 << 53:  # other programs read numbers as float64
        return {"int": hex(stored)}
    return stored


def from_json(value: Any) -> Any:
    """The stored value that :func:`to_json` was given; ``IngestError`` if it cannot be one.

    Examples
    --------
    >>> from_json(["t", 1, {"bytes": "YWI="}])
    ('t', 1, b'ab')
    """
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    try:
        ((kind, text),) = value.items()
        if kind == "bytes":
            return base64.b64decode(text, validate=True)
        if kind == "float":
            return float.fromhex(text)
        if kind == "int":
            return int(text, 16)
    except (ValueError, TypeError) as error:
        raise IngestError(f"its index holds no value: {shown(value)}") from error
    raise IngestError(f"its index holds no value: {shown(value)}")


def stored_value(value: Any) -> Any:
    """The stored form that *value* of an index says, checked."""
    stored = from_json(value)
    if isinstance(stored, tuple) and (flaw := flaw_of(stored)):
        raise IngestError(f"its index holds a damaged value: {flaw}")
    return stored
