"""One connection to a database: its tree, its transaction and its savepoints."""

from __future__ import annotations

import errno
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from threading import get_ident
from typing import TYPE_CHECKING, Any

import transaction
from persistent import Persistent
from transaction.interfaces import TransientError
from ZODB import POSException
from ZODB.utils import p64, u64, z64

from lotdb.database.opened import EVENT, NOBODY, Opened
from lotdb.errors import (
    ClosedError,
    CommitInDoubtError,
    ConflictError,
    DamagedError,
    DatabaseBusyError,
    DatabaseFormatError,
    DisconnectedError,
    FileSystemError,
    InvalidOptionError,
    LotdbError,
    ReadOnlyError,
    WrongThreadError,
    shown,
    system_error,
    system_errors,
)
from lotdb.interfaces.installed import plugin_errors
from lotdb.keys import node_text
from lotdb.node_api.nodes import BaseNode
from lotdb.records import OWN_KEY, Box, Bucket, Children, Entry
from lotdb.records.children import has_one_bucket, records_of
from lotdb.records.entries import children_of, guard_of
from lotdb.segments.payload_form import OWN, ROWS_FORMAT
from lotdb.storage import uninterrupted, unmerged
from lotdb.storage.history import above_text
from lotdb.storage.waiting import LimitedLock
from lotdb.tree.touched import Touched
from lotdb.tree.tree import Pinned, Tree

if TYPE_CHECKING:
    from ZODB.Connection import Connection

    from lotdb.interfaces.backend import Backend
    from lotdb.segments.stage import Stage
    from lotdb.tree.revive import Past

__all__ = [
    "FOLDED_FORMAT",
    "FORMATS_KEY",
    "ROOT_KEY",
    "Savepoint",
    "Session",
    "check_formats",
    "check_note",
    "following",
]

ROOT_KEY = "root"

# What the database notes of backends whose form is not of the first version.
FORMATS_KEY = "formats"

# The form of LOTDB's own records is noted there, too, if it is not the first. A release that writes another
# notes a higher number before it does so, and this one says which, in place of taking what it cannot read for
# damage. In the second form, branches with many children may share the records in which these lie. In the
# third, small arrays may lie in records. In the fourth, children are stored as columns; a database has it
# from the beginning, or never.
SHARING_FORMAT = 2
FOLDED_FORMAT = RECORDS_FORMAT = ROWS_FORMAT + 1

# A leaf gets a record of its own once so many commits have begun with a change of it, if its bucket has more
# bytes than this. Only a few leaves are counted at a time, since walking through such leaves is slow.
_OFTEN = 8
_LARGE_BUCKET = 1024
_COUNTED = 32

# After so many changes, what a transaction has changed so far goes to a file, as at a savepoint. A leaf with
# attributes is two; a hundred thousand changes of small leaves take 15 MB of memory.
CHANGES_IN_MEMORY = 100_000
# Where the changes come in no order, each time most of what was written is written again, and little memory
# is saved. So then it is done so many times less often.
_LESS_OFTEN = 4

# So many of the nodes that a transaction has changed are named when it is in conflict with another.
_NAMED = 3

_LONGEST_NOTE = 60_000  # bytes; the header of a transaction has room for 65 535

# The records that a change of the tree changes. Blobs are left out, because some belong to no payload.
_RECORDS = (Children, Bucket, Box)


