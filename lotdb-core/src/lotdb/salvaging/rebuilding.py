"""Building the tree anew from the records that were found, node by node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lotdb.database import LOTDB
from lotdb.database.copied import ReportNote
from lotdb.database.session import ROOT_KEY
from lotdb.errors import (
    DamagedError,
    FileSystemError,
    InvalidKeyError,
    LotdbError,
    UnavailableError,
    system_error,
)
from lotdb.keys import check_key
from lotdb.node_api.nodes import BaseNode
from lotdb.records import OWN_KEY, Box, Children, Entry, Own
from lotdb.records.entries import is_shared, leaf_with, record_of
from lotdb.records.own import BOX_BYTES, EMPTY_OWN
from lotdb.salvaging.findings import Progress, SalvageReport
from lotdb.salvaging.found_records import FoundRecords
from lotdb.salvaging.partial import readable_rows, rows_of
from lotdb.salvaging.workbench import Workbench, locator_name
from lotdb.segments.payload_form import is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.storage.transactions import time_of
from lotdb.tree.copying import copy_payload
from lotdb.values import values
from lotdb.values.undecodable import Undecodable
from lotdb.values.values import decode

__all__ = ["Rebuilding"]

# A commit after so many nodes, or bytes of payloads.
_NODES, _BYTES = 1000, 64 << 20
_UNPLACED = "lost_and_found"


class _Level(NamedTuple):
    """A node that is being rebuilt: the new one, the records above, and what is left of its children."""

    node: BaseNode
    records: frozenset[bytes]
    children: Iterator[tuple[str, Entry]]


class Rebuilding:
    """Copies what *bench* has to *target*, a new database, and notes in *report* what was lost."""

    def __init__(
        self,
        bench: Workbench,
        found: FoundRecords,
        target: LOTDB,
        report: SalvageReport,
        progress: Progress | None,
    ) -> None:
        self._bench, self._found, self._target = bench, found, target
        self._report, self._progress = report, progress
        self._root = target.open_connection()
        self._stale = found.stale
        self._seen: set[bytes] = set()  # the records that were used
        self._is_torn = bool(found.unreadable)  # whether records may be without a place
        self._branches: dict[bytes, BaseNode] = {}
        self._segments: dict[tuple[Any, ...], PayloadRecord] = {}
        self._pending = self._bytes = 0

    def run(self) -> None:
        """Do all of it."""
        entry = self._root_entry()
        if entry is None:
            self._is_torn = True
            self._lose("", "", "the root was not found; what stood below it is in " + _UNPLACED)
        else:
            self._take(self._root, entry)
        if self._is_torn:
            self._take_unplaced()
        self._commit()
        self._target.close_connection()

    # -- nodes ---------------------------------------------------------------------------------------

    def _root_entry(self) -> Entry | None:
        for name, record in self._bench.root.items():
            if name != "tree" and isinstance(record, Children):  # tags, whose moments are not taken along
                self._seen.add(record._p_oid)
        roots = self._bench.root.get("tree")
        if isinstance(roots, Children):
            for key, entry in self._items(roots, "")[1]:
                if key == ROOT_KEY:
                    return entry
        # The record that names it is lost: there is one that has nothing but the root below it.
        for oid in sorted(self._found.newest):
            if self._bench.kind(oid) == "Children":
                own, items = self._items(self._bench.get(oid), None)
                if own is None and [key for key, _ in items] == [ROOT_KEY]:
                    return items[0][1]
                self._seen.discard(oid)
        return None

    def _take(self, top: BaseNode, entry: Entry) -> None:
        """Make *top* what *entry* says, with all below it."""
        own, children = self._parts(entry, top.path)
        self._put_own(top, own)
        levels = [_Level(top, _ids(entry), iter(children))]
        while levels:
            level = levels[-1]
            found = next(level.children, None)
            if found is None:
                levels.pop()
                continue
            key, entry = found
            made = self._make(level, key, entry)
            if made is not None:
                levels.append(made)

    def _make(self, level: _Level, key: str, entry: Entry) -> _Level | None:
        """The new node for *entry* below that of *level*, unless it is complete."""
        path = f"{level.node.path}/{key}".lstrip("/")
        ids = _ids(entry)
        if ids & level.records:
            self._lose(path, "", "the node is below itself")
            return None
        if shared := self._branches.get(next(iter(ids), b"")):
            level.node.add_tree(shared, key=key, copy=True)
            return None
        own, children = self._parts(entry, path)
        try:
            node = level.node._create(key, (entry[0], *EMPTY_OWN))
        except LotdbError as error:
            self._lose(path, "", f"a node of type {entry[0]!r} was not made: {error}")
            return None
        self._put_own(node, own)
        if ids and is_shared(entry):
            self._branches[next(iter(ids))] = node
        self._count(path)
        return _Level(node, level.records | ids, iter(children)) if children else None

    def _count(self, path: str) -> None:
        self._report.nodes += 1
        self._pending += 1
        if self._progress is not None:
            self._progress(self._report.nodes, path)
        if self._pending >= _NODES or self._bytes >= _BYTES:
            self._commit()

    def _commit(self) -> None:
        self._target.commit()
        self._bench.trim()
        self._pending = self._bytes = 0

    def _parts(self, entry: Entry, path: str) -> tuple[Own, list[tuple[str, Entry]]]:
        """What the node of *entry* holds, and its children, as far as they were found."""
        record = record_of(entry)
        if record is None:
            return entry[1:], []
        if isinstance(record, Children):
            own, items = self._items(record, path)
            if own is None:
                self._lose(path, "", "its attributes and payloads are lost")
            return (EMPTY_OWN if own is None else own), items
        return self._own_in(record, path), []

    def _own_in(self, box: Any, path: str) -> Own:
        try:
            own = self._bench.state(box)
        except DamagedError as error:
            self._lose(path, "", f"its attributes and payloads are lost: {error}")
            return EMPTY_OWN
        self._use(box, path)
        return own if isinstance(own, tuple) and own else EMPTY_OWN

    def _items(
        self, children: Any, path: str | None, *, is_loose: bool = False
    ) -> tuple[Own | None, list[tuple[str, Entry]]]:
        """What a branch holds itself, and key and entry of its children; *path* None notes no losses.

        Of a bucket without the tree above it, those that follow it belong to the same node.
        """
        own: Own | None = None
        items: dict[str, Entry] = {}
        strays: list[tuple[str, Entry]] = []
        waiting, done = [_Part(children, None, None)], set()
        while waiting:
            place = waiting.pop()
            part = place.record
            if part._p_oid in done:
                continue
            done.add(part._p_oid)
            try:
                state = self._bench.state(part)
                inner, pairs = _opened(state, place)
            except DamagedError as error:
                if path is not None:
                    self._is_torn = True
                    self._lose(path, "", f"children of it are lost: {error}")
                continue
            if path is not None:
                self._use(part, path)
            waiting += inner
            if is_loose and len(state) > 1:
                waiting.append(_Part(state[1], None, None))
            for key, value in zip(pairs[::2], pairs[1::2], strict=False):
                if key == OWN_KEY:
                    own = value if isinstance(value, tuple) else self._own_in(value, path or "")
                elif _is_entry(value) and self._is_key(key, path):
                    if place.has(key):
                        items[key] = value
                    else:
                        strays.append((key, value))
        for key, value in strays:  # a look-up did not find it, but perhaps another one that was made since
            if key not in items:
                items[key] = value
            elif items[key] != value:
                items[self._free_key(key, items, path)] = value
        return own, sorted(items.items())

    def _free_key(self, key: str, items: Mapping[str, Entry], path: str | None) -> str:
        number = 2
        while (free := f"{key}_{number}") in items:
            number += 1
        if path is not None:
            place = f"{path}/{free}".lstrip("/")
            self._lose(place, "", f"this was another child {key!r}, which no look-up found")
        return free

    def _is_key(self, key: Any, path: str | None) -> bool:
        try:
            if check_key(key) == key:
                return True
        except InvalidKeyError:
            pass
        if path is not None:
            self._lose(path, "", f"a child has the key {key!r}, which cannot be one")
        return False

    def _use(self, record: Any, path: str) -> None:
        """Note that *record* was used, and say so if a later revision of it is lost."""
        oid = record._p_oid
        if oid in self._seen:
            return
        self._seen.add(oid)
        if oid in self._stale:
            self._lose(
                path,
                "",
                f"this, and what is below, may be older: a change of {time_of(self._stale[oid])} is lost",
            )

    # -- what nodes hold -----------------------------------------------------------------------------

    def _put_own(self, node: BaseNode, own: Own) -> None:
        try:
            names, stored = own[0], own[1:]
            if not isinstance(names, tuple) or len(names) != len(stored):
                raise ValueError("it makes no sense")
            kept: dict[str, Any] = {}
            for name, value in zip(names, stored, strict=True):
                for new, what in self._value(node, name, value):
                    kept[new] = what
            if kept:
                self._put(node, (tuple(kept), *kept.values()))
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            self._lose(node.path, "", f"its attributes and payloads are lost: {error}")

    def _put(self, node: BaseNode, own: Own) -> None:
        try:
            node._put_own(own)
        except FileSystemError:
            raise
        except LotdbError as error:  # the class of its type refuses it
            entry = node._entry()
            container = node._container_to_write()
            container[node._key] = leaf_with(entry, own, values.is_larger(own[1:], BOX_BYTES))
            self._lose(node.path, "", f"its type refuses what it holds, which is kept nevertheless: {error}")

    def _value(self, node: BaseNode, name: Any, stored: Any) -> Iterator[tuple[str, Any]]:
        """Name and stored form of what becomes of an attribute or payload."""
        if not isinstance(name, str):
            self._lose(node.path, "", f"an attribute has the name {name!r}, which cannot be one")
            return
        if is_payload(stored):
            yield from self._payload(node, name, stored)
            return
        if isinstance(stored, tuple):
            value = decode(stored, extra=self._target.plugins)
            if isinstance(value, Undecodable) and not value.missing_plugin:
                self._lose(node.path, name, f"it cannot be decoded, and is kept as it is: {value!r}")
        self._report.attributes += 1
        yield name, stored

    def _payload(self, node: BaseNode, name: str, stored: Any) -> Iterator[tuple[str, Any]]:
        stage, target = self._bench.stage, node._tree
        try:
            record = PayloadRecord.decode(stored)
        except DamagedError as error:
            self._lose(node.path, name, f"the payload is lost: {error}")
            return
        key = (
            record.layout.backend,
            *((locator_name(each.locator), *each[1:4]) for each in record.segments),
        )
        known = self._segments.get(key) if record.segments else None
        if known is not None and known.layout.dtype == record.layout.dtype:
            new = record.with_rows(record.rows, known.segments) if record.shape else known
            yield name, _like(record, new, known).encode()
            self._report.payloads += 1
            return
        try:
            with _failures():
                new = copy_payload(record, stage, target)
        except UnavailableError as error:
            self._lose(node.path, name, f"the payload was not read: {error}")
        except FileSystemError:
            raise
        except LotdbError as error:
            yield from self._rows(node, name, record, error)
        else:
            self._segments[key] = new
            self._report.payloads += 1
            self._add_bytes(new)
            yield name, new.encode()

    def _rows(
        self, node: BaseNode, name: str, record: PayloadRecord, error: LotdbError
    ) -> Iterator[tuple[str, Any]]:
        """What can be read of a damaged payload, under other names."""
        runs: list[tuple[int, int]] = []
        if record.kind in ("array", "table") and record.shape:
            with _failures():
                runs = readable_rows(record, self._bench.stage)
        kept = []
        for start, stop in runs:
            part = rows_of(record, self._bench.stage, node._tree, start, stop)
            kept.append(f"{name}_rows_{start}_{stop}")
            self._report.payloads += 1
            self._add_bytes(part)
            yield kept[-1], part.encode()
        rest = f"; what can be read is in {', '.join(kept)}" if kept else ""
        self._lose(node.path, name, f"the payload is lost: {error}{rest}")

    def _add_bytes(self, record: PayloadRecord) -> None:
        size = record.rows * record.layout.row_bytes
        self._report.payload_bytes += size
        self._bytes += size

    # -- what has no place ---------------------------------------------------------------------------

    def _take_unplaced(self) -> None:
        """Add what was found and is not in the tree, of which the record that named it is lost."""
        orphans = {oid for oid in self._found.newest if oid not in self._seen and self._bench.kind(oid) != ""}
        named: set[bytes] = set()
        for oid in sorted(orphans):
            try:
                named |= {
                    each for each in _references(self._bench.state(self._bench.get(oid))) if each != oid
                }
            except DamagedError:
                continue
        tops = sorted(orphans - named)
        if not tops:
            return
        key = _UNPLACED
        while key in self._root:
            key += "_"
        place = self._root.get_node(key)
        for oid in tops:
            if oid in self._seen:
                continue
            record, kind = self._bench.get(oid), self._bench.kind(oid)
            path = f"{key}/{oid.hex().lstrip('0')}"
            if kind == "Box":
                entry: Entry = ("", record, False)
            elif kind == "Children":
                entry = ("", record, False, None)
            else:
                entry = ("", _Loose(record), False, None)
            own, children = self._parts_of_unplaced(entry, path)
            if not children and own == EMPTY_OWN:
                continue
            node = place.get_node(path.rpartition("/")[2])
            self._report.unplaced.append(path)
            self._put_own(node, own)
            for child, below in children:
                made = self._make(_Level(node, frozenset({oid}), iter(())), child, below)
                if made is not None:
                    self._below(made)
            self._count(path)
        if not len(place):
            del self._root[key]

    def _parts_of_unplaced(self, entry: Entry, path: str) -> tuple[Own, list[tuple[str, Entry]]]:
        record = entry[1]
        if isinstance(record, Box):
            return self._own_in(record, path), []
        is_loose = isinstance(record, _Loose)
        own, items = self._items(record.record if is_loose else record, path, is_loose=is_loose)
        return own or EMPTY_OWN, items

    def _below(self, level: _Level) -> None:
        levels = [level]
        while levels:
            found = next(levels[-1].children, None)
            if found is None:
                levels.pop()
            elif (made := self._make(levels[-1], *found)) is not None:
                levels.append(made)

    def _lose(self, path: str, name: str, reason: str) -> None:
        self._report.lost.append(ReportNote(path, name, reason))


class _Loose(NamedTuple):
    """A bucket without the tree above it."""

    record: Any


class _failures:
    """Context manager: what reading altered bytes raises is damage, unless it is of the system."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, Exception) or isinstance(error, LotdbError | MemoryError):
            return
        if failure := system_error(error):
            raise FileSystemError.of(failure, "a payload cannot be read") from error
        raise DamagedError(f"{type(error).__name__}: {error}") from error


