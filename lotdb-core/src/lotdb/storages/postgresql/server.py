"""The storage ``postgresql``: tables of a PostgreSQL database, which many machines write at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from lotdb.errors import (
    DamagedError,
    DatabaseBusyError,
    DatabaseExistsError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    InvalidOptionError,
)
from lotdb.interfaces.storage import StorageContext
from lotdb.storages.postgresql.address import STATEMENT_S, Address, psycopg2, quoted
from lotdb.storages.postgresql.failures import in_doubt, of_connecting, translation
from lotdb.storages.postgresql.locks import Locks
from lotdb.storages.postgresql.rows import Rows
from lotdb.storages.relational import HORIZON, RelationalStorage

__all__ = ["PostgresqlStorage"]

#: The format of the tables; a later one is refused by name. The other one is of those that are being filled.
_FORMAT, _UNFINISHED = 1, 0
_MARK = "lotdb"
_TABLES = {"transaction", "object_state", "current_object", "object_ref", "pack_object", HORIZON}
_LOCK_S = 30

_LOOK = """
SELECT current_setting('synchronous_commit'),
    EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s),
    ARRAY(SELECT tablename::text FROM pg_tables WHERE schemaname = %(schema)s ORDER BY 1)
"""
_SIZE = (
    "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
)

# PostgreSQL's own compression takes most of the time in which it stores a record. A server may lack this one.
_QUICK_COMPRESSION = """
DO $$ BEGIN
    EXECUTE 'ALTER TABLE object_state ALTER COLUMN state SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value OR syntax_error THEN
    NULL;
