"""Copying what is below a node: within a tree, and from one tree into another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lotdb.errors import DamagedError
from lotdb.memory import MemoryBackend
from lotdb.payload import PayloadRecord, is_payload
from lotdb.records import (
    OWN_KEY,
    Box,
    Entry,
    Own,
    all_items,
    new_branch,
    own_of,
    shared_entry,
)
from lotdb.stage import Layout, Stage
from lotdb.tree import Handle, Tree, touch

if TYPE_CHECKING:
    from lotdb.plugins import Plugins

__all__ = ["DetachedCopy", "copy_entry", "copy_payload", "share_entry"]

# Payloads are copied from store to store in blocks of this many bytes.
BLOCK_BYTES = 16 << 20


def share_entry(node: Handle) -> Entry:
    """The entry of *node* for a second place in the same tree: O(1), whatever is below."""
    entry = node._entry()
    if type(entry[1]) is not tuple and not entry[2]:
        container = node._container_to_write()
        touch(container[node._key])
        node._tree.new_epoch()  # what was writable below is no longer
        entry = container[node._key] = shared_entry(container[node._key])
    return entry


def copy_entry(entry: Entry, source: Tree, target: Tree | None) -> Entry:
    """A copy of *entry* and all below it that shares no record with it.

    Payloads are streamed from the storage of *source* into that of *target*; with None they keep their
    segments, and only a :class:`DetachedCopy` can read them.
    """
    copied: dict[str, Entry] = {}
    # Depth first, so what is copied at a depth stands below what was copied last above it.
    stack: list[tuple[Any, str, Entry, int]] = [(copied, "", entry, 0)]
    above: list[tuple[str, Any]] = []
    ids: set[int] = set()
    while stack:
        place, key, entry, depth = stack.pop()
        record = entry[1]
        while len(above) > depth:
            ids.discard(id(above.pop()[1]))
        if id(record) in ids:
            path = "/".join([*(name for name, _ in above), key]).lstrip("/")
            raise DamagedError(f"node {path!r} cannot be copied: it is below itself")
        own = _copy_own(own_of(entry), source, target)
        if type(record) is tuple:
            place[key] = (entry[0], *own)
        elif type(record) is Box:
            place[key] = (entry[0], Box(own), False)
        else:
            boxed = type(record[OWN_KEY]) is Box
            place[key] = branch = new_branch(entry[0], Box(own) if boxed else own)
            above.append((key, record))
            ids.add(id(record))
            for child_key, child in all_items(record):
                # Packed leaves are most of a tree; those without payloads are copied as they are.
                if type(child[1]) is tuple and not any(map(is_payload, child[2:])):
                    branch[1][child_key] = child
                else:
                    stack.append((branch[1], child_key, child, depth + 1))
            source.trim_cache()
    return copied[""]


def _copy_own(own: Own, source: Tree, target: Tree | None) -> Own:
    if target is None or not any(map(is_payload, own[1:])):
        return own
    return (own[0], *(copy_value(value, source, target) for value in own[1:]))


def copy_value(stored: Any, source: Tree, target: Tree) -> Any:
    """A stored attribute value of *source* for use in *target*."""
    if not is_payload(stored) or source is target:
        return stored
    record = PayloadRecord.decode(stored)
    return copy_payload(record, source.stage, target).encode()


def copy_payload(record: PayloadRecord, source: Stage, target: Tree) -> PayloadRecord:
    """The record of a payload in *target* with the same rows, copied in bounded memory."""
    old = record.layout
    backend = target.default_backend if old.backend == MemoryBackend.name else old.backend
    new = target.layout(backend, old.dtype, old.row_shape, target.decode_options(old))
    return rewrite_payload(record, source, target, new)


def rewrite_payload(record: PayloadRecord, source: Stage, target: Tree, layout: Layout) -> PayloadRecord:
    """The record of a payload with the same rows in one new segment of *layout*."""
    blocks = _blocks(record, source) if record.layout.row_bytes else iter(())
    layout = target.noted(layout, record.samplerate_hz, record.metadata)
    segments = target.stage.write_blocks(layout, blocks, record.rows)
    return replace(record, layout=layout, segments=segments)


def _blocks(record: PayloadRecord, source: Stage) -> Iterator[np.ndarray[Any, Any]]:
    for segment in record.segments:
        yield from source.read_whole(record.layout, segment, BLOCK_BYTES)


class DetachedCopy(Tree):
    """A tree in memory whose payloads still lie in the tree that it was copied from."""

    def __init__(self, plugins: Plugins, origin: Tree) -> None:
        super().__init__(plugins)
        self.stage = _CopiedStage(self, origin)
        origin.pin(self)


class _CopiedStage(Stage):
    def __init__(self, tree: Tree, origin: Tree) -> None:
        super().__init__(lambda name: tree.memory, decode_options=tree.decode_options)
        self._tree = tree
        self._origin = origin

    def _keeper(self, locator: Any) -> Stage:
        if self._tree.memory.holds(locator):
            return self
        self._origin.check()
        return self._origin.stage._keeper(locator)
