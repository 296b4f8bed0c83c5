"""Copying what is below a node: within a tree, and from one tree into another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from lotdb.errors import DamagedError
from lotdb.interfaces.loader import Loader
from lotdb.keys import node_text
from lotdb.records import OWN_KEY, Box, Children, Entry, Own
from lotdb.records.children import all_items
from lotdb.records.entries import (
    children_of,
    leaf_with,
    new_branch,
    own_of,
    packed_values,
    record_of,
    type_of,
)
from lotdb.records.own import EMPTY_OWN
from lotdb.segments.layout import Layout
from lotdb.segments.memory import MemoryBackend
from lotdb.segments.payload_form import is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.reader import Reader, Wanted, read_ahead
from lotdb.segments.stage import Stage
from lotdb.tree.tree import Pinned, Tree
from lotdb.values import values

__all__ = [
    "DetachedCopy",
    "copy_entry",
    "copy_payload",
    "is_same",
    "wanted",
    "wanted_of",
]

# Payloads are copied from store to store in blocks of this many bytes.
BLOCK_BYTES = 16 << 20


def copy_entry(entry: Entry, source: Tree, target: Tree | None, types: set[str] | None = None) -> Entry:
    """A copy of *entry* and all below it that shares no record with it; the types of nodes go into *types*.

    Payloads are streamed from the storage of *source* into that of *target*; with None they keep their
    segments, and only a :class:`DetachedCopy` can read them.
    """
    copied: dict[str, Entry] = {}
    found = _walk_to_copy(copied, entry, source, target, types)
    for own, put in read_ahead(found, lambda each: wanted(each[0], source)):
        put(_copy_own(own, source, target))
    return copied[""]


def _walk_to_copy(
    copied: dict[str, Entry], entry: Entry, source: Tree, target: Tree | None, types: set[str] | None
) -> Iterator[tuple[Own, Callable[[Own], None]]]:
    """Copy *entry* and all below it to *copied* but for payloads.

    Gives what each node with payloads holds, and what is to be called with the copy of that.
    """
    # Depth first: the parent of a copied node is the node that was copied last, one level above.
    stack: list[tuple[Any, str, Entry, int]] = [(copied, "", entry, 0)]
    above: list[tuple[str, Any]] = []
    ids: set[int] = set()
    while stack:
        place, key, entry, depth = stack.pop()
        record = record_of(entry)
        while len(above) > depth:
            ids.discard(id(above.pop()[1]))
        if id(record) in ids:
            keys = [*(name for name, _ in above), key][1:]  # the first stands for the top
            raise DamagedError(f"{node_text(keys, 'the node')} cannot be copied: it is below itself")
        own = own_of(entry)
        if types is not None:
            types.add(type_of(entry))
        put: Callable[[Own], None]
        if record is None:
            put = partial(_put_leaf, place, key, entry, False)
        elif type(record) is Box:
            put = partial(_put_leaf, place, key, entry, True)
        else:
            boxed = type(record[OWN_KEY]) is Box
            place[key] = branch = new_branch(type_of(entry), EMPTY_OWN)
            children: Any = children_of(branch)
            put = partial(_put_own, children, boxed)
            above.append((key, record))
            ids.add(id(record))
            for child_key, child in all_items(record):
                # Packed leaves are most of a tree; those without payloads are copied as they are.
                packed = packed_values(child)
                if packed is not None and not any(map(is_payload, packed)):
                    children[child_key] = child
                    if types is not None:
                        types.add(type_of(child))
                else:
                    stack.append((children, child_key, child, depth + 1))
            source.trim_cache()
        if target is None or not any(map(is_payload, own[1:])):
            put(own)
        else:
            yield own, put


def _put_leaf(place: Any, key: str, entry: Entry, boxed: bool, own: Own) -> None:
    place[key] = leaf_with(entry, own, boxed)


def _put_own(children: Children, boxed: bool, own: Own) -> None:
    children[OWN_KEY] = Box(own) if boxed else own


def wanted(own: Own, tree: Tree) -> Iterator[Wanted]:
    """The segments of the payloads in *own*, what a node of *tree* holds."""
    for stored in own[1:]:
        if is_payload(stored):
            yield from wanted_of(stored, tree)


def wanted_of(stored: Any, tree: Tree) -> Iterator[Wanted]:
    """The segments of the payload of *tree* that is *stored*; none if that makes no sense."""
    try:
        record = PayloadRecord.decode(stored)
    except DamagedError:  # who reads it says so
        return
    for segment in record.segments:
        yield tree.stage, record.layout, segment


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
    return rewrite_payload(record, source, target, _layout_in(target, record))


def _layout_in(target: Tree, record: PayloadRecord) -> Layout:
    """The layout that a copy of *record* has in *target*."""
    old = record.layout
    backend = target.default_backend if old.backend == MemoryBackend.name else old.backend
    return target.layout(backend, old.dtype, old.row_shape, target.decode_options(old))


def is_same(there: Any, stored: Any, tree: Tree, source: Tree) -> bool:
    """Whether *there*, a stored value of *tree*, is what a copy of *stored*, one of *source*, would be.

    Payloads with the same segments are the same, and nothing is read to tell. Copies in another tree have
    segments of their own, so the rows of both are read, in blocks, which costs less than writing them.
    """
    if values.is_same(there, stored):
        return True
    if source is tree or not (is_payload(there) and is_payload(stored)):
        return False
    theirs = PayloadRecord.decode(stored)
    try:
        mine = PayloadRecord.decode(there)
        return (
            _about(mine) == _about(theirs)
            and values.is_same(mine.metadata, theirs.metadata)
            and _is_laid_out_alike(mine.layout, _layout_in(tree, theirs))
            and _have_same_rows(mine, tree.stage, theirs, source.stage)
        )
    except DamagedError:
        return False  # damaged here, it is mended by the copy; damaged there, the copy says so


def _about(record: PayloadRecord) -> tuple[Any, ...]:
    return record.kind, record.shape, record.samplerate_hz, record.content_type, record.layout.dtype


def _is_laid_out_alike(mine: Layout, theirs: Layout) -> bool:
    return mine.backend == theirs.backend and values.is_same(mine.options, theirs.options)


def _have_same_rows(mine: PayloadRecord, tree: Stage, theirs: PayloadRecord, source: Stage) -> bool:
    layout = mine.layout
    if not layout.row_bytes:
        return True
    if len(mine.segments) == len(theirs.segments) == 1 and (
        mine.segments[0].checksum != theirs.segments[0].checksum
    ):
        return False  # the checksums are of all rows
    step = max(1, BLOCK_BYTES // layout.row_bytes)
    for first in range(0, mine.rows, step):
        rows = min(step, mine.rows - first)
        one = tree.room_for(layout, mine.segments, first, rows)
        other = source.room_for(theirs.layout, theirs.segments, first, rows)
        tree.read_into(layout, mine.segments, first, one)
        source.read_into(theirs.layout, theirs.segments, first, other)
        if one.tobytes() != other.tobytes():
            return False
    return True


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

    def __init__(self, plugins: Loader, origin: Tree) -> None:
        super().__init__(plugins)
        self.staged = self.stage = _CopiedStage(self, origin)
        self._origin = origin
        origin.pin(self)

    def check_open(self) -> None:
        self._origin.check_open()

    def is_here(self) -> bool:
        return self._origin.is_here()

    def pin(self, copy: Pinned) -> None:
        self._origin.pin(copy)

    def loader(self, record: Any) -> tuple[Callable[[], Any], Callable[[], Any]] | None:
        return self._origin.loader(record)


class _CopiedStage(Stage):
    def __init__(self, tree: Tree, origin: Tree) -> None:
        memory = MemoryBackend()
        super().__init__(lambda name: memory, decode_options=tree.decode_options)
        self._memory = memory
        self._origin = origin

    def _keeper(self, locator: Any) -> Reader:
        if self._memory.holds(locator):
            return self
        self._origin.check()
        return self._origin.stage._keeper(locator)