class ConnectedTree(Tree):
    """The tree that one connection sees."""

    owner: int
    database: Opened

    def __init__(self, session: Session) -> None:
        super().__init__(session.database.plugins)
        self._session = session
        self.owner = get_ident()
        self.database = session.database
        self.default_backend = session.database.default_backend
        self.roots = session.connection.root()["tree"]
        self.touched = Touched()
        self.full_at = self.version + CHANGES_IN_MEMORY

    def _new_stage(self) -> Stage:
        from lotdb.segments.stage import Stage

        session = self._session
        return Stage(
            session.database._backends,
            join=session.join,
            adopt=session.adopt,
            note_format=session.note_format,
            keeps_pieces=session.database._storage.keeps_pieces,
            decode_options=self.decode_options,
        )

    def __str__(self) -> str:
        return str(self._session.database)

    def belongs_to(self, database: object) -> bool:
        return database is self._session.database

    def share_parts(self) -> bool:
        self._session.note_records()
        return True

    def check_backend(self, name: str) -> None:
        if name == Tree.default_backend:
            raise InvalidOptionError(f"backend {name!r} keeps nothing on disk; use another one in a database")
        super().check_backend(name)

    def check(self) -> None:
        # As is_here says, without the call: it is done for each window.
        if self.owner is not None and self.owner != get_ident():
            raise self._session._why_refused()

    def check_open(self) -> None:
        if self.owner == NOBODY:
            raise self._session._why_refused()

    def check_writable(self) -> None:
        if self.owner is not None and self.owner != get_ident():  # as check does, without the call
            raise self._session._why_refused()
        self._session.check_writable()
        if not self._session.changed:
            self._session.begin_change()

    def commit(self) -> None:
        self._session.commit()

    def connections_opened(self) -> int:
        return self.database._opened_here()

    def has_changes(self) -> bool:
        connection = self._session.connection
        saved = connection._savepoint_storage
        changed = any(type(record) in _RECORDS for record in connection._registered_objects)
        return changed or (saved is not None and len(saved) > 0)

    def depend_on_content(self, record: Children | Box) -> None:
        if type(record) is Box:
            self.depend_on(record)
            return
        self.retire(record)
        for part in records_of(record):
            self.depend_on(part)

    def is_rewritten_for(self, container: Any, key: str) -> bool:
        # The first change of a transaction alone is counted, so that building a tree counts nothing.
        session = self._session
        if session.first_put is not None and session.first_put[1] != key:
            return False
        oid = container._p_oid
        if session.first_put is None:
            if oid is None:
                return False
            session.first_put = oid, key
            if len(session.first_puts) >= _COUNTED and (oid, key) not in session.first_puts:
                session.first_puts.clear()
            session.first_puts[oid, key] = session.first_puts.get((oid, key), 0) + 1
        if session.first_put != (oid, key) or session.first_puts.get((oid, key), 0) <= _OFTEN:
            return False
        return container._p_estimated_size > _LARGE_BUCKET or not has_one_bucket(container)

    def retire(self, children: Children) -> None:
        # Up to 127 children lie in this very record, if there never were more. Of more, it is the root.
        self.depend_on(children)
        if has_one_bucket(children):
            self.depend_on(children._firstbucket)
        own = children[OWN_KEY]
        if type(own) is Box:
            self.depend_on(own)

    def depend_on(self, record: Any) -> None:
        # Once in a transaction is enough, and each change of the epoch asks for all above a node again.
        if record._p_jar is None or record._p_oid is None or record._p_oid in self._session.exact:
            return
        record._p_activate()  # a ghost does not know its serial
        if record._p_serial != z64:
            self._session.connection.readCurrent(record)
            # If this transaction also changes the record, ZODB would drop the dependency and merge it.
            self._session.exact.setdefault(record._p_oid, record._p_serial)

    def on_rollback(self, undo: Callable[[], None]) -> None:
        undos = self._session.undos
        if self.steps is not None:
            self.steps.append(partial(_withdraw, undos, undo))
        undos.append(undo)

    def give_up(self, failure: BaseException) -> None:
        self._session.torn = failure

    def savepoint(self) -> Callable[[], None]:
        return partial(_roll_back_to, self._session.savepoint())

    def put_aside(self) -> None:
        # Within a change of several steps, not all that it is about to put somewhere can be reached. And a
        # file that is being written cannot be stored.
        if self.steps is None and not (self.staged and self.staged.is_streaming):
            self._session.put_aside()

    def pin(self, copy: Pinned) -> None:
        pinned = self._session.pinned
        pinned[weakref.ref(copy, lambda gone: pinned.pop(gone, None))] = self._session.snapshot

    def peek(self, record: Any) -> Any:
        if record._p_changed is not None:
            return None
        self.check()
        return self._session.connection.peek(record)

    def glance(self, record: Any) -> tuple[Any, int] | None:
        found: tuple[Any, int] | None = self._session.connection.glance(record)
        return found

    def loader(self, record: Any) -> tuple[Callable[[], Any], Callable[[], Any]] | None:
        self.check()
        connection = self._session.connection
        saved = connection._savepoint_storage
        is_new = record._p_changed is not None and record._p_serial == z64
        if record._p_jar is None or is_new or (saved is not None and record._p_oid in saved.index):
            return None
        load = partial(_state_of, self.database._storage, record._p_oid, self._session.snapshot)
        return load, connection.placed(record)

    def stored_bytes(self, record: Any) -> int:
        size: int = self._session.connection.stored_bytes(record)
        return size

    def trim_cache(self) -> None:
        self._session.connection.cacheGC()

    def unchanged_until(self, later: Tree) -> Callable[[Entry, Entry], bool]:
        if not isinstance(later, ConnectedTree) or later is self or later.database is not self.database:
            return super().unchanged_until(later)
        from lotdb.records.identity import is_same_place

        sessions = self._session, later._session
        since = p64(u64(min(each.snapshot for each in sessions)) - 1)
        changed = self.database._storage.changed_since(since)
        touched = {oid for each in sessions for oid in each.exact}

        def is_unchanged(one: Entry, other: Entry) -> bool:
            if children_of(other) is None or not is_same_place(one, other):
                return False
            guard = guard_of(other)._p_oid
            return not changed.may_have(guard) and guard not in touched

        return is_unchanged

    def past(self, when: Any) -> AbstractContextManager[Past]:
        return self.database._past(self._session, when)

    def reference(self, kind: type[Any], keys: tuple[str, ...], payload: Any = None) -> Any:
        self.check_open()
        # It stands above, for it opens databases.
        return import_module("lotdb.database.references").refer(self._session, kind, keys, payload)


