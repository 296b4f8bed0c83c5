"""Opening the tree as it was at a commit: a connection that reads at that moment, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from lotdb.database.opened import NOBODY, Opened
from lotdb.database.session import Session, following
from lotdb.errors import MomentGoneError, MomentNotFoundError, ReadOnlyError
from lotdb.storage import uninterrupted

if TYPE_CHECKING:
    from ZODB.Connection import Connection

__all__ = ["MomentSession", "open_moment"]


class MomentSession(Session):
    """A connection that sees the tree as it was after one commit; packs keep that as long as it is open.

    Parameters
    ----------
    database
        The database, open for reading or for writing.
    tid
        The commit.

    Raises
    ------
    MomentNotFoundError
        The database has no commit as late as that.
    MomentGoneError
        A pack has dropped it.
    WaitTimeoutError
        A pack was under way for a minute.
    """

    def __init__(self, database: Opened, tid: bytes) -> None:
        self._tid = tid
        super().__init__(database)

    def _first_seen(self) -> bytes:
        return following(self._tid)

    def _connect(self) -> Connection:
        storage = self.database._storage
        last = storage.last_commit()
        if self._tid > last:
            raise MomentNotFoundError(
                f"{self.database} has no commit {self._tid.hex()}; its last one is {last.hex()}"
            )
        if self._tid < last and not storage.has_moment(self._tid):
            raise MomentGoneError(f"a pack has dropped {self.database} as it was at commit {self._tid.hex()}")
        return self.database._zodb.open(self._manager, before=following(self._tid))

    @property
    def snapshot(self) -> bytes:
        """The transaction number before which this connection reads."""
        return following(self._tid)

    def check_writable(self) -> NoReturn:
        """Raise ``ReadOnlyError``: what was cannot be changed."""
        raise ReadOnlyError(
            f"this is {self.database} as it was at commit {self._tid.hex()}, and cannot be changed"
        )

    def close(self) -> None:
        """Close the connection."""
        if self.tree.owner != NOBODY:
            # ZODB keeps it for a while, in case the same moment is asked for again.
            self.connection.cacheMinimize()
        super().close()


def open_moment(database: Opened, when: str) -> MomentSession:
    """The connection to *database* as it was at the commit *when*; close it."""
    database._check()
    with uninterrupted():
        return MomentSession(database, bytes.fromhex(when))
