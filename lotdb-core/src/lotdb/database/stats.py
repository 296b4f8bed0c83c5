"""What a database takes on the disk, and what a pack would free."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from ZODB.utils import u64

from lotdb.content.usage import Counts, Walk, locator_number
from lotdb.database.commits import TAGS_KEY
from lotdb.database.opened import Opened
from lotdb.interfaces.backend import is_locator, iter_locators
from lotdb.node_api.nodes import BaseNode
from lotdb.records import Children
from lotdb.records.children import records_of

__all__ = ["Stats", "parts_of", "stats"]


@dataclass(frozen=True)
class Stats:
    """What a database takes on the disk. Sizes are in bytes.

    Parameters
    ----------
    parts
        Size of each file and folder of the database, by its name.
    nodes, payloads, segments
        How many there are; what branches share is counted once.
    tree_bytes, payload_bytes
        What the current state of the tree, and its payloads, take.
    free_tree_bytes, free_payload_bytes
        What a pack would free, about, if no connection or reader is open that sees an earlier state. What the
        oldest tag keeps is not counted.
    """

    parts: dict[str, int]
    nodes: int
    payloads: int
    segments: int
    tree_bytes: int
    payload_bytes: int
    free_tree_bytes: int
    free_payload_bytes: int

    @property
    def bytes(self) -> int:
        """Size of all parts."""
        return sum(self.parts.values())

    @property
    def free_bytes(self) -> int:
        """All that a pack would free, about."""
        return self.free_tree_bytes + self.free_payload_bytes


class _Live(Counts):
    """The records and arrays that the current tree refers to, as numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.begin()
        self._numbers, self._sizes = array("Q", [0]), array("Q", [0])  # the root object of ZODB

    def note(self, number: int, size: int, is_array: bool) -> None:
        self._numbers.append(number)
        self._sizes.append(size if is_array else 0)

    def sorted(self) -> tuple[array[int], int]:
        """The numbers in order, each once, and the size of all arrays."""
        numbers, first = np.unique(np.asarray(self._numbers, "u8"), return_index=True)
        return array("Q", numbers.tobytes()), int(np.asarray(self._sizes, "u8")[first].sum())


@dataclass(frozen=True)
class _Kept:
    """What a pack keeps: what the tree refers to at the moment after a transaction, and all that is later.

    ``numbers`` are those of the records and arrays of that moment, in order; ``since`` is None if it is the
    last one.
    """

    numbers: array[int]
    since: bytes | None = None

    def has(self, number: int) -> bool:
        """Whether the record or array of that *number* is of the moment."""
        return _place(self.numbers, number) >= 0

    def is_later(self, tid: bytes) -> bool:
        """Whether what the transaction *tid* stored is kept, whatever refers to it."""
        return self.since is not None and tid > self.since


def stats(
    database: Opened, root: BaseNode, then: BaseNode | None = None, since: bytes | None = None
) -> Stats:
    """What *database* takes, whose tree is that of *root*.

    A pack would keep what is seen since the transaction *since*, after which the tree is that of *then*; or
    what is current, if there is none.
    """
    live = _Live()
    numbers, payload_bytes = _look(root, live)
    kept = _Kept(numbers) if then is None else _Kept(_look(then, _Live())[0], since)
    parts = parts_of(database)
    return Stats(
        parts=parts,
        nodes=live.nodes[0],
        payloads=live.payloads[0],
        segments=live.segments[0],
        tree_bytes=_tree_bytes(database, _Kept(numbers)),
        payload_bytes=payload_bytes,
        free_tree_bytes=max(database._storage.tree_bytes() - _tree_bytes(database, kept), 0),
        free_payload_bytes=_unused_arrays(database, kept),
    )


def _look(root: BaseNode, live: _Live) -> tuple[array[int], int]:
    """The numbers of the records of *root*, and of the tags beside it; and the size of its arrays."""
    walk = Walk(root, live.note, live)
    walk.through([root._entry()])
    tags = root._container._p_jar.root().get(TAGS_KEY)
    for children in (root._container, tags) if type(tags) is Children else (root._container,):
        for part in records_of(children):
            walk.record(part)
    return live.sorted()


def _tree_bytes(database: Opened, kept: _Kept) -> int:
    """What a storage takes that holds only what is kept; of what is not later, the last revision of each."""
    live = kept.numbers
    sizes, transactions = array("Q", bytes(8 * len(live))), array("Q", bytes(8 * len(live)))
    later = later_bytes = 0
    later_transactions: set[bytes] = set()
    for oid, tid, record in database._storage.records():
        if kept.is_later(tid):
            later += 1
            later_bytes += len(record)
            later_transactions.add(tid)
        elif (at := _place(live, u64(oid))) >= 0:
            sizes[at], transactions[at] = len(record), u64(tid)
    records = int(np.count_nonzero(np.asarray(sizes, "u8")))
    written = len(np.unique(np.asarray(transactions, "u8"))) + len(later_transactions)
    return database._storage.packed_bytes(records + later, sum(sizes) + later_bytes, written)


def _unused_arrays(database: Opened, kept: _Kept) -> int:
    """Size of the stored arrays that a pack would remove."""
    unused = 0
    for oid, tid, path in database._storage.blob_files():
        if not (kept.has(u64(oid)) or kept.is_later(tid)):
            unused += os.path.getsize(path)
    named = _named_later(database, kept)
    for backend in database._backends.in_use():
        for locator, _ in backend.locators():
            if not is_locator(locator) or locator in named:
                continue
            if not kept.has(locator_number(backend.name, locator)):
                unused += sum(size for _, size in backend.files(locator))
    return unused


def _named_later(database: Opened, kept: _Kept) -> set[str]:
    """The locators that what is later names."""
    if kept.since is None:
        return set()
    records = (record for _, tid, record in database._storage.records() if kept.is_later(tid))
    return {locator for record in records for locator in iter_locators(record)}


def _place(live: array[int], number: int) -> int:
    at = bisect_left(live, number)
    return at if at < len(live) and live[at] == number else -1


def parts_of(database: Opened) -> dict[str, int]:
    """Size of each file and folder of the database; a dot in the rest of a name means another database."""
    folder, prefix = database._storage.context.folder, f"{database.name}."
    there = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    beside = {
        name: _size(os.path.join(folder, name))
        for name in there
        if name == database.name or (name.startswith(prefix) and "." not in name[len(prefix) :])
    }
    return {**beside, **database._storage.parts()}


def _size(path: str) -> int:
    """Size of a file, or of all files in a folder; nothing for what goes meanwhile."""
    total = 0
    waiting = [path]
    while waiting:
        each = waiting.pop()
        try:
            if os.path.isdir(each) and not os.path.islink(each):
                waiting += [entry.path for entry in os.scandir(each)]
            else:
                total += os.lstat(each).st_size
        except FileNotFoundError:
            continue
    return total
