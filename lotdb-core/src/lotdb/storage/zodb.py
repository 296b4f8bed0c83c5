"""The ZODB database over a storage, with the doors shut that would load foreign code."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from functools import partial
from io import BufferedReader, BytesIO
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

import ZODB
from persistent import Persistent
from ZODB.Connection import Connection
from ZODB.POSException import POSError, POSKeyError
from ZODB.POSException import ReadOnlyError as ZODBReadOnlyError
from ZODB.serialize import ObjectReader
from ZODB.utils import oid_repr, z64

from lotdb.errors import (
    DamagedError,
    DatabaseNotFoundError,
    FileSystemError,
    LotdbError,
    PluginError,
    ReadOnlyError,
    UnsafeRecordError,
    UnsupportedValueError,
    system_error,
)
from lotdb.storage import compat
from lotdb.storage.classes import check_record, class_factory, find_class
from lotdb.storage.dumping import Several, dump_record
from lotdb.storage.folding import folded, things_in, unfolded
from lotdb.storage.kept_records import KeptRecords
from lotdb.storage.signals import uninterrupted

if TYPE_CHECKING:
    from lotdb.storage.aside import Aside
    from lotdb.storage.current import RecordPlace

__all__ = ["open_database"]

_CACHE_OBJECTS = 20_000
# As stored. A leaf takes about six times as much in memory: 50 to 60 MB, and 200 000 small leaves stay.
_CACHE_BYTES = 9 << 20
# How many records are read from one trimming of the cache to the next.
_TRIMMED_AFTER = 32
# What is added to the size of a record for each thing in it: the shorter they are, the more memory they take.
_SLOT_BYTES = 6
# How often a record is looked at before it is loaded; of how many that is counted; and how many there may be
# before it matters whether that was of use.
_MOST_GLANCES = 2
_GLANCED_AT = 10_000
_FEW_GLANCES = 8
# ZODB warns of records from 16 MiB and of more than seven open connections. Neither is a mistake here.
_LARGE_RECORD = 1 << 30
_CONNECTIONS = 100


class _Unpickler(compat.Unpickler):
    def load(self) -> Any:
        try:
            return super().load()
        except SystemError as error:
            # What it says of an error of ours, after which it goes on to put back what it read ahead.
            raise error.__cause__ or error from None


class _StateUnpickler(pickle.Unpickler):
    """Python's own, which is quicker than ZODB's; its ``persistent_load`` is set by who makes one."""

    find_class = staticmethod(find_class)


def _things_in(state: Any) -> int:
    """How many keys and values, or other parts, a state has: that of a bucket may lie two levels deeper."""
    if things := things_in(state):
        return things
    for _ in range(4):
        if type(state) is not tuple or not state:
            return 0
        if len(state) > 2:
            return len(state) // 2
        state = state[0]
    return 0


class _Reader(ObjectReader):
    """Unpickles records from a file that can be looked ahead into.

    From one that cannot, the unpickler reads a few bytes at a time, by a call for each: that took three
    quarters of the time that loading a bucket takes.
    """

    #: How many things the state had that was unpickled last.
    things = 0
    #: Whether the state that was unpickled last may refer to other records.
    refers = True

    def _get_unpickler(self, pickle: bytes) -> Any:
        unpickler = _Unpickler(BufferedReader(BytesIO(pickle), len(pickle) or 1))
        unpickler.find_class = self._get_class
        unpickler.persistent_load = self._persistent_load
        return unpickler

    def getState(self, pickle: bytes) -> Any:
        state = self.state(pickle)
        self.things = _things_in(state)
        return state

    def state(self, pickle: bytes) -> Any:
        """The state in a record; how many things it has is not counted."""
        unpickler: Any = _StateUnpickler(BufferedReader(BytesIO(pickle), len(pickle) or 1))
        referred: list[Any] = []
        unpickler.persistent_load = self._cache.finder(referred.append)
        self.refers = True
        try:
            unpickler.load()  # the class
            state = unpickler.load()
        except Exception as error:
            if error.__cause__ is not None and not isinstance(error.__cause__, Exception):
                raise error.__cause__ from None  # Ctrl-C, as _Unpickler says
        else:
            if referred:
                self._refers_to(referred)
            else:
                self.refers = False
            return state
        return super().getState(pickle)  # which reads it in its own way, or says what is wrong

    def _refers_to(self, records: list[Any]) -> None:
        """Called with what a state refers to."""


class _AheadReader(_Reader):
    """Tells a storage which records are named by one that is read."""

    def __init__(self, *args: Any, expect: Callable[[list[bytes]], object]) -> None:
        super().__init__(*args)
        self._expect = expect

    def _refers_to(self, records: list[Any]) -> None:
        # The class is asked, since an attribute of a record would load it.
        walked = [
            each
            for each in records
            if isinstance(each, Persistent) and getattr(type(each), "is_walked", True)
        ]
        named = [each._p_oid for each in walked if each._p_changed is None]
        if len(named) > 1:
            self._expect(named)


def _safe(record: bytes) -> bytes:
    """*record*, if it can be read again: ZODB would store what no connection of ours loads.

    Raises
    ------
    UnsupportedValueError
        If it holds a value of another class than those that are stored, such as a number of numpy's.
    """
    try:
        check_record(record)
    except UnsafeRecordError as error:
        raise UnsupportedValueError(f"it could not be read, so nothing was committed: {error}") from error
    return record


class _Connection(Connection):
    _cache: Any
    _needs_to_join: bool
    _registered_objects: list[Any]
    _savepoint_storage: Aside | None
    _pre_cache: dict[bytes, Any]
    _storage: Any
    _normal_storage: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loads = 0
        # How often records were looked at that are not in memory; and how often it was of no use, since one
        # was looked at again, or loaded.
        self._glances: dict[bytes, int] = {}
        self._in_vain = 0
        self._keep_records()
        if compat.reads_ahead():
            about = self, self._cache, self._db.classFactory
            expect = getattr(self._normal_storage, "expect", None)
            self._reader = _Reader(*about) if expect is None else _AheadReader(*about, expect=expect)

    def _keep_records(self) -> None:
        self._cache = KeptRecords(self, self._cache.cache_size, self._cache.cache_size_bytes)
        self._reader._cache = self._cache

    def _resetCache(self) -> None:
        super()._resetCache()
        self._keep_records()

    # An object calls this after it has changed itself. Where that runs a line of Python, Ctrl-C can come in
    # between, and no abort undoes what nobody knows of. So it is a call of C code alone: the change is noted,
    # and the connection joins the transaction later.
    register = property(attrgetter("_registered_objects.append"))

    def _register(self, obj: Any = None) -> None:
        # Adding a blob joins the transaction. Interrupted after it has joined and before it knows, the
        # connection would join again, and the commit would wait for itself.
        if self._needs_to_join:
            with uninterrupted():
                super()._register()
        if obj is not None:
            self._registered_objects.append(obj)

    def join_changed(self) -> None:
        """Make what was changed a part of the transaction; before anything is done to that as a whole.

        The caller holds Ctrl-C back.
        """
        if self._needs_to_join and self._registered_objects:
            super()._register()

    def is_changed(self) -> Callable[[bytes | None], bool]:
        """What tells whether this transaction has changed or made the record of an id, as of now.

        By its id, because what was put aside may be in memory no longer.
        """
        registered = {each._p_oid for each in self._registered_objects}
        saved = () if self._savepoint_storage is None else self._savepoint_storage.index

        def is_changed(oid: bytes | None) -> bool:
            return oid is None or oid in registered or oid in saved

        return is_changed

    def state_before(self, record: Any) -> Any:
        """The state of *record* when this transaction began; None if it was not there.

        What it refers to are the objects of this connection.
        """
        if record._p_oid is None:
            return None
        try:
            pickle, _ = self._normal_storage.load(record._p_oid)
        except POSKeyError:
            return None
        return unfolded(self._reader.state(pickle))

    def ghost(self, oid: bytes, kind: Any) -> Any:
        """The object *oid* of this connection, which is of the class *kind*; nothing is loaded."""
        return self._cache.record(oid, kind)

    def peek(self, record: Any) -> Any:
        """The state of *record*, which is not in memory, as this transaction sees it; it may be folded.

        None if it cannot be had; loading the record then fails with the right error.
        """
        found = self._peek(record._p_oid)
        return None if found is None else found[0]

    def _peek(self, oid: bytes) -> tuple[Any, int] | None:
        """The state of the record *oid*, and its bytes as :meth:`glance` counts them, or None."""
        self._trim()  # what the state refers to is kept, too
        try:
            pickle = self._storage.load(oid)[0]
            state = self._reader.state(pickle)
            return state, 0 if self._reader.refers else len(pickle)
        except Exception:
            return None

    def glance(self, record: Any) -> tuple[Any, int] | None:
        """The state of *record*, as :meth:`peek` gives it, and its bytes as it is stored.

        These are 0 if it refers to other records, which are in memory as long as it is. None also if it is
        better loaded, since what was looked at was needed again.
        """
        glances, oid = self._glances, record._p_oid
        before = glances.get(oid, 0)
        if before == _MOST_GLANCES or 4 * self._in_vain > len(glances) + _FEW_GLANCES:
            return None
        if len(glances) >= _GLANCED_AT:
            glances.clear()
            self._in_vain = before = 0
        self._in_vain += before
        glances[oid] = before + 1
        return self._peek(oid)

    def stored_bytes(self, record: Any) -> int:
        """The size of *record* as this transaction sees it in the storage; 0 if it was not stored yet."""
        if record._p_oid is None:
            return 0
        try:
            return len(self._storage.load(record._p_oid)[0])
        except POSKeyError:
            return 0

    def placed(self, record: Any) -> Callable[[], tuple[bytes, RecordPlace] | None]:
        """What gives, in any thread, the stored form of *record*, and where that lies in the data file.

        It gives None if that lies in no such file, or cannot be read from there just now.
        """
        find = getattr(self._db.storage, "place_of", None)
        return _nowhere if find is None else partial(find, record._p_oid)

    def close(self, primary: bool = True) -> None:
        """Close it; a storage that keeps a transaction open from one to the next has to end it."""
        if self._needs_to_join and (rest := getattr(self._normal_storage, "rest", None)) is not None:
            rest()
        super().close(primary)

    def beforeCompletion(self, txn: Any) -> None:
        """Called by the transaction when it is about to be committed or aborted."""
        self.join_changed()

    def commit(self, transaction: Any) -> None:
        """Store what was changed, unless another transaction has stored what this one depends on."""
        # The storage asks for each of these, and none can be another one if nobody has committed meanwhile.
        is_last = getattr(self._db.storage, "is_last", None)
        if is_last is not None and is_last(self._normal_storage._start):
            self._readCurrent.clear()
        super().commit(transaction)

    def _abort(self) -> None:
        # A new blob is noted when it is added, and when it is written to.
        self._registered_objects = list({id(each): each for each in self._registered_objects}.values())
        super()._abort()

    def open_aside(self) -> None:
        """Open the file for what this transaction has changed, if it has changed anything."""
        self.join_changed()
        if self._savepoint_storage is None and not self._needs_to_join:
            from lotdb.storage.aside import Aside  # which long transactions need, and savepoints

            self._savepoint_storage = self._storage = Aside(self._normal_storage)

    def savepoint(self) -> Any:
        """Write all changes into the file of this transaction; ZODB calls it, also before a commit."""
        self.open_aside()
        return super().savepoint()

    def let_go(self) -> tuple[int, int]:
        """Let go of the records that savepoints have written; they are loaded again when they are used.

        Returns
        -------
        stored, again : int
            How many there were since the last call, and how many of them had been written before that.
        """
        if self._savepoint_storage is None:
            return 0, 0
        stored, again = self._savepoint_storage.take_stored()
        for oid in stored:
            record = self._cache.get(oid)
            if record is not None:
                record._p_deactivate()
        return len(stored), again

    def _abort_savepoint(self) -> None:
        # It ends with closing and removing temporary files; the next opening removes them if that fails. An
        # error would leave the connection in the middle of its abort.
        with contextlib.suppress(OSError):
            super()._abort_savepoint()

    def _store_objects(self, writer: Any, transaction: Any) -> None:
        dump = getattr(writer, "_dump", None)
        if dump is not None:
            refer = writer.persistent_id

            folds = self._db.folds

            def dump_safely(kind: Any, state: Any) -> bytes:
                if not folds or not getattr(kind, "is_folded", False):
                    return dump_record(kind, state, refer, self) or _safe(dump(kind, state))
                data = dump_record(kind, folded(state, Several), refer, self)
                return data or _safe(dump(kind, folded(state)))

            writer._dump = dump_safely
        super()._store_objects(writer, transaction)

    def _add(self, obj: Any, oid: bytes) -> None:
        # An empty root beside what is there would be all that the next pack leaves.
        storage = self._db.storage
        if oid == z64 and getattr(storage, "transactions", 0):
            raise DamagedError(
                f"{storage.getName()} holds {storage.transactions} transactions, but no root; nothing was"
                " changed: restore it from a backup"
            )
        super()._add(obj, oid)

    def get(self, oid: bytes) -> Any:
        """The record of that id."""
        try:
            return super().get(oid)
        except BaseException:
            # ZODB holds a new record here until it is in the cache. If Ctrl-C comes between, it would be
            # given out ever after, without a state.
            self._pre_cache.pop(oid, None)
            raise

    def setstate(self, obj: Any) -> None:
        """Load the state of *obj*; what is gone, or makes no sense, is damage, whatever it raises."""
        self._trim()
        if obj._p_oid in self._glances:
            self._in_vain += 1
        try:
            self._reader.things = 0
            super().setstate(obj)
            if self._reader.things:
                size = obj._p_estimated_size + _SLOT_BYTES * self._reader.things
                self._cache.update_object_size_estimation(obj._p_oid, size)
                obj._p_estimated_size = size
        except POSKeyError as error:
            raise DamagedError(_missing(self._db.storage.getName(), error.args[0])) from error
        except compat.StateLoadError as error:
            # ZODB puts any error into it, such as that of a record below which could not be read just now.
            cause = error.__cause__
            if isinstance(cause, DamagedError):
                raise self._of_this_file(cause) from error
            if isinstance(cause, (LotdbError, MemoryError, RecursionError)):
                raise cause from None
            raise DamagedError(
                f"{self._db.storage.getName()}: a record cannot be loaded: {cause or error!r}"
            ) from error
        except DamagedError as error:
            raise self._of_this_file(error) from error.__cause__
        except (LotdbError, POSError, MemoryError, RecursionError):
            raise
        except (AttributeError, ImportError, NameError) as error:  # of the libraries, and not of the data
            raise PluginError(f"ZODB {compat.release()} failed to load a record: {error!r}") from error
        except Exception as error:
            if failure := system_error(error):
                raise FileSystemError.of(
                    failure, "a record cannot be read", self._db.storage.getName()
                ) from error
            raise DamagedError(
                f"{self._db.storage.getName()}: a record cannot be decoded: {type(error).__name__}: {error}"
            ) from error

    def _of_this_file(self, error: DamagedError) -> DamagedError:
        """*error*, which names the data file; a record does not know in which one it lies."""
        where = self._db.storage.getName()
        return error if where in str(error) else DamagedError(f"{where}: {error}")

    def _trim(self) -> None:
        # ZODB lets go of what was read when a transaction ends, and one transaction may read a million nodes.
        # What has changed, and what is in use by BTrees right now, it never lets go of.
        self._loads += 1
        if self._loads % _TRIMMED_AFTER == 0:
            self._cache.incrgc()

    def importFile(self, f: Any, clue: str = "", customImporters: Any = None) -> NoReturn:
        """Refused: importing an export file unpickles it without a class factory."""
        raise UnsafeRecordError("importFile() runs what a ZODB export file names; LOTDB does not offer it")


def _nowhere() -> None:
    """Of a storage that has no data file."""


_NO_BLOB = "No blob file at "


def _missing(data_file: str, what: Any) -> str:
    """What to say of a part that is not there, as ZODB names it: by a sentence, or by its id."""
    if isinstance(what, bytes):
        return f"{data_file}: object {oid_repr(what)} is missing"
    return f"{str(what).removeprefix(_NO_BLOB)} is missing"


class _Database(ZODB.DB):
    klass = _Connection
    #: Whether buckets are stored as columns, which older releases of LOTDB cannot read.
    folds = False


def open_database(storage: Any) -> ZODB.DB:
    """A ``ZODB.DB`` over *storage* that loads LOTDB's own classes only.

    Parameters
    ----------
    storage : ZODB.interfaces.IStorage
        Such as ``open_storage`` gives. The database owns it: closing one closes the other, and so does an
        error raised from here.

    Raises
    ------
    UnsafeRecordError
        The root object is of a class that is not on the list.
    DatabaseNotFoundError
        *storage* can only be read, and has nothing in it yet.
    DamagedError
        It has transactions in it, but no root.
    """
    try:
        return _Database(
            storage,
            pool_size=_CONNECTIONS,
            cache_size=_CACHE_OBJECTS,
            cache_size_bytes=_CACHE_BYTES,
            historical_pool_size=_CONNECTIONS,
            historical_cache_size=_CACHE_OBJECTS,
            historical_cache_size_bytes=_CACHE_BYTES,
            xrefs=False,
            large_record_size=_LARGE_RECORD,
            class_factory=class_factory,
        )
    except (ReadOnlyError, ZODBReadOnlyError) as error:  # ZODB wanted to add the root object
        storage.close()
        raise DatabaseNotFoundError(
            f"{storage.getName()} is empty: its creation was interrupted; open it once without read_only=True"
        ) from error
    except BaseException:
        storage.close()
        raise
