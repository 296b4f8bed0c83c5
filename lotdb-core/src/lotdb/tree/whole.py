"""Changes of several steps that are made whole or not at all.

An abort does not restore a tree in memory. In a database, a program that catches Ctrl-C may commit what is
there. So each step is noted before it is made, with what takes it back. If a step fails, those before it are
taken back. A single step is either made or not, because one call of C code changes the container.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lotdb.records import Entry
from lotdb.storage.signals import uninterrupted

if TYPE_CHECKING:
    from lotdb.records.patchwork import Patchwork
    from lotdb.tree.journal import Journal

__all__ = ["Stepwise", "Whole", "put", "set_entry", "steps_noted", "take", "unset_entry"]

T = TypeVar("T")


class Stepwise(Protocol):
    """What a change is made in; a tree is one."""

    #: What takes back the steps of the change that is being made; None while there is none.
    steps: list[Callable[[], Any]] | None
    #: What the transaction did to places, if anybody asks.
    journal: Journal | None

    def patchwork(self, container: Any) -> Patchwork | None:
        """What writes to *container* if it shares records with another; None if it shares none."""

    def new_epoch(self) -> None:
        """Have all handles look up their places again."""

    def give_up(self, failure: BaseException) -> None:
        """Called when a change that failed cannot be taken back."""


class Whole:
    """Context manager that takes back what its block did to *tree*, if the block fails.

    An inner one takes back its own steps only, and an outer one the steps of both.
    """

    __slots__ = ("_keep", "_tree")

    def __init__(self, tree: Stepwise) -> None:
        self._tree = tree

    def __enter__(self) -> None:
        tree = self._tree
        if tree.steps is None:
            self._keep = -1
            tree.steps = []
        else:
            self._keep = len(tree.steps)
        if tree.journal is not None:
            tree.steps.append(partial(tree.journal.take_back, len(tree.journal)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tree, keep = self._tree, self._keep
        if kind is not None and tree.steps is not None:  # None: the transaction ended within the block
            with uninterrupted():
                _take_back(tree, tree.steps, max(keep, 0))
        if keep < 0:
            tree.steps = None


def steps_noted(tree: Stepwise, change: Callable[..., T], *args: Any) -> T:
    """Call *change*, whose steps are all made or none; quicker than the context where little is changed."""
    tree.steps = []
    if tree.journal is not None:
        tree.steps.append(partial(tree.journal.take_back, len(tree.journal)))
    try:
        return change(*args)
    except BaseException:
        if tree.steps is not None:
            with uninterrupted():
                _take_back(tree, tree.steps, 0)
        raise
    finally:
        tree.steps = None


def _take_back(tree: Stepwise, steps: list[Callable[[], Any]], keep: int) -> None:
    try:
        while len(steps) > keep:
            steps[-1]()
            steps.pop()
    except BaseException as failure:
        tree.give_up(failure)
        raise
    finally:
        tree.new_epoch()


def put(tree: Stepwise, container: Any, key: str, entry: Entry) -> None:
    """Set the entry of *key* in *container*, which may be changed."""
    if tree.steps is not None:
        tree.steps.append(partial(_restore, tree, container, key, container.get(key)))
    set_entry(tree, container, key, entry)


def set_entry(tree: Stepwise, container: Any, key: str, entry: Entry) -> None:
    """The same without a note, for what needs not be taken back."""
    patchwork = tree.patchwork(container)
    if patchwork is None:
        container[key] = entry
    else:
        patchwork.put(key, entry)


def unset_entry(tree: Stepwise, container: Any, key: str) -> None:
    """Take away the entry of *key* in *container*, without a note."""
    patchwork = tree.patchwork(container)
    if patchwork is None:
        del container[key]
    else:
        patchwork.take(key)


def take(tree: Stepwise, container: Any, key: str) -> Entry:
    """Take the entry of *key* out of *container*, which may be changed."""
    entry: Entry = container[key]
    if tree.steps is not None:
        tree.steps.append(partial(_restore, tree, container, key, entry))
    try:
        unset_entry(tree, container, key)
    except BaseException:
        # An empty bucket is removed from the list of buckets, and for that its neighbour must be read. If the
        # reading fails, the empty bucket stays in the list, which BTrees cannot stand.
        _put_back(tree, container, key, entry)
        raise
    if tree.journal is not None:
        tree.journal.gone(container, key)
    return entry


def _put_back(tree: Stepwise, container: Any, key: str, entry: Entry) -> None:
    try:
        with uninterrupted():
            set_entry(tree, container, key, entry)
    except BaseException as failure:
        tree.give_up(failure)
        raise


def _restore(tree: Stepwise, container: Any, key: str, entry: Entry | None) -> None:
    # As any other change: an entry whose bucket is gone by now may divide another one, or copy it.
    if entry is not None:
        set_entry(tree, container, key, entry)
    elif key in container:
        unset_entry(tree, container, key)
