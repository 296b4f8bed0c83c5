"""What databases on relational engines have in common, whichever engine it is: all is asked by plain SQL.

RelStorage does the reading and the commits. It keeps no blobs here, and all of history until a pack. A
subclass opens it, and has locks between processes.
"""

from __future__ import annotations

import contextlib
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from transaction.interfaces import TransientError
from ZODB.utils import p64, u64

from lotdb.errors import (
    CommitInDoubtError,
    ConflictError,
    DamagedError,
    LotdbError,
    MomentGoneError,
    MomentNotFoundError,
)
from lotdb.interfaces.storage import Storage, StorageContext
from lotdb.storage.history import Stored
from lotdb.storage.sealing import belongs, is_intact
from lotdb.storage.transactions import time_of

__all__ = ["HORIZON", "RelationalStorage"]

#: The table, with one column ``tid`` of 64 bits, that says how far the last pack has gone.
HORIZON = "lotdb_horizon"

# Whose answer is not empty if the tables do not fit together, and what to say then.
_CHECKS = (
    (
        "SELECT COUNT(*) FROM object_state WHERE NOT EXISTS"
        ' (SELECT 1 FROM "transaction" t WHERE t.tid = object_state.tid)',
        "{} records belong to no transaction",
    ),
    (
        "SELECT COUNT(*) FROM object_state WHERE NOT EXISTS"
        " (SELECT 1 FROM current_object c WHERE c.zoid = object_state.zoid)",
        "{} records are of objects that are not listed",
    ),
    (
        "SELECT COUNT(*) FROM current_object WHERE tid <> COALESCE("
        "(SELECT MAX(o.tid) FROM object_state o WHERE o.zoid = current_object.zoid), 0)",
        "of {} objects the last record is not there, or is not the current one",
    ),
)


