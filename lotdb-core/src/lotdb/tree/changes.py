"""What a transaction changed, net: the tree as it was compared with the tree as it is to be committed.

Nothing is told of what was undone, or made and taken away again, because nothing is left of it to be found.
Who looks at the tree as it was is ``tree/before.py``; where to look, and which node went where, says
``tree/journal.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from lotdb.errors import ClosedError
from lotdb.interfaces.loader import Loader
from lotdb.records import OWN_KEY, Children, Entry, Own
from lotdb.records.children import all_items
from lotdb.records.entries import children_of, is_same_entry, own_of, type_of
from lotdb.segments.payload_form import is_payload
from lotdb.segments.payload_record import PayloadRecord
from lotdb.tree import walk
from lotdb.tree.before import Before
from lotdb.tree.journal import StandIn
from lotdb.tree.node import Node, class_for
from lotdb.values import values

__all__ = ["Change", "Changes", "PayloadInfo", "compare"]

Kind = Literal[
    "deleted",
    "moved",
    "created",
    "added",
    "retyped",
    "attribute_set",
    "attribute_removed",
    "payload_written",
    "payload_removed",
]


@dataclass(frozen=True)
class PayloadInfo:
    """What is known of a payload without reading it.

    Attributes
    ----------
    kind : {"array", "bytes", "table", "text"}
    shape : tuple of int
        Rows first.
    dtype : numpy.dtype
        Of the elements as they are stored.
    samplerate_hz : float or None
        Rows a second.
    content_type : str
        Media type.
    backend : str
        Name of the backend.
    metadata : dict
        The mapping that was passed as ``metadata=``.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    samplerate_hz: float | None
    content_type: str
    backend: str
    metadata: dict[str, Any]


class Change:
    """One thing that a commit changed.

    Attributes
    ----------
    kind : str
        ``"deleted"``: the node and all below it, but for what was moved away. ``"moved"``: the node and all
        below it, but for what was moved elsewhere. ``"created"``: a new node. ``"added"``: a new node with
        all below it, which a branch, an add or a merge put there; what lies below is not told apart.
        ``"retyped"``: a node got another type. ``"attribute_set"``, ``"attribute_removed"``,
        ``"payload_written"`` (new, replaced, appended to or compacted) and ``"payload_removed"``.
    path : str
        The node's path after the commit; of a deleted one, before it.
    name : str or None
        Name of the attribute or payload.
    old_path : str or None
        Of a moved node, its path before the commit.
    source : str or None
        Of an added node that is a copy of one of the same database, the path that this one had then.
    """

    __slots__ = ("_extra", "_stored", "kind", "name", "old_path", "path", "source")

    def __init__(
        self,
        kind: Kind,
        path: str,
        name: str | None = None,
        *,
        old_path: str | None = None,
        source: str | None = None,
        stored: Any = None,
        extra: Loader | None = None,
    ) -> None:
        self.kind = kind
        self.path = path
        self.name = name
        self.old_path = old_path
        self.source = source
        self._stored = stored
        self._extra = extra

    @property
    def value(self) -> Any:
        """The value of a set attribute; a :class:`PayloadInfo` of a written payload; the type of a new node.

        None for the other kinds. It is what was committed, whatever was changed since.
        """
        if self.kind == "payload_written":
            return _info(PayloadRecord.decode(self._stored), self._extra)
        return values.decode(self._stored, extra=self._extra)

    def __repr__(self) -> str:
        about = [repr(self.path)]
        about += [] if self.name is None else [repr(self.name)]
        about += [f"from {each!r}" for each in (self.old_path, self.source) if each is not None]
        return f"<{self.kind} {' '.join(about)}>"


def _info(record: PayloadRecord, extra: Loader | None) -> PayloadInfo:
    metadata = {} if record.metadata is None else values.decode(record.metadata, extra=extra)
    return PayloadInfo(
        record.kind,
        record.shape,
        record.layout.dtype,
        record.samplerate_hz,
        record.content_type,
        record.layout.backend,
        metadata if isinstance(metadata, dict) else {"metadata": metadata},
    )


