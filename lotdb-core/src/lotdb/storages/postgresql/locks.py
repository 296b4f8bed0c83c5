"""What the processes that have a database open tell each other: by advisory locks, which a session holds.

When a process dies, or its connection does, the server lets go of its locks.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from ZODB.utils import p64, u64

from lotdb.errors import ConflictError, DatabaseBusyError, DisconnectedError
from lotdb.storage.lock import pack_busy
from lotdb.storages.postgresql.address import LOCK_S, Address, psycopg2
from lotdb.storages.postgresql.failures import is_lost, translated

__all__ = ["Locks"]

# Two numbers of 32 bits are keys of other locks than one of 64 bits, which RelStorage uses for objects, and
# we for transactions. The numbers of objects are small, and those of transactions are times.
_OURS = int.from_bytes(b"LOTD", "big")
_FIRST_TID = 1 << 56

_OLDEST = f"""
SELECT min(tid) FROM (
    SELECT (classid::bigint << 32) | objid::bigint AS tid FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS held WHERE tid >= {_FIRST_TID}
"""


class Locks:
    """The locks that this process holds.

    Parameters
    ----------
    address
        Whose schema the locks are about. What is held of moments, though, is seen by all databases in the
        same database of PostgreSQL, and keeps more than it has to there.
    connect
        Gives a new session, which commits each statement.
    """

    def __init__(self, address: Address, connect: Callable[[], Any]) -> None:
        self._address = address
        self._connect = connect
        self._lock = threading.Lock()
        self._session: Any = None
        self._held: bytes | None = None
        self._is_creating = False

    @property
    def publishing_key(self) -> tuple[int, int]:
        """The key of the lock that a sweep has alone."""
        return self._key("publishing")

    @property
    def beginning_key(self) -> tuple[int, int]:
        """The key of the lock that a connection shares while it begins to read, and to hold its moment."""
        return self._key("beginning")

    def _key(self, of: str) -> tuple[int, int]:
        number = zlib.crc32(f"{of} {self._address.schema}".encode())
        return _OURS, number - (1 << 31)

    def _ask(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:
        """The first row that the server answers."""
        with self._lock, translated(self._address.where):
            if not self._is_alive():
                self._held = None  # it went with the session
                self._session = self._connect()
            return self._run(statement, parameters)

    def _run(self, statement: str, parameters: tuple[Any, ...]) -> Any:
        with self._session.cursor() as cursor:
            try:
                cursor.execute(statement, parameters)
                return cursor.fetchone()
            except psycopg2().Error as error:
                if is_lost(error, self._session):
                    self._session.close()
                raise

    # -- moments -----------------------------------------------------------------------------------

    def hold(self, tid: bytes | None) -> None:
        """Keep what is seen after *tid*, and nothing else, from packs.

        Where the server is gone nothing is held, and the next call tries again; what is read then fails.
        """
        if tid is not None and u64(tid) < _FIRST_TID:
            tid = p64(_FIRST_TID)  # nothing was committed yet
        if tid == self._held and (tid is None or self._is_alive()):
            return
        with contextlib.suppress(DisconnectedError):
            try:
                self._hold_instead(tid)
            except DisconnectedError:  # the session was; another one may be had
                self._hold_instead(tid)

    def _hold_instead(self, tid: bytes | None) -> None:
        old, self._held = self._held if self._is_alive() else None, None
        if tid is not None and old is not None:  # in this order
            both = "SELECT pg_advisory_lock_shared(%s), pg_advisory_unlock_shared(%s)"
            self._ask(both, (u64(tid), u64(old)))
        elif tid is not None:
            self._ask("SELECT pg_advisory_lock_shared(%s)", (u64(tid),))
        elif old is not None:
            self._ask("SELECT pg_advisory_unlock_shared(%s)", (u64(old),))
        self._held = tid

    def _is_alive(self) -> bool:
        return self._session is not None and not self._session.closed

    def oldest(self) -> bytes | None:
        """The oldest moment that any process holds; who begins to read from now on sees the last commit."""
        self._ask("SELECT pg_advisory_lock(%s, %s), pg_advisory_unlock(%s, %s)", self.beginning_key * 2)
        (oldest,) = self._ask(_OLDEST)
        return None if oldest is None else p64(oldest)

    # -- publishing and creating -------------------------------------------------------------------

    @contextlib.contextmanager
    def publishing(self) -> Iterator[None]:
        """Share the lock that a sweep has alone."""
        key = self.publishing_key
        self._wait("SELECT pg_advisory_lock_shared(%s, %s)", key, "the sweep of another process")
        try:
            yield
        finally:
            # If the session was lost, the lock is free.
            with contextlib.suppress(DisconnectedError):
                self._ask("SELECT pg_advisory_unlock_shared(%s, %s)", key)

    @contextlib.contextmanager
    def packing(self) -> Iterator[None]:
        """Be the only one that packs."""
        alone = Locks(self._address, self._connect)
        with contextlib.closing(alone):
            (is_free,) = alone._ask("SELECT pg_try_advisory_lock(%s, %s)", self._key("packing"))
            if not is_free:
                raise pack_busy(self._address.where)
            yield

    @contextlib.contextmanager
    def sweeping(self) -> Iterator[None]:
        """Have the lock alone, in a session of its own: other threads of this process share it, too."""
        alone = Locks(self._address, self._connect)
        with contextlib.closing(alone):
            alone._wait(
                "SELECT pg_advisory_lock(%s, %s)", self.publishing_key, "the commits of other processes"
            )
            yield

    def begin_creating(self) -> None:
        """Wait until no other process creates the database, and let none do it."""
        self._wait("SELECT pg_advisory_lock(%s, %s)", self._key("creating"), "another process to create it")
        self._is_creating = True

    def end_creating(self) -> None:
        """Let others create it, or find that it is there."""
        if self._is_creating:
            self._is_creating = False
            with contextlib.suppress(DisconnectedError):
                self._ask("SELECT pg_advisory_unlock(%s, %s)", self._key("creating"))

    def is_creating_elsewhere(self) -> bool:
        """Whether another process creates the database."""
        if self._is_creating:
            return False
        key = self._key("creating")
        (is_free,) = self._ask("SELECT pg_try_advisory_lock(%s, %s)", key)
        if is_free:
            self._ask("SELECT pg_advisory_unlock(%s, %s)", key)
        return not is_free

    def _wait(self, statement: str, key: tuple[int, int], what: str) -> None:
        try:
            self._ask(statement, key)
        except ConflictError as error:
            raise DatabaseBusyError(
                f"{self._address.where}: waited {LOCK_S} seconds for {what} without success; try again"
            ) from error

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            session, self._session, self._held = self._session, None, None
            if session is not None:
                with contextlib.suppress(Exception):
                    session.close()
