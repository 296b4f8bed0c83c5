"""What ZODB sees of a relational database: RelStorage, with sealed records and restricted loading.

Records have their checksums, conflicts are resolved from checked records only, and whatever a database's
driver raises leaves as an error of ours. Nothing here knows which database it is.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, Protocol
from zlib import crc32

from transaction.interfaces import TransientError
from ZODB.interfaces import IMVCCStorage
from ZODB.POSException import ConflictError as ZODBConflictError
from ZODB.POSException import POSKeyError
from ZODB.utils import oid_repr, p64, u64
from zope.interface import implementer

from lotdb.errors import (
    ConflictError,
    DamagedError,
    DisconnectedError,
    LotdbError,
    ReadOnlyError,
    UnsafeRecordError,
    WrongThreadError,
)
from lotdb.extras import crc32_of
from lotdb.storage.classes import check_record
from lotdb.storage.restricted import refuse_unmerged
from lotdb.storage.sealing import RESIDUE, belongs, is_intact, seal_as_of, seal_object, unsealed
from lotdb.storages.read_ahead import ReadAhead

__all__ = ["Engine", "SealedStorage", "check_conflicts"]


class Engine(Protocol):
    """What a storage tells its connections."""

    where: str
    read_only: bool

    def typed(self, error: Exception) -> Exception | None:
        """The error to raise in place of what a driver has raised; None if it is none of a driver's."""

    def finishing(self, error: Exception) -> Exception:
        """The error to raise for one that came up in the last step of a commit."""

    def last_commit(self) -> bytes:
        """The last commit of all processes."""

    def voted(self, base: Any) -> None:
        """Called when a commit has failed, or has ended, with the RelStorage that it was made by."""

    def transactions(self) -> int:
        """How many transactions there are, at least one if the database was ever complete."""


_noted = threading.local()


def _unpacked(data: Any) -> bytes:
    """What ZODB is to unpickle to resolve a conflict: checked, since it imports and calls what is named."""
    record = bytes(data)
    if not is_intact(record):
        raise ZODBConflictError("a record is not as it was stored")
    check_record(record)
    _noted.record = record
    return record


def _packed(data: bytes) -> bytes:
    """The merged record, sealed for the object that the ones before it were of."""
    return seal_as_of(data, _noted.record)


def check_conflicts(conflicts: Iterable[tuple[Any, ...]]) -> None:
    """Raise unless the *conflicts* that RelStorage has found may be resolved.

    Each is the object's number, the committed transaction, the one that was seen, and the committed record;
    of an object that the transaction only depends on, nothing was seen.

    Raises
    ------
    ZODB.POSException.ConflictError
        The transaction that this thread commits depends on the object.
    UnsafeRecordError
        The committed record names a class that LOTDB does not store.
    """
    for number, committed, seen, record in conflicts:
        if seen is None:
            continue
        oid = p64(number)
        refuse_unmerged(oid, (p64(committed), p64(seen)))
        if record is None:
            continue
        try:
            check_record(bytes(record))
        except UnsafeRecordError:
            raise
        except Exception as error:
            raise ZODBConflictError(oid=oid, serials=(p64(committed), p64(seen))) from error


