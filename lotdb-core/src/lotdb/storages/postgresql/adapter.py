"""RelStorage's adapter for PostgreSQL, where it has to be stricter.

- *Connections* say what is wrong in an error of ours, and do not wait for ever.
- *The schema* is the one that the address names. RelStorage takes all tables of the database for its own.
- *Conflicts* are resolved from checked records only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
from relstorage.adapters.postgresql.adapter import PostgreSQLAdapter
from relstorage.adapters.postgresql.batch import PostgreSQLRowBatcher
from relstorage.adapters.postgresql.connmanager import Psycopg2ConnectionManager
from relstorage.adapters.postgresql.drivers.psycopg2 import Psycopg2Driver
from relstorage.adapters.postgresql.locker import PostgreSQLLocker
from relstorage.adapters.postgresql.schema import PostgreSQLSchemaInstaller

from lotdb.storages.postgresql.address import PACK_STATEMENT_S, STATEMENT_S
from lotdb.storages.postgresql.failures import of_connecting
from lotdb.storages.postgresql.watch import WatchedConnection
from lotdb.storages.sealed import check_conflicts

__all__ = ["Adapter"]

# Of a process that stands still in the middle of a commit, others need not wait for the locks for ever.
_STILL_S = 60


class Adapter(PostgreSQLAdapter):
    """The adapter of one connection; they share what connects.

    Parameters
    ----------
    dsn
        What libpq is told.
    where
        What messages call the database.
    """

    connmanager: Any
    locker: Any

    def __init__(self, dsn: str, where: str, options: Any = None, **shared: Any) -> None:
        self.where = where
        super().__init__(dsn, options, **shared)

    def new_instance(self) -> Adapter:
        """The adapter of another connection."""
        return Adapter(
            self._dsn,
            self.where,
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
            self.connmanager = Connections(self.driver, self._dsn, self.options, self.where)
            self.connmanager.add_on_store_opened(_limit_standing_still)
        if self.locker is None:
            self.locker = _Locker(self.options, self.driver, PostgreSQLRowBatcher)
        super()._create()
        self.schema = _Schema(
            options=self.options, connmanager=self.connmanager, runner=self.runner, locker=self.locker
        )

    def _best_lock_objects_and_detect_conflicts(self, cursor: Any, read_current_oids: Any) -> Any:
        conflicts = super()._best_lock_objects_and_detect_conflicts(cursor, read_current_oids)
        check_conflicts(conflicts)
        return conflicts


def _limit_standing_still(cursor: Any, restart: bool = False) -> None:
    if not restart:
        cursor.execute("SET idle_in_transaction_session_timeout = %s", (1000 * _STILL_S,))
        cursor.connection.commit()


class _Locker(PostgreSQLLocker):
    def _on_store_opened_set_row_lock_timeout(self, cursor: Any, restart: bool = False) -> None:
        """Nothing to do at each commit: the address has this limit for all connections."""


class _Driver(Psycopg2Driver):
    def _create_connection(self, mod: Any, *extra_slots: str) -> Any:
        return WatchedConnection


class Connections(Psycopg2ConnectionManager):
    """What opens connections."""

    def __init__(self, driver: Any, dsn: str, options: Any, where: str) -> None:
        super().__init__(driver, dsn, options)
        self._where = where
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
