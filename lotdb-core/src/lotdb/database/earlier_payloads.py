"""Verifying the payloads that only earlier moments have: replaced or deleted, and not yet packed away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

from lotdb.database.commits import Commit, commits
from lotdb.database.moments import open_moment
from lotdb.database.opened import Opened
from lotdb.database.session import Session, following
from lotdb.database.upkeep import Damage, Unread, payloads_of, verify_payload, verify_segment, warn_of_unread
from lotdb.errors import DamagedError, MomentGoneError, PluginError, UnsafeRecordError
from lotdb.segments.layout import Segment
from lotdb.segments.payload_form import is_payload_anywhere
from lotdb.segments.payload_record import PayloadRecord
from lotdb.storage.history import Stored
from lotdb.storage.states import States

__all__ = ["verify_earlier"]

# Which rows, of whichever object: a segment names the same bytes at each moment.
_Key = tuple[str, Any, int, int]


def verify_earlier(database: Opened, session: Session) -> Iterator[Damage]:
    """Damage of payloads that *session* does not see, and an earlier moment does; its reason names a commit.

    Of the oldest moment all payloads are looked at, and of each later one those in the records that its
    commit has stored. What was read once is not read again.
    """
    earlier = _Earlier(database)
    for _, _, record in payloads_of(session.root):
        earlier.seen.update(key for _, key in _segments(record))
    found = list(commits(database, None, None, None))
    for at, (commit, stored) in enumerate(reversed(found)):
        with suppress(MomentGoneError):  # a pack has dropped it meanwhile
            yield from earlier.verify_at(commit, None if at == 0 else stored)
    warn_of_unread(earlier.unread)


class _Earlier:
    """What was read of the moments that were looked at."""

    def __init__(self, database: Opened) -> None:
        self._database = database
        self._states = States()
        self.seen: set[_Key] = set()
        self.unread: Unread = {}

    def verify_at(self, commit: Commit, stored: Stored | None) -> Iterator[Damage]:
        """Damage of what was not read yet, and that the moment of *commit* has.

        Without *stored*, all of that moment is looked at.
        """
        if stored is not None and not any(self._has_new(oid, stored.tid) for oid in stored.oids):
            return
        with closing(open_moment(self._database, commit)) as then:
            if stored is not None and self._is_right(then, stored):
                return
            # By the tree, since a record does not know which node it is of.
            for node, name, record in payloads_of(then.root):
                new = [key for _, key in _segments(record) if key not in self.seen]
                if new:
                    for each in verify_payload(node, name, record, self.unread):
                        yield Damage(each.path, each.name, f"at commit {commit.id}: {each.reason}")
                    self.seen.update(new)

    def _has_new(self, oid: bytes, tid: bytes) -> bool:
        """Whether a record names rows that were not read yet."""
        found = self._database._storage.load_before(oid, following(tid))
        if found is None:
            return False
        try:
            state = self._states.read(found[0])[1]
        except (DamagedError, UnsafeRecordError):  # which the check of the data file tells
            return False
        return any(key not in self.seen for record in _records(state) for _, key in _segments(record))

    def _is_right(self, then: Session, stored: Stored) -> bool:
        """Read what the records of a commit name, as long as all is right."""
        for oid in stored.oids:
            try:
                for record in _records(then.connection.get(oid).__getstate__()):
                    for segment, key in _segments(record):
                        if key not in self.seen:
                            verify_segment(then.tree.stage, record.layout, segment)
                            self.seen.add(key)
            except PluginError:
                raise
            except Exception:  # the node is looked for, and what is wrong is told of it
                return False
        return True


def _segments(record: PayloadRecord) -> Iterator[tuple[Segment, _Key]]:
    for segment in record.segments:
        locator = segment.locator
        name = locator if isinstance(locator, str) else locator._p_oid
        yield segment, (record.layout.backend, name, segment.first, segment.rows)


def _records(state: Any) -> Iterator[PayloadRecord]:
    """The payloads in the *state* of a record."""
    waiting = [state]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, tuple):
            continue
        if is_payload_anywhere(each):
            with suppress(DamagedError):  # told with the node
                yield PayloadRecord.decode(each)
        else:
            waiting += each
