"""The class that a storage subclasses: where the tree's records lie."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ZODB.utils import as_bytes

from lotdb.errors import MomentGoneError, MomentNotFoundError
from lotdb.storage.history import Changed, Stored
from lotdb.storage.restricted import check_merge
from lotdb.storage.transactions import time_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Storage", "StorageContext"]


class StorageContext:
    """What a storage is told when a database is opened.

    Parameters
    ----------
    folder
        The database's folder, as an absolute path. For a database on a server, which is named by a URL, that
        with its payloads; it need not exist, and a storage keeps nothing there.
    name
        The database's name in the folder: names of files and folders begin with it. A storage keeps its own
        in ``<folder>/<name>.<name of the storage>``.
    where
        What messages call the database: the path of ``<folder>/<name>``, or the URL without a password.
    url
        The URL by which the user named the database; empty for one that is a folder. It may hold a password,
        so it must stand in no message.
    new
        True to create a database, and to raise ``DatabaseExistsError`` if one, or a part of one, exists.
    read_only
        True to open a database that cannot be changed, and to raise ``DatabaseNotFoundError`` if there is
        none. Nothing may be created.
    durability
        ``"full"``: a commit survives a power cut. ``"process"``: it survives a killed process only.
    timeout
        Seconds to wait for another process, or None. :meth:`Storage.open` is called again for so long while
        it raises ``DatabaseBusyError``, so that it need not wait itself.
    exists
        Whether the folder is marked as a database of this storage, which therefore was complete once: what is
        missing is damage. Of a URL it says that the user gave one.
    building
        True for one that is filled commit by commit, as a conversion does: it is no database until
        :meth:`Storage.created` is called. If that never comes, who opens it gets an error that says so, and
        who builds it again begins anew. Only a database that is named by a URL has to see to that; a folder
        gets its name when it is whole. With *read_only* it is opened to be compared before that.
    """

    # No data class: to load what makes one takes longer than to open a database.
    def __init__(
        self,
        folder: str | os.PathLike[str],
        name: str,
        where: str,
        url: str = "",
        new: bool = False,
        read_only: bool = False,
        durability: Literal["full", "process"] = "full",
        timeout: float | None = None,
        exists: bool = False,
        building: bool = False,
    ) -> None:
        self._folder = os.fspath(folder)
        self.name = name
        self.where = where
        self.url = url
        self.new = new
        self.read_only = read_only
        self.durability = durability
        self.timeout = timeout
        self.exists = exists
        self.building = building

    @cached_property
    def folder(self) -> Path:
        """The folder, for a storage that keeps something there."""
        from pathlib import Path  # which takes as long to load as a database to open

        return Path(self._folder)


class Storage(ABC):
    """Base class of storages, which keep the records of a tree, and all their revisions.

    The core does trees, merging, payloads and their garbage. A storage hands it a storage of ZODB, and says
    what ZODB does not ask for: what other processes have committed, what they still see, and what is taken on
    the disk. There are many storages for ZODB, and a subclass fits one of them to LOTDB::

        from ZODB.FileStorage import FileStorage
        from ZODB.TimeStamp import TimeStamp

        class PlainFile(FileStorage):
            def tryToResolveConflict(self, oid, committed, old, new, committed_data=b""):
                # The three records that are to be merged.
                Storage.check_merge(oid, [self.loadSerial(oid, old), self.loadSerial(oid, committed), new])
                return super().tryToResolveConflict(oid, committed, old, new, committed_data)

        class PlainStorage(Storage):
            name = "plain"

            def open(self):
                about = self.context
                folder = about.folder / f"{about.name}.plain"
                data, replaced = folder / "data.fs", folder / "data.fs.old"
                if about.new and data.exists():
                    raise DatabaseExistsError(f"{about.where} exists")
                if not data.exists() and replaced.exists() and not about.read_only:
                    replaced.rename(data)  # FileStorage was killed as it put a packed file in its place
                if not data.exists() and about.exists:
                    raise DamagedError(f"{data} is missing; restore it from a backup")
                if not data.exists() and about.read_only:
                    raise DatabaseNotFoundError(f"there is no database at {about.where}")
                folder.mkdir(parents=True, exist_ok=True)
                return PlainFile(str(data), read_only=about.read_only)

            def pack(self, keep, references):
                self.opened.pack(TimeStamp(keep).timeTime(), references)

            def tree_bytes(self):
                return self.opened.getSize()

    This one is for databases of one's own: ``FileStorage`` unpickles whatever its index file holds.

    It must load nothing but what the class factory of ZODB's database allows, also to merge a conflict: give
    each revision to :meth:`check_merge` first, and refuse to merge where that raises. A transaction may
    become visible in one step only. What fails for good leaves as a ``LotdbError`` that names
    ``context.where``; what may succeed when it is tried again, as a ``TransientError`` of transaction; and a
    commit of which nobody knows whether it is stored, as a ``CommitInDoubtError``.

    ``lotdb.testing.StorageTests`` tests what a database promises in it.
    """

    #: The name that users pass as ``storage=``. A database that is named by a URL has the URL's scheme.
    name: str = ""

    #: Whether several processes may have a database open for writing. The core then asks for
    #: :meth:`last_commit`, :meth:`hold` and :meth:`publishing` as if there always were others.
    many_writers: bool = False

    #: Whether it keeps ZODB's blobs. If not, a backend gives its arrays locators that are texts.
    has_blobs: bool = False

    #: Whether pieces of arrays that grow may lie in its records, each of up to 64 KiB, until many of them are
    #: merged and come to a backend. Until a pack, it then holds once all that was appended. So say so only if
    #: its records lie on the disk that the arrays are on.
    keeps_pieces: bool = False

    #: Whether each of its connections keeps packs from dropping what it sees, from before it begins to read
    #: until it goes on or is closed. :meth:`hold` is then called for what is needed longer.
    connections_hold: bool = False

    #: Whether a database is a folder of its own, which the core marks as one of this storage. One that looks
    #: after its folder itself, or is on a server, says False.
    marks_folder: bool = True

    def __init__(self, context: StorageContext) -> None:
        self.context = context
        self._opened: Any = None

    # -- opening and closing -----------------------------------------------------------------------

    @abstractmethod
    def open(self) -> Any:
        """A storage of ZODB over the database, made if it is not there; see :class:`StorageContext`.

        It provides ``ZODB.interfaces.IStorage`` and, to be read at earlier moments, ``loadBefore``; or
        ``IMVCCStorage``. When the database is closed, ZODB closes it.

        Raises
        ------
        DatabaseBusyError
            Another process has the database, and may let go of it.
        DatabaseExistsError, DatabaseNotFoundError, DatabaseFormatError, DamagedError
            What is there is not what was asked for. Nothing was changed. Never create an empty database in
            place of one that had data.
        """

    def begin(self) -> Any:
        """Called by the core: open the database, and keep what was opened."""
        self._opened = self.open()
        return self._opened

    @property
    def opened(self) -> Any:
        """What :meth:`open` gave."""
        return self._opened

    def created(self) -> None:
        """Called once the database has all that belongs to a new one, at each opening for writing.

        What is locked while a database is created can be let go.
        """

    def may_create_root(self) -> bool:
        """Whether the database is so new that a root without anything in it is right.

        ZODB makes an empty root in a transaction of its own, the first one; what comes next fills it. Where
        the storage counts its transactions it can notice that a root was lost.
        """
        return True

    def abandon(self) -> None:
        """Free the files and locks of a database that was not closed, and can no longer be used."""
        if self._opened is not None:
            self._opened.close()

    def forsake(self) -> None:
        """Called in a forked child of the process that opened it: nothing may be used, or closed."""

    # -- what others commit ------------------------------------------------------------------------

    def last_commit(self) -> bytes:
        """The id of the last commit, whoever made it, as eight bytes; zeros if there is none.

        Opened read-only, that of the last one that a transaction can see.
        """
        last: bytes = self._opened.lastTransaction()
        return last

    def commit_of(self, instance: Any, since: bytes) -> tuple[bytes, bytes] | None:
        """The id of the commit that a connection has just made, and that of the commit before it.

        Parameters
        ----------
        instance
            What :meth:`open` gave, or for ``IMVCCStorage`` the instance of that connection.
        since
            What :meth:`last_commit` said before the commit.

        Returns
        -------
        tuple of bytes or None
            None if the transaction changed nothing. Where several processes write, the last commit of all
            may be another one's by now: such a storage says it itself.
        """
        last = self.last_commit()
        return None if last == since else (last, since)

    def follow(self) -> None:
        """Let transactions that begin from now on see what other processes have committed."""

    def hold(self, tid: bytes | None) -> None:
        """Keep packs of other processes from dropping what is seen after the transaction *tid*.

        Nothing is kept any more if it is None. Called when a connection begins to read at a moment, with the
        oldest one of all connections, and when it ends; see :attr:`connections_hold`.
        """

    def publishing(self, *, exclusive: bool = False) -> AbstractContextManager[None]:
        """A context that commits which name new arrays share, and that the sweep of arrays has alone.

        So the sweep sees each array either as not yet committed, and young, or as committed. Where one
        process writes, nothing has to be done.
        """
        return contextlib.nullcontext()

    def publish_at_vote(self, instance: Any) -> bool:
        """Have the vote of the next commit of *instance* share what :meth:`publishing` shares, if it can.

        Then it is shared until that commit has ended, and the core looks after the vote whether the new
        arrays are still there. A storage on a server saves questions that way.

        Parameters
        ----------
        instance
            As for :meth:`commit_of`.

        Returns
        -------
        bool
            False if it cannot: the core then asks for :meth:`publishing`, and looks before the commit.
        """
        return False

    # -- moments -----------------------------------------------------------------------------------

    def commits(self, last: bytes | None = None) -> Iterator[Stored]:
        """The commits whose moments can still be looked at, the newest first.

        Nothing of a commit but its texts is decoded, and nothing is unpickled.

        Parameters
        ----------
        last
            The id that the first one has, or the next smaller one; None for the newest.
        """
        found: list[Stored] = []
        with contextlib.ExitStack() as stack:
            transactions = self._opened.iterator()
            if hasattr(transactions, "close"):
                stack.callback(transactions.close)
            for number, each in enumerate(transactions):
                is_packed = each.status in ("p", b"p")
                if is_packed:
                    found.clear()  # a pack has taken from it what is needed to look at those before
                records = [(record.oid, len(record.data or b"")) for record in each]
                if number or is_packed:  # by the first one ZODB makes an empty root
                    size = sum(length for _, length in records)
                    texts = as_bytes(each.description), as_bytes(each.user)
                    found.append(Stored(each.tid, *texts, size, [oid for oid, _ in records]))
        return iter([each for each in reversed(found) if last is None or each.tid <= last])

    def commit_until(self, tid: bytes) -> Stored:
        """The last commit whose id is not greater than *tid*.

        Raises
        ------
        MomentGoneError, MomentNotFoundError
            A pack has dropped it, or the database is younger.
        """
        for commit in self.commits(tid):
            return commit
        raise MomentGoneError(
            f"{self.context.where} cannot be looked at as it was at {time_of(tid)}: a pack has dropped what "
            "was needed for that, or it is younger"
        )

    def load_before(self, oid: bytes, tid: bytes) -> tuple[bytes, bytes, bytes | None] | None:
        """The record of an object before the transaction *tid*, with the id of its own; None if none was."""
        found: tuple[bytes, bytes, bytes | None] | None = self._opened.loadBefore(oid, tid)
        return found

    def changed_since(self, tid: bytes) -> Changed:
        """What was changed by the commits after *tid*."""
        return Changed.by(takewhile(lambda each: each.tid > tid, self.commits()))

    def announcing_pack(self) -> AbstractContextManager[None]:
        """A context in which the core packs, and sweeps arrays: :meth:`has_moment` waits for its end.

        ``DatabaseBusyError`` if another pack is under way; the core tries again for as long as the user's
        *timeout* says.
        """
        return contextlib.nullcontext()

    def has_moment(self, tid: bytes) -> bool:
        """Whether all that was seen after the transaction *tid* is there, or a pack has dropped some of it.

        It is called when :meth:`hold` keeps that moment. A pack that is under way may have decided before, so
        wait for it; ``WaitTimeoutError`` if it takes too long.
        """
        try:
            self.commit_until(tid)
        except (MomentGoneError, MomentNotFoundError):
            return False
        return True

    # -- upkeep ------------------------------------------------------------------------------------

    #: Whether :meth:`pack` refuses a tree in which a node is below itself, if all that is kept is the last
    #: state. Otherwise, the core looks before.
    _finds_rings: ClassVar[bool] = False

    @abstractmethod
    def pack(self, keep: bytes, references: Callable[[bytes], list[bytes]]) -> None:
        """Drop revisions and objects that nobody can see any more.

        Parameters
        ----------
        keep
            What is seen after this transaction and after all later ones is kept, and so is what
            :meth:`hold` keeps for other processes. It was looked up before this call.
        references
            Gives the object ids that a record refers to.

        Raises
        ------
        DamagedError
            A record cannot be read. Nothing was changed.
        """

    def records(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Object id, transaction id and bytes of each record of each revision; nothing is unpickled.

        The bytes may end in something that unpickling ignores.
        """
        with contextlib.ExitStack() as stack:
            transactions = self._opened.iterator()
            if hasattr(transactions, "close"):
                stack.callback(transactions.close)
            for transaction in transactions:
                for record in transaction:
                    if record.data is not None:  # None: the creation of the object was undone
                        yield record.oid, record.tid, record.data

    def damage(self) -> Iterator[str]:
        """What is wrong with the storage itself, whatever nodes it holds; each as a sentence."""
        return iter(())

    def blob_files(self) -> Iterable[tuple[bytes, bytes, str]]:
        """Object id, transaction id and path of each file of a blob."""
        return ()

    # -- sizes -------------------------------------------------------------------------------------

    def parts(self) -> dict[str, int]:
        """Size in bytes of what lies outside of the folder, such as tables on a server, by its name."""
        return {}

    @abstractmethod
    def tree_bytes(self) -> int:
        """How many bytes all records take, with all their revisions."""

    def packed_bytes(self, records: int, contents: int, transactions: int) -> int:
        """How many bytes that many records of many transactions take, whose contents have so many bytes."""
        return contents

    # -- for subclasses ----------------------------------------------------------------------------

    @staticmethod
    def check_merge(oid: bytes, revisions: Iterable[bytes]) -> None:
        """Raise unless a conflict about the object *oid* may be resolved from these *revisions*.

        A storage that merges calls it where it does, such as at the beginning of ``tryToResolveConflict``.
        ZODB imports and calls what a record names. So the same bytes are read with the list of classes first.

        Parameters
        ----------
        oid
            The id of the object, as eight bytes.
        revisions
            The record that the transaction began with, the one that was committed since, and the one that is
            to be stored, each as the bytes that ZODB stores.

        Raises
        ------
        ZODB.POSException.ConflictError
            The transaction that this thread commits depends on the object; or a revision cannot be read.
        UnsafeRecordError
            A revision names a class that LOTDB does not store.
        """
        check_merge(oid, revisions)
