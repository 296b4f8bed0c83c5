"""Upkeep of a database: finding damage, and deleting segments that no record names."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ZODB.POSException import POSError

from lotdb.database.opened import Opened
from lotdb.errors import (
    DamagedError,
    FileSystemError,
    LotdbError,
    MissingPluginError,
    PluginError,
    ReadOnlyError,
    system_error,
)
from lotdb.interfaces.backend import Backend, is_locator, iter_locators
from lotdb.node_api.nodes import BaseNode
from lotdb.records import Children, Entry
from lotdb.records.children import all_items
from lotdb.records.entries import children_of, load_guard, own_of, record_of
from lotdb.segments.payload_record import PayloadRecord, is_payload
from lotdb.storage import damaged_headers, raw_records
from lotdb.tree.copying import BLOCK_BYTES
from lotdb.tree.rings import refuse_ring
from lotdb.values.values import Undecodable, decode

if TYPE_CHECKING:
    from lotdb.interfaces.backend import Backend

__all__ = ["Damage", "refuse_rings", "sweep", "verify"]


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
    seen: set[Any] = set()
    stack: list[Iterator[BaseNode | Damage]] = [iter((root,))]
    unread: dict[str, list[str]] = {}  # payloads, by why they could not be read here
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
                yield from _verify_own(found, unread)
                load_guard(entry)
            except Exception as error:
                yield _damage(found, error)
            else:
                stack.append(_below(found))
    for why, payloads in unread.items():
        were = f"and {len(payloads) - 1} more were" if len(payloads) > 1 else "was"
        warnings.warn(f"{payloads[0]} {were} not verified: {why}", RuntimeWarning, stacklevel=2)


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
        for key, entry in all_items(children):
            try:
                yield node._child(key, entry, children, tree.epoch, tree.version)
            except Exception as error:
                yield _damage(node, error)
        tree.trim_cache()
    except Exception as error:
        yield _damage(node, error)


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
    stack: list[Iterator[tuple[str, Entry]]] = [iter((("", root._entry()),))]
    while stack:
        key, entry = next(stack[-1], _NO_CHILD)
        record = children_of(entry)
        if record is None:
            if entry is _NO_CHILD[1]:
                stack.pop()
                if below:
                    done.add(below.popitem()[0])
                    keys.pop()
                    root._tree.trim_cache()
            continue
        name = record._p_oid or id(record)
        if name in below:
            raise DamagedError(f"node {'/'.join([*keys, key]).lstrip('/')!r} is below itself")
        if name not in done:
            below[name] = None
            keys.append(key)
            stack.append(all_items(record))


_NO_CHILD: tuple[str, Entry] = ("", ("", ()))


def verify_data_file(database: Opened) -> Iterator[Damage]:
    """Damage of the data file by which transactions would be lost, whatever nodes they changed."""
    if reason := damaged_headers(database._zodb.storage):
        yield Damage("", "", reason)


# The ids by which ZODB names a record. They do not help to find a node.
_ID = re.compile(r"\b(?:object|oid) 0x[0-9a-f]+(?:, stored by transaction 0x[0-9a-f]+)?")


def _without_ids(error: Exception) -> str:
    return _ID.sub("a record", str(error))


def _verify_own(node: BaseNode, unread: dict[str, list[str]]) -> Iterator[Damage]:
    own = own_of(node._entry())
    for name, stored in zip(own[0], own[1:], strict=True):
        if is_payload(stored):
            try:
                record = PayloadRecord.decode(stored)
            except DamagedError as error:
                yield Damage(node.path, name, _without_ids(error))
                continue
            yield from _verify_payload(node, name, record, unread)
        elif type(stored) is tuple:
            value = decode(stored, extra=node._tree.plugins)
            if isinstance(value, Undecodable) and not value.missing_plugin:
                yield Damage(node.path, name, repr(value))


def _verify_payload(
    node: BaseNode, name: str, record: PayloadRecord, unread: dict[str, list[str]]
) -> Iterator[Damage]:
    layout = record.layout
    if layout.row_bytes and sum(segment.rows for segment in record.segments) != record.rows:
        yield Damage(node.path, name, f"its segments do not add up to its {record.rows} rows")
    for segment in record.segments:
        try:
            for _ in node._tree.stage.read_whole(layout, segment, BLOCK_BYTES):
                pass
        except MissingPluginError as error:
            unread.setdefault(str(error), []).append(f"payload {name!r} of {node.path!r}")
            return
        except PluginError:
            raise
        except (POSError, LotdbError) as error:
            if isinstance(error, FileSystemError):
                raise
            yield Damage(node.path, name, _without_ids(error))


def check_can_pack(database: Opened) -> None:
    """Raise ``ReadOnlyError`` for a database that was opened read-only."""
    if database.read_only:
        raise ReadOnlyError(f"{database} was opened with read_only=True; it cannot be packed")


def sweep(database: Opened) -> None:
    """Delete the segments that no record of any revision names.

    It deletes only names of the exact form of a locator, and no links: the folder may come from a stranger.

    This process holds the writer's lock, but other connections of it may write at the same time. The order
    makes that safe: list the stored segments, then the staged ones, then the recorded ones. A segment on the
    first list was staged or recorded at that moment, so it is on the second or on the third list.
    """
    stored = [
        (backend, locator)
        for backend in database._backends.in_use()
        for locator, _ in backend.locators()
        if is_locator(locator) and not _is_link(backend, locator)
    ]
    if not stored:
        return
    used = {locator for each in database._open_connections() for locator in each.tree.stage.locators}
    for _, _, record in raw_records(database._zodb.storage):
        used.update(iter_locators(record))
    for backend, locator in stored:
        if locator not in used:
            backend.delete(locator)


def _is_link(backend: Backend, locator: str) -> bool:
    files = [path for path, _ in backend.files(locator)]
    paths: list[str | os.PathLike[str]] = [backend.context.folder / locator, *files]
    return any(os.path.islink(path) for path in paths)