class Session:
    """A connection with its own transaction, which begins when the one before ends."""

    def __init__(self, database: Opened) -> None:
        self.database = database
        self._thread = threading.current_thread()
        self.undos: list[Callable[[], None]] = []
        #: Whether the last transaction has ended, and no other one has begun.
        self._ended = False
        #: Whether anything may have been changed since the transaction began.
        self.changed = False
        #: Why a change that failed could not be taken back; the transaction can only be aborted then.
        self.torn: BaseException | None = None
        #: The records that the transaction depends on, into which nothing may be merged, and their serials.
        self.exact: dict[bytes, bytes] = {}
        #: What reads payloads from here, such as trees in memory, and the snapshot that it was made in.
        #: Unlike a WeakKeyDictionary, it can be listed by a thread that packs while this one adds to it.
        self.pinned: dict[weakref.ref[Pinned], bytes] = {}
        #: What the transaction has changed first: the container that holds it, and the key there.
        self.first_put: tuple[bytes, str] | None = None
        #: How many transactions have begun with a change of these.
        self.first_puts: dict[tuple[bytes, str], int] = {}
        self._changes_in_memory = CHANGES_IN_MEMORY
        #: Records that were brought back from a moment, with all that is below them; nobody may change them.
        self.frozen: set[bytes] = set()
        #: Transactions before whose ends there is what this transaction brings back; it must stay until then.
        self.needed: tuple[bytes, ...] = ()
        self._manager = transaction.TransactionManager(explicit=True)
        self._manager.begin()
        # The connection will read at this moment or at a later one; it is known once the connection is open.
        self._earliest = self._first_seen()
        database._register(self)
        try:
            with uninterrupted():
                self._hold()
                database._follow()
                self.connection: Connection = self._connect()
                self.tree = ConnectedTree(self)
                self.root = BaseNode._at(self.tree, None, ROOT_KEY, None, -1)
                self._see_formats()
        except BaseException:  # also Ctrl-C, which comes when all is open
            # The exception may keep this object alive. It must not be closed again, because ZODB may give its
            # connection to others by then; and it must not keep pack from what it would have seen.
            database._forget(self)
            if "tree" in self.__dict__:
                self.tree.owner = NOBODY
            if "connection" in self.__dict__:
                self.connection.close()
            database._hold_snapshots()
            raise

    def _first_seen(self) -> bytes:
        """The transaction number before which the connection will read, if not before a later one."""
        return following(self.database._storage.last_commit())

    def _hold(self) -> None:
        """Keep packs from dropping what the connection will see."""
        self.database._hold_snapshots()

    def _connect(self) -> Connection:
        return self.database._zodb.open(self._manager)

    # -- used by the tree and the stage --------------------------------------------------------------

    def join(self, stage: Stage) -> None:
        """Make *stage* a part of the transaction."""
        self._manager.get().join(_StagePart(stage))

    def adopt(self, locator: Any) -> None:
        """Make a locator that is a persistent object part of the database, before it is written to."""
        if isinstance(locator, Persistent):
            self.connection.add(locator)

    def check_writable(self) -> None:
        """Raise ``ReadOnlyError`` if nothing can be changed through this connection."""
        if self.database.read_only:
            raise ReadOnlyError(
                f"{self.database} was opened with read_only=True; nothing in it can be changed"
            )

    def begin_change(self) -> None:
        """Called before the first change of a transaction."""
        self._refuse_listener()
        plugins = self.database.plugins
        if EVENT not in plugins.unheard and plugins.hears(EVENT):
            from lotdb.tree.journal import Journal  # which only listeners need

            self.tree.journal = Journal()
        self.changed = True

    def _refuse_listener(self) -> None:
        # A commit would wait for the one that it was called from.
        if self.database._telling == get_ident():
            raise ReadOnlyError(
                f"a listener that is told of a commit of {self.database} cannot change it; do it after "
                f"{EVENT} has returned, as in a thread of its own"
            )

    def refuse_between_blocks(self) -> None:
        """Raise ``DatabaseBusyError`` if the payload whose blocks are being written would be torn apart."""
        if self.tree.staged is not None and self.tree.staged.is_streaming:
            raise DatabaseBusyError(
                f"{self.database} is writing the blocks of a payload, and its transaction can neither end "
                "nor go back before all have come; do it when write_data has returned"
            )

    def note_format(self, backend: Backend) -> None:
        """Note the version of the form in which *backend* is about to write, if it is a newer one."""
        root = self.connection.root()
        formats = check_formats(root.get(FORMATS_KEY))
        if formats.get(backend.name, 1) < backend.format_version:
            root[FORMATS_KEY] = {**formats, backend.name: backend.format_version}

    def note_records(self) -> None:
        """Note that children are about to lie in records that a branch shares."""
        root = self.connection.root()
        formats = check_formats(root.get(FORMATS_KEY))
        if formats.get(OWN, 1) < SHARING_FORMAT:
            root[FORMATS_KEY] = {**formats, OWN: SHARING_FORMAT}

    def _why_refused(self) -> LotdbError:
        """The error that says why the tree cannot be used here and now."""
        if self.tree.owner != NOBODY:
            return WrongThreadError(
                f"this connection to {self.database} belongs to another thread; open one in each "
                "thread, with connection(), or open_connection() with an id of its own. To read a payload in "
                "several threads, pass on payload.for_threads()"
            )
        return self.database._why_refused() or ClosedError(f"this connection to {self.database} is closed")

    @property
    def snapshot(self) -> bytes:
        """The transaction number before which this connection reads."""
        # After a savepoint, _storage is ZODB's temporary storage of uncommitted changes.
        return self.connection._normal_storage._start  # type: ignore[no-any-return]

    @property
    def oldest(self) -> bytes:
        """The transaction number before which this connection, or a copy made from it, reads."""
        opened = "connection" in self.__dict__
        return min([self.snapshot if opened else self._earliest, *self.pinned.values(), *self.needed])

    @property
    def held(self) -> bytes | None:
        """The same, but for what the connection holds by itself."""
        if not self.database._storage.connections_hold:
            return self.oldest
        return min([*self.pinned.values(), *self.needed], default=None)

    @property
    def is_open(self) -> bool:
        return "tree" in self.__dict__ and self.tree.owner != NOBODY

    @property
    def is_closed(self) -> bool:
        return "tree" in self.__dict__ and self.tree.owner == NOBODY

    # -- transactions --------------------------------------------------------------------------------

    def commit(self, note: str = "", *, closing: bool = False) -> None:
        """Make all changes visible together; after any error, none of them is stored.

        With *closing*, no other transaction begins if nobody needs one, and the connection is closed then.
        """
        self.tree.check()
        self.refuse_between_blocks()
        if self.torn is not None:
            raise ClosedError(
                f"this transaction of {self.database} cannot be committed, because a change in it failed "
                f"half-way ({self.torn!r}); abort it, and do it again"
            ) from self.torn
        if self.changed:
            self._refuse_listener()
        with (
            uninterrupted(),
            system_errors("nothing was committed", self.database._data_file),
            _Turn(self.database._turn) as turn,
        ):
            try:
                self._flush()
                telling = None
                if self.tree.journal is not None:
                    from lotdb.database.telling import Telling  # wanted only if there are listeners

                    telling = Telling(self.database, self.root, self.connection)
                if self.changed:
                    turn.take()
                if telling is not None:
                    telling.begin()
                if self.frozen:
                    self._check_frozen()
                made = self._manager.get()
                made.user, made.description = above_text(self.exact.keys()), note
                many_writers = self.database._storage.many_writers
                with self._publishing() if many_writers else _NOTHING, unmerged(self.exact.keys()):
                    self._manager.commit()
            except CommitInDoubtError as error:
                self.database._give_up(error)
                raise
            except BaseException as error:
                is_conflict = isinstance(error, TransientError) and not isinstance(error, LotdbError)
                where = self._changed_places() if is_conflict else ""
                self._forget_all()
                if is_conflict:
                    raise ConflictError(
                        f"another transaction changed the same part of {self.database} first{where}; "
                        "nothing of this one was kept, run it again"
                    ) from error
                if isinstance(error, POSException.POSKeyError):  # a file that a savepoint has written
                    raise FileSystemError(
                        errno.ENOENT, f"nothing was committed: {error.args[0]}", self.database._data_file
                    ) from error
                if (failure := system_error(error)) and not isinstance(error, LotdbError):
                    raise FileSystemError.of(
                        failure, "nothing was committed", self.database._data_file
                    ) from error
                raise
            self.undos.clear()
            if closing and telling is None and not self.pinned:
                # Here, where Ctrl-C waits: ZODB fails to close with a connection that is in no transaction.
                self._ended = True
                self.close()
                return
            # What was committed stays so, even if the server that it was sent to is gone by now.
            try:  # noqa: SIM105 - suppress() takes a while
                self._begin()
            except DisconnectedError:
                pass
            if telling is not None:
                telling.tell()

    def _changed_places(self) -> str:
        """Which nodes this transaction has changed, one of which a conflict is about, for its message."""
        places = self.tree.touched.places() if self.tree.touched is not None else []
        if not places:
            return ""
        more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        return f", where this one changed {', '.join(map(node_text, places[:_NAMED]))}{more}"

    def _check_frozen(self) -> None:
        """Raise ``ConflictError`` if what was brought back from a moment is no longer what it was then.

        A record that is shared for the first time may be changed by a transaction that does not know it yet.
        """
        seen = p64(u64(self.snapshot) - 1)
        changed = self.database._storage.changed_since(seen)
        if changed.stored and any(map(changed.may_have, self.frozen)):
            raise ConflictError(
                f"another transaction changed what this one brings back from an earlier moment of "
                f"{self.database}; nothing of this one was kept, run it again"
            )

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """A context for a commit, in which no other process's sweep takes what it has written.

        Raises
        ------
        ConflictError
            If a sweep has taken it before.
        """
        stage, storage = self.tree.staged, self.database._storage
        written = [each for each in stage.written if isinstance(each[1], str)] if stage else []
        if stage is None or not written:
            yield
            return
        if storage.publish_at_vote(self.connection._normal_storage):
            stage.on_vote = partial(self._check_stored, written)
            try:
                yield
            finally:
                stage.on_vote = None
            return
        with storage.publishing():
            self._check_stored(written)
            yield

    def _check_stored(self, written: list[tuple[Backend, str]]) -> None:
        """Raise ``ConflictError`` if a sweep has taken what was *written*."""
        for backend, locator in written:
            with plugin_errors(backend.name):
                if not backend.is_stored(locator):
                    raise ConflictError(
                        f"what this transaction had written to {self.database} lay uncommitted for so "
                        "long that a pack has removed it; nothing of this one was kept, run it again"
                    )

    def abort(self) -> None:
        """Discard all changes since the last commit, and see what others have committed."""
        self.tree.check()
        self.refuse_between_blocks()
        with uninterrupted(), system_errors("an error came up in an abort", self.database._data_file):
            self._forget_all()

    def savepoint(self) -> Savepoint:
        """A point within the transaction to roll back to; after an error, all changes are discarded."""
        self.tree.check()
        self.refuse_between_blocks()
        with uninterrupted(), system_errors("no savepoint was made", self.database._data_file):
            savepoint = self._save()
            journal = self.tree.journal
            steps = 0 if journal is None else len(journal)
            return Savepoint(self, savepoint, len(self.undos), steps)

    def _save(self) -> Any:
        """Have ZODB make a savepoint."""
        self._flush()
        try:
            self.connection.join_changed()
            savepoint = self._manager.savepoint()
        except BaseException:  # ZODB has discarded all changes, and accepts no more
            self._forget_all()
            raise
        self._let_follow()
        return savepoint

    def _flush(self) -> None:
        """Write the arrays that are still in memory."""
        if self.tree.staged is not None:
            self.tree.staged.flush()

    def put_aside(self) -> None:
        """Write what was changed so far to the transaction's file, and let go of it.

        If no such file can be made, all stays in memory.

        Raises
        ------
        FileSystemError
            The disk is full. All changes were discarded, and this transaction can only be aborted.
        """
        self.tree.check()
        about = "a large transaction cannot be kept in a file; all its changes were discarded"
        with uninterrupted():
            self._flush()  # what fails here fails as a write does, and nothing is discarded
            try:
                self.connection.open_aside()
            except OSError:  # there is no folder for such files, or too many are open
                self.tree.full_at = sys.maxsize
                return
            try:
                with system_errors(about, self.database._data_file):
                    self._save()
                    stored, again = self.connection.let_go()
            except BaseException as error:
                # A program that goes on would commit the second half of what it meant to.
                self.torn = error
                raise
            self._changes_in_memory *= _LESS_OFTEN if again > stored // 2 else 1
            self.tree.full_at = self.tree.version + self._changes_in_memory

    def close(self) -> None:
        """Discard uncommitted changes, and close the connection."""
        if self.tree.owner == NOBODY:
            return
        self.check_closable()
        with uninterrupted(), system_errors("an error came up in closing", self.database._data_file):
            try:
                if not self._ended:
                    self._roll_back(self._manager.abort)
            finally:
                self.tree.owner = NOBODY
                self.connection.close()
                self.database._hold_snapshots()

    def check_closable(self) -> None:
        """Raise ``WrongThreadError`` while another thread that is alive may use the connection.

        Or ``DatabaseBusyError`` while it writes blocks.
        """
        if self._thread.is_alive():
            self.tree.check()
            self.refuse_between_blocks()

    def _forget_all(self) -> None:
        try:
            self._roll_back(self._manager.abort)
        finally:
            self._begin()

    def _begin(self) -> None:
        try:
            if self.pinned:
                self.database._hold_snapshots()  # before the connection goes on
            self.database._follow()
        finally:
            self._manager.begin()
            self._start_afresh()
            self._see_formats()

    def _see_formats(self) -> None:
        """At the beginning of a transaction: note what another process may have changed."""
        if self.database.read_only or self.database._storage.many_writers:
            self.database._hold_snapshots()
            self.database._backends.note_formats(check_formats(self.connection.root().get(FORMATS_KEY)))

    def _start_afresh(self) -> None:
        self.tree.steps = None
        self.tree.journal = None
        self.tree.touched = Touched()
        self.tree.new_epoch()
        self.exact.clear()
        self.needed = ()
        self.frozen.clear()
        self.changed = False
        self.first_put = None
        self.torn = None
        self._changes_in_memory = CHANGES_IN_MEMORY
        self.tree.full_at = self.tree.version + CHANGES_IN_MEMORY
        self._let_follow()

    def _let_follow(self) -> None:
        for reference in list(self.pinned):
            if (copy := reference()) is not None:
                copy.follow()

    def _depend_again(self) -> None:
        # ZODB forgets that a transaction depends on a record once it stores a change of it, also if that goes
        # into a savepoint that is then rolled back.
        for oid, serial in self.exact.items():
            self.connection._readCurrent.setdefault(oid, serial)

    def _roll_back(self, how: Callable[[], None], keep: int = 0, steps: int = 0) -> None:
        self.tree.steps = None
        if self.tree.journal is not None:
            self.tree.journal.take_back(steps)
        self.tree.new_epoch()
        try:
            self.connection.join_changed()
            how()
        finally:
            if self.changed:
                # ZODB resets the objects that reported a change. An object that ran out of memory in the
                # middle of a change may not have reported it, so all that was read is read again.
                self.connection.cacheMinimize()
            if self.tree.staged is not None:
                self.tree.staged.purge()
            self.tree.new_epoch()
            while len(self.undos) > keep:
                self.undos.pop()()


