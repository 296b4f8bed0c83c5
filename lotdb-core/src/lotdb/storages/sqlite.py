"""The storage ``sqlite``: a folder that several processes of one machine write at once, without a server."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from typing import Any

from lotdb.errors import (
    ClosedError,
    ConflictError,
    DamagedError,
    DatabaseBusyError,
    DatabaseExistsError,
    DatabaseFormatError,
    FileSystemError,
    LotdbError,
    ReadOnlyError,
    WaitTimeoutError,
)
from lotdb.extras import import_extra
from lotdb.interfaces.storage import StorageContext
from lotdb.storage.durable import disk_for
from lotdb.storage.lock import pack_busy
from lotdb.storage.parts import check_file, check_folder, is_there
from lotdb.storage.snapshots import FIRST, SnapshotLock, oldest_snapshot
from lotdb.storage.turns import Turn
from lotdb.storages.relational import HORIZON, RelationalStorage

__all__ = ["SqliteStorage"]

_MAIN = "main.sqlite3"
_FILES = (_MAIN, f"{_MAIN}-wal", f"{_MAIN}-shm", "numbers", "turn", "creation", "packing", "publishing")
_TABLES = {"transaction", "object_state", "current_object", "object_ref", "pack_object", HORIZON}
_PAGE_BYTES = 4096
# Seconds that a commit waits for those of other processes.
_COMMIT_S = 60
# Seconds that a pack keeps commits of others waiting, at a time; and how many pages it gives back at a time.
_PACK_S = 0.05
_FREED_PAGES = 256


class SqliteStorage(RelationalStorage):
    """A database in SQLite's files, written by RelStorage."""

    name = "sqlite"
    keeps_pieces = True
    true = "1"

    def __init__(self, context: StorageContext) -> None:
        super().__init__(context)
        self._folder = os.path.join(context._folder, f"{context.name}.{self.name}")
        self._file = os.path.join(self._folder, _MAIN)
        self._marker = os.path.join(context._folder, f"{context.name}.lotdb")
        self._readers = os.path.join(context._folder, f"{context.name}.readers")
        self._creation: Turn | None = None
        self._snapshots: SnapshotLock | None = None

    # -- opening -----------------------------------------------------------------------------------

    def open(self) -> Any:
        """The database, made if it is not there."""
        import_extra("relstorage", "lotdb-core[sqlite]", "storage 'sqlite'")
        check_folder(self._folder)
        for name in _FILES:
            check_file(os.path.join(self._folder, name))
        check_file(self._readers)
        try:
            with self.errors():
                return self._open()
        except BaseException:
            self.abandon()
            raise

    def _open(self) -> Any:
        if not self.context.exists:
            self._begin_creation()
        self._check_file()
        from lotdb.storages.sealed import SealedStorage

        self._snapshots = SnapshotLock(self._readers)
        self._snapshots.move(max(self.last_commit(), FIRST))  # what is seen is not older
        is_full = self.context.durability == "full"
        base = self._relstorage(self._folder, create_schema=False, synchronous=2 if is_full else 1)
        try:
            if not self.read_only:
                last = self.ask("SELECT MAX(zoid) FROM object_state")
                base._adapter.oidallocator.set_min_oid(None, last or 0)
        except BaseException:
            base.close()
            raise
        return SealedStorage(base, self)

    def _relstorage(self, folder: str, *, create_schema: bool, synchronous: int) -> Any:
        from relstorage.options import Options
        from relstorage.storage import RelStorage

        from lotdb.storages.sqlite_adapter import SqliteAdapter

        options = Options(
            name=self.context.where,
            keep_history=True,
            read_only=self.read_only,
            create_schema=create_schema,
            commit_lock_timeout=_COMMIT_S,
            pack_batch_timeout=_PACK_S,
        )
        pragmas = {"synchronous": synchronous, "trusted_schema": 0, "cell_size_check": 1}
        return RelStorage(SqliteAdapter(folder, pragmas, options=options), options=options)

    def _begin_creation(self) -> None:
        """Make the folder, or go on with one that was begun; nobody else does so meanwhile."""
        os.makedirs(self._folder, exist_ok=True)
        self._creation = self._turn("creation", "another process to make a part")
        try:
            self._creation.acquire(timeout=self.context.timeout or 10.0)
        except WaitTimeoutError as error:
            raise DatabaseBusyError(f"{self.where} is being created by another process") from error
        if is_there(self._marker):  # somebody else was quicker
            self._end_creation()
            if self.context.new:
                raise DatabaseExistsError(f"a new database was asked for, but {self.where} exists by now")
            self._was_complete = True
        elif not is_there(self._file):
            self._make_tables()

    def _make_tables(self) -> None:
        """Make the file elsewhere, so that it is never there in part, and is synced once."""
        disk = disk_for(self.context.durability)
        new = os.path.join(self._folder, "new")
        shutil.rmtree(new, ignore_errors=True)
        os.mkdir(new)
        made = os.path.join(new, _MAIN)
        with contextlib.closing(sqlite3.connect(made)) as connection:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
        self._relstorage(new, create_schema=True, synchronous=0).close()
        with contextlib.closing(sqlite3.connect(made)) as connection:
            connection.execute(f"CREATE TABLE {HORIZON} (tid INTEGER NOT NULL)")
            connection.commit()
        disk.sync_file(made)
        os.rename(made, self._file)
        disk.sync_folder(self._folder)
        shutil.rmtree(new, ignore_errors=True)

    def _end_creation(self) -> None:
        creation, self._creation = self._creation, None
        if creation is not None:
            creation.close()

    def created(self) -> None:
        """Let others open what is complete now."""
        if self._creation is not None:
            disk = disk_for(self.context.durability)
            disk.sync_folder(self._folder)
            disk.sync_folder(self.context._folder)
        self._end_creation()
        self._was_complete = True

    def _check_file(self) -> None:
        """Raise unless the database file is one of ours."""
        if not is_there(self._file):
            raise DamagedError(
                f"{self._file} is missing, but of the same database there is {self.context.name}.lotdb;"
                " nothing was changed: restore it from a backup"
            )
        # SQLite alone may open it: where a process closes any descriptor of a file, all locks go that it has
        # on that. Another process then takes SQLite's log for one that nobody uses, and deletes it.
        is_database = os.stat(self._file).st_size > 0
        try:
            kinds = self._schema()
        except sqlite3.DatabaseError as error:
            if _code(error) != sqlite3.SQLITE_NOTADB:
                raise
            is_database = False
        if not is_database:
            raise DamagedError(
                f"{self._file} does not start as a database of SQLite does; nothing was changed: restore it"
                " from a backup"
            )
        if not kinds["table"] >= _TABLES:
            raise DatabaseFormatError(f"{self._file} does not have the tables of a LOTDB database")
        if kinds["trigger"]:
            raise DatabaseFormatError(
                f"{self._file} has triggers ({', '.join(sorted(kinds['trigger']))}), which LOTDB never makes;"
                " it was not opened, since they would run at each commit"
            )

    def _schema(self) -> dict[str, set[str]]:
        kinds: dict[str, set[str]] = {"table": set(), "trigger": set(), "view": set(), "index": set()}
        with self._asking, contextlib.closing(self.ask_connection()) as connection:
            for kind, name in connection.execute("SELECT type, name FROM sqlite_master"):
                kinds.setdefault(kind, set()).add(name)
        return kinds

    # -- closing -----------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Close all, and let go of all locks."""
        super().abandon()
        self._end_creation()
        if self._snapshots is not None:
            self._snapshots.close()

    def forsake(self) -> None:
        """Leave all connections as they are: SQLite's must not be closed in a child."""
        _forsaken.append((self._opened, self._asked))
        self._asked = None
        if self._snapshots is not None:
            self._snapshots.close()

    # -- asking ------------------------------------------------------------------------------------

    def ask_connection(self) -> sqlite3.Connection:
        """A connection in which each question is answered by itself."""
        connection = sqlite3.connect(
            self._file, timeout=_COMMIT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA trusted_schema = 0")
        connection.execute("PRAGMA query_only = 1")
        return connection

    def change(self, *statements: str) -> None:
        """In a connection of its own."""
        with contextlib.closing(sqlite3.connect(self._file, timeout=_COMMIT_S)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """A cursor in a transaction of its own."""
        with contextlib.closing(self.ask_connection()) as connection:
            connection.execute("BEGIN")
            yield connection.cursor()

    # -- other processes ---------------------------------------------------------------------------

    def hold(self, tid: bytes | None) -> None:
        """Lock the byte for *tid*."""
        if self._snapshots is not None:
            self._snapshots.move(tid)

    def oldest_held(self) -> bytes | None:
        """The lowest byte that any process has locked."""
        return oldest_snapshot(self._readers)

    @contextlib.contextmanager
    def publishing(self, *, exclusive: bool = False) -> Iterator[None]:
        """A lock on a file."""
        turn = self._turn("publishing", "others that commit, or remove what is unused")
        try:
            turn.acquire(exclusive=exclusive)
            yield
        finally:
            turn.close()

    @contextlib.contextmanager
    def announcing_pack(self) -> Iterator[None]:
        """A lock on another file."""
        turn = self._turn("packing", "another pack")
        try:
            turn.acquire(timeout=0)
        except WaitTimeoutError as error:
            raise pack_busy(self.where) from error
        try:
            yield
        finally:
            turn.close()

    def _turn(self, name: str, what: str) -> Turn:
        return Turn(os.path.join(self._folder, name), f"{what} of {self.where}")

    def voted(self, base: Any) -> None:
        """Let the next one commit."""
        if base._adapter is not None:
            base._adapter.turn.release()

    # -- upkeep ------------------------------------------------------------------------------------

    def packed(self, base: Any) -> None:
        """Give free pages back to the system, some at a time."""
        with contextlib.closing(
            sqlite3.connect(self._file, timeout=_COMMIT_S, isolation_level=None)
        ) as connection:

            def pages(what: str) -> int:
                return int(connection.execute(f"PRAGMA {what}_count").fetchone()[0])

            while pages("freelist"):
                before = pages("page")
                # As a script: Python 3.11 would end the statement after the first page.
                connection.executescript(f"PRAGMA incremental_vacuum({_FREED_PAGES})")
                if pages("page") >= before:
                    break
            connection.execute("PRAGMA busy_timeout = 0")  # it would wait for readers
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def damage(self) -> Iterator[str]:
        """What SQLite finds, then where tables do not fit together."""
        try:
            with self.errors(), self.reading() as cursor:
                found = [row[0] for row in cursor.execute("PRAGMA integrity_check(20)")]
        except DamagedError as error:
            yield str(error)
            return
        if found != ["ok"]:
            yield f"{self._file}: {'; '.join(found)}"
        yield from super().damage()

    # -- errors ------------------------------------------------------------------------------------

    def typed(self, error: Exception) -> Exception | None:
        """What an error of SQLite means."""
        if not isinstance(error, sqlite3.Error):
            return None
        code = _code(error)
        says = f"{self._file}: {error}"
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return DamagedError(f"{says}; see what verify() says of it")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return ConflictError(f"{says}; another process has it locked: try again")
        if code in _SYSTEM:
            number = _SYSTEM[code]
            return FileSystemError(number, f"{os.strerror(number)} ({error})", self._file)
        if code == sqlite3.SQLITE_READONLY:
            return ReadOnlyError(f"{says}")
        if code == sqlite3.SQLITE_NOMEM:
            return MemoryError(says)
        if isinstance(error, sqlite3.ProgrammingError):
            return ClosedError(f"{self.where} is closed, or in use by another thread: {error}")
        return DamagedError(f"{says}")

    def finishing(self, error: Exception) -> Exception:
        """Of a full disk it is known that the commit was not written to its end."""
        if isinstance(error, LotdbError):
            return error
        if isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_FULL:
            return self.typed(error) or error
        return super().finishing(error)


_SYSTEM = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_TOOBIG: errno.EFBIG,
}


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


# Connections of a parent, which a child must not close.
_forsaken: list[Any] = []