END $$
"""


class PostgresqlStorage(RelationalStorage):
    """A database in a schema of a PostgreSQL database, written by RelStorage."""

    name = "postgresql"
    marks_folder = False
    connections_hold = True

    def __init__(self, context: StorageContext) -> None:
        super().__init__(context)
        if not context.url:
            raise InvalidOptionError(
                "a database in storage 'postgresql' is on a server, and not in a folder; name it by its URL,"
                " such as 'postgresql://user@host/database'"
            )
        self._address = Address.of(context.url, context.name, context.where)
        self._locks = Locks(self._address, self.ask_connection)
        self._process = os.getpid()
        self._was_complete = self._is_unfinished = False

    # -- opening -----------------------------------------------------------------------------------

    def open(self) -> Any:
        """The database, made if it is not there."""
        try:
            with self.errors():
                return self._open()
        except BaseException:
            self.abandon()
            raise

    def _open(self) -> Any:
        if not self._look() and not self.read_only:
            self._locks.begin_creating()
            if not self._look():
                self._create()
                if self._is_unfinished:
                    self._begin_anew()
        if self._was_complete and self.context.new:
            raise DatabaseExistsError(f"a new database was asked for, but {self.where} exists")
        if not self._was_complete and self.read_only and not self._is_unfinished:
            raise DatabaseNotFoundError(
                f"there is no database at {self.where}; leave out read_only=True to create it"
            )
        from lotdb.storages.postgresql.sessions import CommitConnection
        from lotdb.storages.sealed import SealedStorage

        base = self._relstorage()
        if not self.read_only:
            base._store_connection_pool._factory = CommitConnection
        return SealedStorage(base, self)

    def _relstorage(self) -> Any:
        from relstorage.options import Options
        from relstorage.storage import RelStorage

        from lotdb.storages.postgresql.adapter import Adapter

        options = Options(
            name=f"{self.where} {self._address.schema}",
            keep_history=True,
            read_only=self.read_only,
            create_schema=not self._was_complete and not self.read_only,
            commit_lock_timeout=_LOCK_S,
        )
        adapter = Adapter(self._address.dsn(), self.where, self._locks.beginning_key, options)
        return RelStorage(adapter, options=options)

    def _look(self) -> bool:
        """Whether the database is complete; raise if what is there is none."""
        with contextlib.closing(self.ask_connection()) as session, session.cursor() as cursor:
            cursor.execute(_LOOK, {"schema": self._address.schema})
            synchronous, has_schema, tables = cursor.fetchone()
            if synchronous == "off" and self.context.durability == "full":
                self._address = self._address.with_setting("synchronous_commit", "on")
            if not has_schema or not tables:
                return False
            if _MARK not in tables:
                some = ", ".join([*tables[:3], *["..."] * (len(tables) > 3)])
                raise DatabaseFormatError(
                    f"{self.where} is not a LOTDB database: its schema {self._address.schema!r} has tables of"
                    f" another program ({some}); use an empty database of PostgreSQL, or pass name= for a"
                    " schema of its own"
                )
            try:
                cursor.execute(f"SELECT format, complete FROM {_MARK}")
                found = cursor.fetchone()
            except psycopg2().errors.UndefinedColumn as error:
                raise DatabaseFormatError(
                    f"{self.where} is not a LOTDB database: its table {_MARK!r} is another program's"
                ) from error
        if found is None:
            return False
        self._is_unfinished = found[0] == _UNFINISHED
        if self._is_unfinished:
            self._check_unfinished()
            return False
        if found[0] != _FORMAT:
            raise DatabaseFormatError(
                f"{self.where} cannot be opened: its format is {found[0]!r}; this version reads format"
                f" {_FORMAT}"
            )
        self._was_complete = bool(found[1])
        if self._was_complete and (missing := sorted(_TABLES - {*tables})):
            raise DamagedError(
                f"{self.where} lacks the tables {', '.join(missing)}; nothing was changed: restore it from a"
                " backup"
            )
        return self._was_complete

    def _check_unfinished(self) -> None:
        """Raise unless what was not filled to its end is to be filled again, or compared."""
        if self.context.building:
            return
        if self._locks.is_creating_elsewhere():
            raise DatabaseBusyError(
                f"{self.where} is being filled by another process, as by lotdb.convert; it can be opened when"
                " that has ended"
            )
        raise DamagedError(
            f"{self.where} is no database yet: a conversion to it was interrupted, and left a part; call"
            " lotdb.convert(source, this URL) again, which begins anew, or remove it with: dropdb"
        )

    def _begin_anew(self) -> None:
        """Remove what a conversion that was interrupted has left."""
        base = self._relstorage()
        try:
            base.zap_all()
        finally:
            base.close()
        self.change(f"DELETE FROM {HORIZON}")

    def _create(self) -> None:
        """Make the schema, and mark it as ours, before anything else is in it."""
        schema = self._address.schema
        with contextlib.closing(self.ask_connection()) as session, session.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", (schema,))
            if not cursor.fetchone()[0]:
                cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {HORIZON} (tid bigint NOT NULL);"
                f"CREATE TABLE IF NOT EXISTS {_MARK} (format integer NOT NULL, complete boolean NOT NULL);"
                f"INSERT INTO {_MARK} SELECT {_FORMAT}, FALSE WHERE NOT EXISTS (SELECT FROM {_MARK})"
            )
            if self.context.building:
                cursor.execute(f"UPDATE {_MARK} SET format = {_UNFINISHED}")

    def created(self) -> None:
        """Let others open what is complete now."""
        if self.read_only:
            return
        if not self._was_complete:
            with (
                self.errors(),
                contextlib.closing(self.ask_connection()) as session,
                session.cursor() as cursor,
            ):
                cursor.execute(_QUICK_COMPRESSION)
                cursor.execute(f"UPDATE {_MARK} SET format = {_FORMAT}, complete = TRUE")
            self._was_complete = True
        self._locks.end_creating()

    # -- closing -----------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Close all, and let go of all locks."""
        if self._process != os.getpid():
            return  # what is said on these connections would be said in the parent's name
        super().abandon()
        self._locks.close()

    def forsake(self) -> None:
        """Leave all connections as they are: they are the parent's."""
        _forsaken.append((self._opened, self._asked, self._locks))
        self._asked = None

    # -- asking ------------------------------------------------------------------------------------

    def ask_connection(self) -> Any:
        """A connection in which each question is answered by itself."""
        session = self._connect()
        session.autocommit = True
        return session

    def _connect(self) -> Any:
        from lotdb.storages.postgresql.watch import WatchedConnection

        try:
            session: Any = WatchedConnection(self._address.dsn() + " application_name=lotdb")
        except psycopg2().Error as error:
            raise of_connecting(error, self.where) from error
        session.limit(STATEMENT_S)
        return session

    def change(self, *statements: str) -> None:
        """All statements at once, which the server does in one transaction."""
        with contextlib.closing(self.ask_connection()) as session, session.cursor() as cursor:
            cursor.execute("; ".join(statements))

    @contextlib.contextmanager
    def reading(self) -> Iterator[Any]:
        """A cursor in a transaction of its own, which the server sends some rows at a time."""
        with contextlib.closing(self._connect()) as session:
            session.set_session(isolation_level="REPEATABLE READ", readonly=True)
            yield Rows(session)

    # -- other processes ---------------------------------------------------------------------------

    def hold(self, tid: bytes | None) -> None:
        """Share the lock of *tid*."""
        self._locks.hold(tid)

    def oldest_held(self) -> bytes | None:
        """The oldest moment whose lock anybody shares."""
        return self._locks.oldest()

    def publishing(self, *, exclusive: bool = False) -> AbstractContextManager[None]:
        """A lock on the server."""
        return self._locks.sweeping() if exclusive else self._locks.publishing()

    def publish_at_vote(self, instance: Any) -> bool:
        """The vote shares the lock, until the transaction ends."""
        instance.base._adapter.publishes = self._locks.publishing_key
        return True

    @contextlib.contextmanager
    def announcing_pack(self) -> Iterator[None]:
        """A lock on the server, and patience."""
        with self._locks.packing(), self._opened.base._adapter.connmanager.patiently():
            yield

    # -- sizes -------------------------------------------------------------------------------------

    def parts(self) -> dict[str, int]:
        """What the tables take on the server, with their indexes."""
        return {self.name: int(self.ask(_SIZE) or 0)}

    # -- errors ------------------------------------------------------------------------------------

    def typed(self, error: Exception) -> Exception | None:
        """What an error of the driver means."""
        found = translation(error, self.where)
        return None if found is error or not isinstance(found, Exception) else found

    def finishing(self, error: Exception) -> Exception:
        """What an error means that came up after the server was told to commit."""
        found = in_doubt(error, self.where)
        return found if isinstance(found, Exception) else error


# Connections of a parent, which a child must not close.
_forsaken: list[Any] = []