def check_note(note: Any) -> str:
    """*note*, if a commit can have it."""
    if not isinstance(note, str):
        raise InvalidOptionError(f"note is {shown(note)}; use a text")
    try:
        size = len(note.encode())
    except UnicodeEncodeError as error:
        raise InvalidOptionError(f"note {shown(note)} cannot be stored: {error.reason}") from error
    if size > _LONGEST_NOTE:
        raise InvalidOptionError(f"note has {size} bytes; use {_LONGEST_NOTE} at most")
    return str.__str__(note)


def check_formats(stored: Any) -> dict[str, int]:
    """What is noted of the forms that backends have written in; a stranger may have written it."""
    if stored is None:
        return {}
    if type(stored) is dict and stored.get(OWN, 1) not in range(1, RECORDS_FORMAT + 1):
        raise DatabaseFormatError(
            f"it has records of version {shown(stored[OWN])}, and this LOTDB reads versions up to "
            f"{RECORDS_FORMAT}; install a newer release of lotdb"
        )
    is_right = type(stored) is dict and all(type(each) is int for each in stored.values())
    if not is_right or not all(type(name) is str for name in stored):
        raise DamagedError("what is noted of the backends' forms makes no sense")
    return dict(stored)


def following(tid: bytes) -> bytes:
    """The least transaction number after *tid*."""
    number: bytes = p64(u64(tid) + 1)
    return number


