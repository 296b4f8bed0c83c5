"""RelStorage's adapter for SQLite, where it has to be stricter, or can be quicker.

- *What a transaction depends on* is looked at while the database is locked. RelStorage looks before it locks,
  so another process could change it in between.
- *Turns.* SQLite lets writers that wait ask again after up to a tenth of a second. Here they take turns by a
  lock on a file, and ask each millisecond.
- *Numbers of objects* are handed out from a file of eight bytes. RelStorage has a second SQLite database for
  them, which it does not sync either: at each opening, the number is put behind all that there are.
"""

from __future__ import annotations

import os
from typing import Any

from relstorage.adapters.oidallocator import AbstractRangedOIDAllocator
from relstorage.adapters.sqlite.adapter import Sqlite3Adapter
from relstorage.storage.interfaces import VoteReadConflictError
from ZODB.utils import p64

from lotdb.storage.turns import Turn
from lotdb.storages.sealed import check_conflicts

__all__ = ["SqliteAdapter"]


class SqliteAdapter(Sqlite3Adapter):
    """The adapter of one connection; they share what takes numbers."""

    def __init__(
        self, data_dir: str, pragmas: Any, options: Any = None, oidallocator: Any = None, **shared: Any
    ) -> None:
        self.turn = Turn(os.path.join(data_dir, "turn"), f"other commits to {data_dir}")
        numbers = oidallocator or Numbers(os.path.join(data_dir, "numbers"))
        super().__init__(data_dir, pragmas, options, numbers, **shared)

    def _best_lock_objects_and_detect_conflicts(self, cursor: Any, read_current_oids: Any) -> Any:
        self.turn.acquire(timeout=self.options.commit_lock_timeout)
        self.locker._lock_rows_being_modified(cursor)
        now = self.mover.current_object_tids(cursor, read_current_oids.keys())
        for number, seen in read_current_oids.items():
            if now.get(number, 0) != seen:
                raise VoteReadConflictError(oid=p64(number), serials=(p64(now.get(number, 0)), p64(seen)))
        conflicts = self.mover.detect_conflict(cursor)
        check_conflicts(conflicts)
        return conflicts

    def release(self) -> None:
        """Close what is this connection's own."""
        self.turn.close()
        super().release()

    def close(self) -> None:
        """Close what all connections share as well."""
        self.turn.close()
        super().close()


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
