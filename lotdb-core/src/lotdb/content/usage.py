"""What subtrees take on the disk: alone, and shared with what is outside of them.

Each record and each stored array that a subtree refers to is noted as a number, with its size, in 21 bytes.
Then all that is outside is walked through, and marks what it refers to as well. So the memory that is needed
depends on the subtree alone, but for a number for each record that branches share.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
from ZODB.utils import u64

from lotdb.errors import DamagedError, FileSystemError, MissingPluginError, is_gone
from lotdb.records import Children, Entry
from lotdb.records.children import all_items, records_of
from lotdb.records.entries import children_of, guard_of, is_shared, own_of, record_of
from lotdb.segments.in_records import is_in_record
from lotdb.segments.layout import Layout, Segment
from lotdb.segments.payload_form import is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.tree.node import Node

__all__ = ["Counts", "Usage", "Walk", "locator_number", "usage", "usage_of_children"]

# Of a guard only its existence is asked for; reading it would take longer than it is long.
_GUARD_BYTES = 64
_SIZES = 4096
_CHUNK = 1 << 16

#: Is told the number of a record or stored array, its size, and whether it is an array.
Note = Callable[[int, int, bool], object]


@dataclass(frozen=True)
class Usage:
    """What a node takes on the disk, with everything below it.

    Sizes are in bytes. Records count with the size that they have in the storage, as of the last commit or
    savepoint. Small nodes without children and large attributes lie in the record of their parent, and are
    counted there. Small arrays that lie in records count as a part of the tree.

    Parameters
    ----------
    nodes, payloads, segments
        How many there are. What branches within the subtree share is counted once.
    tree_bytes, payload_bytes
        What nothing outside of the subtree uses, of the tree and of payloads. Deleting the subtree, and then
        packing, frees it.
    shared_tree_bytes, shared_payload_bytes
        What others use, too: the branches of the subtree, or payloads that are stored in one array with
        some of it.
    unknown_arrays
        How many stored arrays have a size that is not known, since their backend is not installed. They count
        as 0 bytes.
    """

    nodes: int
    payloads: int
    segments: int
    tree_bytes: int
    payload_bytes: int
    shared_tree_bytes: int
    shared_payload_bytes: int
    unknown_arrays: int = 0

    @property
    def alone_bytes(self) -> int:
        """All that nothing outside uses."""
        return self.tree_bytes + self.payload_bytes

    @property
    def shared_bytes(self) -> int:
        """All that others use, too."""
        return self.shared_tree_bytes + self.shared_payload_bytes


def usage(node: Node) -> Usage:
    """What *node* takes, with everything below it."""
    found = _Found()
    found.begin()
    Walk(node, found.note, found, with_records=True).through([node._entry()])
    outside = found.also_in(_outside(node, (node._key,)))
    return found.usages(outside)[0]


def usage_of_children(node: Node) -> dict[str, Usage]:
    """What each child of *node* takes, with everything below it; the other children are outside of it."""
    found = _Found()
    keys = []
    children = children_of(node._entry())
    for key, entry in all_items(children) if children is not None else ():
        keys.append(key)
        found.begin()
        Walk(node, found.note, found, with_records=True).through([entry])
    outside = found.also_in(_outside(node, None))
    return dict(zip(keys, found.usages(outside), strict=True))


# -- walking --------------------------------------------------------------------------------------


class Counts:
    """How many nodes, payloads and segments there are in each group of nodes, up to the one at hand."""

    def __init__(self) -> None:
        self.nodes, self.payloads, self.segments = array("Q"), array("Q"), array("Q")
        self.unknown: list[set[int]] = []  # the numbers of arrays whose size is not known

    def begin(self) -> None:
        """Begin another group."""
        self.unknown.append(set())
        for counts in (self.nodes, self.payloads, self.segments):
            counts.append(0)


class Walk:
    """Goes through records, each once, and notes what they refer to.

    Unless *with_records*, the size of what is no array is noted as 0, and not asked for.
    """

    def __init__(
        self, node: Node, note: Note, counts: Counts | None = None, *, with_records: bool = False
    ) -> None:
        self._tree = node._tree
        self._note = note
        self._counts = counts
        self._with_records = with_records
        self._seen: set[int] = set()
        self._sizes: dict[Any, int | None] = {}

    def through(self, tops: Iterable[Entry], *, shared: bool = False) -> None:
        """Note all that is in and below the nodes of these entries, which may be *shared* with others."""
        stack: list[tuple[int, Iterator[Entry], bool]] = [(0, iter(tops), shared)]
        below = dict.fromkeys([0])
        while stack:
            number, entries, shared = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                del below[number]
                self._tree.trim_cache()
                continue
            record = record_of(entry)
            # What is below a shared record is not marked itself, and yet reached by way of each clone.
            is_common = shared or is_shared(entry)
            if record is not None:
                number = _number(record)
                if number in below:
                    raise DamagedError(f"{self._tree}: a node is below itself")
                if is_common:
                    if number in self._seen:
                        continue
                    self._seen.add(number)
            self.of_one(entry)
            children = children_of(entry)
            if children is not None:
                below[number] = None
                stack.append((number, (each for _, each in all_items(children)), is_common))

    def of_one(self, entry: Entry) -> None:
        """Note the records and payloads of the node of *entry* itself."""
        if self._counts is not None:
            self._counts.nodes[-1] += 1
        own = own_of(entry)
        record = record_of(entry)
        if type(record) is Children:
            for part in records_of(record):
                self.record(part)
            guard = guard_of(entry)
            self._note(_number(guard), _GUARD_BYTES if guard._p_oid else 0, False)
            self._box(record[""])
        elif record is not None:
            self.record(record)
        for stored in own[1:]:
            if is_payload(stored):
                self._payload(stored)

    def record(self, record: Any) -> None:
        """Note a record."""
        # Not ZODB's estimate, which is of the memory that it takes.
        number = _number(record)
        size = self._known(number, partial(self._tree.stored_bytes, record)) if self._with_records else 0
        self._note(number, size or 0, False)

    def _box(self, own: Any) -> None:
        if type(own) is not tuple:
            self.record(own)

    def _payload(self, stored: tuple[Any, ...]) -> None:
        if self._counts is not None:
            self._counts.payloads[-1] += 1
        try:
            record = PayloadRecord.decode(stored)
        except DamagedError:
            return  # which verify() names
        for segment in record.segments:
            if self._counts is not None:
                self._counts.segments[-1] += 1
            if is_in_record(segment.locator):
                with suppress(DamagedError):  # which verify() names
                    self.record(segment.locator)
                continue
            number = locator_number(record.layout.backend, segment.locator)
            size = self._known(number, partial(self._size, record.layout, segment))
            if size is None and self._counts is not None:
                self._counts.unknown[-1].add(number)
            self._note(number, size or 0, True)

    def _known(self, number: int, find: Callable[[], int | None]) -> int | None:
        """The size of a record or array, of which many payloads may have a part."""
        if number not in self._sizes:
            if len(self._sizes) >= _SIZES:
                self._sizes.clear()
            self._sizes[number] = find()
        return self._sizes[number]

    def _size(self, layout: Layout, segment: Segment) -> int | None:
        """What an array takes; None if nobody knows."""
        try:
            return sum(size for _, size in self._tree.stage.files(layout, segment))
        except MissingPluginError:
            return None
        except FileSystemError as error:
            if error.__cause__ is not None and is_gone(error.__cause__):
                return 0  # which verify() names
            raise


def _number(record: Any) -> int:
    """The number of a record; of one that is not stored, no other has it as long as it is used."""
    return int(u64(record._p_oid)) if record._p_oid else id(record) | 1 << 63


def locator_number(backend: str, locator: Any) -> int:
    """The number of a stored array."""
    if not isinstance(locator, str):
        return _number(locator)
    digest = blake2b(f"{backend}/{locator}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") | 1 << 63


def _outside(node: Node, inside: tuple[str] | None) -> Callable[[Note], None]:
    """What notes all that is outside of *node*, or, if *inside* is None, outside of its children."""

    def walk(note: Note) -> None:
        walk = Walk(node, note)
        here: Any = node if inside is None else node._parent
        left_out = None if inside is None else node._key
        top = node
        above: list[tuple[Any, str | None]] = []
        while here is not None:
            above.append((here, left_out))
            top, left_out = here, here._key
            here = here._parent
        is_common = any(is_shared(each._entry()) for each, _ in above)
        for each, left_out in above:
            entry = each._entry()
            walk.of_one(entry)
            children = children_of(entry)
            if left_out is not None and children is not None:
                others = (child for key, child in all_items(children) if key != left_out)
                walk.through(others, shared=is_common)
        if isinstance(top._container, Children):
            for part in records_of(top._container):
                walk.record(part)

    return walk


# -- adding up ------------------------------------------------------------------------------------


class _Found(Counts):
    """The records and arrays that some groups of nodes refer to."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers, self._sizes = array("Q"), array("Q")
        self._groups, self._kinds = array("I"), array("B")

    def note(self, number: int, size: int, is_array: bool) -> None:
        self._numbers.append(number)
        self._sizes.append(size)
        self._groups.append(len(self.nodes) - 1)
        self._kinds.append(is_array)

    def also_in(self, walk: Callable[[Note], None]) -> np.ndarray[Any, Any]:
        """The numbers of what was noted that *walk* notes, too."""
        ours = np.unique(np.asarray(self._numbers, "u8"))
        hit = np.zeros(len(ours), "?")
        waiting = array("Q")

        def mark() -> None:
            theirs = np.asarray(waiting, "u8")
            at = np.minimum(np.searchsorted(ours, theirs), max(len(ours) - 1, 0))
            if len(ours):
                hit[at[ours[at] == theirs]] = True
            del theirs
            del waiting[:]

        def note(number: int, _size: int, _is_array: bool) -> None:
            waiting.append(number)
            if len(waiting) >= _CHUNK:
                mark()

        walk(note)
        mark()
        return ours[hit]

    def usages(self, outside: np.ndarray[Any, Any]) -> list[Usage]:
        """What each group takes; *outside* are the numbers of what others refer to as well."""
        numbers, groups = np.asarray(self._numbers, "u8"), np.asarray(self._groups, "u4")
        order = np.lexsort((groups, numbers))
        numbers, groups = numbers[order], groups[order]
        is_new_number = np.ones(len(numbers), "?")
        is_new_number[1:] = numbers[1:] != numbers[:-1]
        is_first = is_new_number.copy()
        is_first[1:] |= groups[1:] != groups[:-1]
        order, numbers, groups = order[is_first], numbers[is_first], groups[is_first]
        sizes, arrays = np.asarray(self._sizes, "u8")[order], np.asarray(self._kinds, "u1")[order] == 1
        _, places, users = np.unique(numbers, return_inverse=True, return_counts=True)
        # By sorting: of few numbers numpy 2.0 makes a table, and then fails for those from 2^63 on.
        shared = (users[places] > 1) | np.isin(numbers, outside, kind="sort")

        def total(which: np.ndarray[Any, Any]) -> list[int]:
            # Whole numbers up to 8 PiB are exact as floats.
            return [int(each) for each in np.bincount(groups[which], sizes[which], len(self.nodes))]

        columns = (
            self.nodes.tolist(),
            self.payloads.tolist(),
            self.segments.tolist(),
            total(~arrays & ~shared),
            total(arrays & ~shared),
            total(~arrays & shared),
            total(arrays & shared),
            [len(each) for each in self.unknown],
        )
        return [Usage(*row) for row in zip(*columns, strict=True)]
