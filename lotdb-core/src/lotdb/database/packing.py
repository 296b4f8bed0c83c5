"""Packing: what is kept, and dropping the rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lotdb.database import sweeping, upkeep
from lotdb.database.commits import Commit, find_commit, tags_in, tid_of
from lotdb.database.moments import MomentSession, open_moment
from lotdb.database.opened import Opened
from lotdb.database.session import Session
from lotdb.database.stats import Stats, parts_of, stats
from lotdb.errors import DamagedError, InvalidOptionError, MomentGoneError, MomentNotFoundError, shown
from lotdb.storage.snapshots import FIRST

__all__ = ["kept_since", "pack", "stats_of", "wanted_since"]


def wanted_since(database: Opened, keep: Any) -> bytes | None:
    """The id of the commit from which on *keep* wants moments to be kept; None for the last one.

    Raises
    ------
    MomentGoneError, MomentNotFoundError
        There is no such moment.
    InvalidOptionError
        *keep* is none of what may be said.
    """
    if keep is None:
        return None
    if not isinstance(keep, timedelta | datetime | Commit | str):
        raise InvalidOptionError(
            f"keep is {shown(keep)}; use a time span, such as timedelta(days=30), or a Commit, its id, a tag,"
            " or an aware datetime"
        )
    if not isinstance(keep, timedelta):
        return bytes.fromhex(find_commit(database, keep).id)
    if keep < timedelta(0):
        raise InvalidOptionError(f"keep is {shown(keep)}; use a time span from 0 on")
    try:
        since = datetime.now(UTC) - keep
    except OverflowError:  # longer than there is a calendar
        return FIRST
    try:
        tid: bytes = database._storage.commit_until(tid_of(since)).tid
    except (MomentGoneError, MomentNotFoundError):  # all that there is is younger
        return FIRST
    return tid


def kept_since(database: Opened, wanted: bytes | None) -> bytes:
    """The commit from which on a pack keeps moments: the wanted one, or an earlier one that is in use.

    Connections and copies use what they see; and from the oldest tag on, all is kept.
    """
    # The connections come first: one that sets a tag sees its moment until the tag is committed.
    seen = database._oldest_snapshot()
    session = Session(database)
    try:
        tags = tags_in(session)
    finally:
        session.close()
    return min([seen, *tags.values(), *([] if wanted is None else [wanted])])


def stats_of(database: Opened, keep: Any) -> Stats:
    """What *database* takes, and what a pack would free that keeps what *keep* says."""
    wanted = wanted_since(database, keep)
    session = Session(database)
    then: MomentSession | None = None
    try:
        horizons = [*tags_in(session).values(), *([] if wanted is None else [wanted])]
        if not horizons or min(horizons) >= database._storage.last_commit():
            return stats(database, session.root)
        *_, oldest = database._storage.commits()
        since = max(min(horizons), oldest.tid)
        then = open_moment(database, since.hex())
        return stats(database, session.root, then.root, since)
    finally:
        if then is not None:
            then.close()
        session.close()


def _drop(database: Any, since: bytes) -> None:
    """Drop what cannot be seen since the transaction *since*; a node that is below itself is named."""
    storage = database._storage
    if not storage._finds_rings or since < storage.last_commit():
        database._refuse_rings()
    try:
        storage.pack(since, database._zodb.references)
    except DamagedError:
        database._refuse_rings()
        raise


def pack(database: Any, keep: Any, *, grace_s: float | None, sweep_outside: bool) -> int:
    """Drop what nobody can see any more, and give how many bytes that gave back."""
    wanted = wanted_since(database, keep)
    before = sum(parts_of(database).values())

    database._unless_dropped(lambda: _drop(database, kept_since(database, wanted)))
    sweeping.sweep(database, grace_s=grace_s, outside=sweep_outside)
    upkeep.tell_backends(database)
    return max(before - sum(parts_of(database).values()), 0)
