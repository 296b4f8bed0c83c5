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
from ZODB.utils import p64, u64, z64

from lotdb.errors import CommitInDoubtError, ConflictError, DamagedError, LotdbError
from lotdb.interfaces.storage import Storage, StorageContext
from lotdb.storage.sealing import belongs, is_intact

__all__ = ["RelationalStorage"]

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

# Objects that a record refers to which a pack would keep, and which are not there. References of revisions
# that an earlier pack has dropped are still listed.
_LOST = (
    "SELECT COUNT(*) FROM object_ref r"
    " JOIN object_state s ON s.zoid = r.zoid AND s.tid = r.tid"
    " JOIN pack_object p ON p.zoid = r.zoid"
    " WHERE p.keep = {true} AND NOT EXISTS (SELECT 1 FROM object_state o WHERE o.zoid = r.to_zoid)"
)


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
    def packing(self) -> AbstractContextManager[None]:
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

    def commit_of(self, instance: Any) -> tuple[bytes, bytes] | None:
        """The id of the last commit that a connection made, and that of the commit before it."""
        made = instance.finished
        if made is None:
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

    # -- upkeep ------------------------------------------------------------------------------------

    def pack(self, keep: bytes, references: Callable[[bytes], list[bytes]]) -> None:
        """Drop what nobody sees; commits of other processes go on meanwhile."""
        with self.packing(), self.errors():
            until = min([keep, *filter(None, [self.oldest_held()])])
            base = self._opened.base
            packer = base._adapter.packundo
            number = packer.choose_pack_transaction(u64(until)) if until > z64 else None
            if number is None:
                return  # all up to there was packed before

            def checked(record: Any) -> set[int]:
                record = bytes(record)
                if not is_intact(record):
                    raise DamagedError(f"{self.where} was not packed, because a record in it is damaged")
                return {u64(oid) for oid in references(record)}

            packer.pre_pack(number, checked)
            if lost := self.ask(_LOST.format(true=self.true)):
                raise DamagedError(
                    f"{self.where} was not packed: {lost} records refer to objects that are missing"
                )
            packer.pack(number, packed_func=base._cache.remove_cached_data)
            self.packed(base)

    def packed(self, base: Any) -> None:
        """Called at the end of a pack, to give space back."""

    def has_moment(self, tid: bytes) -> bool:
        """Whether no pack has gone through a later transaction."""
        packed = self.ask(f'SELECT MAX(tid) FROM "transaction" WHERE packed = {self.true}')
        return packed is None or bool(p64(packed) <= tid)

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
