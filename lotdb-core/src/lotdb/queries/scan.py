"""Going through the stored records below a node, in the order of paths, along a pattern.

No handle is made of a node that is passed by: only of those whose children are looked at, and of what is
found. The stored states of records that are not in memory are looked at without making records of them, so
that a search of a large tree neither fills the cache nor keeps Python's garbage collector busy.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

from lotdb.errors import DamagedError, StaleNodeError
from lotdb.queries.globs import Step
from lotdb.queries.matching import EntryTest, Tests
from lotdb.records import NO_TREE, OWN_KEY, Box, Children, Entry
from lotdb.records.children import child_items, items_from, parts
from lotdb.records.entries import own_of
from lotdb.storage.folding import Columns, columns_in
from lotdb.tree import rings
from lotdb.tree.glances import flat_children
from lotdb.tree.node import Node
from lotdb.tree.tree import Tree

__all__ = ["Found", "laid_out", "scan"]

_BATCH = 256

# A node that was found, as its parent holds it: the parent's handle, which is None for the node at which the
# search began, key and entry, and the container with its epoch and version.
Found: TypeAlias = tuple[Any, str, Entry, Any, int, int]

# The children that one record holds: as columns if they are stored so, or keys and entries in turn.
Peeked: TypeAlias = Columns | tuple[Any, ...]


def scan(top: Node, first: Step, tests: Tests, node_type: str | None) -> Iterator[Found]:
    """What is found at and below *top*, depth first, in the order of the keys.

    Parameters
    ----------
    first
        The place in the pattern that *top* is at.
    tests
        What the entries must pass.
    node_type
        Name of the type that the nodes must have; None for any.
    """
    tree = top._tree
    entry = top._entry()
    if first.finds and _is_found(entry, tests, node_type, tree):
        yield None, top._key, entry, top._container, tree.epoch, tree.version
    if not first.leads:
        return
    select = tests if node_type is None else None
    stack = [_Level(top, first, select)]
    while stack:
        level = stack[-1]
        if level.hits is not None:
            found, level.hits = level.hits, None
            node, container, removals = level.node, level.container, level.removals
            epoch, version = level.epoch, level.version
            for key, entry in found:
                if tree.removals == removals or key in container:
                    yield node, key, entry, container, epoch, version
        same, after = level.step.same, level.step.after
        # The test that fits the tuple of names of the last leaf; in a bucket all leaves mostly have the same.
        names: Any = None
        test: EntryTest | None = None
        for key, entry in level.pairs:
            at = same or after(key)
            if at is None:
                continue
            record = entry[1]
            if record is names or type(record) is tuple:
                if record is not names:
                    names, test = record, tests.of(record)
                if (
                    test is not None
                    and at.finds
                    and test(entry)
                    and (node_type is None or entry[0] == node_type)
                    and level.is_there(key)
                ):
                    yield level.node, key, entry, level.container, level.epoch, level.version
                continue
            # What was found here before this tree was changed may be another record by now.
            version = tree.version
            peeked = _peek_children(record, tree)
            if at.finds and _is_found(entry, tests, node_type, tree, peeked) and level.is_there(key):
                yield level.node, key, entry, level.container, level.epoch, level.version
            if at.leads and type(record) is Children and level.is_there(key):
                hits = None
                if version != tree.version or version != level.version:
                    peeked = None
                elif peeked is not None and select is not None and at.same is not None and at.same.finds:
                    hits = _select(peeked, select)
                    if hits is not None and not hits:
                        continue  # as in most branches: all below it are leaves, and none is found
                child = level.node._child(key, entry, level.container, level.epoch, level.version)
                _refuse_endless(child, record, len(stack))
                stack.append(_Level(child, at, select, peeked, hits))
                break  # and go on with the rest of these later
        else:
            if not level.fetch():
                stack.pop()


def _is_found(
    entry: Entry, tests: Tests, node_type: str | None, tree: Tree, peeked: Peeked | None = None
) -> bool:
    if node_type is not None and entry[0] != node_type:
        return False
    if tests.asks_nothing:
        return True
    own = None if peeked is None else _own_in(peeked)
    if type(own) is tuple:
        test = tests.of(own[0])  # mostly none: branches have other attributes than leaves, or no ones
        return test is not None and test((entry[0], *own))
    return tests.match(laid_out(entry, tree, peeked))


def laid_out(entry: Entry, tree: Tree, peeked: Peeked | None = None) -> Entry:
    """*entry* with its names and values where a packed leaf has them.

    *peeked* is what :func:`_peek_children` gave for its record, if that was asked for already.
    """
    record = entry[1]
    if type(record) is tuple:
        return entry
    own: Any = None
    if type(record) is Children:
        peeked = peeked or _peek_children(record, tree)
        found = None if peeked is None else _own_in(peeked)
        if found is not None:
            record = own = found
    if type(record) is Box:
        own = tree.peek(record)
    return (entry[0], *(own if type(own) is tuple else own_of(entry)))


def _peek_children(record: Any, tree: Tree) -> Peeked | None:
    """The children that *record* holds, if it is not in memory.

    None if it is, or if they lie in several records.
    """
    if type(record) is not Children:
        return None
    state = tree.peek(record)
    try:
        return columns_in(state) or flat_children(state)
    except DamagedError:  # which loading it raises, too, and names the file
        return None


def _own_in(peeked: Peeked) -> Any:
    """What the branch itself holds, where it is stored beside its children; None if it is not there."""
    first = peeked.own if isinstance(peeked, Columns) else peeked[:2]
    return first[1] if len(first) == 2 and first[0] == OWN_KEY else None


def _select(peeked: Peeked, tests: Tests) -> list[tuple[str, Entry]] | None:
    """What is found among the children in *peeked*, if that can be told of all at once."""
    # If they are not in order, a level of them says so.
    if isinstance(peeked, Columns):
        try:
            return tests.select_in(peeked) if OWN_KEY < peeked.first_key <= peeked.last_key else None
        except DamagedError:
            return None
    keys, entries = _pairs(peeked)
    if not keys:
        return []
    return tests.select(keys, entries) if OWN_KEY < keys[0] <= keys[-1] else None


def _pairs(peeked: Peeked) -> tuple[tuple[str, ...], tuple[Entry, ...]]:
    """The keys and the entries of the children in *peeked*."""
    flat = peeked.rows() if isinstance(peeked, Columns) else peeked
    start = 2 if flat and flat[0] == OWN_KEY else 0
    return flat[start::2], flat[start + 1 :: 2]


class _Level:
    """The children of one node that the pattern reaches, fetched bit by bit."""

    __slots__ = (
        "_batches",
        "_first_hits",
        "_last",
        "_peeked",
        "_select",
        "container",
        "epoch",
        "hits",
        "node",
        "pairs",
        "removals",
        "step",
        "version",
    )

    def __init__(
        self, node: Node, step: Step, select: Tests | None, peeked: Peeked | None = None, hits: Any = None
    ) -> None:
        self.node = node
        self.step = step
        self.pairs: Iterator[tuple[str, Entry]] = iter(())
        #: Those of the batch that are found, if that could be told of all at once.
        self.hits: list[tuple[str, Entry]] | None = None
        # It can where the keys do not matter.
        self._select = select if step.same is not None and step.same.finds else None
        self.container: Any = None
        self.epoch = self.version = self.removals = -1
        # What was read of the children already, and found among them.
        self._peeked, self._first_hits = peeked, hits
        self._batches: Iterator[None] | None = None
        self._last = OWN_KEY

    def is_there(self, key: str) -> bool:
        """Whether *key* was not taken away since it was fetched."""
        return self.node._tree.removals == self.removals or key in self.container

    def fetch(self) -> bool:
        """Have the next children in ``pairs`` or ``hits``; False if there are no more."""
        try:
            container = self.node._children()
        except StaleNodeError:
            return False
        if container is None:
            return False
        tree = self.node._tree
        is_first = self.container is None
        is_unchanged = is_first or self.version == tree.version
        self.container = container
        self.epoch, self.version, self.removals = tree.epoch, tree.version, tree.removals
        if self.step.literal is not None:
            return is_first and self._look_up(self.step.literal)
        if is_first and not self.step.prefix:
            self._batches = self._by_bucket(container, tree)
        try:
            if self._batches is not None and is_unchanged:
                return next(self._batches, self) is None
            # What was changed meanwhile may be in another bucket by now, so the rest is fetched by keys.
            self._batches = None
            return self._by_key(container)
        except DamagedError as error:
            raise DamagedError(f"the children of {self.node._place()} cannot be listed: {error}") from error

    def _by_bucket(self, container: Any, tree: Tree) -> Iterator[None]:
        peeked, self._peeked = self._peeked or _peek_children(container, tree), None
        if peeked is not None:
            if self._take(peeked):
                yield
            return
        for bucket in parts(container):
            state: Any = tree.peek(bucket)
            if state is None:
                state = bucket.__getstate__()
                tree.trim_cache()
            if self._take(columns_in(state) or state[0]) and (self.hits is None or self.hits):
                yield

    def _take(self, peeked: Peeked) -> bool:
        """Have the children in *peeked*; False if these are none."""
        if isinstance(peeked, Columns):
            self._go_on(peeked.first_key, peeked.last_key)
        else:
            start = 2 if peeked and peeked[0] == OWN_KEY else 0
            if len(peeked) == start:
                return False
            self._go_on(peeked[start], peeked[-2])
        self.hits, self._first_hits = self._first_hits, None
        if self.hits is None and self._select is not None:
            self.hits = _select(peeked, self._select)
        self.pairs = zip(*_pairs(peeked), strict=True) if self.hits is None else iter(())
        return True

    def _by_key(self, container: Any) -> bool:
        prefix = self.step.prefix
        # Keys are ordered by their characters, so those with the prefix stand together.
        items = items_from(container, prefix) if prefix > self._last else child_items(container, self._last)
        batch: list[tuple[str, Entry]] = list(islice(items, _BATCH))
        if batch:
            self._go_on(batch[0][0], batch[-1][0])
            if prefix and not self._last.startswith(prefix):
                batch = [pair for pair in batch if pair[0].startswith(prefix)]
        self.pairs = iter(batch)
        self.node._tree.trim_cache()
        return bool(batch)

    def _look_up(self, key: str) -> bool:
        entry = self.container.get(key)
        self.pairs = iter(() if entry is None else ((key, entry),))
        return entry is not None

    def _go_on(self, first: str, last: str) -> None:
        # In a stranger's file the records may lead back.
        if not self._last < first <= last:
            raise DamagedError(NO_TREE)
        self._last = last


def _refuse_endless(node: Node, children: Children, depth: int) -> None:
    """Raise ``DamagedError`` if the search would go on for ever, as a walk does."""
    if depth >= rings.LEVELS and depth & (depth - 1) == 0:
        rings.refuse_ring(node, children, levels=None)
