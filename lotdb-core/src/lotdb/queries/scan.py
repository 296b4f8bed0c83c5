"""Going through the stored records below a node, in the order of paths, along a pattern.

No handle is made of a node that is passed by: only of those whose children are looked at, and of what is found.
Records that were not in memory before are let go of as soon as they are done with, so that a search of a large
tree neither fills the cache nor keeps Python's garbage collector busy, which took a third of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from lotdb.errors import DamagedError, StaleNodeError
from lotdb.queries.globs import Step
from lotdb.queries.matching import EntryTest, Tests
from lotdb.records import NO_TREE, OWN_KEY, Children, Entry
from lotdb.records.children import buckets, child_items
from lotdb.tree import rings
from lotdb.tree.node import Node

__all__ = ["Found", "scan"]

_BATCH = 256


class Found(NamedTuple):
    """A node that was found, as its parent holds it."""

    #: Handle of the parent; None for the node at which the search began.
    parent: Any
    key: str
    entry: Entry
    container: Any
    epoch: int
    version: int


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
    is_type = node_type is None or entry[0] == node_type
    if first.finds and is_type and tests.match(entry):
        yield Found(None, top._key, entry, top._container, tree.epoch, tree.version)
    if not first.leads:
        return
    stack = [_Level(top, first)]
    while stack:
        level = stack[-1]
        step = level.step
        same, after = step.same, step.after
        # The test that fits the tuple of names of the last leaf; in a bucket all leaves mostly have the same.
        names: Any = None
        test: EntryTest | None = None
        at: Step | None
        for key, entry in level.pairs:
            at = same
            if at is None and (at := after(key)) is None:
                continue
            record = entry[1]
            if record is not names:
                if type(record) is not tuple:
                    if at.finds and (node_type is None or entry[0] == node_type) and tests.match(entry):
                        found = level.found(key, entry)
                        if found is not None:
                            yield found
                    if at.leads and type(record) is Children and level.is_there(key):
                        child = level.child(key, entry)
                        _refuse_endless(child, record, len(stack))
                        stack.append(_Level(child, at))
                        break  # and go on with the rest of these later
                    continue
                names, test = record, tests.of(record)
            if (
                test is not None
                and at.finds
                and test(entry)
                and (node_type is None or entry[0] == node_type)
                and (found := level.found(key, entry)) is not None
            ):
                yield found
        else:
            if not level.fetch():
                stack.pop()


class _Level:
    """The children of one node that the pattern reaches, fetched bit by bit."""

    __slots__ = (
        "_batches",
        "_container",
        "_epoch",
        "_is_mine",
        "_last",
        "_loaded",
        "_removals",
        "_version",
        "node",
        "pairs",
        "step",
    )

    def __init__(self, node: Node, step: Step) -> None:
        self.node = node
        self.step = step
        self.pairs: Iterator[tuple[str, Entry]] = iter(())
        self._last = OWN_KEY
        self._container: Any = None
        self._batches: Iterator[Any] | None = None
        self._loaded: Any = None
        self._version = -1
        self._is_mine = False

    def found(self, key: str, entry: Entry) -> Found | None:
        """The child *key*, if it is still there."""
        if not self.is_there(key):
            return None
        return Found(self.node, key, entry, self._container, self._epoch, self._version)

    def is_there(self, key: str) -> bool:
        """Whether *key* was not taken away since it was fetched."""
        return self.node._tree.removals == self._removals or key in self._container

    def child(self, key: str, entry: Entry) -> Node:
        """A handle of the child *key*."""
        return self.node._child(key, entry, self._container, self._epoch, self._version)

    def fetch(self) -> bool:
        """Have the next children in ``pairs``; False if there are no more."""
        try:
            container = self.node._children()
        except StaleNodeError:
            container = None
        tree = self.node._tree
        if container is None:
            return False
        if self._container is None:
            self._is_mine = container._p_changed is None
        changed = self._container is not None and self._version != tree.version
        self._container = container
        self._epoch, self._version, self._removals = tree.epoch, tree.version, tree.removals
        step = self.step
        if step.literal is not None:
            return self._look_up(step.literal)
        if self._batches is None and not changed and not step.prefix:
            self._batches = self._by_bucket(container)
        if self._batches is not None:
            # What was changed meanwhile may have moved to another bucket: then it goes on by keys.
            if not changed:
                pairs = next(self._batches, None)
                if pairs is None:
                    self._let_go(container)
                    tree.trim_cache()
                    return False
                self.pairs = pairs
                return True
            self._batches = None
            self._let_go(None)
            return self._by_key(container) if self._last else False
        return self._by_key(container)

    def _let_go(self, container: Any) -> None:
        """Forget what was loaded by this search alone; ZODB does nothing to a record that was changed."""
        if self._loaded is not None:
            self._loaded._p_deactivate()
            self._loaded = None
        if self._is_mine and container is not None and container._p_jar is not None:
            container._p_deactivate()

    def _by_bucket(self, container: Any) -> Iterator[Iterator[tuple[str, Entry]]]:
        inline = True
        for bucket in buckets(container):
            # The bucket before is only now done with: it names this one as the next.
            self._let_go(None)
            is_new = bucket._p_changed is None
            flat = bucket.__getstate__()[0]
            if is_new:
                self._loaded = bucket
            start = 2 if inline and flat and flat[0] == OWN_KEY else 0
            inline = False
            keys = flat[start::2]
            if not keys:
                continue
            if not self._last < keys[0] <= keys[-1]:
                raise self._damaged()
            self._last = keys[-1]
            yield zip(keys, flat[start + 1 :: 2], strict=True)
        self._let_go(None)

    def _by_key(self, container: Any) -> bool:
        prefix = self.step.prefix
        if prefix > self._last:
            # Keys are ordered by their characters, so those with the prefix stand together.
            items: Any = container.items(min=prefix)
        else:
            items = child_items(container, self._last)
        batch = list(islice(items, _BATCH))
        if batch and not self._last < batch[0][0] <= batch[-1][0]:
            raise self._damaged()
        if batch:
            self._last = batch[-1][0]
        if prefix and batch and not self._last.startswith(prefix):
            batch = [pair for pair in batch if pair[0].startswith(prefix)]
        self.pairs = iter(batch)
        self.node._tree.trim_cache()
        return bool(batch)

    def _look_up(self, key: str) -> bool:
        if self._last:
            return False
        self._last = key
        entry = self._container.get(key)
        self.pairs = iter(() if entry is None else ((key, entry),))
        return entry is not None

    def _damaged(self) -> DamagedError:
        return DamagedError(f"the children of {self.node._place()} cannot be listed: {NO_TREE}")


def _refuse_endless(node: Node, children: Children, depth: int) -> None:
    """Raise ``DamagedError`` if the search would go on for ever, as a walk does."""
    if depth >= rings.LEVELS and depth & (depth - 1) == 0:
        rings.refuse_ring(node, children, levels=None)