class Changes(Sequence[Change]):
    """What one commit changed, net; what the hook ``lotdb_committed`` is given.

    A sequence of :class:`Change`: first what was deleted and moved, each node after what was below it, then
    what is new in the order of the paths, each node before what is below it. Paths of deleted nodes, and old
    paths of moved ones, are those before the commit; all others are those after it. So moves are made at
    once: take away what was deleted or moved, then put what was moved where it belongs, then set what is new.

    Attributes
    ----------
    commit_id : str
        Id of the commit, 16 hexadecimal digits; a later one is greater.
    previous_id : str
        Id of the commit before it. Who heard of another one last has missed some.
    """

    __slots__ = ("_changes", "_places", "_root", "commit_id", "previous_id")

    def __init__(
        self,
        changes: Sequence[Change],
        commit_id: str,
        previous_id: str,
        root: Callable[[], Node],
    ) -> None:
        self.commit_id = commit_id
        self.previous_id = previous_id
        self._changes = changes
        self._root: Callable[[], Node] | None = root
        self._places: dict[str, str | None] | None = None

    def __repr__(self) -> str:
        return f"<{len(self)} changes of commit {self.commit_id}>"

    def __len__(self) -> int:
        return len(self._changes)

    @overload
    def __getitem__(self, index: int) -> Change: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Change]: ...

    def __getitem__(self, index: int | slice) -> Change | Sequence[Change]:
        return self._changes[index]

    def each(self) -> Iterator[Change]:
        """The changes with an added node told node by node, as if each had been created by itself.

        It reads what was added, and so it must be used up before the listener returns, in its thread.

        Raises
        ------
        ClosedError
            The listener has returned.
        """
        for change in self._changes:
            if change.kind == "added":
                yield from self._below(change)
            else:
                yield change

    def _below(self, change: Change) -> Iterator[Change]:
        if self._root is None:
            raise ClosedError(
                f"what lies below {change.path!r} can be read until the listener returns; list each() in it"
            )
        root = self._root()
        moved_here = {each.path for each in self._changes if each.kind == "moved"}
        left_out = None
        for node in walk.everything(root.get_node_path(change.path, False)):
            path = node._path()
            if path in moved_here:
                left_out = f"{path}/"
            if left_out is not None and f"{path}/".startswith(left_out):
                continue  # it is told as moved
            yield from _new(path, node._entry(), root._tree.plugins)

    def _end(self) -> None:
        """Read no more; who keeps this may not keep the connection in use."""
        self._root = None

    def new_path(self, path: str) -> str | None:
        """Where the node is now that was at *path* before the commit; None if it was deleted.

        All paths are to be asked before any is changed: two nodes may have changed places. It knows only what
        the commit changed: a path at which there was no node is given back as it is.
        """
        if self._places is None:
            gone = {each.path: None for each in self._changes if each.kind == "deleted"}
            moved = {each.old_path or "": each.path for each in self._changes if each.kind == "moved"}
            self._places = {**gone, **moved}
        above = path
        while above:
            if above in self._places:
                place = self._places[above]
                return None if place is None else place + path[len(above) :]
            above = above.rpartition("/")[0]
        return path


# -- comparing ------------------------------------------------------------------------------------


def compare(top: StandIn, roots: Any, before: Before, plugins: Loader) -> list[Change]:
    """What changed between the tree *before* and the one in the container *roots*.

    Parameters
    ----------
    top : StandIn
        Of the parent of the root, with what the journal knows.
    """
    return _Comparison(before, plugins).run(top, roots)


