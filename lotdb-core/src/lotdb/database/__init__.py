"""LOTDB: a database folder, its connections and its upkeep."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from functools import partial, wraps
from importlib import import_module
from itertools import islice
from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, cast
from weakref import WeakValueDictionary

import transaction
from transaction.interfaces import TransientError

from lotdb.database.choosing import choose, mark, where_is
from lotdb.database.contexts import RootContext
from lotdb.database.opened import NOBODY, Opened, living
from lotdb.database.session import (
    FOLDED_FORMAT,
    FORMATS_KEY,
    ROOT_KEY,
    Savepoint,
    Session,
    check_formats,
    check_note,
)
from lotdb.errors import (
    ClosedError,
    DamagedError,
    DatabaseBusyError,
    DatabaseFormatError,
    InvalidOptionError,
    MomentGoneError,
    UnsafeRecordError,
    UnsupportedValueError,
    WrongNodeError,
    WrongThreadError,
    shown,
    system_errors,
)
from lotdb.interfaces.options import check_flag, check_progress
from lotdb.interfaces.storage import Storage
from lotdb.node_api.nodes import BaseNode
from lotdb.records import Children
from lotdb.records.entries import new_branch, own_of
from lotdb.records.own import EMPTY_OWN
from lotdb.registry.registry import Plugins, check_plugins
from lotdb.renamed import ARGUMENTS, DATABASE, answer, answers_itself, hide, refuse
from lotdb.segments.backends import Backends
from lotdb.segments.payload_form import OWN
from lotdb.storage import open_database, patiently, uninterrupted
from lotdb.storage.folder import DatabaseFolder
from lotdb.storage.unmake import Unmade
from lotdb.storage.waiting import LimitedLock

if TYPE_CHECKING:
    import ZODB

    from lotdb.database.commits import Commit, When
    from lotdb.database.copied import BackupReport, Progress
    from lotdb.database.past import PastSession
    from lotdb.database.stats import Stats
    from lotdb.database.tags import Tags
    from lotdb.database.upkeep import Damage

__all__ = ["LOTDB"]

FORMAT = 1
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


# What other libraries take in second place.
_MODES = ("r", "r+", "w", "w-", "x", "a")


def _refusing_modes(init: F) -> F:
    """*init* of LOTDB, which makes no data file called "r" where somebody means to read."""

    @wraps(init)
    def refusing(self: LOTDB, *args: Any, **how: Any) -> None:
        if len(args) > 1 and isinstance(args[1], str) and args[1] in _MODES:
            raise InvalidOptionError(
                f"LOTDB has no modes, and {args[1]!r} stands where the name of the data file does; say "
                f"read_only=True to read, new=True for a new database, and name={args[1]!r} if it is the name"
            )
        init(self, *args, **how)

    return refusing  # type: ignore[return-value]


class LOTDB(Opened):
    """A database in a folder.

    Parameters
    ----------
    path
        The folder; created if it does not exist. While the database is closed, it may be moved and copied.
        Or the URL of a database on a server, whose scheme is the name of a storage, such as
        ``"postgresql://user@host/results"``.
    name
        Name of the data file in the folder. The names of all other files of the database begin with it.
    new
        True to create a database, and to raise an error if one exists. By default, a database that exists is
        opened, and is created if none exists.
    read_only
        True to open a database that cannot be changed, beside a process that writes. Each transaction shows
        the last commit before it began; see :meth:`refresh`.
    storage
        Name of the storage, where the tree lies, such as ``"file"`` or ``"sqlite"``. It is noted in the
        folder: for a database that exists it may be left out. A new one is in ``"file"`` by default.
    payloads
        Where payloads lie, if not in the database's folder: the URL of a store, such as
        ``"s3://bucket/prefix"``; of a database on a server also a folder. A new database notes it, without a
        user's name and password. Passed to one that exists, it counts for this opening.
    durability : {"full", "process"}
        ``"full"``: a commit survives a power cut. ``"process"``: it survives a killed process only, and costs
        less.
    timeout
        Seconds to wait for another process that has the database open for writing, and for another pack.
    default_backend
        Name of the backend for payloads that name none.
    backends
        Settings for backends, by name, such as ``{"zarr": {"store": "s3://bucket/x"}}``. They are not
        stored, so pass them at each opening.
    plugins
        The plugins to use; by default the installed plugins.
    plugins_off
        Names of installed plugins to do without in this database, besides those that the environment variable
        ``LOTDB_PLUGINS_OFF`` names.

    Raises
    ------
    DatabaseExistsError
        If *new* and a database, or a part of one, exists.
    DatabaseNotFoundError
        If *read_only* and the database does not exist.
    DatabaseBusyError
        If another process has it open for writing.
    DatabaseFormatError
        If the file is not a LOTDB database, or has a later format.
    DamagedError
        If a part of the database is missing, or is not a regular file but a link or a FIFO; or if committed
        data were cut off or altered. Nothing was changed.
    FileSystemError
        If the system could not open or write a file.
    InvalidOptionError
        If an argument is invalid, such as a mode of other libraries in the place of *name*.
    """

    @_refusing_modes
    def __init__(
        self,
        path: str | os.PathLike[str] = "./data",
        name: str = "lotdb.fs",
        new: bool = False,
        read_only: bool = False,
        *,
        storage: str | None = None,
        payloads: str | os.PathLike[str] | None = None,
        durability: Literal["full", "process"] = "full",
        timeout: float | None = None,
        default_backend: str = "blob",
        backends: Mapping[str, Mapping[str, Any]] | None = None,
        plugins: Plugins | None = None,
        plugins_off: Sequence[str] = (),
    ) -> None:
        self._where = where_is(path, name, payloads)
        self.name = name
        self.read_only = check_flag("read_only", read_only)
        new = check_flag("new", new)
        self.plugins = check_plugins(plugins, plugins_off)
        self.default_backend = default_backend
        _check_timeout(timeout)
        _check_backends(self.plugins, default_backend, backends)
        self._choose = partial(choose, self.plugins, storage=storage, timeout=timeout)
        self._timeout = timeout
        self._durability = durability
        self._backend_configs = dict(backends or {})
        self._directory = os.getcwd() if backends else ""
        self._sessions: dict[str, Session] = {}
        self._connections = WeakValueDictionary()
        self._refusal = None
        self._holding = threading.Lock()
        self._turn = LimitedLock("another commit and its listeners")
        self._pid = os.getpid()
        self._let_go: Callable[[], object] = _nothing
        self._is_root_ours = False
        self._unmade: Unmade | None = None
        if not (self.read_only or self._where.url):
            with system_errors("the database cannot be opened", self._where.full):
                self._unmade = Unmade(DatabaseFolder.at(path, name))
        self._first = b""
        try:
            # Ctrl-C can end the waiting, but not the opening.
            patiently(partial(self._unless_dropped, partial(self._open, new=new)), timeout)
            _open_databases[id(self)] = self
        except BaseException:  # also Ctrl-C, which comes when all is open
            if self._first and self._is_made_here() and self._storage.last_commit() == self._first:
                self._take_back()
            self._let_go()
            raise

    def _unless_dropped(self, attempt: Callable[[], None]) -> None:
        """Call *attempt*; if a dropped object of this process kept the database open, call it again."""
        try:
            attempt()
        except DatabaseBusyError:
            if not any(other is not self and _is_same(self, other) for other in living(_open_databases)):
                raise
            gc.collect()
            attempt()

    def _open(self, *, new: bool) -> None:
        with uninterrupted(), system_errors("the database cannot be opened", self._where.full):
            self._storage = self._choose(
                self._where,
                new=new,
                read_only=self.read_only,
                durability=self._durability,
                building=self._building,
            )
            try:
                zodb = open_database(self._storage.begin())
                try:
                    database_id, formats, payloads = _prepare_root(self, zodb)
                    zodb.folds = formats.get(OWN, 1) >= FOLDED_FORMAT
                    self._where = self._where.with_payloads(payloads)
                    mark(self._storage)
                    self._storage.created()
                    backends = self._open_backends(database_id, formats)
                except BaseException:
                    zodb.close()
                    raise
            except BaseException:
                self._storage.abandon()
                raise
            self._id = database_id
            self._zodb, self._backends = zodb, backends
            self._first = self._storage.last_commit()
            self._hold_snapshots()
            # It must not keep the database itself in use.
            self._let_go = weakref.finalize(self, _let_go, self._storage, backends)
            self._let_go.atexit = False

    def _open_backends(self, database_id: str, formats: Mapping[str, int]) -> Backends:
        return Backends(
            self.plugins,
            # Absolute, so that a change of the working directory does not move it.
            os.path.join(self._where.absolute, self.name),
            read_only=self.read_only,
            durable=self._durability == "full",
            database_id=database_id,
            configs=self._backend_configs,
            formats=formats,
            storage=self._storage.name,
            store=self._where.store,
            many_writers=self._storage.many_writers,
            has_blobs=self._storage.has_blobs,
            homeless=self._where.make_place(str(self), self._durability, read_only=self.read_only),
        )

    def __repr__(self) -> str:
        state = ", closed" if self._refusal else ", read-only" if self.read_only else ""
        return f"<LOTDB {self._shown!r}{state}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UnsupportedValueError(
            f"{self} cannot be pickled or copied, because it is open in this process; send its path, or the "
            "nodes that are to be read, which become references"
        )

    @property
    def closed(self) -> bool:
        """Whether the database can no longer be used: it was closed, or a commit failed half-way."""
        return self._refusal is not None

    def __enter__(self) -> LOTDB:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- connections ---------------------------------------------------------------------------------

    def connection(self, *, note: str = "") -> AbstractContextManager[BaseNode]:
        """A context with the root, in a new connection: it commits at the end, and aborts on an exception.

        *note* is the commit's, a text that :meth:`history` shows. A block that changes nothing makes none.
        """
        return RootContext(self._connection(note), "db.connection()", "; or call db.open_connection()")

    @contextmanager
    def _connection(self, note: str) -> Iterator[BaseNode]:
        check_note(note)
        session: Session | None = None
        try:
            session = self._new_session()
            yield session.root
            session.commit(note, closing=True)
        finally:
            if session is not None and session.tree.owner != NOBODY:
                session.close()

    def run(self, function: Callable[[BaseNode], T], *, attempts: int = 10, note: str = "") -> T:
        """Call *function* with the root in a new transaction, commit with *note*, and return its result.

        If another transaction changed the same nodes first, *function* is called again with the new state,
        up to *attempts* times in all. So it should change nothing but the tree.

        Raises
        ------
        ConflictError
            If all attempts ended in a conflict.
        """
        if not callable(function):
            raise InvalidOptionError(f"{shown(function)} cannot be called; use a function of the root")
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise InvalidOptionError(f"attempts is {shown(attempts)}; use a whole number from 1 on")
        for attempt in range(1, attempts + 1):
            try:
                with self.connection(note=note) as root:
                    return function(root)
            except TransientError:
                if attempt == attempts:
                    raise
                # Random, so that two that collided do not do so again; longer each time.
                time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 7)))
        raise AssertionError("unreachable")

    def open_connection(self, connection_id: str = "standard") -> BaseNode:
        """The root, in a connection that stays open until :meth:`close_connection`.

        Call :meth:`commit` to keep its changes, or :meth:`abort` to discard them. A connection belongs to
        the thread that opened it. If a connection of this id is open, its root is returned; in another
        thread, use another id.
        """
        if not isinstance(connection_id, str):
            raise InvalidOptionError(f"connection_id is {shown(connection_id)}; use a text")
        session = self._sessions.get(connection_id)
        if session is None or session.tree.owner == NOBODY:
            session = self._sessions[connection_id] = self._new_session()
        session.tree.check()
        return session.root

    if TYPE_CHECKING:

        def commit(self, connection: str | BaseNode = "standard", *, note: str = "") -> None: ...

    else:

        @answers_itself(lambda self, connection="standard", *, note="": None)
        def commit(self, connection="standard", *, note="", connection_id=None):
            """Make all changes of a connection visible together.

            *connection* is the id that it was opened with, or any of its nodes. *note* is a text that
            :meth:`history` shows of the commit. If nothing was changed, there is no commit.

            Raises
            ------
            ConflictError
                If another transaction changed the same nodes first. Nothing of this transaction was stored.
            CommitInDoubtError
                If the disk failed in the last step. Open the database again, and check whether the commit is
                stored.
            ClosedError
                If no connection of that id is open.
            """
            if connection_id is not None:
                refuse("commit", ARGUMENTS["LOTDB"]["commit"], ["connection_id"])
            check_note(note)
            self._session(connection).commit(note)

    def abort(self, connection: str | BaseNode = "standard") -> None:
        """Discard a connection's changes since its last commit. It then sees what others have committed."""
        self._session(connection).abort()

    def savepoint(self, connection: str | BaseNode = "standard") -> Savepoint:
        """A point within a connection's transaction; its ``rollback()`` discards later changes."""
        return self._session(connection).savepoint()

    def close_connection(self, connection_id: str | BaseNode = "standard") -> None:
        """Close a connection that ``open_connection`` opened; uncommitted changes are discarded.

        *connection_id* is the id that it was opened with, or any of its nodes.
        """
        session = self._session(connection_id)
        opened = [each for each, open_session in self._sessions.items() if open_session is session]
        if not opened:
            raise WrongNodeError(
                f"{connection_id!r} belongs to a `with db.connection() as root:` block, which closes its "
                "connection at its end"
            )
        session.close()
        del self._sessions[opened[0]]

    def _session(self, connection: str | BaseNode) -> Session:
        self._check()
        if isinstance(connection, BaseNode):
            return self._session_of(connection)
        if not isinstance(connection, str) or connection not in self._sessions:
            there = ", ".join(map(repr, self._sessions)) or "none"
            raise ClosedError(
                f"{self} has no open connection {shown(connection)} (open: {there}); call open_connection() "
                "first, or within `with db.connection() as root:`, which commits at its end, pass root"
            )
        return self._sessions[connection]

    def _session_of(self, node: BaseNode) -> Session:
        node._locate()
        for session in self._open_sessions():
            if session.tree is node._tree:
                return session
        raise WrongNodeError(f"{node!r} belongs to no open connection of {self}")

    def _new_session(self) -> Session:
        self._check()
        return Session(self)

    # -- moments -------------------------------------------------------------------------------------

    def history(
        self,
        limit: int | None = None,
        since: When | None = None,
        until: When | None = None,
        path: str | Sequence[str] | None = None,
    ) -> Iterator[Commit]:
        """The commits, the newest first; each is looked up when it is asked for.

        Parameters
        ----------
        limit
            How many at most.
        since, until
            The first and the last one: a :class:`Commit`, its id, a tag, or an aware time.
        path
            The path of a node: only commits that changed what is there, or anything below it.

        Raises
        ------
        MomentNotFoundError, MomentGoneError, InvalidOptionError, InvalidKeyError
            If an argument names no moment, or is no path of a node, or no number.
        DamagedError
            When a commit is asked for, if the data file is damaged there.
        """
        self._check()
        self._follow()
        from lotdb.database.commits import check_limit, commits  # which not every program needs

        found = commits(self, limit if path is None else None, since, until)
        if path is None:
            return (commit for commit, _ in found)
        from lotdb.database.touching import changes_at  # which few programs need

        check_limit(limit)
        return islice(changes_at(self, found, path), None if limit is None else min(limit, sys.maxsize))

    def at(self, when: When) -> AbstractContextManager[BaseNode]:
        """The root of the tree as it was at a moment, in a connection of its own, which changes nothing.

        Payloads of all backends are read as they were. A pack keeps the moment as long as the block lasts.

        Parameters
        ----------
        when
            A :class:`Commit`, its id, a tag, or an aware time, which means the last commit at or before it.

        Raises
        ------
        MomentNotFoundError
            If there is no such commit or tag, or the database is younger.
        MomentGoneError
            If a pack has dropped that moment.
        InvalidOptionError
            If *when* is none of these.
        """
        from lotdb.database.moments import at  # which few programs need

        return RootContext(at(self, when), "db.at(when)")

    def undo(self, commit: When, connection: str | BaseNode = "standard") -> None:
        """Take back what one commit changed, in the transaction of a connection, which is not committed.

        Nodes, their types, attributes, defaults and payloads become what they were before that commit. What
        was moved is moved back, and what was deleted comes back as a branch of what it was, without a copy of
        data. Later changes of other places stay.

        Parameters
        ----------
        commit
            A :class:`Commit`, its id, a tag, or an aware time.
        connection
            The id that the connection was opened with, or any of its nodes.

        Raises
        ------
        ConflictError
            If a place that the commit changed was changed later; it names the nodes, and nothing was changed.
            Or if the commit is later than what this transaction sees.
        MomentNotFoundError, MomentGoneError, InvalidOptionError
            If there is no such commit, or the moment before it is gone.
        ReadOnlyError, ClosedError
        """
        from lotdb.database.undo import undo  # which few programs need

        undo(self._session(connection), commit)

    def _past(self, session: Session, when: When) -> AbstractContextManager[PastSession]:
        """The tree as it was at a moment, beside that of the connection *session*."""
        from lotdb.database.past import opened_past  # which few programs need

        return opened_past(session, when)

    @property
    def tags(self) -> Tags:
        """Names of moments: a mapping to :class:`Commit`, whose changes are transactions of their own.

        ``db.tags["published"] = db.last_commit`` makes one. Packs keep all that was seen since the oldest.
        ``db.tags.through(root)`` changes them in the transaction of the connection of *root*.
        """
        from lotdb.database.tags import Tags  # which few programs need

        self._check()
        return Tags(self)

    # -- upkeep --------------------------------------------------------------------------------------

    def pack(
        self,
        keep: timedelta | When | None = None,
        *,
        grace_s: float | None = None,
        sweep_outside: bool = False,
    ) -> int:
        """Free the disk space of data that no transaction, copy or open reader can reach any more.

        What a reader of any process sees is kept until its transaction ends, and all that was seen since the
        oldest tag. Nobody who reads or commits waits. While another pack is under way, this one waits for it
        as long as the *timeout* says with which the database was opened.

        Parameters
        ----------
        keep
            From which moment on all is kept: a :class:`Commit`, its id, a tag, an aware time, or a time span
            back from now. By default, only what is current is kept. Moments before can no longer be looked
            at.
        grace_s
            Where several processes write: arrays that were stored less than so many seconds ago are left
            alone, since another process may be about to commit them; by default those of the last hour. A
            transaction that took longer, and whose arrays are gone, fails with a ``ConflictError``.
        sweep_outside
            True says that no copy of this database uses the places outside of its folder where settings
            such as ``store`` put arrays: then they are swept, too. A copy has the same id, and what it has
            written there since would look unused.

        Returns
        -------
        int
            How many bytes the database's folder has become smaller by.

        Raises
        ------
        DatabaseBusyError
            If another pack was under way for all of *timeout*, or if the database is open for reading, on a
            system that cannot lock parts of files (others than Linux).
        ReadOnlyError
            If it was opened read-only.
        MomentNotFoundError, MomentGoneError, InvalidOptionError
            If *keep* names no moment.
        DamagedError
            If a record cannot be read, or a node is below itself. Then nothing has changed.
        FileSystemError
            If the system could not open, write or remove a file, or if the disk has too little room. A pack
            writes the tree that is kept beside the one that is there. How many bytes that takes is known
            before it begins, and the logger ``lotdb.storage.packer`` says it.
        """
        from lotdb.database.packing import pack  # which few programs need
        from lotdb.database.sweeping import check_grace
        from lotdb.database.upkeep import check_can_pack

        self._check()
        check_can_pack(self)
        check_grace(grace_s)
        sweep_outside = check_flag("sweep_outside", sweep_outside)

        def attempt() -> int:
            with (
                uninterrupted(),
                system_errors("packing was not finished", self._data_file),
                self._storage.announcing_pack(),
            ):
                return pack(self, keep, grace_s=grace_s, sweep_outside=sweep_outside)

        # Ctrl-C can end the waiting for another pack, but not the packing.
        return patiently(attempt, self._timeout)

    def _refuse_rings(self) -> None:
        from lotdb.database.upkeep import refuse_rings

        session = self._new_session()
        try:
            refuse_rings(session.root)
        finally:
            session.close()

    def verify(self, *, history: bool = False) -> list[Damage]:
        """Read everything, and list the damage, with its node, payload and file.

        Damage of the data file that belongs to no node comes first, with the path of the root. The records of
        all moments are read.

        Parameters
        ----------
        history
            True to read also the payloads that only earlier moments have: those that were replaced or
            deleted, and that no pack has dropped yet. The path of such a damage is that of the node at the
            commit that its reason names.

        Raises
        ------
        FileSystemError
            If the system lacks something, such as open files, so that what is left was not read.
        """
        from lotdb.database.earlier_payloads import verify_earlier  # which few programs need
        from lotdb.database.upkeep import verify, verify_data_file

        history = check_flag("history", history)
        session = self._new_session()
        try:
            with system_errors(f"{self} was not verified", self._data_file):
                found = [*verify_data_file(self), *verify(session.root)]
                return [*found, *verify_earlier(self, session)] if history else found
        finally:
            session.close()

    def stats(self, *, keep: timedelta | When | None = None) -> Stats:
        """What the database takes on the disk, by part, and what ``pack(keep)`` would free.

        It reads the data file, and no payload. Arrays that a backend stores outside of the folder count
        where the backend knows their files.
        """
        from lotdb.database.packing import stats_of  # which few programs need

        self._check()
        with system_errors(f"the size of {self} cannot be told", self._data_file):
            return stats_of(self, keep)

    def backup(
        self,
        target: str | os.PathLike[str],
        *,
        verify: bool = False,
        progress: Progress | None = None,
        backends: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> BackupReport:
        """Copy the last commit, and all before it, to another folder, while commits go on.

        The folder is a database itself, which can be opened. If it has an earlier backup of this database,
        only what is new is copied, also after a pack. A backup that is interrupted, however it is, leaves the
        earlier one as it was; the next one goes on. A pack that runs meanwhile frees nothing. It can be made
        in another process than the one that writes, from a database that was opened read-only.

        Parameters
        ----------
        target
            The folder; made if it does not exist.
        verify
            True to read the whole copy afterwards, every byte of it.
        progress
            Function that is called with the number of bytes copied, the number of all that are to be copied,
            and the last file.
        backends
            Settings for backends of the copy, as for :class:`LOTDB`. A backend that stores its arrays outside
            of this database's folder copies them to the store that is named here. If none is, they are not
            copied, and a warning says so.

        Returns
        -------
        BackupReport
            How much was copied.

        Raises
        ------
        DatabaseExistsError
            If the folder has something else: another database, a copy that was changed since, or commits
            that this database has lost. Nothing was changed.
        DatabaseBusyError
            If another backup, or a program, writes to the folder.
        DamagedError
            If a record, or with *verify* anything, is damaged.
        FileSystemError
            If the system could not read or write a file, for instance because the disk is full.
        InvalidOptionError
            If the folder lies in that of the database.
        """
        self._check()
        verify = check_flag("verify", verify)
        check_progress(progress)
        made: BackupReport = import_module("lotdb.backups.backup").backup(  # it stands above this one
            self, target, verify=verify, progress=progress, backends=backends
        )
        return made

    def refresh(self) -> None:
        """See what other processes have committed, in the open connections of this thread.

        For a read-only database. Each transaction that begins sees it anyway: the next block of
        ``connection()``, and in a connection that stays open, what follows ``abort()``. Nodes that you
        hold show the newest state then; of a payload, get the node's new one.

        Raises
        ------
        InvalidOptionError
            If the database is open for writing.
        DamagedError, FileSystemError
            If the newest commits cannot be read. Then all stays as it was.
        """
        self._check()
        if not self.read_only:
            raise InvalidOptionError(
                "refresh() is for read_only=True; a writer sees new commits after abort()"
            )
        with uninterrupted():
            self._follow()
            for session in self._open_sessions():
                if session.tree.owner == get_ident():
                    session.abort()

    def close(self) -> None:
        """Close all connections and the database; uncommitted changes are discarded. May be repeated.

        Raises
        ------
        FileSystemError
            If the system reported an error; the database is closed nevertheless.
        """
        if self._refusal is not None:
            return
        sessions = self._closable_sessions()
        with uninterrupted(), system_errors("an error came up in closing", self._data_file):
            try:
                self._close_parts(sessions, self._zodb, self._backends, self._let_go)
            finally:
                self._give_up(ClosedError(f"{self} is closed"))

    def discard(self) -> bool:
        """Close the database, and leave nothing of it if this object has made it and nothing is in it.

        For a program that fails before it has stored anything. A database stays that was there when it was
        opened, or was made in another storage than ``"file"``; and so does one that holds an attribute or a
        payload, or held one after any commit.

        Returns
        -------
        bool
            Whether nothing is left.

        Raises
        ------
        FileSystemError
            If the system reported an error in closing.
        """
        if self._refusal is not None:
            return False
        for session in self._closable_sessions():
            session.abort()
        with uninterrupted():
            is_gone = self._is_made_here() and self._is_empty()
            if is_gone:
                self._take_back()
                self._let_go()  # so that closing writes nothing
            self.close()
        return is_gone

    def _is_made_here(self) -> bool:
        """Whether this object has made it, and the files are ours alone."""
        # There may have been nothing, and another process has made it before this one had the lock.
        is_new = self._unmade is not None and self._unmade.is_new and self._is_root_ours
        return is_new and self._storage.name == "file"

    def _is_empty(self) -> bool:
        """Whether nothing but nodes was ever committed."""
        try:
            for commit in self.history():
                with self.at(commit) as root:
                    if any(own_of(node._entry())[0] for node in root.iterate_tree()):
                        return False
        except MomentGoneError:  # packed, so somebody has worked with it
            return False
        return True

    def _take_back(self) -> None:
        assert self._unmade is not None
        self._unmade.restore(self._backends.opened)

    def _closable_sessions(self) -> list[Session]:
        sessions = self._open_sessions()
        for session in sessions:
            session.check_closable()
        return sessions

    def _open_sessions(self) -> list[Session]:
        return cast("list[Session]", self._open_connections())

    def _close_parts(
        self, sessions: list[Session], zodb: ZODB.DB, backends: Backends, let_go: Callable[[], object]
    ) -> None:
        """Close them all, whatever fails."""
        self._sessions.clear()
        with ExitStack() as last_to_first:
            last_to_first.callback(let_go)
            last_to_first.callback(zodb.close)
            last_to_first.callback(backends.close)
            for session in sessions:
                last_to_first.callback(session.close)


def _check_timeout(timeout: Any) -> None:
    if timeout is None:
        return
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not (is_number and 0 <= timeout <= sys.float_info.max):
        raise InvalidOptionError(f"timeout is {shown(timeout)}; use a number of seconds from 0 on, or None")


def _check_backends(plugins: Plugins, default: Any, configs: Any) -> None:
    if not isinstance(default, str):
        raise InvalidOptionError(
            f"default_backend is {shown(default)}; use the name of a backend, such as 'blob'"
        )
    if default != "blob":
        # The usual backend is looked up when it is first used, because a tree without payloads needs none.
        plugins.check_backend(default)
    plugins.check_settings(configs)


def _nothing() -> None:
    """Stands for ``_let_go`` before anything is open."""


def _let_go(storage: Storage, backends: Backends) -> None:
    """Free the files and locks of a database that was dropped unclosed, or could not be opened."""
    with uninterrupted(), contextlib.suppress(Exception):
        storage.abandon()
        backends.close()


def _is_same(one: LOTDB, other: LOTDB) -> bool:
    return one._where.full == other._where.full


def _prepare_root(database: LOTDB, zodb: ZODB.DB) -> tuple[str, Mapping[str, int], str]:
    """Create the root of an empty database.

    Of any, its id, the forms that backends have written in, and where payloads are if not in the folder.
    """
    manager = transaction.TransactionManager(explicit=True)
    connection = zodb.open(manager)
    try:
        with manager:
            root = connection.root()
            if len(root) == 0 and not database._storage.may_create_root():
                raise DamagedError(f"{database} holds commits, but no tree; nothing was changed")
            is_new = len(root) == 0
            if is_new and not database.read_only:
                root["lotdb"] = FORMAT
                root["id"] = os.urandom(16).hex()
                root["tree"] = tree = Children()
                tree[ROOT_KEY] = new_branch("", EMPTY_OWN)
                # At once: two transactions that note it when they write would conflict.
                root[FORMATS_KEY] = {OWN: FOLDED_FORMAT}
            # One on a server may be created before anybody needs a place for payloads.
            may_note = "payloads" not in root and (is_new or database._where.url)
            if database._where.noted and may_note and not database.read_only:
                root["payloads"] = database._where.noted
            found, database_id = root.get("lotdb"), root.get("id")
            formats = check_formats(root.get(FORMATS_KEY))
            payloads = root.get("payloads", "")
        database._is_root_ours = is_new and not database.read_only
    except UnsafeRecordError as error:
        raise DatabaseFormatError(f"{database} is not a LOTDB database: {error}") from error
    finally:
        connection.close()
    if found != FORMAT:
        what = "it is not a LOTDB database" if found is None else f"its format is {found!r}"
        raise DatabaseFormatError(f"{database} cannot be opened: {what}; this version reads format {FORMAT}")
    return str(database_id), formats, payloads if type(payloads) is str else ""


# A forked child has copies of all these objects. If both processes used them, the data file would be damaged.
_open_databases: WeakValueDictionary[int, LOTDB] = WeakValueDictionary()


def _refuse_in_child() -> None:
    for database in living(_open_databases):
        if database._why_refused() is None:
            database._storage.forsake()
            database._give_up(
                WrongThreadError(
                    f"{database} was opened by process {database._pid} before this one was forked from it; "
                    "open it in one process only, after the fork, or give the child node.reference()"
                )
            )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_refuse_in_child)


answer(
    LOTDB,
    "backup",
    "close_connection",
    "history",
    "pack",
    "run",
    "savepoint",
    "stats",
    "undo",
    "verify",
)
hide(LOTDB, DATABASE)
