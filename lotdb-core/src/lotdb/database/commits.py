"""A database's commits: what is told of one, and which one somebody means."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from lotdb.database.opened import Opened
from lotdb.database.session import Session
from lotdb.errors import DamagedError, InvalidOptionError, MomentNotFoundError, shown, system_errors
from lotdb.keys import stored_form
from lotdb.records import Children
from lotdb.storage.history import Stored

__all__ = [
    "TAGS_KEY",
    "Commit",
    "When",
    "check_limit",
    "commit_of",
    "commits",
    "find_commit",
    "id_of",
    "tag_in",
    "tags_in",
    "tid_of",
    "time_of",
]

#: The name of the record of the tags in ZODB's root.
TAGS_KEY = "tags"

_ID = re.compile(r"[0-9a-f]{16}")

# A commit's id holds when it was made: the minutes as if each month had 31 days, and the part of a minute.
_MINUTE = 60_000_000
_YEAR_0 = 1900

# The greatest one that ZODB has, thousands of years from now.
_LAST = b"\x7f" + 7 * b"\xff"


@dataclass(frozen=True)
class Commit:
    """One commit, and the moment after it.

    Attributes
    ----------
    id : str
        16 hexadecimal digits; a later commit has a greater one. See ``LOTDB.last_commit``.
    time : datetime.datetime
        When it was made, in UTC. If the clock was set back, commits are dated after the one before them.
    note : str
        What was passed as ``note=``; "" if nothing was.
    bytes : int
        What it takes in the data file. Payloads lie elsewhere, and are not counted.
    """

    id: str
    time: datetime
    note: str
    bytes: int

    def __str__(self) -> str:
        return f"{self.id} {self.time:%Y-%m-%d %H:%M:%S} {self.note}".rstrip()


#: What names a moment: a commit, its id, a tag, or a time.
When = Commit | str | datetime


def commit_of(stored: Stored) -> Commit:
    """The commit that is *stored*."""
    note = stored.note.decode("utf-8", "replace")
    return Commit(stored.tid.hex(), time_of(stored.tid), note, stored.size)


def time_of(tid: bytes) -> datetime:
    """When the commit *tid* was made; a part of a microsecond is left out."""
    minutes, part = int.from_bytes(tid[:4], "big"), int.from_bytes(tid[4:], "big")
    days, minute = divmod(minutes, 24 * 60)
    months, day = divmod(days, 31)
    year, month = divmod(months, 12)
    first = datetime(_YEAR_0 + year, month + 1, 1, tzinfo=UTC)
    return first + timedelta(days=day, minutes=minute, microseconds=part * _MINUTE >> 32)


def tid_of(time: datetime) -> bytes:
    """The greatest id that a commit can have that was made at *time*, in the very microsecond."""
    if time.tzinfo is None or time.utcoffset() is None:
        raise InvalidOptionError(
            f"{time!r} has no time zone; use an aware time, such as datetime.now(timezone.utc)"
        )
    try:
        utc = time.astimezone(UTC)
    except OverflowError:  # some hours beside the calendar
        return bytes(8) if time.year < _YEAR_0 else _LAST
    if utc.year < _YEAR_0:
        return bytes(8)
    minutes = (((utc.year - _YEAR_0) * 12 + utc.month - 1) * 31 + utc.day - 1) * 24 + utc.hour
    part = -(-(utc.second * 1_000_000 + utc.microsecond + 1 << 32) // _MINUTE) - 1
    return min((minutes * 60 + utc.minute << 32) + part, int.from_bytes(_LAST, "big")).to_bytes(8, "big")


def id_of(text: str) -> bytes | None:
    """The id that *text* is, or None if it is none."""
    return bytes.fromhex(text) if _ID.fullmatch(text) else None


def find_commit(database: Opened, when: Any) -> Commit:
    """The commit that *when* means, if its moment can be looked at.

    Raises
    ------
    MomentNotFoundError
        There is no such commit or tag, or the database is younger.
    MomentGoneError
        A pack has dropped it.
    InvalidOptionError
        *when* is none of what names a moment.
    """
    storage = database._storage
    with system_errors("the commits cannot be read", database._data_file):
        if isinstance(when, datetime):
            return commit_of(storage.commit_until(tid_of(when)))
        text = when.id if isinstance(when, Commit) else when
        if not isinstance(text, str):
            raise InvalidOptionError(
                f"{shown(when)} names no moment; use a Commit, its id, a tag, or an aware datetime"
            )
        tid = id_of(text) or tagged(database, text)
        try:
            stored = storage.commit_until(tid)
        except MomentNotFoundError as error:
            raise MomentNotFoundError(f"there is no commit {text!r}: {error}") from error
    if stored.tid != tid:
        raise MomentNotFoundError(f"{database} has no commit {text!r}; history() lists them")
    return commit_of(stored)


def check_limit(limit: Any) -> None:
    """Raise ``InvalidOptionError`` unless *limit* is a number of commits, or None."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidOptionError(f"limit is {shown(limit)}; use a number of commits, or None")


def commits(database: Opened, limit: Any, since: Any, until: Any) -> Iterator[tuple[Commit, Stored]]:
    """The commits of *database*, the newest first, each with what is stored of it."""
    check_limit(limit)
    first = None if since is None else _first_id(database, since)
    last = None if until is None else _last_id(database, until)
    return islice(_between(database, first, last), None if limit is None else min(limit, sys.maxsize))


def _first_id(database: Opened, since: Any) -> bytes:
    if isinstance(since, datetime):
        if since == datetime.min.replace(tzinfo=since.tzinfo):
            return tid_of(since)
        before = tid_of(since - timedelta(microseconds=1))
        return (int.from_bytes(before, "big") + 1).to_bytes(8, "big")
    return bytes.fromhex(find_commit(database, since).id)


def _last_id(database: Opened, until: Any) -> bytes:
    return tid_of(until) if isinstance(until, datetime) else bytes.fromhex(find_commit(database, until).id)


def _between(database: Opened, first: bytes | None, last: bytes | None) -> Iterator[tuple[Commit, Stored]]:
    for stored in database._storage.commits(last):
        if first is not None and stored.tid < first:
            return
        yield commit_of(stored), stored


# -- tags -------------------------------------------------------------------------------------------


def tags_in(session: Session) -> dict[str, bytes]:
    """The tags as *session* sees them, in the order of their names: name to id.

    Raises
    ------
    DamagedError
        What is stored makes no sense.
    """
    record = session.connection.root().get(TAGS_KEY)
    if record is None:
        return {}
    if type(record) is not Children:
        raise DamagedError("the record of the tags is none")
    found = {name: id_of(text) if isinstance(text, str) else None for name, text in record.items() if name}
    if None in found.values():
        raise DamagedError("a tag names no commit")
    return found  # type: ignore[return-value]  # as was just seen


def tagged(database: Opened, name: str) -> bytes:
    """The id of the commit that is tagged *name*."""
    session = Session(database)
    try:
        return tag_in(session, name)
    finally:
        session.close()


def tag_in(session: Session, name: Any) -> bytes:
    """The id of the commit that is tagged *name*, as *session* sees it."""
    there = tags_in(session)
    found = there.get(stored_form(name))
    if found is None:
        names = ", ".join(map(repr, there)) or "none"
        raise MomentNotFoundError(
            f"{session.database} has no commit and no tag {shown(name)} (tags: {names}); "
            "a time is an aware datetime"
        )
    return found
