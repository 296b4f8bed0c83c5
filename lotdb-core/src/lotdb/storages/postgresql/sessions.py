"""Sessions that say several things to the server at once: each question that is waited for takes its time.

RelStorage asks one thing after another, eight times a commit. Here a commit asks twice, and the transaction
that reads what is there afterwards asks once.
"""

from __future__ import annotations

from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS
from relstorage.adapters.connections import StoreConnection

from lotdb.storages.postgresql.watch import WatchedConnection, WatchedCursor

__all__ = ["CommitConnection", "CommitSession", "LoadCursor", "LoadSession"]

# What is read first fixes the moment. It is held from then on until the transaction ends, by a shared lock
# that has its number. Until that is taken, another one keeps packs from looking who holds what.
_BEGIN = (
    "ROLLBACK; BEGIN; SELECT pg_advisory_lock_shared({key}); COMMIT;"
    " BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    ' SELECT pg_advisory_xact_lock_shared(MAX(tid)), pg_advisory_unlock_shared({key}) FROM "transaction"; '
)


class CommitConnection(StoreConnection):
    """What RelStorage takes from its pool for a commit."""

    _NEW_CONNECTION_NAME = "open_for_commits"


class CommitSession(WatchedConnection):
    """A session in which a transaction begins where we say so, along with what is asked first."""

    #: What the transaction stores, from RelStorage's vote on; None if it stores nothing.
    stored: Any = None
    #: Whether that is in a temporary table on the server.
    is_large = False
    #: Whether the session has that table.
    has_tables = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.autocommit = True

    def is_idle(self) -> bool:
        """Whether the server is in no transaction of this session."""
        return bool(self.info.transaction_status == TRANSACTION_STATUS_IDLE)

    def commit(self) -> None:
        """Commit, if there is a transaction."""
        self._end("COMMIT")

    def rollback(self) -> None:
        """Roll back, if there is a transaction."""
        self._end("ROLLBACK")

    def _end(self, how: str) -> None:
        if not self.is_idle():
            with self.cursor() as cursor:
                cursor.execute(how)


class LoadSession(WatchedConnection):
    """A session that reads: its transaction is ended along with the beginning of the next one.

    Until then it keeps what it has read, as in a transaction that goes on. :meth:`rest` ends it at once.
    """

    #: The key of the lock that is shared while a transaction begins.
    key: tuple[int, int]
    _is_over = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = LoadCursor

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """A cursor; one on the server is of the transaction that it is made in."""
        self.rest()
        return super().cursor(*args, **kwargs)

    def rollback(self) -> None:
        """End the transaction later, unless something is wrong with it."""
        if self.info.transaction_status == TRANSACTION_STATUS_INTRANS:
            self._is_over = True
        else:
            self._is_over = False
            super().rollback()

    def rest(self) -> None:
        """End the transaction, if that was put off."""
        if self._is_over:
            self._is_over = False
            super().rollback()

    def beginning(self) -> str:
        """What to say before the first question of a transaction, along with it."""
        if not self._is_over and self.info.transaction_status != TRANSACTION_STATUS_IDLE:
            return ""  # it goes on
        self._is_over = False
        return _BEGIN.format(key="{}, {}".format(*self.key))


class LoadCursor(WatchedCursor):
    """A cursor of one; nothing is read in a transaction that is over."""

    connection: LoadSession

    def execute(self, query: Any, vars: Any = None) -> None:
        """Execute a statement."""
        self.connection.rest()
        super().execute(query, vars)

    def begin(self, query: str, vars: Any = None) -> None:
        """Execute the first statement of a transaction."""
        try:
            super().execute(self.connection.beginning() + query, vars)
        except BaseException:
            self.connection.close()  # along with the lock, if it has it
            raise