def _like(record: PayloadRecord, new: PayloadRecord, known: PayloadRecord) -> PayloadRecord:
    """*record* with the layout and the segments of *known*, which holds the same rows."""
    from dataclasses import replace

    return replace(record, layout=known.layout, segments=new.segments)


def _ids(entry: Entry) -> frozenset[bytes]:
    record = record_of(entry)
    return frozenset() if record is None else frozenset({record._p_oid})


def _is_entry(value: Any) -> bool:
    if not isinstance(value, tuple) or len(value) < 2 or not isinstance(value[0], str):
        return False
    record = value[1]
    if isinstance(record, tuple):
        return True
    if isinstance(record, Children):
        return len(value) == 4
    return isinstance(record, Box) and len(value) == 3


class _Part(NamedTuple):
    """A record of the children of a branch, and from and before which keys a look-up comes to it."""

    record: Any
    first: Any
    last: Any

    def has(self, key: str) -> bool:
        """Whether a look-up of *key* comes here; what makes no sense is taken for no bound."""
        is_before = type(self.first) is str and key < self.first
        return not is_before and not (type(self.last) is str and key >= self.last)


def _opened(state: Any, part: _Part) -> tuple[list[_Part], tuple[Any, ...]]:
    """The records below a part of a branch, and the keys and values in it.

    Raises
    ------
    DamagedError
        It is no such part.
    """
    try:
        if state is None:
            return [], ()
        if type(part.record) is not Children:
            return [], tuple(state[0])
        if len(state) == 1:
            return [], tuple(state[0][0][0])
        flat = state[0]
        bounds = (part.first, *flat[1::2], part.last)
        inner = map(_Part, flat[::2], bounds, bounds[1:])
        return [each for each in inner if hasattr(each.record, "_p_oid")], ()
    except (TypeError, IndexError, KeyError) as error:
        raise DamagedError(f"a record makes no sense ({error})") from error


def _references(state: Any) -> Iterator[bytes]:
    """The ids of the objects that a state refers to."""
    waiting = [state]
    while waiting:
        each = waiting.pop()
        if isinstance(each, tuple | list):
            waiting += each
        elif getattr(each, "_p_oid", None) is not None:
            yield each._p_oid
