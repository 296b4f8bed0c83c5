"""What has changed since a moment, as who brings something back from there needs to know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from persistent import Persistent

from lotdb.database.commits import find_commit
from lotdb.database.moments import MomentSession, keep_for
from lotdb.database.session import Session, following
from lotdb.errors import ConflictError, NodeNotFoundError
from lotdb.records import Bucket, Children, Entry
from lotdb.records.entries import guard_of, is_shared
from lotdb.storage.states import States
from lotdb.tree.node import Node

__all__ = ["PastSession", "opened_past"]


class PastSession:
    """The tree as it was at a moment, beside that of a connection; see :class:`lotdb.tree.revive.Past`.

    Parameters
    ----------
    session
        The connection.
    then
        One to the moment.
    """

    def __init__(self, session: Session, then: MomentSession) -> None:
        self._session = session
        self._then = then
        self._storage = session.database._storage
        self._changed = self._storage.changed_since(bytes.fromhex(then.commit_seen.id))
        self._is_changed = session.connection.is_changed()
        self._touched = set(session.exact)
        self._states = States()
        self._elsewhere: dict[bytes, bool] = {}
        self._here: dict[bytes, Any] = {}

    @property
    def root(self) -> Node:
        """The root of the tree as it was."""
        return self._then.root

    def find(self, node: Node) -> Node:
        """The node that was at the place of *node*."""
        keys: list[str] = []
        each: Any = node
        while each._parent is not None:
            keys.append(each._key)
            each = each._parent
        found: Node = self._then.root
        for key in reversed(keys):
            if (key,) not in found:
                raise NodeNotFoundError(f"there was no {node._place()} at commit {self._then.commit_seen.id}")
            found = found._get(key, create=False)
        return found

    def is_below_changed(self, entry: Entry) -> bool:
        """Whether what the branch of *entry* holds, or anything below it, may have changed since."""
        guard = guard_of(entry)._p_oid
        above = self._changed.above
        return above is None or guard in above or guard in self._touched

    def is_stored_since(self, record: Any) -> bool:
        """Whether *record* was stored since, or is changed now."""
        oid = record._p_oid
        return oid in self._changed.stored or self._is_changed(oid)

    def is_elsewhere(self, entry: Entry) -> bool:
        """Whether the guard of *entry* was stored when its record was put where it can be changed."""
        oid = guard_of(entry)._p_oid
        if self._is_changed(oid):
            return True  # by this transaction, which may have moved it
        if oid not in self._elsewhere:
            self._elsewhere[oid] = self._is_put(oid, entry[1]._p_oid)
        return self._elsewhere[oid]

    def _is_put(self, guard: bytes, record: bytes) -> bool:
        """Whether the commit that stored the *guard* last holds a place with *record* that is not shared."""
        last = self._storage.last_commit()
        found = self._storage.load_before(guard, following(last))
        if found is None:
            return True
        for oid in self._storage.commit_until(found[1]).oids:
            there = self._storage.load_before(oid, following(found[1]))
            if there is None or there[1] != found[1]:
                continue
            kind, state, references = self._states.read(there[0])
            if kind not in (Bucket, Children) or not any(each._p_oid == record for each in references):
                continue
            if any(each[1]._p_oid == record and not is_shared(each) for each in _branches(kind, state)):
                return True
        return False

    def here(self, stored: Any) -> Any:
        """What was stored, with the records and blobs of the connection."""
        if type(stored) is tuple:
            parts = tuple(map(self.here, stored))
            return stored if all(map(_is, parts, stored)) else parts
        if not isinstance(stored, Persistent):
            return stored
        oid = stored._p_oid
        assert oid is not None
        if oid not in self._here:
            self._here[oid] = self._session.connection.ghost(oid, type(stored))
        return self._here[oid]

    def keep(self, record: Any) -> None:
        """Have the commit fail if somebody else changes *record* before, or what is below its branch."""
        self._session.frozen.add(record._p_oid)


def _is(one: Any, other: Any) -> bool:
    return one is other


def _branches(kind: Any, state: Any) -> Iterator[Entry]:
    """The entries of branches, and of leaves with a record, that a record of children holds."""
    if state is None or (kind is Children and len(state) > 1):
        return
    flat = state[0][0][0] if kind is Children else state[0]
    for entry in flat[1::2]:
        if type(entry) is tuple and len(entry) > 2 and isinstance(entry[1], Persistent):
            yield entry


@contextmanager
def opened_past(session: Session, when: Any) -> Iterator[PastSession]:
    """The tree as it was at *when*, beside that of *session*; packs keep it until the transaction ends.

    Raises
    ------
    ConflictError
        The moment is later than what *session* sees. What would be shared with it is not there yet.
    """
    database = session.database
    commit = find_commit(database, when)
    if bytes.fromhex(commit.id) >= session.snapshot:
        raise ConflictError(
            f"commit {commit.id} was made after this transaction of {database} began, which does not see it; "
            "nothing was changed: begin another one, and do it again"
        )
    keep_for(session, commit)
    then = MomentSession(database, commit)
    try:
        yield PastSession(session, then)
    finally:
        then.close()
