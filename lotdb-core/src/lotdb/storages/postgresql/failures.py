"""What the driver, RelStorage and the server raise, as errors of LOTDB that name server and database."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

from transaction.interfaces import TransientError

from lotdb.errors import (
    CommitInDoubtError,
    ConflictError,
    DamagedError,
    DatabaseBusyError,
    DatabaseNotFoundError,
    DisconnectedError,
    LotdbError,
    ReadOnlyError,
    UnavailableError,
    text_of,
)
from lotdb.storages.postgresql.address import psycopg2

__all__ = ["in_doubt", "is_lost", "of_connecting", "translated", "translation"]

# Codes of PostgreSQL, from the appendix "PostgreSQL Error Codes" of its manual; two characters are a class.
_LOST = ("08", "57P01", "57P02", "57P03", "57P05")
_TOO_LONG = "57014"
_TRY_AGAIN = ("40", "25P03", "55P03", "55006", _TOO_LONG)
_READ_ONLY = ("25006",)
_MISSING_TABLE = ("42P01", "42883", "3F000")
_NO_RIGHT = ("42501", "28")
_NO_ROOM = ("53100",)

_CREDENTIALS = "; the password comes from PGPASSWORD, or from the file that PGPASSFILE names (~/.pgpass)"


def is_lost(error: BaseException, session: Any = None) -> bool:
    """Whether *error* says that the connection is gone."""
    driver = psycopg2()
    if not isinstance(error, driver.OperationalError | driver.InterfaceError | driver.DatabaseError):
        return False
    if session is not None and session.closed:
        return True
    code = getattr(error, "pgcode", None)
    if code is None:  # of the driver itself, which has not got an answer
        of_the_network = isinstance(error, driver.OperationalError | driver.InterfaceError)
        return of_the_network or "server closed" in text_of(error)
    return str(code).startswith(_LOST)


def translation(error: BaseException, where: str) -> BaseException:
    """What to raise in place of *error*: itself, if it is ours, or says that trying again may help."""
    driver = psycopg2()
    if isinstance(error, LotdbError | TransientError) or not isinstance(error, Exception):
        return error
    cause = error
    while not isinstance(cause, driver.Error) and isinstance(cause.__cause__ or cause.__context__, Exception):
        cause = cause.__cause__ or cause.__context__  # type: ignore[assignment]
    if not isinstance(cause, driver.Error):
        if any(kind.__name__.startswith("UnableToAcquire") for kind in type(error).__mro__):
            return DatabaseBusyError(f"{where} is busy: {text_of(error)}")
        return error
    code, text = str(getattr(cause, "pgcode", None) or ""), _text(cause)
    if code.startswith(_TRY_AGAIN):
        return ConflictError(f"{where}: {text}; nothing of this transaction was kept, run it again")
    if code.startswith(_READ_ONLY):
        return ReadOnlyError(f"{where} cannot be changed: {text}")
    if code.startswith(_NO_RIGHT):
        return UnavailableError(errno.EACCES, f"{text}{_CREDENTIALS}", where)
    if code.startswith(_NO_ROOM):
        return UnavailableError(errno.ENOSPC, text, where)
    if code.startswith(_MISSING_TABLE):
        return DamagedError(f"{where}: a part of the database is missing: {text}")
    if is_lost(cause):
        return DisconnectedError(errno.ECONNRESET, f"the connection was lost: {text}", where)
    return UnavailableError(errno.EIO, text, where)


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Errors of the driver leave this context as errors of LOTDB."""
    try:
        yield
    except Exception as error:
        better = translation(error, where)
        if better is error:
            raise
        raise better from error


def of_connecting(error: BaseException, where: str) -> LotdbError:
    """What *error*, with which no connection came about, says.

    The driver gives no code for it; the server's texts are those of an English one.
    """
    text = _text(error)
    if 'database "' in text and "does not exist" in text:
        return DatabaseNotFoundError(f"{where}: {text}; create it with: createdb")
    refused = ("password", "authentication", "pg_hba.conf", "permission denied", 'role "')
    if any(word in text for word in refused):
        return UnavailableError(errno.EACCES, f"{text}{_CREDENTIALS}", where)
    return DisconnectedError(errno.ECONNREFUSED, f"no connection: {text}", where)


def in_doubt(error: BaseException, where: str) -> BaseException:
    """What to raise for an *error* that came after the server was told to commit."""
    driver = psycopg2()
    code = getattr(error, "pgcode", None)
    # It has answered, and that it has not committed. It may be stopped after that, as by a time limit.
    if isinstance(error, driver.Error) and code and not str(code).startswith((*_LOST, _TOO_LONG)):
        return translation(error, where)
    if isinstance(error, TransientError | LotdbError) or not isinstance(error, Exception):
        return error
    return CommitInDoubtError.of(
        error,
        f"the connection to {where} was lost when the commit was sent ({_text(error)}), and it may or may not"
        " be stored: close the database, open it again and look",
        where,
    )


def _text(error: BaseException) -> str:
    """What the server or the driver says, in one line."""
    lines = [line.strip() for line in text_of(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("CONTEXT:", "LINE ", "^", "PL/pgSQL", "SQL "))]
    return "; ".join(kept[:2]) or type(error).__name__
