"""Reading ahead: what is likely to be read next comes with what is read now.

A store at the other end of a network takes some time for each request. A program that goes through small
payloads one by one would wait once for each of them. So, of such a store, the small payloads that follow are
asked for together: in one request if they share a stored array, and otherwise beside each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from ZODB.POSException import POSError

from lotdb.errors import LotdbError
from lotdb.records import Children
from lotdb.records.children import child_items
from lotdb.records.entries import own_of
from lotdb.segments.payload_form import is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.reader import AHEAD_BYTES, FETCHED_BYTES
from lotdb.tree.handle import Handle

__all__ = ["look", "runs"]

# So many of the nodes that follow are looked at.
_NODES = 256
# Blocks that are asked for one after another are read in runs of so many bytes.
_RUN_BYTES = 4 << 20


def runs(edges: Iterable[tuple[int, int]], row_bytes: int) -> Iterator[list[tuple[int, int]]]:
    """Windows that follow each other, in runs that are not too large to be read at once.

    >>> list(runs([(0, 2), (2, 4), (4, 5)], row_bytes=1 << 20))
    [[(0, 2), (2, 4)], [(4, 5)]]
    """
    run: list[tuple[int, int]] = []
    for first, last in edges:
        if run and (last - run[0][0]) * row_bytes > _RUN_BYTES:
            yield run
            run = []
        run.append((first, last))
    if run:
        yield run


def look(node: Handle, name: str, record: PayloadRecord) -> None:
    """Read ahead what is likely to follow payload *name* of *node*, which is about to be read whole.

    Its backend is one that may be asked for several things at once. What follows is likely if the payload
    that was read before is one of the same node, or the one of the same name of another child of its parent.
    """
    stage, layout = node._tree.stage, record.layout
    if not record.segments:
        return
    if all(map(stage.is_ahead, record.segments)):
        return
    before, stage.last_read = stage.last_read, (node._container, node._key, name)
    if before is None or before[0] is not node._container:
        return
    if (before[1] == node._key) == (before[2] == name):
        return  # the same once more, or neither the node nor the name is the one of before
    following = _of_node(node, name) if before[1] == node._key else _of_siblings(node, name)
    wanted = [(layout, segment) for segment in record.segments]
    size = sum(segment.rows for segment in record.segments) * layout.row_bytes
    for other in _decoded(following):
        bytes_of_it = other.rows * other.layout.row_bytes
        size += bytes_of_it
        if size > FETCHED_BYTES:
            break
        if other.layout.backend == layout.backend and bytes_of_it <= AHEAD_BYTES:
            wanted += [(other.layout, segment) for segment in other.segments]
    stage.fetch(wanted)


def _decoded(following: Iterator[Any]) -> Iterator[PayloadRecord]:
    """The records of the payloads that follow, up to one that cannot be read: who reads that one says so."""
    with suppress(LotdbError, POSError):
        yield from map(PayloadRecord.decode, following)


def _of_node(node: Handle, name: str) -> Iterator[Any]:
    """The stored forms of the payloads that follow *name* in *node*."""
    own = own_of(node._entry())
    at = own[0].index(name) if name in own[0] else len(own)
    return filter(is_payload, own[at + 2 :])


def _of_siblings(node: Handle, name: str) -> Iterator[Any]:
    """The stored forms of the payloads called *name* of the nodes that follow *node*."""
    container = node._container
    if type(container) is not Children:
        return
    for _, entry in islice(child_items(container, node._key), _NODES):
        own = own_of(entry)
        if name in own[0] and is_payload(own[own[0].index(name) + 1]):
            yield own[own[0].index(name) + 1]
