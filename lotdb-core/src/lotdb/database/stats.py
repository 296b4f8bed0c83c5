"""What a database takes on the disk, and what a pack would free."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from ZODB.utils import u64

from lotdb.content.usage import Counts, Walk, locator_number, records_of
from lotdb.database.opened import Opened
from lotdb.interfaces.backend import is_locator
from lotdb.node_api.nodes import BaseNode

__all__ = ["Stats", "stats"]


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
        What a pack would free, about, if no connection or reader is open that sees an earlier state.
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


def stats(database: Opened, root: BaseNode) -> Stats:
    """What *database* takes, whose tree is that of *root*."""
    live = _Live()
    walk = Walk(root, live.note, live)
    walk.through([root._entry()])
    for part in records_of(root._container):
        walk.record(part)
    numbers, payload_bytes = live.sorted()
    parts = _parts(database)
    tree_bytes = _tree_bytes(database, numbers)
    return Stats(
        parts=parts,
        nodes=live.nodes[0],
        payloads=live.payloads[0],
        segments=live.segments[0],
        tree_bytes=tree_bytes,
        payload_bytes=payload_bytes,
        free_tree_bytes=max(database._storage.tree_bytes() - tree_bytes, 0),
        free_payload_bytes=_unused_arrays(database, numbers),
    )


def _tree_bytes(database: Opened, live: array[int]) -> int:
    """What a storage takes that holds these records only, each in its last revision."""
    sizes, transactions = array("Q", bytes(8 * len(live))), array("Q", bytes(8 * len(live)))
    for oid, tid, record in database._storage.records():
        at = _place(live, u64(oid))
        if at >= 0:
            sizes[at], transactions[at] = len(record), u64(tid)
    records = int(np.count_nonzero(np.asarray(sizes, "u8")))
    written = len(np.unique(np.asarray(transactions, "u8")))
    return database._storage.packed_bytes(records, sum(sizes), written)


def _unused_arrays(database: Opened, live: array[int]) -> int:
    """Size of the stored arrays that the tree does not refer to."""
    unused = 0
    for oid, _, path in database._storage.blob_files():
        if _place(live, u64(oid)) < 0:
            unused += os.path.getsize(path)
    for backend in database._backends.in_use():
        for locator, _ in backend.locators():
            if is_locator(locator) and _place(live, locator_number(backend.name, locator)) < 0:
                unused += sum(size for _, size in backend.files(locator))
    return unused


def _place(live: array[int], number: int) -> int:
    at = bisect_left(live, number)
    return at if at < len(live) and live[at] == number else -1


def _parts(database: Opened) -> dict[str, int]:
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
