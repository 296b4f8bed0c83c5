"""The commits that a data file holds, and which of them can still be looked at.

A commit is a transaction. Its id tells when it was made. Its description is the note of who made it, and its
user names what is above the places that it changed (see ``above_text``); both are plain texts, and nothing of
a header is ever unpickled. A pack marks the transactions that it has taken records from, all up to one: what
was seen after that one and after all later ones is still there.
"""

# Annotations are no texts here: NamedTuple would compile each of them, which takes as long as ten modules.
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple, Self

from lotdb.errors import DamagedError, FileSystemError, MomentGoneError, MomentNotFoundError
from lotdb.storage.sealing import ChecksummedRecords, belongs, is_intact
from lotdb.storage.transactions import DataFile, NotWholeError, Transaction, time_of
from lotdb.storage.watermark import EMPTY

__all__ = ["Changed", "History", "Stored", "above_text"]

_PACKED = b"p"
_SMALL = 1 << 13  # bytes that are read at once: of each transaction the header only
_MOST = 60_000  # a header has room for 65 535 bytes
_REMEMBERED = 8
_NOTHING, _UNKNOWN = "-", "*"


class Stored(NamedTuple):
    """A commit, as it is stored.

    ``tid`` is its id, ``note`` and ``above`` are its texts, ``size`` is what it takes in the data file, in
    bytes, and ``oids`` are the objects that it has stored.
    """

    tid: bytes
    note: bytes
    above: bytes
    size: int
    oids: list[bytes]


class Changed(NamedTuple):
    """What was changed after a moment: objects that were stored, and those that are above them in the tree.

    ``above`` is None if that is not known, since a program that does not say so made one of the commits.
    """

    stored: frozenset[bytes]
    above: frozenset[bytes] | None

    @classmethod
    def by(cls, commits: Iterable[Stored]) -> Self:
        """What these *commits* changed."""
        stored: set[bytes] = set()
        above: set[bytes] | None = set()
        for commit in commits:
            stored.update(commit.oids)
            found = _above(commit.above)
            above = None if above is None or found is None else above | found
        return cls(frozenset(stored), None if above is None else frozenset(above))

    def may_have(self, oid: bytes | None) -> bool:
        """Whether the object *oid*, or what is below it, may have been changed."""
        return oid is None or self.above is None or oid in self.stored or oid in self.above


def above_text(oids: Collection[bytes]) -> str:
    """The objects *oids*, as a commit names those that are above what it changes: their numbers in hex."""
    text = " ".join([each.hex().lstrip("0") or "0" for each in oids]) or _NOTHING
    return text if len(text) <= _MOST else _UNKNOWN


def _above(text: bytes) -> set[bytes] | None:
    """The objects that a commit names; None if it does not say which."""
    if text == _NOTHING.encode():
        return set()
    try:
        numbers = [int(each, 16) for each in text.decode("ascii").split(" ")]
        return {number.to_bytes(8, "big") for number in numbers}
    except (ValueError, OverflowError):  # none is named, or another program uses the text for something else
        return None


