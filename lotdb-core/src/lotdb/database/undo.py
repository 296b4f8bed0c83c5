"""Taking back one commit by an ordinary change: what it changed becomes what it was before.

The tree before the commit is compared with the tree after it, where the commit says that it changed
something. Each difference is taken back if the tree of now is there what the commit has left; else somebody
changed it later, and nothing is taken back at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ZODB.utils import p64, u64

from lotdb.database.commits import find_commit
from lotdb.database.past import PastSession, opened_past
from lotdb.database.session import Session
from lotdb.errors import ConflictError
from lotdb.records import Children, Entry
from lotdb.records.children import all_items
from lotdb.records.entries import children_of, guard_of, own_of, record_of, type_of
from lotdb.records.identity import is_same_place, is_same_stored
from lotdb.records.own import with_values, without_value
from lotdb.segments.payload_form import is_payload
from lotdb.storage.history import Changed
from lotdb.tree.edit import Edit
from lotdb.tree.graft import add_tree, check_added, delete_node, put_added
from lotdb.tree.handle import all_or_nothing
from lotdb.tree.node import Node
from lotdb.tree.revive import is_in_place, revived

__all__ = ["undo"]

# So many places are named at most.
_NAMED = 10


def undo(session: Session, when: Any) -> None:
    """Take back the commit *when* in the transaction of *session*; see ``LOTDB.undo``."""
    session.tree.check_writable()
    database = session.database
    commit = find_commit(database, when)
    tid = bytes.fromhex(commit.id)
    earlier = database._storage.commit_until(p64(u64(tid) - 1)).tid.hex()
    with opened_past(session, commit) as after, opened_past(session, earlier) as before:
        changed = Changed.by([database._storage.commit_until(tid)])
        undoing = _Undoing(session.root, before, after, changed)
        undoing.look()
        if undoing.conflicts:
            names = ", ".join(map(repr, undoing.conflicts[:_NAMED]))
            more = "" if len(undoing.conflicts) <= _NAMED else f" and {len(undoing.conflicts) - _NAMED} more"
            raise ConflictError(
                f"commit {commit.id} of {database} cannot be taken back: {names}{more} changed later; "
                "nothing was changed"
            )
        with all_or_nothing(session.root):
            for step in undoing.steps():
                step()


@dataclass
class _Undoing:
    """What is to be done, and what is in the way."""

    root: Node
    before: PastSession
    after: PastSession
    changed: Changed
    #: Paths of nodes that were changed later.
    conflicts: list[str] = field(default_factory=list)
    # Nodes that the commit took away and put somewhere, by their paths, with their entries; and what it
    # changed in nodes.
    _gone: dict[str, Entry] = field(default_factory=dict)
    _come: dict[str, Entry] = field(default_factory=dict)
    _own: list[Callable[[], None]] = field(default_factory=list)

    def look(self) -> None:
        """Find the differences, and what is in the way of taking them back."""
        stack: list[tuple[str, Entry, Entry]] = [("", self.before.root._entry(), self.after.root._entry())]
        while stack:
            path, was, left = stack.pop()
            if self._is_untouched(was, left):
                continue
            self._look_at_own(path, was, left)
            old, new = _items(was), _items(left)
            for key in sorted(old.keys() | new.keys()):
                below = f"{path}/{key}" if path else key
                if key not in new:
                    self._gone[below] = old[key]
                    if self._entry(below) is not None or self._entry(path) is None:
                        self.conflicts.append(below)
                elif key not in old:
                    self._come[below] = new[key]
                    if not self._is_as_left(self._entry(below), new[key]):
                        self.conflicts.append(below)
                else:
                    stack.append((below, old[key], new[key]))

    def _is_untouched(self, was: Entry, left: Entry) -> bool:
        """Whether the commit changed nothing at or below a node, as far as can be told without looking."""
        if not is_same_place(was, left):
            return False
        record = record_of(was)
        if record is None:
            return True
        return not (self.changed.may_have(record._p_oid) or self.changed.may_have(guard_of(was)._p_oid))

    def _look_at_own(self, path: str, was: Entry, left: Entry) -> None:
        there = self._entry(path)
        old, new = _named(was), _named(left)
        names = [
            name
            for name in {**old, **new}
            if name not in old or name not in new or not is_same_stored(old[name], new[name])
        ]
        is_retyped = type_of(was) != type_of(left)
        if not names and not is_retyped:
            return
        now = {} if there is None else _named(there)
        if (
            there is None
            or (is_retyped and type_of(there) != type_of(left))
            or any((name in now) != (name in new) for name in names)
            or any(name in now and not is_same_stored(now[name], new[name]) for name in names)
        ):
            self.conflicts.append(path)
            return
        self._own.append(partial(self._put_own, path, names, old, type_of(was) if is_retyped else None))

    def _put_own(self, path: str, names: list[str], old: dict[str, Any], type_name: str | None) -> None:
        node = self._node(path)
        if type_name is not None:
            node._put_type(type_name)
            node = self._node(path)
        own = own_of(node._entry())
        back = {name: self.before.here(old[name]) for name in names if name in old}
        for name in names:
            if name not in old:
                own = without_value(own, name)
        node._put_own(with_values(own, back) if back else own)
        for name, stored in back.items():
            if is_payload(stored):
                node._tell("lotdb_payload_written", name=name)

    def _is_as_left(self, now: Entry | None, left: Entry) -> bool:
        """Whether a node of now is what the commit has left, with all that is below it."""
        stack: list[tuple[Entry | None, Entry | None]] = [(now, left)]
        while stack:
            one, other = stack.pop()
            if one is None or other is None or type_of(one) != type_of(other):
                return False
            record = record_of(other)
            if type(record) is Children and is_same_place(one, other) and not self._is_changed_since(other):
                continue
            if not _is_same_own(_named(one), _named(other)):
                return False
            mine, theirs = _items(one), _items(other)
            if mine.keys() != theirs.keys():
                return False
            stack += [(mine[key], theirs[key]) for key in theirs]
        return True

    def _is_changed_since(self, branch: Entry) -> bool:
        return self.after.is_stored_since(guard_of(branch)) or self.after.is_below_changed(branch)

    # -- what is done ------------------------------------------------------------------------------

    def steps(self) -> list[Callable[[], object]]:
        """What takes the differences back, in order."""
        moved = self._moved()
        here = {new for _, new in moved}
        away = {old for old, _ in moved}
        # All that is brought back is worked out before anything is changed.
        grafts = [
            partial(self._graft, path, self._revived(path, entry))
            for path, entry in self._gone.items()
            if path not in away
        ]
        moves = [partial(self._move, *each) for each in moved]
        removals = [partial(self._remove, path) for path in self._come if path not in here]
        return [*moves, *removals, *self._own, *grafts]

    def _moved(self) -> list[tuple[str, str]]:
        """Old and new path of nodes that the commit moved and did not change otherwise."""
        come = {
            record._p_oid: path
            for path, entry in self._come.items()
            if (record := record_of(entry)) is not None
        }
        moved = []
        for path, entry in self._gone.items():
            record = record_of(entry)
            if type(record) is not Children or record._p_oid not in come:
                continue
            new = come[record._p_oid]
            guard = guard_of(entry)._p_oid
            is_same = is_same_place(entry, self._come[new])
            is_changed = self.changed.above is None or guard in self.changed.above
            if is_same and not is_changed and not f"{path}/".startswith(f"{new}/"):
                moved.append((path, come.pop(record._p_oid)))
        return moved

    def _move(self, old: str, new: str) -> None:
        above, _, key = old.rpartition("/")
        add_tree(self._node(above), self._node(new), key=key, copy=False, if_exists="error")

    def _remove(self, path: str) -> None:
        above, _, key = path.rpartition("/")
        delete_node(self._node(above), key, only_node=False)

    def _revived(self, path: str, entry: Entry) -> Entry:
        then = self.before.root
        for key in path.split("/"):
            then = then._get(key, create=False)
        return revived(entry, self.before, is_in_place(then, None, self.before))

    def _graft(self, path: str, entry: Entry) -> None:
        above, _, key = path.rpartition("/")
        parent = self._node(above)
        with Edit(parent) as edit:
            put_added(edit, parent, key, entry, None)
            node = parent._get(key, create=False)
            check_added(node, set())
            node._tell("lotdb_node_created")

    # -- the tree of now ---------------------------------------------------------------------------

    def _node(self, path: str) -> Node:
        node = self.root
        for key in path.split("/") if path else ():
            node = node._get(key, create=False)
        return node

    def _entry(self, path: str) -> Entry | None:
        node = self.root
        for key in path.split("/") if path else ():
            if (key,) not in node:
                return None
            node = node._get(key, create=False)
        return node._entry()


def _items(entry: Entry) -> dict[str, Entry]:
    children = children_of(entry)
    return {} if children is None else dict(all_items(children))


def _named(entry: Entry) -> dict[str, Any]:
    own = own_of(entry)
    return dict(zip(own[0], own[1:], strict=True))


def _is_same_own(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(is_same_stored(one[name], other[name]) for name in one)
