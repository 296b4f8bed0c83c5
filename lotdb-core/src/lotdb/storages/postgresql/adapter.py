"""RelStorage's adapter for PostgreSQL, where it has to be stricter, or can be quicker.

- *Connections* say what is wrong in an error of ours, and do not wait for ever.
- *The schema* is the one that the address names. RelStorage takes all tables of the database for its own.
- *Conflicts* are resolved from checked records only.
- *A commit* asks the server twice, unless it is large: then its records are sent to a temporary table first,
  as RelStorage does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
from relstorage.adapters.postgresql.adapter import PGPoller, PostgreSQLAdapter
from relstorage.adapters.postgresql.batch import PostgreSQLRowBatcher
from relstorage.adapters.postgresql.connmanager import Psycopg2ConnectionManager
from relstorage.adapters.postgresql.drivers.psycopg2 import Psycopg2Driver
from relstorage.adapters.postgresql.locker import PostgreSQLLocker
from relstorage.adapters.postgresql.mover import PostgreSQLObjectMover
from relstorage.adapters.postgresql.schema import PostgreSQLSchemaInstaller

from lotdb.storages.postgresql.address import PACK_STATEMENT_S, STATEMENT_S
from lotdb.storages.postgresql.failures import is_lost, of_connecting, translation
from lotdb.storages.postgresql.sessions import CommitSession, LoadCursor, LoadSession
from lotdb.storages.postgresql.statements import FUNCTIONS, LOCK, STORE, STORE_AND_COMMIT
from lotdb.storages.postgresql.watch import WatchedConnection
from lotdb.storages.sealed import check_conflicts

__all__ = ["Adapter"]

# Of a process that stands still in the middle of a commit, others need not wait for the locks for ever.
_STILL_S = 60

# What a commit stores that sends it in the text of its question, in bytes and objects. The driver writes each
# byte as two characters.
_SMALL_BYTES, _SMALL_OBJECTS = 1 << 20, 1000

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
_PUBLISH = "SELECT pg_advisory_xact_lock_shared(%s, %s); "


class Adapter(PostgreSQLAdapter):
    """The adapter of one connection; they share what connects.

    Parameters
    ----------
    dsn
        What libpq is told.
    where
        What messages call the database.
    beginning
        The key of the lock that is shared while a transaction begins to read.
    """

    connmanager: Any
    locker: Any
    mover: Any

    #: The key of the lock that the next commit shares from its vote on, if it is to.
    publishes: tuple[int, int] | None = None

    def __init__(
        self, dsn: str, where: str, beginning: tuple[int, int], options: Any = None, **shared: Any
    ) -> None:
        self.where = where
        self._beginning = beginning
        super().__init__(dsn, options, **shared)

    def new_instance(self) -> Adapter:
        """The adapter of another connection."""
        return Adapter(
            self._dsn,
            self.where,
            self._beginning,
            options=self.options,
            oidallocator=self.oidallocator.new_instance(),
            locker=self.locker,
            mover=self.mover,
            connmanager=self.connmanager,
        )

    def _select_driver(self, options: Any = None) -> Any:
        return _Driver()

    def _create(self) -> None:
        if self.connmanager is None:
            self.connmanager = Connections(self.driver, self._dsn, self.options, self.where, self._beginning)
            self.connmanager.add_on_store_opened(_limit_standing_still)
        if self.locker is None:
            self.locker = _Locker(self.options, self.driver, PostgreSQLRowBatcher)
        if self.mover is None:
            self.mover = _Mover(self.driver, options=self.options, batcher_factory=PostgreSQLRowBatcher)
            self.locker.mover = self.mover
        super()._create()
        self.poller = _Poller(
            self.driver,
            keep_history=self.keep_history,
            runner=self.runner,
            revert_when_stale=False,
            transactions_may_go_backwards=False,
        )
        self.txncontrol.poller = self.poller
        self.schema = _Schema(
            options=self.options, connmanager=self.connmanager, runner=self.runner, locker=self.locker
        )

    def _best_lock_objects_and_detect_conflicts(self, cursor: Any, read_current_oids: Any) -> Any:
        try:
            conflicts = self._conflicts(cursor, read_current_oids)
        except psycopg2.Error as error:
            if is_lost(error, cursor.connection):  # which RelStorage would take for a lock that was not got
                raise translation(error, self.where) from error
            raise
        check_conflicts(conflicts)
        return conflicts

    def _conflicts(self, cursor: Any, read_current_oids: Any) -> Any:
        session = cursor.connection
        before = _BEGIN if session.is_idle() else ""
        values: list[Any] = []
        publishes, self.publishes = self.publishes, None
        if publishes is not None:
            before += _PUBLISH
            values += publishes
        if session.is_large:
            if before:
                cursor.execute(before, values or None)
            return super()._best_lock_objects_and_detect_conflicts(cursor, read_current_oids)
        oids, seen = _places(session.stored)
        read = list(read_current_oids.items())
        values += [oids, seen, [oid for oid, _ in read] or None, [tid for _, tid in read] or None]
        cursor.execute(before + LOCK, values)
        return cursor.fetchall()

    def lock_database_and_move(
        self,
        store_connection: Any,
        load_connection: Any,
        transaction_has_blobs: bool,
        ude: tuple[bytes, bytes, bytes],
        commit: bool = True,
        committing_tid_int: int | None = None,
        after_selecting_tid: Any = lambda tid: None,
    ) -> Any:
        """Give the transaction its number, store it, and commit."""
        session = store_connection.connection
        if session.is_large or committing_tid_int is not None:
            return super().lock_database_and_move(
                store_connection,
                load_connection,
                transaction_has_blobs,
                ude,
                commit,
                committing_tid_int,
                after_selecting_tid,
            )
        oids, seen = _places(session.stored)
        states = [psycopg2.Binary(state) for state, _, _ in session.stored or ()]
        values = [*map(psycopg2.Binary, ude), oids, seen, states]
        cursor = store_connection.cursor
        if commit:
            cursor.execute(STORE_AND_COMMIT, values)
        else:
            cursor.execute(f"SELECT {STORE}", values)
        tid = int(cursor.fetchone()[0])
        after_selecting_tid(tid)
        return tid, "-"


def _places(stored: Any) -> tuple[list[int], list[int]]:
    """The numbers of the objects that are *stored*, and of the transactions that they were seen from."""
    items = stored.items() if stored else ()
    return [oid for _, _, oid, _ in items], [seen for _, _, _, seen in items]


def _limit_standing_still(cursor: Any, restart: bool = False) -> None:
    if not restart:
        cursor.execute("SET idle_in_transaction_session_timeout = %s", (1000 * _STILL_S,))
        cursor.connection.commit()


class _Mover(PostgreSQLObjectMover):
    """Has small commits wait for their last question."""

    def store_temps(self, cursor: Any, state_oid_tid_iter: Any) -> None:
        """Keep what a commit stores, or send it to a temporary table."""
        session, stored = cursor.connection, state_oid_tid_iter
        session.stored = stored
        size = sum(end - start for start, end, _, _ in stored.items())
        if size > _SMALL_BYTES or len(stored) > _SMALL_OBJECTS:
            session.is_large = True
            self.make_tables(cursor)
            if session.is_idle():
                cursor.execute(_BEGIN)
            super().store_temps(cursor, stored)

    def replace_temps(self, cursor: Any, state_oid_tid_iter: Any) -> None:
        """Send what was merged, if it is not sent later."""
        if cursor.connection.is_large:
            super().replace_temps(cursor, state_oid_tid_iter)

    def make_tables(self, cursor: Any) -> None:
        """Make the temporary tables of the session, once."""
        if not cursor.connection.has_tables:
            super().on_store_opened(cursor)
            cursor.connection.has_tables = True


class _Poller(PGPoller):
    """Looks for what has changed, along with the beginning of a transaction."""

    def get_current_tid(self, cursor: Any) -> int:
        """The last transaction."""
        _begin(cursor, 'SELECT MAX(tid) FROM "transaction"', ())
        return int(cursor.fetchone()[0] or 0)

    def poll_invalidations(self, conn: Any, cursor: Any, prev_polled_tid: int | None) -> Any:
        """Which objects have changed since that transaction, and the last one."""
        if prev_polled_tid is None:
            return None, self.get_current_tid(cursor)
        ask = "SELECT zoid, tid FROM current_object WHERE tid > %s ORDER BY tid DESC"
        _begin(cursor, ask, (prev_polled_tid,))
        rows = cursor.fetchall()
        return (rows, rows[0][1]) if rows else ((), prev_polled_tid)


def _begin(cursor: Any, ask: str, values: tuple[Any, ...]) -> None:
    begin = cursor.begin if isinstance(cursor, LoadCursor) else cursor.execute
    begin(ask, values)


class _Locker(PostgreSQLLocker):
    mover: _Mover

    def hold_commit_lock(self, cursor: Any, ensure_current: bool = False, nowait: bool = False) -> Any:
        """For a transaction that is copied, with its number, from elsewhere."""
        session = cursor.connection
        if isinstance(session, CommitSession) and session.is_idle():
            self.mover.make_tables(cursor)
            cursor.execute(_BEGIN)
        return super().hold_commit_lock(cursor, ensure_current, nowait)

    def _on_store_opened_set_row_lock_timeout(self, cursor: Any, restart: bool = False) -> None:
        """Nothing to do at each commit: the address has this limit for all connections."""


class _Driver(Psycopg2Driver):
    def _create_connection(self, mod: Any, *extra_slots: str) -> Any:
        return WatchedConnection


class Connections(Psycopg2ConnectionManager):
    """What opens connections."""

    def __init__(self, driver: Any, dsn: str, options: Any, where: str, beginning: tuple[int, int]) -> None:
        super().__init__(driver, dsn, options)
        self._where = where
        self._beginning = beginning
        self._statement_s = STATEMENT_S

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """A connection, and a cursor on it."""
        try:
            session, cursor = super().open(*args, **kwargs)
        except psycopg2.Error as error:
            raise of_connecting(error, self._where) from error
        session.limit(self._statement_s)
        if self._statement_s != STATEMENT_S:
            cursor.execute("SET statement_timeout = %s", (1000 * self._statement_s,))
            session.commit()
        return session, cursor

    def open_for_commits(self) -> Any:
        """A session for commits, and a cursor on it."""
        session = self._session(CommitSession, "RS: Store")
        cursor = session.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {1000 * _STILL_S}; {FUNCTIONS}")
        return session, cursor

    def begin(self, conn: Any, cursor: Any) -> None:
        """Called before each commit: forget the one before."""
        conn.stored, conn.is_large = None, False

    def _do_open_for_load(self) -> Any:
        session = self._session(LoadSession, "RS: Load")
        session.key = self._beginning
        session.set_session(isolation_level=self.isolation_repeatable_read, readonly=True)
        return session, session.cursor()

    def _session(self, kind: Any, name: str) -> Any:
        try:
            session = kind(f"{self._dsn} application_name='{name}'")
        except psycopg2.Error as error:
            raise of_connecting(error, self._where) from error
        session.limit(self._statement_s)
        return session

    @contextlib.contextmanager
    def patiently(self) -> Iterator[None]:
        """Connections that are opened in this context may take as long for a statement as a pack does."""
        self._statement_s = PACK_STATEMENT_S
        try:
            yield
        finally:
            self._statement_s = STATEMENT_S


class _Schema(PostgreSQLSchemaInstaller):
    """What there is in the schema that a connection has as its own."""

    def _names(self, cursor: Any, query: str) -> frozenset[str]:
        cursor.execute(query)
        return frozenset(str(self._metadata_to_native_str(name)) for (name,) in cursor.fetchall())

    def list_tables(self, cursor: Any) -> frozenset[str]:
        """Names of tables."""
        return self._names(cursor, "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")

    def _list_relations(self, cursor: Any, kind: str) -> frozenset[str]:
        return self._names(
            cursor,
            f"SELECT relname FROM pg_class WHERE relkind = '{kind}'"
            " AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())",
        )

    def list_sequences(self, cursor: Any) -> frozenset[str]:
        """Names of sequences."""
        return self._list_relations(cursor, "S")

    def list_views(self, cursor: Any) -> frozenset[str]:
        """Names of views."""
        return self._list_relations(cursor, "v")

    def list_triggers(self, cursor: Any) -> frozenset[str]:
        """Names of triggers."""
        return self._names(
            cursor,
            "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())",
        )

    def list_procedures(self, cursor: Any) -> Any:
        """Functions, by name."""
        return super().list_procedures(_OwnSchema(cursor))


class _OwnSchema:
    """A cursor that looks for functions in the schema of the connection, and not in the usual one."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, query: str) -> None:
        """Execute a statement."""
        self._cursor.execute(query.replace("n.nspname = 'public'", "n.nspname = current_schema()"))

    def fetchall(self) -> Any:
        """All rows."""
        return self._cursor.fetchall()