class _NoCollection:
    """Stands in place of module ``gc``."""

    @staticmethod
    def collect() -> int:
        return 0


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Have RelStorage mark what is referred to without collecting all garbage for each level of the tree.

    Of a hundred levels that took a hundred times as long as all else.
    """
    from relstorage import treemark

    collector = getattr(treemark, "gc", None)
    if collector is None:
        yield
        return
    treemark.gc = _NoCollection
    try:
        yield
    finally:
        treemark.gc = collector


# Objects that a record refers to which a pack would keep, and which are not there. References of revisions
# that an earlier pack has dropped are still listed.
_LOST = (
    "SELECT COUNT(*) FROM object_ref r"
    " JOIN object_state s ON s.zoid = r.zoid AND s.tid = r.tid"
    " JOIN pack_object p ON p.zoid = r.zoid"
    " WHERE p.keep = {true} AND NOT EXISTS (SELECT 1 FROM object_state o WHERE o.zoid = r.to_zoid)"
)


# Commits that are read at once, and a number greater than the id of any.
_AT_ONCE = 100
_LAST = (1 << 63) - 1


def _bytes(text: Any) -> bytes:
    """A text of a transaction, in whatever form the driver gives it."""
    if text is None:
        return b""
    return text.encode() if isinstance(text, str) else bytes(text)


class RelationalStorage(Storage):
    """A tree in the tables of a relational database, which several processes write."""

    many_writers = True

    def __init__(self, context: StorageContext) -> None:
        super().__init__(context)
        self.where = context.where
        self.read_only = context.read_only
        self._asking = threading.Lock()
        self._asked: Any = None  # a connection that reads whatever is committed by now
        self._was_complete = context.exists

    # -- what a subclass has -----------------------------------------------------------------------

    #: How the database writes what is true.
    true = "TRUE"

    @abstractmethod
    def ask_connection(self) -> Any:
        """A new connection of the driver, for single questions: it begins no transaction."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Any]:
        """A cursor that reads one moment, and need not hold all rows in memory at once."""

    @abstractmethod
    def typed(self, error: Exception) -> Exception | None:
        """The error to raise in place of what the driver has raised; None if it is none of the driver's."""

    @abstractmethod
    def oldest_held(self) -> bytes | None:
        """The oldest commit that any process holds."""

    @abstractmethod
    def change(self, *statements: str) -> None:
        """Do what the statements say, in one transaction of the database."""

    @abstractmethod
    def announcing_pack(self) -> AbstractContextManager[None]:
        """A context in which nobody else packs; ``DatabaseBusyError`` if somebody does."""

    def voted(self, base: Any) -> None:
        """Called when a commit has failed, or has ended."""

    def finishing(self, error: Exception) -> Exception:
        """The error for one that came up in the last step of a commit."""
        return CommitInDoubtError.of(
            error,
            f"the commit failed at its last step ({type(error).__name__}: {error}), and may or may not be in"
            f" {self.where}: close the database, open it again and look",
            self.where,
        )

    # -- the last commit ---------------------------------------------------------------------------

    def ask(self, question: str, *values: Any) -> Any:
        """The first value that the database answers."""
        with self._asking, self.errors():
            for attempt in (1, 2):
                try:
                    if self._asked is None:
                        self._asked = self.ask_connection()
                    cursor = self._asked.cursor()
                    try:
                        cursor.execute(question, values)
                        row = cursor.fetchone()
                        return None if row is None else row[0]
                    finally:
                        cursor.close()
                except Exception:
                    self._stop_asking()  # the connection may have been cut
                    if attempt == 2:
                        raise
        raise AssertionError("unreachable")

    def _stop_asking(self) -> None:
        connection, self._asked = self._asked, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def last_commit(self) -> bytes:
        """The last commit of all processes."""
        last: bytes = p64(self.ask('SELECT MAX(tid) FROM "transaction"') or 0)
        return last

    def commit_of(self, instance: Any, since: bytes) -> tuple[bytes, bytes] | None:
        """The commit that a connection has just made, though others may have committed meanwhile."""
        made = instance.finished
        if made is None or made <= since:
            return None
        before = self.ask(f'SELECT MAX(tid) FROM "transaction" WHERE tid < {u64(made)}')
        return made, p64(before or 0)

    def transactions(self) -> int:
        """How many transactions there are, and one at least if the database was complete at any time."""
        known = self.ask('SELECT COUNT(*) FROM "transaction" WHERE tid > 0')
        return max(int(known or 0), int(self._was_complete))

    def may_create_root(self) -> bool:
        """Whether the database was never complete."""
        return not self._was_complete

    # -- moments -----------------------------------------------------------------------------------

    def commits(self, last: bytes | None = None) -> Iterator[Stored]:
        """The commits, a hundred at a time, so that no transaction of the engine stays open meanwhile."""
        before, most = u64(last) + 1 if last is not None else _LAST, 1
        first = int(self.ask('SELECT MIN(tid) FROM "transaction" WHERE tid > 0') or 0)
        while rows := self._commits_before(before, most):
            for tid, packed, user, description, records in rows:
                if packed and tid != self._last_packed():
                    return  # a pack has dropped what is needed to look at it
                if tid == first and not packed:
                    return  # by which ZODB made an empty root
                oids = [p64(oid) for oid, _ in records]
                size = sum(each for _, each in records)
                yield Stored(p64(tid), _bytes(description), _bytes(user), size, oids)
                if packed:
                    return  # a pack has taken from those before what is needed to look at them
            before, most = rows[-1][0], _AT_ONCE

    def commit_until(self, tid: bytes) -> Stored:
        """The commit, which the engine finds."""
        for commit in self.commits(tid):
            return commit
        if self._last_packed() >= u64(tid):
            raise MomentGoneError(
                f"{self.where} cannot be looked at as it was at {time_of(tid)}: a pack has dropped what was"
                " needed for that; pack(keep=...) and tags keep moments"
            )
        raise MomentNotFoundError(f"{self.where} held nothing yet at {time_of(tid)}")

    def _last_packed(self) -> int:
        """The last commit that a pack has gone through, of which nothing may be left; 0 if there is none."""
        # That of a database that this one is a copy of left its mark on transactions only.
        packed = self.ask(f'SELECT MAX(tid) FROM "transaction" WHERE packed = {self.true}')
        return max(self.horizon(), int(packed or 0))

    def _commits_before(
        self, before: int, most: int
    ) -> list[tuple[int, bool, Any, Any, list[tuple[int, int]]]]:
        with self.errors(), self.reading() as cursor:
            cursor.execute(
                'SELECT tid, packed, username, description FROM "transaction" '
                f"WHERE tid > 0 AND tid < {before} ORDER BY tid DESC LIMIT {most}"
            )
            rows = list(cursor)
            if not rows:
                return []
            cursor.execute(
                "SELECT tid, zoid, state_size FROM object_state "
                f"WHERE tid >= {rows[-1][0]} AND tid <= {rows[0][0]}"
            )
            records: dict[int, list[tuple[int, int]]] = {}
            for tid, oid, size in cursor:
                records.setdefault(tid, []).append((oid, size or 0))
            return [(tid, bool(packed), *texts, records.get(tid, [])) for tid, packed, *texts in rows]

    def load_before(self, oid: bytes, tid: bytes) -> tuple[bytes, bytes, bytes | None] | None:
        """The record, as all processes have committed it by now."""
        with self.errors(), self.reading() as cursor:
            cursor.execute(
                "SELECT tid, state FROM object_state "
                f"WHERE zoid = {u64(oid)} AND tid < {min(u64(tid), _LAST)} ORDER BY tid DESC LIMIT 1"
            )
            found = cursor.fetchone()
        if found is None or found[1] is None:
            return None
        record, serial = bytes(found[1]), p64(found[0])
        if not is_intact(record) or not belongs(record, oid, serial):
            raise DamagedError(
                f"{self.where}: object 0x{u64(oid):02x}, stored by transaction 0x{found[0]:016x}: its"
                " bytes are not the ones that were stored"
            )
        return record, serial, None

    # -- upkeep ------------------------------------------------------------------------------------

    def pack(self, keep: bytes, references: Callable[[bytes], list[bytes]]) -> None:
        """Drop what nobody sees; commits of other processes go on meanwhile."""
        with self.errors():
            until = self._announced(u64(keep))
            base = self._opened.base
            packer = base._adapter.packundo
            number = packer.choose_pack_transaction(until) if until else None
            if number is None:
                return  # all up to there was packed before

            def checked(record: Any) -> set[int]:
                record = bytes(record)
                if not is_intact(record):
                    raise DamagedError(f"{self.where} was not packed, because a record in it is damaged")
                return {u64(oid) for oid in references(record)}

            with _without_collections():
                packer.pre_pack(number, checked)
            if lost := self.ask(_LOST.format(true=self.true)):
                raise DamagedError(
                    f"{self.where} was not packed: {lost} records refer to objects that are missing"
                )
            packer.pack(number, packed_func=base._cache.remove_cached_data)
            self.packed(base)

    def _announced(self, keep: int) -> int:
        """The last transaction that may be packed, which is on record by now; 0 if there is nothing to do.

        Whoever comes to hold an earlier one looks at the record afterwards. So either it sees the record, or
        it is seen here.
        """
        before = self.horizon()
        until = keep
        while True:
            held = self.oldest_held()
            if held is not None and u64(held) < until:
                until = u64(held)
            if until <= before:
                if self.horizon() != before:
                    self._note_horizon(before)
                return 0
            if self.horizon() == until:
                return until
            self._note_horizon(until)

    def horizon(self) -> int:
        """The transaction up to which revisions that were not current were dropped; 0 if none was."""
        return int(self.ask(f"SELECT MAX(tid) FROM {HORIZON}") or 0)

    def _note_horizon(self, number: int) -> None:
        self.change(f"DELETE FROM {HORIZON}", f"INSERT INTO {HORIZON} (tid) VALUES ({number})")

    def has_moment(self, tid: bytes) -> bool:
        """Whether no pack has gone, or is going, through a later transaction."""
        return self._last_packed() <= int(u64(tid))

    def packed(self, base: Any) -> None:
        """Called at the end of a pack, to give space back."""

    def records(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Each record of each revision, checked, in the order of the commits."""
        with self.errors(), self.reading() as cursor:
            cursor.execute("SELECT zoid, tid, state FROM object_state ORDER BY tid")
            for number, commit, state in cursor:
                if state is None:
                    continue  # the creation of the object was undone
                oid, tid, record = p64(number), p64(commit), bytes(state)
                if not is_intact(record) or not belongs(record, oid, tid):
                    raise DamagedError(
                        f"{self.where}: object 0x{number:02x}, stored by transaction 0x{commit:016x}: its"
                        " bytes are not the ones that were stored"
                    )
                yield oid, tid, record

    def damage(self) -> Iterator[str]:
        """What the engine finds, and where tables do not fit together."""
        for question, says in _CHECKS:
            if found := self.ask(question):
                yield f"{self.where}: {says.format(found)}"

    def tree_bytes(self) -> int:
        """The length of all records."""
        return int(self.ask("SELECT SUM(state_size) FROM object_state") or 0)

    # -- closing -----------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Close all connections."""
        with self._asking:
            self._stop_asking()
        if self._opened is not None:
            self._opened.close()

    # -- errors ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Makes one of our errors of one of the driver's, or of RelStorage's."""
        try:
            yield
        except LotdbError:
            raise
        except Exception as error:
            if (typed := self.typed(error)) is not None:
                raise typed from error
            if isinstance(error, TransientError):
                raise ConflictError(f"{self.where}: try again: {error}") from error
            raise
