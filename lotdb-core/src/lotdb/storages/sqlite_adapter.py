"""RelStorage's adapter for SQLite, where it has to be stricter, or can be quicker.

- *What a transaction depends on* is looked at while the database is locked. RelStorage looks before it locks,
  so another process could change it in between.
- *Turns.* SQLite lets writers that wait ask again after up to a tenth of a second. Here they take turns by a
  lock on a file, and ask each millisecond.
- *What is stored* goes to its tables at once, when the transaction has its number. RelStorage writes it to a
  temporary table before, and computes a checksum of its own for its undo.
- *Numbers of objects* are handed out from a file of eight bytes. RelStorage has a second SQLite database for
  them, which it does not sync either: at each opening, the number is put behind all that there are.
"""

from __future__ import annotations

import os
from typing import Any

from relstorage.adapters.oidallocator import AbstractRangedOIDAllocator
from relstorage.adapters.sqlite.adapter import Sqlite3Adapter
from relstorage.adapters.sqlite.connmanager import Sqlite3ConnectionManager
from relstorage.adapters.sqlite.mover import Sqlite3ObjectMover
from relstorage.storage.interfaces import VoteReadConflictError
from ZODB.utils import p64

from lotdb.storage.turns import Turn
from lotdb.storages.sealed import check_conflicts

__all__ = ["SqliteAdapter"]

# Objects that are looked up at once.
_AT_ONCE = 500
# To what SQLite's log is cut when it begins anew. A pack makes it as long as all that it moves.
_LOG_BYTES = 4 << 20

_STATE = "SELECT state FROM object_state WHERE zoid = ? AND tid = ?"
_STORE = "INSERT INTO object_state (zoid, tid, prev_tid, state_size, state) VALUES (?, ?, ?, ?, ?)"
_CURRENT = (
    "INSERT INTO current_object (zoid, tid) VALUES (?, ?) ON CONFLICT (zoid) DO UPDATE SET tid = excluded.tid"
)


class SqliteAdapter(Sqlite3Adapter):
    """The adapter of one connection; they share what takes numbers."""

    connmanager: Any
    mover: Any

    def __init__(
        self, data_dir: str, pragmas: Any, options: Any = None, oidallocator: Any = None, **shared: Any
    ) -> None:
        self.turn = Turn(os.path.join(data_dir, "turn"), f"other commits to {data_dir}")
        numbers = oidallocator or Numbers(os.path.join(data_dir, "numbers"))
        super().__init__(data_dir, pragmas, options, numbers, **shared)

    def _create(self) -> None:
        if self.connmanager is None:
            path = os.path.join(self.data_dir, "main.sqlite3")
            self.connmanager = _Connections(
                self.driver, pragmas=self.pragmas, path=path, options=self.options
            )
        if self.mover is None:
            self.mover = _Mover(self.driver, options=self.options)
        super()._create()

    def _best_lock_objects_and_detect_conflicts(self, cursor: Any, read_current_oids: Any) -> Any:
        self.turn.acquire(timeout=self.options.commit_lock_timeout)
        self.locker._lock_rows_being_modified(cursor)
        stored = cursor.connection.stored
        changed = {number: seen for _, _, number, seen in stored.items()} if stored else {}
        now = _current(cursor, [*read_current_oids.keys(), *changed])
        for number, seen in read_current_oids.items():
            if now.get(number, 0) != seen:
                raise VoteReadConflictError(oid=p64(number), serials=(p64(now.get(number, 0)), p64(seen)))
        conflicts = []
        for number, seen in changed.items():
            if (last := now.get(number, seen)) != seen:
                state = cursor.execute(_STATE, (number, last)).fetchone()
                conflicts.append((number, last, seen, state and state[0]))
        check_conflicts(conflicts)
        return conflicts

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
        cursor = store_connection.cursor
        tid = committing_tid_int
        if tid is None:
            tid = self.lock_database_and_choose_next_tid(cursor, *ude)
        else:  # it was copied from elsewhere, object by object
            self.mover.update_current(cursor, tid)
        if stored := cursor.connection.stored:
            cursor.executemany(
                _STORE, ((number, tid, seen, len(state or b""), state) for state, number, seen in stored)
            )
            cursor.executemany(_CURRENT, ((number, tid) for number in stored.stored_oids))
        after_selecting_tid(tid)
        prepared = self.txncontrol.commit_phase1(store_connection, tid)
        if commit:
            self.txncontrol.commit_phase2(store_connection, prepared, load_connection)
            self.turn.release()  # the next one need not wait for what is left to do here
        return tid, prepared

    def release(self) -> None:
        """Close what is this connection's own."""
        self.turn.close()
        super().release()

    def close(self) -> None:
        """Close what all connections share as well."""
        self.turn.close()
        super().close()


def _current(cursor: Any, numbers: list[int]) -> dict[int, int]:
    """The last transaction of each object that is there."""
    found: dict[int, int] = {}
    for first in range(0, len(numbers), _AT_ONCE):
        some = numbers[first : first + _AT_ONCE]
        marks = ",".join("?" * len(some))
        found.update(cursor.execute(f"SELECT zoid, tid FROM current_object WHERE zoid IN ({marks})", some))
    return found


class _Connections(Sqlite3ConnectionManager):
    pragmas: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pragmas["journal_size_limit"] = _LOG_BYTES  # RelStorage has none, whatever it is told

    def begin(self, conn: Any, cursor: Any) -> None:
        """Called before each commit: forget the one before."""
        conn.stored = None


class _Mover(Sqlite3ObjectMover):
    """Has what a commit stores wait for the number of the transaction."""

    def on_store_opened(self, cursor: Any, restart: bool = False) -> None:
        """Nothing to do: there is no temporary table."""

    def store_temps(self, cursor: Any, state_oid_tid_iter: Any) -> None:
        """Keep it."""
        cursor.connection.stored = state_oid_tid_iter

    def replace_temps(self, cursor: Any, state_oid_tid_iter: Any) -> None:
        """Nothing to do: what was merged is where the rest is."""


class Numbers(AbstractRangedOIDAllocator):
    """Numbers for new objects, in ranges of sixteen, which no two processes get."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _next(self, least: int, step: int) -> int:
        turn = Turn(self._path, f"others to take numbers from {self._path}")
        with turn.held():
            descriptor: Any = turn.descriptor
            last = int.from_bytes(os.pread(descriptor, 8, 0), "big")
            following = max(last + step, least)
            if following != last:
                os.pwrite(descriptor, following.to_bytes(8, "big"), 0)
        turn.close()
        return following

    def new_oids(self, cursor: Any = None) -> list[int]:
        """The next sixteen."""
        found: list[int] = self._oid_range_around(self._next(0, 1))
        return found

    def new_oids_no_cursor(self) -> list[int]:
        """The same: no connection is needed."""
        return self.new_oids()

    def _set_min_oid_from_range(self, cursor: Any, n: int) -> None:
        self._next(n, 0)

    def reset_oid(self, cursor: Any = None) -> None:
        """Not needed: a new database has no file."""
