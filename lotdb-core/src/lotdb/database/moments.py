"""Opening the tree as it was at a commit: a connection that reads at that moment, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from lotdb.database.commits import Commit, find_commit
from lotdb.database.opened import NOBODY, Opened
from lotdb.database.session import FORMATS_KEY, Session, check_formats, following
from lotdb.errors import MomentGoneError, ReadOnlyError
from lotdb.node_api.nodes import BaseNode
from lotdb.storage import uninterrupted

if TYPE_CHECKING:
    from ZODB.Connection import Connection

__all__ = ["MomentSession", "at", "keep_for", "open_moment"]


class MomentSession(Session):
    """A connection that sees the tree as it was after one commit; packs keep that as long as it is open.

    Parameters
    ----------
    database
        The database.
    commit
        The commit, which :func:`find_commit` has found.

    Raises
    ------
    MomentGoneError
        A pack has dropped it.
    WaitTimeoutError
        A pack was under way for a minute.
    """

    def __init__(self, database: Opened, commit: Commit) -> None:
        self.commit_seen = commit
        self._tid = bytes.fromhex(commit.id)
        super().__init__(database)

    def _first_seen(self) -> bytes:
        return following(self._tid)

    def _connect(self) -> Connection:
        _refuse_dropped(self.database, self.commit_seen)  # a pack may have ended since it was found
        return self.database._zodb.open(self._manager, before=following(self._tid))

    @property
    def snapshot(self) -> bytes:
        """The transaction number before which this connection reads."""
        return following(self._tid)

    @property
    def held(self) -> bytes:
        """The same: it is none that a storage's connection would hold by itself."""
        return self.oldest

    def check_writable(self) -> NoReturn:
        """Raise ``ReadOnlyError``: what was cannot be changed."""
        raise ReadOnlyError(
            f"this is {self.database} as it was at commit {self.commit_seen.id}, and cannot be changed; "
            "node.restore(when) brings a node back from there"
        )

    def _see_formats(self) -> None:
        """Note the forms of backends, which may be newer than those at the opening of the database."""
        if self.database.read_only:
            self.database._backends.note_formats(check_formats(self.connection.root().get(FORMATS_KEY)))

    def close(self) -> None:
        """Close the connection."""
        if self.tree.owner != NOBODY:
            # ZODB keeps it for a while, in case the same moment is asked for again.
            self.connection.cacheMinimize()
        super().close()


def open_moment(database: Opened, when: Any) -> MomentSession:
    """The connection to *database* as it was at *when*; close it."""
    database._check()
    with uninterrupted():
        database._follow()
        return MomentSession(database, find_commit(database, when))


def keep_for(session: Session, commit: Commit) -> None:
    """Have packs keep the moment of *commit* until the transaction of *session* ends.

    Raises
    ------
    MomentGoneError
        A pack has dropped it.
    """
    session.needed = (*session.needed, following(bytes.fromhex(commit.id)))
    session.database._hold_snapshots()
    _refuse_dropped(session.database, commit)


def _refuse_dropped(database: Opened, commit: Commit) -> None:
    """Raise ``MomentGoneError`` if a pack has dropped *commit*, which is held by now.

    A pack decides what it keeps, and then drops the rest, which takes a while; its end is waited for.
    """
    tid = bytes.fromhex(commit.id)
    if tid < database._storage.last_commit() and not database._storage.has_moment(tid):
        raise MomentGoneError(f"a pack has dropped {database} as it was at commit {commit.id}")


@contextmanager
def at(database: Opened, when: Any) -> Iterator[BaseNode]:
    """The root as it was at *when*; see :meth:`lotdb.LOTDB.at`."""
    session = open_moment(database, when)
    try:
        yield session.root
    finally:
        session.close()
