"""A tree: what its handles have in common, and what it tells the transaction.

The tree's *epoch* changes whenever a container that a handle remembers may be wrong by now, and its *version*
with each write. For an epoch, the tree remembers which containers may be written to.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from functools import partial
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, Protocol

from lotdb.errors import InvalidOptionError, UnsupportedValueError
from lotdb.interfaces.installed import plugin_errors
from lotdb.records import Box, Children, Entry
from lotdb.records.patchwork import Patchwork
from lotdb.tree.glances import Glances
from lotdb.tree.touched import Touched
from lotdb.tree.whole import Whole
from lotdb.values import values

if TYPE_CHECKING:
    import numpy as np

    from lotdb.interfaces.loader import Database, Loader
    from lotdb.segments.layout import Layout, Segment
    from lotdb.segments.stage import Stage
    from lotdb.tree.journal import Journal

__all__ = ["Pinned", "Tree"]


# So many layouts are remembered: programs use few, and rows of ever other lengths must not fill the memory.
_LAYOUTS = 256

# Held while a stage is made. A process that is forked meanwhile has its own.
_making = RLock()


def _renew() -> None:
    global _making
    _making = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


class Pinned(Protocol):
    """What reads from a tree that it was made from."""

    def follow(self) -> bool:
        """Called when a commit or a savepoint may have moved files."""


def _differs(one: Entry, other: Entry) -> bool:
    return False


class _MadeWhenAsked:
    """Stands in a class in place of its trees' stage: what that takes, numpy above all, takes long to load.

    (``cached_property`` does the same, and has Python look up all attributes of the tree in a slower way.)
    """

    def __get__(self, tree: Tree | None, owner: type[Tree]) -> Any:
        if tree is None:
            return self
        with _making:  # two threads get the same
            if tree.staged is None:
                made = tree._new_stage()
                if tree.staged is None:  # a signal handler may have written meanwhile
                    tree.staged = made
        tree.stage = tree.staged
        return tree.staged


class Tree:
    """A tree in memory; the tree of a database's connection overrides what differs there."""

    #: Backend of payloads that name none.
    default_backend = "memory"
    #: The database that it is the tree of a connection of; listeners are told.
    database: Database | None = None
    #: What the transaction did to places; None if nobody listens to commits, and in memory.
    journal: Journal | None = None
    #: Which places the transaction has changed, for other threads to ask; None in memory.
    touched: Touched | None = None

    def __init__(self, plugins: Loader) -> None:
        self.plugins = plugins
        #: Thread that may use the tree; None for any. Python finds it quicker here than in the class.
        self.owner: int | None = None
        self.epoch = 0
        self.version = 0
        #: From this version on, a change begins with :meth:`put_aside`; in memory it never does.
        self.full_at = sys.maxsize
        #: Containers, by identity, above which no record was found shared in this epoch.
        self.writable: dict[int, Any] = {}
        #: Those that share records with others, as they are to be written to.
        self.patched: dict[int, Patchwork] = {}
        #: What was found in records that are not in memory.
        self.glances = Glances()
        #: How many children were taken away. If this changes, an iteration checks that its next child exists.
        self.removals = 0
        #: What takes back the steps of the change that is being made; see ``tree/whole.py``.
        self.steps: list[Callable[[], Any]] | None = None
        #: The one place that the root's handle finds its entry in, by its key.
        self.roots: MutableMapping[str, Entry] = {}
        #: Records of payloads that were decoded lately, by the identity of their stored form.
        self.decoded: dict[int, tuple[Any, Any]] = {}
        #: How many segments these have.
        self.decoded_segments = 0
        #: Of packed leaves, by the identity of their entries: name and record of the payload by default.
        self.defaults: dict[int, tuple[Entry, str, Any]] = {}
        #: What rooms above remember of the tree, by their names for it; it goes with the tree.
        self.remembered: dict[str, Any] = {}
        #: Layouts without options that were found right, with the class of the backend.
        self._layouts: dict[Any, tuple[type[Any], Layout]] = {}
        #: The stage, if it was asked for so far; if not, nothing was written.
        self.staged: Stage | None = None

    if TYPE_CHECKING:
        #: The segments that the transaction writes, and reading those of all.
        stage: Stage
    else:
        stage = _MadeWhenAsked()

    def _new_stage(self) -> Stage:
        from lotdb.segments.memory import MemoryBackend
        from lotdb.segments.stage import Stage

        memory = MemoryBackend()
        return Stage(lambda name: memory, decode_options=self.decode_options)

    def __str__(self) -> str:
        return "a tree in memory"

    def decode_options(self, layout: Layout) -> dict[str, Any]:
        """The backend's options of *layout* as the user gave them."""
        return {name: values.decode(value, extra=self.plugins) for name, value in layout.options}

    def check_backend(self, name: str) -> None:
        """Raise ``MissingPluginError`` if no backend called *name* is installed."""
        self.plugins.check_backend(name)

    def layout(
        self, backend: str, dtype: np.dtype[Any], row_shape: tuple[int, ...], options: Mapping[str, Any]
    ) -> Layout:
        """The layout of such arrays, or the right error if *backend* cannot hold them so."""
        if not options and (known := self.known_layout(backend, dtype, row_shape)) is not None:
            return known
        self.check_backend(backend)
        cls = self.plugins.backend(backend)
        with plugin_errors(backend):
            cls.check_dtype(dtype)
            taken = dict(cls.check_options(options, dtype, row_shape))
        from lotdb.segments.layout import Layout  # which is there already: arrays are about to be written

        plain = []
        for name in sorted(taken):
            what = partial("option {!r} of backend {!r}".format, name, backend)
            plain.append((name, values.encode(taken[name], extra=self.plugins, what=what)))
        layout = Layout(backend, dtype, row_shape, tuple(plain))
        # Other dtypes than numpy's own may be equal, and differ.
        if not options and dtype.isbuiltin == 1:
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            self._layouts[backend, dtype, row_shape] = cls, layout
        return layout

    def known_layout(self, backend: str, dtype: np.dtype[Any], row_shape: tuple[int, ...]) -> Layout | None:
        """The layout of such arrays without options, if it was found right before.

        Programs write many arrays of few kinds.
        """
        known = self._layouts.get((backend, dtype, row_shape)) if dtype.isbuiltin == 1 else None
        return None if known is None or self.plugins.backend(backend) is not known[0] else known[1]

    def noted(self, layout: Layout, samplerate_hz: float | None, metadata: Any) -> Layout:
        """*layout* with what its backend is to note of a payload, whose metadata are in plain form."""
        if not self.plugins.backend(layout.backend).takes_notes:
            return layout
        found = {} if metadata is None else values.decode(metadata, extra=self.plugins)
        unit = found.get("unit") if isinstance(found, dict) else None
        notes = {"samplerate_hz": samplerate_hz, "unit": unit if isinstance(unit, str) else None}
        return layout.with_notes(tuple((name, note) for name, note in notes.items() if note is not None))

    def belongs_to(self, database: object) -> bool:
        """Whether the tree is a connection's of *database*."""
        return False

    def is_here(self) -> bool:
        """Whether the calling thread may use the tree."""
        return self.owner is None or self.owner == get_ident()

    def check(self) -> None:
        """Raise the right error if the tree cannot be used here and now."""

    def check_open(self) -> None:
        """Raise the right error if the tree is closed; in any thread."""

    def check_writable(self) -> None:
        """Raise the right error if the tree cannot be changed here and now."""

    def commit(self) -> None:
        """Make all that was changed durable, if the tree is in a database."""

    def connections_opened(self) -> int:
        """How many connections to the database of the tree this thread has opened so far."""
        return 0

    def has_changes(self) -> bool:
        """Whether the tree is in a database, and something in it is not committed."""
        return False

    def note_writable(self, container: Any) -> None:
        """Remember for this epoch that *container* may be written to."""
        if type(container) is Children and container._v_shared is not None:
            if id(container) not in self.patched:
                self.patched[id(container)] = Patchwork(container, self.depend_on)
        else:
            self.writable[id(container)] = container

    def patchwork(self, container: Any) -> Patchwork | None:
        """What writes to *container* if it shares records with another; None if it shares none.

        It is asked for by everyone who changes a container after the epoch may have changed: BTrees would put
        a new key into what is shared, or divide it, so that other parts would be taken for shared ones.
        """
        if type(container) is not Children or container._v_shared is None:
            return None
        known = self.patched.get(id(container))
        return Patchwork(container, self.depend_on) if known is None else known

    def share_parts(self) -> bool:
        """Whether the clone of a branch shares the records in which many children lie, for it is about to.

        In memory it does not: a tree in memory may become part of a database, which has to note such records.
        """
        return False

    def depend_on(self, record: Any) -> None:
        """Make the transaction conflict with one that stores *record*.

        So does one that deletes, moves or shares a branch with the guard of the branch.
        """

    def depend_on_content(self, record: Children | Box) -> None:
        """Make the transaction conflict with one that changes what *record* holds."""

    def is_rewritten_for(self, container: Any, key: str) -> bool:
        """Whether what is about to be set at *key* is better off in a record of its own.

        So it is if commit after commit stores a large *container* for its sake.
        """
        return False

    def retire(self, children: Children) -> None:
        """Make the transaction conflict with one that changes *children*, as long as they are few."""

    def new_epoch(self) -> None:
        """Have all handles look up their places again.

        Call it before a change, not after it: an interrupt in between must leave no handle that remembers a
        wrong place, or writes to a container that is shared by now.
        """
        self.writable.clear()
        self.patched.clear()
        self.epoch += 1
        self.version += 1

    def discard_with_steps(self, mark: int, segments: Iterable[Segment] | None = None) -> None:
        """Delete what the stage has written since *mark* if the change that is being made is taken back.

        Not if it fails in another way: what the tree names must stay. So must what a program has written to
        other nodes since *mark*, if it may have: then only the new ones of *segments* are deleted.
        """
        if self.steps is not None:
            self.steps.append(partial(self._discard, mark, segments))

    def mark(self) -> int:
        """What :meth:`discard_with_steps` takes, to delete what the stage writes from now on."""
        return 0 if self.staged is None else self.staged.mark()

    def _discard(self, mark: int, segments: Iterable[Segment] | None) -> None:
        if self.staged is None:
            return
        if segments is None:
            self.staged.discard_since(mark)
        else:
            self.staged.discard_segments(mark, segments)

    def whole(self) -> Whole:
        """A context in which a change of several steps is made, whole or not at all."""
        return Whole(self)

    def give_up(self, failure: BaseException) -> None:
        """Called when a change that failed cannot be taken back."""

    def savepoint(self) -> Callable[[], None] | None:
        """What takes the transaction back to now, if the tree is in a database."""
        return None

    def put_aside(self) -> None:
        """Let go of what the transaction has changed so far, which is kept in a file until it ends.

        It is called at the beginning of a change, before it writes arrays that it deletes if it fails.
        """

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Call *undo* if the transaction is aborted, or rolled back to before now."""

    def pin(self, copy: Pinned) -> None:
        """Keep what *copy* reads from here as long as it lives."""

    def follow(self) -> bool:
        """Note where files have moved, in what reads from another tree."""
        return False

    def peek(self, record: Any) -> Any:
        """The stored state of *record*, which may be folded, if it is not in memory; else None.

        It is not put into memory.
        """

    def glance(self, record: Any) -> tuple[Any, int] | None:
        """The same for one that was seldom asked for, and its bytes; None also if it is better loaded."""

    def loader(self, record: Any) -> tuple[Callable[[], Any], Callable[[], Any]] | None:
        """What gives the stored state of *record* in any thread, as it is now, and what finds its place.

        None if it is not committed. As long as the tree is pinned, a pack leaves it. The place is that of a
        record that never changes: its stored form, and what reads a part of it, or None.
        """
        return None

    def unchanged_until(self, later: Tree) -> Callable[[Entry, Entry], bool]:
        """What tells of an entry of this tree and one of *later*, another state of it, that nothing differs.

        False says nothing.
        """
        return _differs

    def past(self, when: Any) -> AbstractContextManager[Any]:
        """The tree as it was at the moment *when*, if it is in a database; see ``tree/revive.py``."""
        raise InvalidOptionError(f"{self} has no earlier moments; only a database has")

    def stored_bytes(self, record: Any) -> int:
        """The size of *record* in the database, as it was last written; 0 if it is in none."""
        return 0

    def trim_cache(self) -> None:
        """Let go of records that were read and are not in use."""

    def reference(self, kind: type[Any], keys: tuple[str, ...], payload: Any = None) -> Any:
        """What stands for the node at *keys*, or for its *payload*, in any thread and process.

        Any thread may call it.

        Parameters
        ----------
        kind
            The class of the node.
        keys
            The keys from below the root down to the node.
        payload
            Name and record of one of its payloads.

        Raises
        ------
        UnsupportedValueError
            If the tree is in no database, or the node is not committed as it is.
        """
        raise UnsupportedValueError(
            f"what belongs to {self} cannot be pickled, and no other process can refer to it; put it into a "
            "database with add_tree(), and commit it"
        )