class History(ChecksummedRecords):
    """A FileStorage that lists its commits, and finds one by its id."""

    #: Commits that were looked up lately, and the files that they were found in.
    _found: tuple[tuple[Any, Stored], ...] = ()

    def _initIndex(self, index: Any, tindex: Any) -> None:
        super()._initIndex(index, tindex)
        self._found = ()  # a pack has put another file in place, and nobody should keep the old one

    def commits(self, last: bytes | None = None) -> Iterator[Stored]:
        """The commits whose moments can be looked at, the newest first; each is checked as it is given.

        *last* is the id that the first of them has, or the next smaller one; None for the newest.

        Raises
        ------
        DamagedError
            A header is not as it was written.
        FileSystemError
            The data file cannot be read.
        """
        with self._reopened(_SMALL) as file:
            position, following = self._end_of(file, last), None
            while position > EMPTY.size:
                transaction = self._ending_at(file, position, following)
                position, following = transaction.position, transaction.tid
                is_packed = file.status(position) == _PACKED
                if is_packed and self._is_followed_by_packed(file, transaction):
                    return  # a pack has dropped what is needed to look at it
                if position == EMPTY.size and not is_packed:
                    return  # by which ZODB made an empty root
                user, description = file.texts(position)
                oids = [oid for oid, _, _ in transaction.records]
                yield Stored(following, description, user, transaction.end - position, oids)
                if is_packed:
                    return  # a pack has taken from those before what is needed to look at them

    def _is_followed_by_packed(self, file: DataFile, transaction: Transaction) -> bool:
        return transaction.end < file.size and file.status(transaction.end) == _PACKED

    def _end_of(self, file: DataFile, last: bytes | None) -> int:
        if last is None:
            return file.size
        try:
            transaction = file.last_until(last)
            return EMPTY.size if transaction is None else transaction.end
        except NotWholeError as error:
            raise DamagedError(f"{self._file_name}: {error}") from error

    def _ending_at(self, file: DataFile, end: int, following: bytes | None) -> Transaction:
        try:
            start = file.last_before(end)
            if start < 0:
                raise NotWholeError(end, "the length of a transaction makes no sense")
            transaction = file.transaction(start)
            if transaction.end != end or (following is not None and transaction.tid >= following):
                raise NotWholeError(start, "a transaction does not fit the one after it")
        except NotWholeError as error:
            raise DamagedError(f"{self._file_name}: {error}") from error
        except OSError as error:
            raise FileSystemError.of(error, "the data file cannot be read", self._file_name) from error
        return transaction

    def commit_until(self, tid: bytes) -> Stored:
        """The last commit whose id is not greater than *tid*.

        Raises
        ------
        MomentGoneError
            A pack has dropped it.
        MomentNotFoundError
            There is none: the database is younger.
        DamagedError
            A header is not as it was written.
        """
        descriptor = getattr(self._files, "descriptor", None)
        for known, found in self._found:
            if known is descriptor and found.tid == tid and descriptor is not None:
                return found
        found = self._commit_until(tid)
        # A pack puts another file in place.
        self._found = ((descriptor, found), *self._found[: _REMEMBERED - 1])
        return found

    def _commit_until(self, tid: bytes) -> Stored:
        with self._reopened(_SMALL) as file:
            try:
                transaction = file.last_until(tid)
                if transaction is None:
                    first = file.transaction(EMPTY.size)
                    if file.status(first.position) == _PACKED:
                        raise self._gone(tid)
                    raise MomentNotFoundError(
                        f"{self._file_name} was made at {time_of(first.tid)}, after {time_of(tid)}"
                    )
                position = transaction.position
                is_packed = file.status(position) == _PACKED
                if is_packed and self._is_followed_by_packed(file, transaction):
                    raise self._gone(tid)
                if position == EMPTY.size and not is_packed:
                    raise MomentNotFoundError(f"{self._file_name} held nothing yet at {time_of(tid)}")
                user, description = file.texts(position)
            except NotWholeError as error:
                raise DamagedError(f"{self._file_name}: {error}") from error
            except OSError as error:
                if isinstance(error, DamagedError):
                    raise
                raise FileSystemError.of(error, "the data file cannot be read", self._file_name) from error
        oids = [oid for oid, _, _ in transaction.records]
        return Stored(transaction.tid, description, user, transaction.end - position, oids)

    def damaged_earlier(self) -> Iterator[str]:
        """What is wrong with records that are not current, and so are read at earlier moments only."""
        with self._reopened() as file:
            for transaction in self._whole_transactions(file):
                for oid, at, length in transaction.records:
                    if not length or self._index.get(oid) == at:
                        continue
                    data = file.data(at)
                    if not is_intact(data) or not belongs(data, oid, transaction.tid):
                        yield str(self._altered_error(oid, transaction.tid))

    def _gone(self, tid: bytes) -> MomentGoneError:
        return MomentGoneError(
            f"{self._file_name} cannot be looked at as it was at {time_of(tid)}: a pack has dropped what was"
            " needed for that; pack(keep=...) and tags keep moments"
        )
