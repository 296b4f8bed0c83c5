"""Upkeep of a database: finding damage."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ZODB.POSException import POSError

from lotdb.database.opened import Opened
from lotdb.errors import (
    DamagedError,
    FileSystemError,
    LotdbError,
    PluginError,
    ReadOnlyError,
    UnavailableError,
    UnsafeRecordError,
    system_error,
    text_of,
)
from lotdb.interfaces.installed import plugin_errors
from lotdb.keys import node_text
from lotdb.node_api.nodes import BaseNode
from lotdb.records import NO_TREE, OWN_KEY, Children, Entry
from lotdb.records.children import parts, placed_items
from lotdb.records.entries import children_of, load_guard, own_of, record_of
from lotdb.segments.blocks import BlockSums, sums_of
from lotdb.segments.layout import Layout, Segment
from lotdb.segments.payload_form import is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.segments.reader import Wanted, read_ahead
from lotdb.segments.stage import Stage
from lotdb.storage.folding import unfolded
from lotdb.tree.copying import BLOCK_BYTES
from lotdb.tree.rings import refuse_ring
from lotdb.tree.tree import Tree
from lotdb.values.undecodable import Undecodable
from lotdb.values.values import decode

__all__ = [
    "Damage",
    "Unread",
    "payloads_of",
    "refuse_rings",
    "verify",
    "verify_payload",
    "verify_segment",
    "warn_of_unread",
]


@dataclass(frozen=True)
class Damage:
    """Something that cannot be read.

    ``path`` is the node's, ``name`` that of the payload or attribute ("" for the node itself), and
    ``reason`` says what is wrong and names the file.
    """

    path: str
    name: str
    reason: str


def verify(root: BaseNode) -> Iterator[Damage]:
    """What is damaged at and below *root*, in the order of the tree; every byte of every payload is read.

    Nodes that branches share are read once, in the first branch.
    """
    unread: Unread = {}
    for found in read_ahead(_find(root), _wanted):
        if isinstance(found, Damage):
            yield found
            continue
        node, name, record = found
        try:
            yield from verify_payload(node, name, record, unread)
        except Exception as error:
            yield _damage(node, error)
    warn_of_unread(unread)


def warn_of_unread(unread: Unread) -> None:
    """Warn of the payloads that could not be read here and now."""
    for why, payloads in unread.items():
        were = f"and {len(payloads) - 1} more were" if len(payloads) > 1 else "was"
        warnings.warn(f"{payloads[0]} {were} not verified: {why}", RuntimeWarning, stacklevel=2)


def payloads_of(root: BaseNode) -> Iterator[_Found]:
    """Each payload at and below *root*, with its node and name; what is damaged is left out."""
    return (found for found in _find(root) if not isinstance(found, Damage))


#: Payloads, by why they could not be read here.
Unread = dict[str, list[str]]

# A payload that is to be looked at: its node, its name, and what is known of it.
_Found = tuple[BaseNode, str, PayloadRecord]


def _wanted(found: Damage | _Found) -> Iterator[Wanted]:
    if not isinstance(found, Damage):
        node, _, record = found
        for segment in record.segments:
            yield node._tree.stage, record.layout, segment


def _find(root: BaseNode) -> Iterator[Damage | _Found]:
    """The payloads at and below *root*, and what is damaged of all but those."""
    seen: set[Any] = set()
    stack: list[Iterator[BaseNode | Damage]] = [iter((root,))]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
        elif isinstance(found, Damage):
            yield found
        else:
            try:
                entry = found._entry()
                if not _is_new(found, entry, seen):
                    continue
                yield from _verify_own(found)
                load_guard(entry)
            except Exception as error:
                yield _damage(found, error)
            else:
                stack.append(_below(found))


def _is_new(node: BaseNode, entry: Entry, seen: set[Any]) -> bool:
    """Whether the record of *node* was not seen before, from the node of another branch."""
    record = record_of(entry)
    if record is None:
        return True
    name = record._p_oid or id(record)
    if name not in seen:
        seen.add(name)
        return True
    if type(record) is Children:
        refuse_ring(node, record, levels=None)
    return False


def _below(node: BaseNode) -> Iterator[BaseNode | Damage]:
    """The children of *node*; a ``Damage`` in place of each one that cannot be read."""
    tree = node._tree
    try:
        children = node._children()
        if children is None:
            return
        for key, entry, is_placed in placed_items(children):
            if not is_placed:
                yield Damage("/".join((*node._keys(), key)), "", _MISPLACED)
            try:
                yield node._child(key, entry, children, tree.epoch, tree.version)
            except Exception as error:
                yield _damage(node, error)
        tree.trim_cache()
    except Exception as error:
        yield _damage(node, error)


_MISPLACED = "a look-up does not find what is listed here, since it lies in the record of other keys"


def _damage(node: BaseNode, error: Exception) -> Damage:
    """The damage that *error* tells of *node*; reading what was altered may raise any error."""
    if isinstance(error, MemoryError | RecursionError | PluginError):  # of here and now, not of the data
        raise error
    if failure := system_error(error):
        raise FileSystemError.of(failure, f"{node._place()} was not verified") from error
    return Damage(node.path, "", f"{type(error).__name__}: {_without_ids(error)}")


def refuse_rings(root: BaseNode) -> None:
    """Raise ``DamagedError`` if a node at or below *root* is below itself; each record is looked at once."""
    below: dict[Any, None] = {}  # the records on the way down, in their order
    done: set[Any] = set()
    keys: list[str] = []
    top = children_of(root._entry())
    stack: list[Iterator[tuple[str, Children]]] = [iter(() if top is None else (("", top),))]
    while stack:
        try:
            key, record = next(stack[-1], ("", None))
        except DamagedError as error:
            where = node_text(keys[1:])  # the first stands for the root
            raise DamagedError(f"the children of {where} cannot be listed: {error}") from error
        if record is None:
            stack.pop()
            if below:
                done.add(below.popitem()[0])
                keys.pop()
                root._tree.trim_cache()
            continue
        name = record._p_oid or id(record)
        if name in below:
            raise DamagedError(f"{node_text([*keys, key][1:])} is below itself")
        if name not in done:
            below[name] = None
            keys.append(key)
            stack.append(_branches(record, root._tree))


def _branches(children: Children, tree: Tree) -> Iterator[tuple[str, Children]]:
    """Key and children of each child that is a branch; most are leaves, of which there is nothing to see.

    Records that are not in memory are looked at without being loaded.
    """
    state = unfolded(tree.peek(children))
    if type(state) is tuple and len(state) == 1:
        yield from _branches_in(state[0][0][0])
        return
    last: Any = None
    for bucket in parts(children):
        state = unfolded(tree.peek(bucket))
        if state is None:
            state = bucket.__getstate__()
        is_chained = last is None or children._v_shared is not None or (len(last) > 1 and last[1] is bucket)
        if not is_chained:
            raise DamagedError(NO_TREE)
        last = state
        yield from _branches_in(state[0])
    if last is not None and len(last) > 1 and children._v_shared is None:
        raise DamagedError(NO_TREE)


def _branches_in(flat: tuple[Any, ...]) -> list[tuple[str, Children]]:
    first = 2 if flat and flat[0] == OWN_KEY else 0
    return [
        (key, entry[1])
        for key, entry in zip(flat[first::2], flat[first + 1 :: 2], strict=True)
        if type(entry[1]) is Children
    ]


def verify_data_file(database: Opened) -> Iterator[Damage]:
    """Damage of the data file by which transactions would be lost, whatever nodes they changed."""
    for reason in database._storage.damage():
        yield Damage("", "", reason)


# The ids by which ZODB names a record. They do not help to find a node.
_ID = re.compile(r"\b(?:object|oid) 0x[0-9a-f]+(?:, stored by transaction 0x[0-9a-f]+)?")


def _without_ids(error: Exception) -> str:
    return _ID.sub("a record", str(error))


def _verify_own(node: BaseNode) -> Iterator[Damage | _Found]:
    own = own_of(node._entry())
    for name, stored in zip(own[0], own[1:], strict=True):
        if is_payload(stored):
            try:
                record = PayloadRecord.decode(stored)
            except DamagedError as error:
                yield Damage(node.path, name, _without_ids(error))
                continue
            yield node, name, record
        elif type(stored) is tuple:
            value = decode(stored, extra=node._tree.plugins)
            if isinstance(value, Undecodable) and not value.missing_plugin:
                yield Damage(node.path, name, repr(value))


def verify_payload(node: BaseNode, name: str, record: PayloadRecord, unread: Unread) -> Iterator[Damage]:
    """What is damaged of a payload; if it cannot be read here and now, that is noted in *unread*."""
    layout = record.layout
    if layout.row_bytes and sum(segment.rows for segment in record.segments) != record.rows:
        yield Damage(node.path, name, f"its segments do not add up to its {record.rows} rows")
    for segment in record.segments:
        try:
            verify_segment(node._tree.stage, layout, segment)
        except (POSError, DamagedError, UnsafeRecordError) as error:
            yield Damage(node.path, name, _without_ids(error))
        except PluginError:
            raise
        except LotdbError as error:  # what is not to be had here and now says nothing of what is stored
            if isinstance(error, FileSystemError) and not isinstance(error, UnavailableError):
                raise
            unread.setdefault(_why(layout.backend, error), []).append(f"payload {name!r} of {node.path!r}")
            return


def verify_segment(stage: Stage, layout: Layout, segment: Segment) -> None:
    """Raise ``DamagedError`` unless all rows of *segment*, and the sums of its blocks, are right."""
    sums = BlockSums(layout.row_bytes, segment.step) if segment.sums is not None else None
    for block in stage.read_whole(layout, segment, BLOCK_BYTES):
        if sums is not None:
            sums.add(block)
    if sums is not None and sums.finish() != sums_of(segment):
        raise DamagedError("the checksums of its blocks are not those of its rows")


def _why(backend: str, error: LotdbError) -> str:
    """Why payloads could not be read, in words that are the same for all of them."""
    if not isinstance(error, OSError):
        return str(error)
    cause = system_error(error.__cause__, of_a_store=True) or error
    return f"the store of backend {backend!r} is not available: {cause.strerror or text_of(cause)}"


def check_can_pack(database: Opened) -> None:
    """Raise ``ReadOnlyError`` for a database that was opened read-only."""
    if database.read_only:
        raise ReadOnlyError(f"{database} was opened with read_only=True; it cannot be packed")


def tell_backends(database: Opened) -> None:
    """Tell each backend that a pack has ended."""
    for backend in database._backends.in_use():
        with plugin_errors(backend.name):
            backend.after_pack()