@implementer(IMVCCStorage)
class SealedStorage:
    """A RelStorage as one connection of ZODB uses it.

    Parameters
    ----------
    base : relstorage.storage.RelStorage
        Keeps history, and no blobs.
    engine : Engine
        What all connections share.
    """

    def __init__(self, base: Any, engine: Engine) -> None:
        self.base = base
        self._engine = engine
        self._process = os.getpid()
        #: The last commit that was made here.
        self.finished: bytes | None = None
        base._crs_transform_record_data = _packed
        base._crs_untransform_record_data = _unpacked
        #: Those of connections that were not released: after a commit in doubt, ZODB never does so.
        #: Unlike a WeakSet, it can be listed while another thread opens a connection.
        self._unreleased: weakref.WeakValueDictionary[int, SealedStorage] = weakref.WeakValueDictionary()
        self._ahead = ReadAhead(self._read_several)
        #: Called with the ids of records that a record names, which may be asked for next.
        self.expect = self._ahead.expect

    def __getattr__(self, name: str) -> Any:
        return getattr(self.base, name)

    def __len__(self) -> int:
        return len(self.base)

    # -- connections -------------------------------------------------------------------------------

    def new_instance(self) -> SealedStorage:
        """The storage of another connection."""
        self._check_process()
        made = SealedStorage(self.base.new_instance(), self._engine)
        made._unreleased = self._unreleased
        self._unreleased[id(made)] = made
        return made

    def before_instance(self, before: bytes) -> _Past:
        """The storage of a connection that sees what was there before the transaction *before*."""
        self._check_process()
        return _Past(SealedStorage(self.base.new_instance(before=before), self._engine), before)

    def registerDB(self, db: Any) -> None:
        """Nothing to do: connections ask for what has changed."""

    def close(self) -> None:
        """Close all connections."""
        if self._process == os.getpid():
            for each in [reference() for reference in self._unreleased.valuerefs()]:
                with contextlib.suppress(Exception):
                    if each is not None:
                        each.release()
            self.base.close()

    def release(self) -> None:
        """Close this connection."""
        self._unreleased.pop(id(self), None)
        if self._process == os.getpid():
            self.base.release()

    @property
    def transactions(self) -> int:
        """How many transactions there are."""
        return self._engine.transactions()

    # -- moments -----------------------------------------------------------------------------------

    @property
    def _start(self) -> bytes:
        """The transaction before which this connection reads."""
        start: bytes = p64(self.base.highest_visible_tid + 1)
        return start

    def lastTransaction(self) -> bytes:
        """The last commit of all processes."""
        return self._engine.last_commit()

    def poll_invalidations(self) -> Any:
        """Begin to read at the last commit; which objects have changed until then."""
        self._check_process()
        self._ahead.forget()
        try:
            return self.base.poll_invalidations()
        except Exception as error:
            if not isinstance(self._engine.typed(error) or error, DisconnectedError):
                self._fail(error)
            # No transaction could be begun, not even to say so. What is read first tries again, or fails.
            self.base._load_connection.drop()
            return None

    def sync(self, force: bool = True) -> None:
        """Read at the last commit, from the next poll on."""
        try:
            self.base.sync(force)
        except Exception as error:
            self._fail(error)

    def rest(self) -> None:
        """Read at no moment, until the next poll."""
        if self._process != os.getpid():
            return  # what is said on the connection would be said in the parent's name
        base = self.base
        self._ahead.forget()
        base.afterCompletion()
        try:
            if (rest := getattr(base._load_connection.connection, "rest", None)) is not None:
                rest()
        except Exception:  # it is lost, and ended with that
            base._load_connection.drop()

    # -- reading -----------------------------------------------------------------------------------

    def load(self, oid: bytes, version: str = "") -> tuple[bytes, bytes]:
        """The record of *oid* at this connection's moment, and the id of its transaction."""
        try:
            data, tid = self._ahead.take(oid) or self.base.load(oid)
        except Exception as error:
            self._fail(error)
        if type(data) is not bytes:
            data = bytes(data)
        if crc32_of(data) != RESIDUE or data[-8:-4] != crc32(oid).to_bytes(4, "little"):
            self._check(data, oid, tid)
        return data, tid

    def _read_several(self, oids: list[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Those of the records *oids* that are there at this connection's moment."""
        base = self.base
        cursor = base._load_connection.cursor
        for number, record, tid in base._adapter.mover.load_currents(cursor, [u64(oid) for oid in oids]):
            if record is not None:
                yield p64(number), bytes(record), p64(tid)

    def loadBefore(self, oid: bytes, tid: bytes) -> tuple[bytes, bytes, bytes | None] | None:
        """The record of *oid* before *tid*, and the ids of its transaction and of the next."""
        try:
            found = self.base.loadBefore(oid, tid)
        except Exception as error:
            self._fail(error)
        if found is None or found[0] is None:
            return None
        data, serial, following = found
        data = bytes(data)
        self._check(data, oid, serial)
        return data, serial, following

    def loadSerial(self, oid: bytes, serial: bytes) -> bytes:
        """The record of *oid* that the transaction *serial* stored."""
        try:
            data = bytes(self.base.loadSerial(oid, serial))
        except Exception as error:
            self._fail(error)
        self._check(data, oid, serial)
        return data

    def _check(self, data: bytes, oid: bytes, tid: bytes) -> None:
        if not is_intact(data) or not belongs(data, oid, tid):
            raise DamagedError(
                f"{self._engine.where}: object {oid_repr(oid)}: its bytes are not the ones that were stored"
            )

    # -- writing -----------------------------------------------------------------------------------

    def new_oid(self) -> bytes:
        """An id for a new object."""
        try:
            oid: bytes = self.base.new_oid()
        except Exception as error:
            self._fail(error)
        return oid

    def tpc_begin(self, transaction: Any, tid: bytes | None = None, status: str = " ") -> None:
        """Begin a transaction, in the process that opened the database."""
        if self._engine.read_only:
            raise ReadOnlyError(f"{self._engine.where} was opened with read_only=True; nothing was changed")
        self._check_process()
        try:
            self.base.tpc_begin(transaction, tid, status)
        except Exception as error:
            self._fail(error)

    def store(self, oid: bytes, serial: bytes, data: bytes, version: str, transaction: Any) -> None:
        """Store one record, sealed."""
        try:
            self.base.store(oid, serial, seal_object(data, oid), version, transaction)
        except Exception as error:
            self._fail(error)

    def restore(
        self, oid: bytes, serial: bytes, data: bytes | None, version: str, prev: Any, transaction: Any
    ) -> None:
        """Store a record of another storage, sealed for this place."""
        if data is not None:
            if not is_intact(data):
                raise DamagedError(f"object {oid_repr(oid)}: its bytes are not the ones that were stored")
            data = seal_object(unsealed(data), oid)
        try:
            self.base.restore(oid, serial, data, version, prev, transaction)
        except Exception as error:
            self._fail(error)

    def checkCurrentSerialInTransaction(self, oid: bytes, serial: bytes, transaction: Any) -> None:
        """Let the transaction fail if another one has changed *oid*."""
        try:
            self.base.checkCurrentSerialInTransaction(oid, serial, transaction)
        except Exception as error:
            self._fail(error)

    def tpc_vote(self, transaction: Any) -> Any:
        """Write the transaction, and resolve its conflicts; the objects that were merged."""
        try:
            return self.base.tpc_vote(transaction)
        except BaseException as error:
            self._engine.voted(self.base)
            if isinstance(error, Exception):
                self._fail(error)
            raise

    def tpc_finish(self, transaction: Any, f: Any = None) -> bytes:
        """Make the transaction count; its id.

        Raises
        ------
        CommitInDoubtError
            Nobody knows whether it does.
        """
        try:
            tid: bytes = self.base.tpc_finish(transaction, f)
        except Exception as error:
            raise self._engine.finishing(error) from error
        finally:
            self._engine.voted(self.base)
        self.finished = tid
        return tid

    def tpc_abort(self, transaction: Any) -> None:
        """Discard the transaction."""
        try:
            self.base.tpc_abort(transaction)
        except Exception as error:
            self._fail(error)
        finally:
            self._engine.voted(self.base)

    # -- what is refused ---------------------------------------------------------------------------

    def _refused(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnsafeRecordError(
            "this unpickles what a transaction's extension contains; LOTDB does not offer it"
        )

    undo = undoLog = undoInfo = history = _refused

    def supportsUndo(self) -> bool:
        """No: LOTDB has its own."""
        return False

    # -- errors ------------------------------------------------------------------------------------

    def _check_process(self) -> None:
        if self._process != os.getpid():
            raise WrongThreadError(
                f"{self._engine.where} was opened by process {self._process}, and this is its child"
                f" {os.getpid()}: open the database in each of them, after the fork"
            )

    def _fail(self, error: Exception) -> NoReturn:
        """Raise the right error in place of *error*."""
        if isinstance(error, LotdbError):
            raise error
        if isinstance(error, POSKeyError):  # RelStorage's tells what all of its parts are
            raise POSKeyError(error.args[0]) from None
        if (typed := self._engine.typed(error)) is not None:
            raise typed from error
        if isinstance(error, TransientError) and not isinstance(error, ZODBConflictError):
            raise ConflictError(f"{self._engine.where}: try again: {error}") from error
        raise error


class _Past:
    """A storage that sees an earlier moment, and keeps no transaction of the database's open."""

    def __init__(self, instance: SealedStorage, before: bytes) -> None:
        self._instance = instance
        self._before = before
        self.sortKey = instance.sortKey
        self.getName = instance.getName

    def load(self, oid: bytes, version: str = "") -> tuple[bytes, bytes]:
        """The record of *oid* at that moment, and the id of its transaction."""
        try:
            found = self._instance.loadBefore(oid, self._before)
        finally:
            self._instance.rest()
        if found is None:
            raise POSKeyError(oid)
        return found[:2]

    def loadBefore(self, oid: bytes, tid: bytes) -> tuple[bytes, bytes, bytes | None] | None:
        """The record of *oid* before *tid*, and before that moment."""
        return self._instance.loadBefore(oid, min(tid, self._before))

    def isReadOnly(self) -> bool:
        """Whether nothing can be changed: yes."""
        return True

    def supportsUndo(self) -> bool:
        """Whether anything can be undone: no."""
        return False

    def sync(self, force: bool = True) -> None:
        """Nothing to do: the moment stays."""

    def poll_invalidations(self) -> list[bytes]:
        """What has changed: nothing."""
        return []

    def release(self) -> None:
        """Close it."""
        self._instance.release()

    close = release

    def new_oid(self) -> NoReturn:
        """Refused."""
        raise ReadOnlyError("an earlier moment cannot be changed")

    tpc_begin = tpc_vote = tpc_finish = store = new_oid

    def tpc_abort(self, transaction: Any) -> None:
        """Nothing to do."""

    @property
    def _start(self) -> bytes:
        return self._before
