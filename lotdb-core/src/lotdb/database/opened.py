"""An open database, as its connections and its upkeep see it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from ZODB.utils import p64, u64

from lotdb.database.choosing import Where
from lotdb.errors import LotdbError, system_errors
from lotdb.interfaces.storage import Storage
from lotdb.registry.registry import Plugins
from lotdb.segments.backends import Backends
from lotdb.storage import uninterrupted
from lotdb.storage.waiting import LimitedLock
from lotdb.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    import ZODB

T = TypeVar("T")

__all__ = ["EVENT", "NOBODY", "Opened", "living"]

#: The hook that tells listeners of a commit.
EVENT = "lotdb_committed"

#: Owner of a closed tree; never the id of a thread.
NOBODY = -1


class Connected(Protocol):
    """A connection, as the database sees it."""

    @property
    def tree(self) -> Tree:
        """The tree that it sees."""

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""

    @property
    def is_closed(self) -> bool:
        """Whether it was used, and is not any more."""

    @property
    def oldest(self) -> bytes:
        """The transaction number before which it, or a copy made from it, reads."""

    @property
    def held(self) -> bytes | None:
        """The same, if it has to be kept for it by the database; None if its connection does so."""


class Opened:
    """An open database, as its connections and its upkeep see it; ``lotdb.LOTDB`` is its public face."""

    name: str
    read_only: bool
    plugins: Plugins
    default_backend: str
    _id: str
    _where: Where
    _zodb: ZODB.DB
    _storage: Storage
    _backends: Backends
    _backend_configs: dict[str, Mapping[str, Any]]
    _directory: str  # where relative paths in these begin
    _connections: WeakValueDictionary[int, Connected]  # all that were made and are in use, by their id
    _refusal: LotdbError | None
    _holding: threading.Lock
    _turn: LimitedLock  # held from a commit until its listeners have returned
    _building = False  # whether it is opened before it is whole; see StorageContext
    _telling: int | None = None  # the thread that is telling listeners of a commit

    @property
    def path(self) -> Path | None:
        """The folder of the database; of one that has a URL, that of its payloads.

        None if a database with a URL has no folder: its payloads lie in a store, or have no place yet.
        """
        return self._where.folder

    @property
    def _data_file(self) -> str:
        return self._where.full

    @property
    def _shown(self) -> str:
        return self._where.shown

    @property
    def id(self) -> str:
        """The id of the database, 32 hexadecimal digits, made when it was created and stored in it.

        A copy of the folder has the same id.
        """
        return self._id

    @property
    def last_commit(self) -> str:
        """The id of the last commit, 16 hexadecimal digits; a later commit has a greater one.

        Opened read-only, that of the last commit that a transaction has seen. Whoever keeps something beside
        the database, such as an index, keeps the id with it, and sees whether it has missed a commit.
        """
        self._check()
        return self._storage.last_commit().hex()

    def connection(self, *, note: str = "") -> AbstractContextManager[Any]:
        """The root, in a new connection that commits when the block ends and aborts on an exception."""
        raise NotImplementedError

    def _past(self, session: Any, when: Any) -> AbstractContextManager[Any]:
        """The tree as it was at a moment, beside that of the connection *session*."""
        raise NotImplementedError

    def at(self, when: Any) -> AbstractContextManager[Any]:
        """The root as it was at a moment."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"database {self._shown!r}"

    def _register(self, connection: Connected) -> None:
        """Add a connection that is about to be opened."""
        self._connections[id(connection)] = connection
        opened = self.__dict__.setdefault("_opened", {})
        opened[threading.get_ident()] = opened.get(threading.get_ident(), 0) + 1

    def _opened_here(self) -> int:
        """How many connections this thread has opened so far."""
        opened: dict[int, int] = self.__dict__.get("_opened", {})
        return opened.get(threading.get_ident(), 0)

    def _forget(self, connection: Connected) -> None:
        """Remove a connection that could not be opened."""
        self._connections.pop(id(connection), None)

    def _known_connections(self) -> list[Connected]:
        """The connections that are open, are about to be, or were."""
        return living(self._connections)

    def _open_connections(self) -> list[Connected]:
        """The connections that are open."""
        return [connection for connection in self._known_connections() if connection.is_open]

    def _follow(self) -> None:
        """See from the next transaction on what other processes have committed, if opened read-only.

        Raises
        ------
        DamagedError, FileSystemError
            If that cannot be read. All stays as it was.
        """
        if self.read_only:
            with uninterrupted(), system_errors("the newest commits cannot be read", self._data_file):
                self._storage.follow()

    def _hold_snapshots(self) -> None:
        """Keep packs of other processes from dropping what this database's connections see.

        Called whenever a connection begins to read at a moment, and when it no longer does.
        """
        if self.read_only or self._storage.many_writers:
            with self._holding:
                held = [each.held for each in self._known_connections() if not each.is_closed]
                starts = [each for each in held if each is not None]
                self._storage.hold(p64(u64(min(starts)) - 1) if starts else None)

    def _why_refused(self) -> LotdbError | None:
        """The error that says why the database can no longer be used, or None."""
        return self._refusal

    def _give_up(self, reason: LotdbError) -> None:
        """Refuse all further use, because of *reason*."""
        self._refusal = reason
        for connection in self._open_connections():
            connection.tree.owner = NOBODY

    def _check(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def _oldest_snapshot(self) -> bytes:
        """The last transaction that each connection sees that is open, or is opened from now on."""
        last = self._storage.last_commit()  # first, since others go on opening and committing
        starts = [each.oldest for each in self._known_connections() if not each.is_closed]
        before: list[bytes] = [p64(u64(start) - 1) for start in starts]
        return min([last, *before])


def living(known: WeakValueDictionary[int, T]) -> list[T]:
    """The living objects of *known*. Unlike a WeakSet, it can be listed while other threads add to it."""
    there = [reference() for reference in known.valuerefs()]
    return [each for each in there if each is not None]