class _Comparison:
    def __init__(self, before: Before, plugins: Loader) -> None:
        self._before = before
        self._plugins = plugins
        self._taken: list[Change] = []
        self._new: list[Change] = []
        #: What was below a node that is still there, and may not be any more.
        self._missed: list[StandIn] = []
        #: Nodes whose children are still to be compared: stand-in, children as they were and are, path.
        self._pending: list[tuple[StandIn, Children | None, Children | None, str]] = []

    def run(self, top: StandIn, roots: Any) -> list[Change]:
        top.found, top.old = True, ("", roots)
        self._pending.append((top, roots, roots, ""))
        while self._pending:
            self._compare_children(*self._pending.pop())
        for node in self._missed:
            if not node.claimed:
                self._taken.append(Change("deleted", _old_path(node)))
        # Children before parents: what was moved out of a deleted node is out of it before that goes.
        self._taken.sort(key=lambda each: _keys(each.old_path or each.path), reverse=True)
        self._new.sort(key=lambda each: _keys(each.path))
        return self._taken + self._new

    def _compare_children(self, node: StandIn, old: Children | None, new: Children | None, path: str) -> None:
        for key in self._keys_to_look_at(node, old, new):
            entry = None if new is None else new.get(key)
            below = "" if node.parent is None and not node.new else f"{path}/{key}".lstrip("/")
            if old is not None and self._entry_before(kid := node.kid(key)) is not None:
                self._missed.append(kid)
            if entry is None:
                continue
            child = node.at(key)
            was = self._entry_before(child)
            if was is not None and not child.claimed:
                child.claimed = True
                if child.parent is not node or child.key != key:
                    self._taken.append(Change("moved", below, old_path=_old_path(child)))
                self._compare_nodes(child, was, entry, below)
            else:
                self._tell_new(child, entry, below, within=node.added)

    def _keys_to_look_at(self, node: StandIn, old: Children | None, new: Children | None) -> Collection[str]:
        keys = node.now.keys() | node.kids.keys()
        if old is new and new is not None:
            keys |= self._before.differing(new)
        elif not node.added:  # of which all is new, but for what was moved there
            were = {} if old is None else self._before.items(old)
            are = {} if new is None else dict(all_items(new))
            keys |= {
                key
                for key in were.keys() | are.keys()
                if key not in were or key not in are or not is_same_entry(were[key], are[key])
            }
        return sorted(keys - {OWN_KEY})

    def _compare_nodes(self, node: StandIn, was: Entry, entry: Entry, path: str) -> None:
        if type_of(was) != type_of(entry):
            self._new.append(Change("retyped", path, stored=type_of(entry)))
        own, own_was = own_of(entry), self._before.own(was)
        if own is not own_was or type_of(was) != type_of(entry):
            self._compare_own(
                _named(own_was, type_of(was), self._plugins), _named(own, type_of(entry), self._plugins), path
            )
        old, new = children_of(was), children_of(entry)
        if old is not None or new is not None:
            self._pending.append((node, old, new, path))

    def _compare_own(self, there: dict[str, Any], here: dict[str, Any], path: str) -> None:
        for name in there.keys() - here.keys():
            self._new.append(_removed(path, name, there[name]))
        for name, stored in here.items():
            if name in there:
                if values.is_same(there[name], stored):
                    continue
                if is_payload(there[name]) != is_payload(stored):
                    self._new.append(_removed(path, name, there[name]))
            self._new.append(_set(path, name, stored, self._plugins))

    def _tell_new(self, node: StandIn, entry: Entry, path: str, *, within: bool) -> None:
        """Tell a new node; one *within* what was added as a whole is told with that."""
        children = children_of(entry)
        node.new = True  # also if it was made where nothing was
        # A record of before is that of another node as well, as in a branch. Others may have changed what is
        # below it meanwhile, so only the tree that is committed shows what it brings here.
        node.added = node.added or within or self._before.was_there(entry)
        if not within and node.added:
            self._new.append(Change("added", path, source=node.source, stored=type_of(entry)))
        elif not within:
            self._new += _new(path, entry, self._plugins)
        if children is not None:
            self._pending.append((node, None, children, path))

    def _entry_before(self, node: StandIn) -> Entry | None:
        """The entry of *node* as it was; None if it was not there."""
        above: list[StandIn] = []
        each: StandIn | None = node
        while each is not None and not each.found:
            above.append(each)
            each = each.parent
        for each in reversed(above):
            each.found = True
            parent = each.parent
            if not each.new and parent is not None and parent.old is not None:
                record = parent.old[1]
                if type(record) is Children:
                    each.old = self._before.get(record, each.key)
        old: Entry | None = node.old
        return old


def _old_path(node: StandIn) -> str:
    keys = []
    each: StandIn | None = node
    while each is not None and each.parent is not None:
        keys.append(each.key)
        each = each.parent
    return "/".join(reversed(keys[:-1]))


def _keys(path: str) -> list[str]:
    return path.split("/") if path else []


def _named(own: Own, type_name: str, plugins: Loader) -> dict[str, Any]:
    """The stored attributes and payloads by name, without what a node of this type keeps for itself."""
    hidden = class_for(plugins, type_name)._hidden
    pairs = zip(own[0], own[1:], strict=True)
    return {name: stored for name, stored in pairs if name not in hidden}


def _new(path: str, entry: Entry, plugins: Loader) -> Iterator[Change]:
    """The changes that make a new node: itself, and what it holds."""
    yield Change("created", path, stored=type_of(entry))
    for name, stored in _named(own_of(entry), type_of(entry), plugins).items():
        yield _set(path, name, stored, plugins)


def _set(path: str, name: str, stored: Any, plugins: Loader) -> Change:
    kind: Kind = "payload_written" if is_payload(stored) else "attribute_set"
    return Change(kind, path, name, stored=stored, extra=plugins)


def _removed(path: str, name: str, stored: Any) -> Change:
    return Change("payload_removed" if is_payload(stored) else "attribute_removed", path, name)
