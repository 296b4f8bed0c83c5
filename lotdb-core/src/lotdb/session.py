"""One connection to a database: its tree, its transaction and its savepoints."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import transaction
from persistent import Persistent
from transaction.interfaces import InvalidSavepointRollbackError
from ZODB import POSException
from ZODB.utils import z64

from lotdb.errors import (
    ClosedError,
    CommitInDoubtError,
    ConflictError,
    FileSystemError,
    InvalidOptionError,
    LotdbError,
    ReadOnlyError,
    WrongThreadError,
    system_error,
    system_errors,
)
from lotdb.memory import MemoryBackend
from lotdb.nodes import BaseNode
from lotdb.records import OWN_KEY, Box, Children, Guard, buckets
from lotdb.stage import Stage
from lotdb.storage import uninterrupted, unmerged
from lotdb.tree import Handle, Tree

if TYPE_CHECKING:
    from ZODB.Connection import Connection

    from lotdb.database import LOTDB

__all__ = ["ROOT_KEY", "Savepoint", "Session"]

ROOT_KEY = "root"

# What the owner of a tree is set to when nobody may use it any more; no thread has this number.
NOBODY = -1


class ConnectedTree(Tree):
    """The tree that one connection sees."""

    owner: int

    def __init__(self, session: Session) -> None:
        super().__init__(session.database.plugins)
        self._session = session
        self.owner = get_ident()
        self.default_backend = session.database.default_backend
        self.roots = session.connection.root()["tree"]
        self.stage = Stage(
            session.database._backends,
            join=session.join,
            adopt=session.adopt,
            decode_options=self.decode_options,
        )

    def __str__(self) -> str:
        return str(self._session.database)

    def belongs_to(self, database: object) -> bool:
        return database is self._session.database

    def check_backend(self, name: str) -> None:
        if name == MemoryBackend.name:
            raise InvalidOptionError(f"backend {name!r} keeps nothing on disk; use another one in a database")
        super().check_backend(name)

    def check(self) -> None:
        if self.owner != get_ident():
            raise self._session._why_refused()

    def check_writable(self) -> None:
        self.check()
        if self._session.database.read_only:
            raise ReadOnlyError(f"{self} was opened with read_only=True; nothing in it can be changed")
        self._session.changed = True

    def commit(self) -> None:
        self._session.commit()

    def depend_on(self, guard: Guard) -> None:
        self._depend(guard)

    def depend_on_content(self, record: Children | Box) -> None:
        if type(record) is Box:
            self._depend(record)
            return
        self.retire(record)
        for bucket in buckets(record):
            self._depend(bucket)

    def retire(self, children: Children) -> None:
        # Up to 127 children lie in this very record, if there never were more. Of more, it is the root.
        self._depend(children)
        bucket = children._firstbucket
        if bucket._next is None:
            self._depend(bucket)
        own = children[OWN_KEY]
        if type(own) is Box:
            self._depend(own)

    def _depend(self, record: Any) -> None:
        if record._p_jar is None or record._p_oid is None:
            return
        record._p_activate()  # a ghost does not know its serial
        if record._p_serial != z64:
            self._session.connection.readCurrent(record)
            # What this transaction changes as well would be merged, and the dependence forgotten.
            self._session.exact.setdefault(record._p_oid, record._p_serial)

    def on_rollback(self, undo: Callable[[], None]) -> None:
        self._session.undos.append(undo)

    @contextmanager
    def all_or_nothing(self, node: Handle) -> Iterator[None]:
        savepoint = self._session.savepoint()
        try:
            yield
        except BaseException:
            savepoint.rollback()
            raise

    def pin(self, copy: Tree) -> None:
        self._session.pinned[copy] = self._session.snapshot

    def trim_cache(self) -> None:
        self._session.connection.cacheGC()


class Session:
    """A connection with its own transaction, which begins when the one before ends."""

    def __init__(self, database: LOTDB) -> None:
        self.database = database
        self._thread = threading.current_thread()
        self.undos: list[Callable[[], None]] = []
        self.changed = False
        #: The records that the transaction depends on, into which nothing may be merged, and their serials.
        self.exact: dict[bytes, bytes] = {}
        #: Trees in memory that read their payloads from here, and the snapshot that they were copied from.
        self.pinned: WeakKeyDictionary[Tree, bytes] = WeakKeyDictionary()
        self._manager = transaction.TransactionManager(explicit=True)
        self._manager.begin()
        self.connection: Connection = database._zodb.open(self._manager)
        self.tree = ConnectedTree(self)
        self.root = BaseNode._at(self.tree, None, ROOT_KEY, None, -1)

    # -- used by the tree and the stage --------------------------------------------------------------

    def join(self, stage: Stage) -> None:
        """Make *stage* a part of the transaction."""
        self._manager.get().join(stage)

    def adopt(self, locator: Any) -> None:
        """Make a locator that is a persistent object part of the database, before it is written to."""
        if isinstance(locator, Persistent):
            self.connection.add(locator)

    def _why_refused(self) -> LotdbError:
        """The error that says why the tree cannot be used here and now."""
        if self.tree.owner != NOBODY:
            return WrongThreadError(
                f"this connection to {self.database} belongs to another thread; open one in each thread"
            )
        return self.database._why_refused() or ClosedError(f"this connection to {self.database} is closed")

    @property
    def snapshot(self) -> bytes:
        """The transaction number before which this connection reads."""
        # After a savepoint, _storage is another one, which keeps what is not committed.
        return self.connection._normal_storage._start  # type: ignore[no-any-return]

    @property
    def oldest(self) -> bytes:
        """The transaction number before which this connection, or a copy made from it, reads."""
        return min([self.snapshot, *self.pinned.values()])

    # -- transactions --------------------------------------------------------------------------------

    def commit(self) -> None:
        """Make all that was changed visible together; after any error it is as if nothing had been."""
        self.tree.check()
        with uninterrupted():
            try:
                self.tree.stage.flush()
                with unmerged(self.exact.keys()):
                    self._manager.commit()
            except CommitInDoubtError as error:
                self.database._give_up(error)
                raise
            except BaseException as error:
                self._roll_back(self._manager.abort)
                self._begin()
                if isinstance(error, POSException.ConflictError) and not isinstance(error, LotdbError):
                    raise ConflictError(
                        f"another transaction changed the same part of {self.database} first; "
                        "nothing of this one was kept, run it again"
                    ) from error
                if (failure := system_error(error)) and not isinstance(error, LotdbError):
                    raise FileSystemError.of(
                        failure, "nothing was committed", self.database._data_file
                    ) from error
                raise
            self.undos.clear()
            self._begin()

    def abort(self) -> None:
        """Forget all that was changed since the last commit, and see what others have committed."""
        self.tree.check()
        with uninterrupted():
            self._roll_back(self._manager.abort)
            self._begin()

    def savepoint(self) -> Savepoint:
        """A point within the transaction that can be returned to."""
        self.tree.check()
        with uninterrupted(), system_errors("no savepoint was made", self.database._data_file):
            self.tree.stage.flush()
            return Savepoint(self, self._manager.savepoint(), len(self.undos))

    def close(self) -> None:
        """Forget what is not committed, and let go of the connection."""
        if self.tree.owner == NOBODY:
            return
        self.check_closable()
        with uninterrupted():
            self._roll_back(self._manager.abort)
            self.connection.close()
            self.tree.owner = NOBODY

    def check_closable(self) -> None:
        """Raise ``WrongThreadError`` while another thread that is alive may use the connection."""
        if self._thread.is_alive():
            self.tree.check()

    def _begin(self) -> None:
        self._manager.begin()
        self.tree.new_epoch()
        self.exact.clear()
        self.changed = False

    def _depend_again(self) -> None:
        # ZODB forgets that a transaction depends on a record once it stores a change of it, also if that goes
        # into a savepoint that is then rolled back.
        for oid, serial in self.exact.items():
            self.connection._readCurrent.setdefault(oid, serial)

    def _roll_back(self, how: Callable[[], None], keep: int = 0) -> None:
        how()
        self.tree.stage.purge()
        self.tree.new_epoch()
        while len(self.undos) > keep:
            self.undos.pop()()


class Savepoint:
    """A point within a transaction; :meth:`rollback` forgets what was changed since."""

    def __init__(self, session: Session, savepoint: Any, undos: int) -> None:
        self._session = session
        self._savepoint = savepoint
        self._undos = undos

    def rollback(self) -> None:
        """Return to this point; it can be returned to again.

        Raises
        ------
        ClosedError
            If its transaction has ended, or an earlier savepoint was returned to.
        """
        self._session.tree.check()
        with uninterrupted():
            try:
                with system_errors("nothing was rolled back", self._session.database._data_file):
                    self._session._roll_back(self._savepoint.rollback, self._undos)
                self._session._depend_again()
            except InvalidSavepointRollbackError:
                raise ClosedError(
                    "this savepoint is no more: its transaction ended, or an earlier one was returned to"
                ) from None