def _state_of(storage: Any, oid: bytes, before: bytes) -> Any:
    """The state of an object before a transaction; its storage may be asked in any thread."""
    found = storage.load_before(oid, before)
    if found is None:
        raise DamagedError(f"object 0x{u64(oid):02x} is missing")
    from lotdb.storage.states import States  # which only earlier moments need

    return States().read(found[0])[1]


def _roll_back_to(savepoint: Savepoint) -> None:
    """Return to *savepoint*, unless all that came after it was discarded already."""
    if savepoint._is_valid:
        savepoint.rollback()


def _withdraw(undos: list[Callable[[], None]], undo: Callable[[], None]) -> None:
    if undos and undos[-1] is undo:
        undos.pop()


# The context of a commit that no other process can disturb.
_NOTHING = nullcontext()


class _Turn:
    """Context manager in whose block a lock may be taken, which is released at its end."""

    __slots__ = ("_is_taken", "_lock")

    def __init__(self, lock: LimitedLock) -> None:
        self._lock, self._is_taken = lock, False

    def take(self) -> None:
        self._is_taken = self._lock.acquire()

    def __enter__(self) -> _Turn:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._is_taken:
            self._lock.release()


class _StagePart:
    """The stage as a part of ZODB's transaction, which holds it by a weak reference.

    Objects of ZODB that were not closed are never garbage-collected. With a strong reference, a database that
    was dropped in the middle of a transaction would not be either.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = weakref.ref(stage)
        self._key = stage.sortKey()

    def sortKey(self) -> str:
        return self._key

    def __getattr__(self, name: str) -> Any:
        stage = self._stage()
        return _nothing if stage is None else getattr(stage, name)


def _nothing(*args: object) -> None:
    """What a stage does that was dropped."""


class Savepoint:
    """A point within a transaction; :meth:`rollback` discards later changes."""

    def __init__(self, session: Session, savepoint: Any, undos: int, steps: int) -> None:
        self._session = session
        self._savepoint = savepoint
        self._undos = undos
        self._steps = steps
        self._torn = session.torn

    @property
    def _is_valid(self) -> bool:
        """Whether it can be returned to."""
        return bool(self._savepoint.valid)

    def rollback(self) -> None:
        """Return to this point; this may be repeated.

        Raises
        ------
        ClosedError
            If its transaction has ended, or an earlier savepoint was rolled back to.
        """
        self._session.tree.check()
        self._session.refuse_between_blocks()
        with uninterrupted():
            if not self._is_valid:
                raise ClosedError(
                    "this savepoint has ended: its transaction ended, or you rolled back to an earlier one"
                )
            try:
                with system_errors("nothing was rolled back", self._session.database._data_file):
                    self._session._roll_back(self._savepoint.rollback, self._undos, self._steps)
                self._session._depend_again()
            except BaseException:  # ZODB accepts no more changes in this transaction
                self._session._forget_all()
                raise
            self._session.torn = self._torn
