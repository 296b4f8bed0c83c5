"""Every error that LOTDB raises, grouped by the right reaction to it.

Each error is a :class:`LotdbError`, and also the builtin error that fits::

    LotdbError
    ├── look it up first: it does not exist
    │   ├── NodeNotFoundError          KeyError      no child of that key
    │   ├── AttributeNotFoundError     KeyError      no attribute of that name
    │   ├── PayloadNotFoundError       KeyError      no payload of that name
    │   ├── StaleNodeError             LookupError   the node of this handle is gone
    │   ├── MomentNotFoundError        KeyError      no commit of that id, no tag of that name
    │   ├── MomentGoneError            LookupError   a pack has dropped that moment
    │   └── DatabaseNotFoundError      FileNotFoundError
    ├── choose another name, or ask to replace: it already exists
    │   ├── NodeExistsError            ValueError
    │   ├── PayloadExistsError         ValueError
    │   └── DatabaseExistsError        FileExistsError
    ├── correct the call
    │   ├── InvalidKeyError            ValueError    what a key, a path or a name may be
    │   ├── UnsupportedValueError      TypeError     a type that attributes cannot hold
    │   ├── ValueTooLargeError         ValueError    an attribute too large or nested too deep
    │   ├── InvalidDataError           ValueError    an array, dtype or shape that no payload can hold
    │   ├── DataMismatchError          ValueError    appended data do not fit the payload
    │   ├── InvalidRangeError          ValueError    an invalid window, block size or rate
    │   ├── InvalidIndexError          IndexError    an index outside of the payload
    │   ├── NoAxisError                TypeError     a payload without axes was asked for rows
    │   ├── InvalidOptionError         ValueError, TypeError  an argument with an invalid value
    │   ├── InvalidConditionError      ValueError, TypeError, AttributeError  a pattern or condition of find
    │   ├── InvalidMoveError           ValueError    a node moved below itself, the root moved
    │   ├── WrongNodeError             TypeError     not a node, or one of another tree
    │   ├── WrongNodeTypeError         AttributeError  what only nodes of another type have
    │   └── RenamedError               AttributeError  a name that lotdb 1.x had
    │       └── RenamedArgumentError   TypeError     an argument that lotdb 1.x had
    ├── install or repair a plugin
    │   ├── MissingPluginError         LookupError   not installed
    │   ├── PluginError                RuntimeError  installed, but it failed
    │   ├── IngestError                ValueError    a file that cannot be ingested
    │   └── ExportError                ValueError    a payload that cannot be written to a file
    ├── look at the step that the message names, and its node
    │   └── StepError                  RuntimeError
    │       ├── InvalidStepError       ValueError, TypeError  what no step can be made of, or called with
    │       ├── StepFailedError        its function failed; the cause is chained
    │       ├── StepResultError        TypeError     it returned what cannot be stored
    │       ├── StepAccessError        it changed the tree, or read when it had ended
    │       ├── StaleResultError       ReadOnlyError  a result that is stale or missing cannot be computed
    │       └── NotAResultError        LookupError   a node that no step has made
    ├── open, reopen or wait
    │   ├── ClosedError                RuntimeError  the connection or the database is closed
    │   ├── WrongThreadError           RuntimeError  a connection used outside its thread or process
    │   ├── ReadOnlyError              PermissionError
    │   ├── DatabaseBusyError          BlockingIOError  another process or reader uses it
    │   ├── WaitTimeoutError           TimeoutError  another thread did not finish in time
    │   ├── FileSystemError            OSError       no space, too many open files, an I/O error
    │   ├── UnavailableError           OSError       a store that cannot be reached, or may not be read
    │   ├── DisconnectedError          UnavailableError, TransientError  a server is gone: run it again
    │   ├── ConflictError              ZODB's ConflictError  run the transaction again
    │   └── CommitInDoubtError         OSError       a commit whose end nobody saw: reopen and look
    └── look after the data
        ├── DamagedError               OSError       missing, truncated or altered bytes
        ├── DatabaseFormatError        ValueError    not a LOTDB database, or a newer one
        └── UnsafeRecordError          ValueError    a record names a class that LOTDB does not load
"""

from __future__ import annotations

import errno
import os
import reprlib
import sys
from collections.abc import Iterable
from typing import Any, NoReturn, Self

from transaction.interfaces import TransientError
from ZODB import POSException

__all__ = [
    "AttributeNotFoundError",
    "ClosedError",
    "CodeChangedWarning",
    "CommitInDoubtError",
    "ConflictError",
    "DamagedError",
    "DataMismatchError",
    "DatabaseBusyError",
    "DatabaseExistsError",
    "DatabaseFormatError",
    "DatabaseNotFoundError",
    "DisconnectedError",
    "ExportError",
    "FileSystemError",
    "IngestError",
    "InvalidConditionError",
    "InvalidDataError",
    "InvalidIndexError",
    "InvalidKeyError",
    "InvalidMoveError",
    "InvalidOptionError",
    "InvalidRangeError",
    "InvalidStepError",
    "ListenerWarning",
    "LotdbError",
    "MissingPluginError",
    "MomentGoneError",
    "MomentNotFoundError",
    "NoAxisError",
    "NodeExistsError",
    "NodeNotFoundError",
    "NotAResultError",
    "PayloadExistsError",
    "PayloadNotFoundError",
    "PluginError",
    "ReadOnlyError",
    "RenamedArgumentError",
    "RenamedError",
    "StaleNodeError",
    "StaleResultError",
    "StepAccessError",
    "StepError",
    "StepFailedError",
    "StepResultError",
    "UnavailableError",
    "UnsafeRecordError",
    "UnsupportedValueError",
    "ValueTooLargeError",
    "WaitTimeoutError",
    "WrongNodeError",
    "WrongNodeTypeError",
    "WrongThreadError",
]


class LotdbError(Exception):
    """Base of every error that LOTDB raises on purpose."""

    def __str__(self) -> str:
        # KeyError would show the repr of its message, quotes and all.
        return Exception.__str__(self)


class ListenerWarning(RuntimeWarning):
    """A listener failed when it was told of a commit, which stands."""


class CodeChangedWarning(UserWarning):
    """A result was made by other code than the step has now, and is used all the same, as was asked for."""


# -- it does not exist ------------------------------------------------------------------------------


class NodeNotFoundError(LotdbError, KeyError):
    """No node of that key or path."""


class AttributeNotFoundError(LotdbError, KeyError):
    """No attribute of that name."""


class PayloadNotFoundError(LotdbError, KeyError):
    """No payload of that name."""


class StaleNodeError(LotdbError, LookupError):
    """The node of this handle was deleted or moved away, or an abort undid its creation."""


class MomentNotFoundError(LotdbError, KeyError):
    """No commit of that id, no tag of that name, or a time before the database was made."""


class MomentGoneError(LotdbError, LookupError):
    """A pack has dropped what was needed to look at that moment."""


class DatabaseNotFoundError(LotdbError, FileNotFoundError):
    """The database does not exist."""


# -- it already exists ----------------------------------------------------------------------------


class NodeExistsError(LotdbError, ValueError):
    """A node of that key already exists."""


class PayloadExistsError(LotdbError, ValueError):
    """A payload or an attribute of that name already exists."""


class DatabaseExistsError(LotdbError, FileExistsError):
    """``new=True``, and a database already exists."""


# -- correct the call -----------------------------------------------------------------------------


class InvalidKeyError(LotdbError, ValueError):
    """A key, path or attribute name that LOTDB does not accept."""


class UnsupportedValueError(LotdbError, TypeError):
    """A value of a type that an attribute cannot hold."""


class ValueTooLargeError(LotdbError, ValueError):
    """An attribute value that is too large or nested too deeply."""


class InvalidDataError(LotdbError, ValueError):
    """Data that no payload can hold: its type, dtype or shape."""


class DataMismatchError(LotdbError, ValueError):
    """Data that do not fit the payload to which they are appended."""


class InvalidRangeError(LotdbError, ValueError):
    """An invalid window, block size or sample rate."""


class InvalidIndexError(LotdbError, IndexError):
    """An index outside of the payload, or an invalid index."""


class NoAxisError(LotdbError, TypeError):
    """A payload without axes was asked for its rows or their number."""


class InvalidOptionError(LotdbError, ValueError, TypeError):
    """An argument with an invalid value."""


class InvalidConditionError(LotdbError, ValueError, TypeError, AttributeError):
    """A pattern or a condition of ``find`` that means nothing."""


class InvalidMoveError(LotdbError, ValueError):
    """A node cannot be moved there: below itself, or it is the root."""


class WrongNodeError(LotdbError, TypeError):
    """Not a node, or a node of another tree."""


class WrongNodeTypeError(LotdbError, AttributeError):
    """A node was asked for something that its type does not have."""


class RenamedError(LotdbError, AttributeError):
    """A name that lotdb 1.x had; the message says what to use instead."""


class RenamedArgumentError(RenamedError, TypeError):
    """An argument that lotdb 1.x had; the message says what to use instead."""


# -- plugins --------------------------------------------------------------------------------------


class MissingPluginError(LotdbError, LookupError):
    """A backend, node type or file format that is not installed."""


class PluginError(LotdbError, RuntimeError):
    """An installed plugin failed to import or to do its work."""


class IngestError(LotdbError, ValueError):
    """A file that cannot be ingested."""


class ExportError(LotdbError, ValueError):
    """A payload cannot be written to a file: the file exists, or its format would lose something."""


# -- steps ----------------------------------------------------------------------------------------


class StepError(LotdbError, RuntimeError):
    """A step cannot be computed at a node; base of those that say why.

    Attributes
    ----------
    step : str
        Name of the step.
    node : str
        Path of the node; "" for the root, and if it concerns no node.
    """

    step = ""
    node = ""

    def of(self, step: str, node: str) -> Self:
        """The error itself, with what it is about."""
        self.step, self.node = step, node
        return self


class InvalidStepError(StepError, ValueError, TypeError):
    """What no step can be made of, or what a step cannot be called with."""


class StepFailedError(StepError):
    """The function of a step raised; what it raised is the cause."""


class StepResultError(StepError, TypeError):
    """A step returned what cannot be stored."""


class StepAccessError(StepError):
    """A step changed the tree outside of its result, or reads when it has ended."""


class NotAResultError(StepError, LookupError):
    """No step has made the node."""


# -- open, reopen or wait -------------------------------------------------------------------------


class ClosedError(LotdbError, RuntimeError):
    """The connection or the database is closed."""


class WrongThreadError(LotdbError, RuntimeError):
    """A connection was used outside the thread or process that opened it."""


class ReadOnlyError(LotdbError, PermissionError):
    """A change to a database that was opened read-only."""


class StaleResultError(StepError, ReadOnlyError):
    """A result is stale or missing, and cannot be computed here."""


class DatabaseBusyError(LotdbError, BlockingIOError):
    """Another process or reader uses the database, or the connection is writing the blocks of a payload."""


class WaitTimeoutError(LotdbError, TimeoutError):
    """Another thread of this process did not finish, or did not release a lock, in time."""


class ConflictError(LotdbError, POSException.ConflictError):
    """Another transaction changed the same nodes first; nothing of this transaction was stored.

    It is a ``transaction.interfaces.TransientError``: run the transaction again, or let
    ``LOTDB.run`` do so.
    """

    def __init__(self, message: str) -> None:
        # ZODB's own __init__ takes an object and serials; only its place in the hierarchy is wanted.
        Exception.__init__(self, message)


class FileSystemError(LotdbError, OSError):
    """The system refused: too many open files, no space or inodes left, an I/O error.

    The stored data are not affected. ``errno`` and ``filename`` are those of the system's error.
    """

    def __str__(self) -> str:
        if self.errno is None and self.strerror is not None:  # of a library, which has no number for it
            return f"{self.strerror}: {self.filename!r}" if self.filename is not None else self.strerror
        return OSError.__str__(self)

    @classmethod
    def of(cls, error: OSError, about: str = "", path: str | None = None) -> FileSystemError:
        """*error* as a ``FileSystemError`` that begins with *about*, and names *path* if it names no file."""
        reason = error.strerror or text_of(error) or type(error).__name__
        where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else path
        reason = f"{about}: {reason}" if about else reason
        return cls(error.errno, reason, where) if where else cls(error.errno, reason)


class UnavailableError(FileSystemError):
    """A store of payloads that cannot be reached now, or that may not be read.

    It says nothing about the data: try again, or mend the connection or the rights. A backend whose library
    has errors of its own for this raises it; errors of the system become it by themselves.
    """


class DisconnectedError(UnavailableError, TransientError):
    """The server of the database cannot be reached, or the connection to it was lost; nothing was committed.

    It is a ``transaction.interfaces.TransientError``: run the transaction again, or let ``LOTDB.run`` do so.
    The next transaction connects anew. ``filename`` is the URL of the database, without a password.
    """


class CommitInDoubtError(LotdbError, OSError):
    """The disk, or the network, failed in the last step of a commit, which may or may not be stored.

    ``errno`` is that of the system's error, and ``filename`` the data file, or the URL without a password.
    """

    @classmethod
    def of(cls, error: BaseException, message: str, path: str) -> CommitInDoubtError:
        """The error with *message*, the data file *path*, and the ``errno`` of *error*."""
        doubt = cls(message)
        if failure := system_error(error):
            doubt.errno = failure.errno
        doubt.filename = path
        return doubt


# -- look after the data --------------------------------------------------------------------------


class DamagedError(LotdbError, OSError):
    """Stored bytes that are missing, truncated or altered."""


class DatabaseFormatError(LotdbError, ValueError):
    """Not a LOTDB database, or a database of a format that this version does not know."""


class UnsafeRecordError(LotdbError, ValueError):
    """A stored record names a class that LOTDB does not load."""


class FileNotReadError(FileSystemError, IngestError):
    """A file that cannot be ingested now, because the system lacks something; the file itself may be good."""

    def __str__(self) -> str:
        return str(self.strerror)  # a sentence that names the file


# -- what the system could not do -----------------------------------------------------------------

# The errors of opening a file that does not exist or is no file. All others are about the system at this
# moment, and not about the data.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO})

# The dynamic linker's errors have the system's text, but no number.
_OF_THE_LINKER = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)


def not_left_out(error: OSError) -> NoReturn:
    """Raise *error*: ``os.walk`` is silent about folders that it cannot list, if it is not given this."""
    raise error


def is_gone(error: BaseException) -> bool:
    """Whether *error* says that a file is missing, or that no file is in its place."""
    return isinstance(error, OSError) and error.errno in _GONE


def system_error(error: BaseException | None, *, of_a_store: bool = False) -> OSError | None:
    """The system's error that caused *error*: itself, or one that it was raised from.

    A missing file does not count, nor does an ``OSError`` without a number, which some libraries raise for
    bytes that they do not understand; *of_a_store*, those without a number count that say that it is not to
    be had.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, FileSystemError):
            return error
        if isinstance(error, OSError) and not isinstance(error, LotdbError):
            if error.errno is not None:
                return None if error.errno in _GONE else error
            if of_a_store and (isinstance(error, _REFUSALS) or _status(error) in _REFUSED_STATUS):
                return error
        if isinstance(error, ImportError):
            for number in _OF_THE_LINKER:
                if os.strerror(number) in text_of(error):
                    return OSError(number, os.strerror(number), error.path or error.name)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


# Of these classes an error is the system's, or the network's, also without a number.
_REFUSALS = (BlockingIOError, ConnectionError, PermissionError, TimeoutError)

# What a server answers that does not give out what it has: who are you, you may not, later, not now.
_REFUSED_STATUS = frozenset({401, 403, 407, 408, 425, 429, *range(500, 600)})


def _status(error: BaseException) -> Any:
    """The status of HTTP in an error of ``urllib``, or of a library that keeps the response in it."""
    status = getattr(error, "code", None)
    return getattr(getattr(error, "response", None), "status_code", None) if status is None else status


# What a store says, or the way to it, that is there and cannot be read now. Below zero are those of
# ``getaddrinfo``, which has numbers of its own.
_UNREACHED = frozenset(
    getattr(errno, name)
    for name in (
        "EACCES", "EADDRNOTAVAIL", "EAGAIN", "EBUSY", "ECOMM", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET",
        "EHOSTDOWN", "EHOSTUNREACH", "EIO", "EKEYEXPIRED", "EKEYREJECTED", "EKEYREVOKED", "ENETDOWN",
        "ENETRESET", "ENETUNREACH", "ENODEV", "ENOKEY", "ENOLINK", "ENOMEDIUM", "ENONET", "ENOTCONN",
        "EPERM", "EPIPE", "EPROTO", "EREMOTEIO", "ESHUTDOWN", "ESTALE", "ETIMEDOUT", "ETIME", "EWOULDBLOCK",
    )
    if hasattr(errno, name)
)  # fmt: skip


def store_error(error: BaseException, about: str, where: str | None) -> FileSystemError | None:
    """What *error* of a backend is if it comes of the system, or of the way to a store; None for any other.

    The one place that tells a store that is not to be had, an ``UnavailableError``, from a system that lacks
    something, whichever backend it came through. It says *about* what it is, and *where*.
    """
    failure = system_error(error, of_a_store=True)
    if failure is None:
        return None
    is_unreached = (
        isinstance(failure, (UnavailableError, *_REFUSALS))
        or failure.errno in _UNREACHED
        or (failure.errno is not None and failure.errno < 0)
        or _status(failure) in _REFUSED_STATUS
    )
    return (UnavailableError if is_unreached else FileSystemError).of(failure, about, where)


# Errors that do not depend on the contents of a file. A damaged file can cause others, for example by naming
# a place in it that does not exist.
_LACKING = frozenset(
    getattr(errno, name)
    for name in ("EMFILE", "ENFILE", "ENOSPC", "EDQUOT", "ENOMEM", "EIO", "EROFS")
    if hasattr(errno, name)
)


def lacking(error: BaseException) -> OSError | None:
    """The system's error that caused *error*, if it is about open files, space or a failing disk."""
    failure = system_error(error)
    return failure if failure is not None and failure.errno in _LACKING else None


class system_errors:
    """Context manager that turns an error of the system, also a missing file, into a ``FileSystemError``.

    Our own errors are passed on. An error that names no file gets *path*. It is a class, since each commit is
    in one, and a generator takes three times as long.
    """

    __slots__ = ("_about", "_path")

    def __init__(self, about: str = "", path: str | None = None) -> None:
        self._about, self._path = about, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None:
            return
        if isinstance(error, LotdbError):
            if isinstance(error, FileSystemError) and error.filename is None:
                error.filename = self._path
        elif isinstance(error, OSError):
            raise FileSystemError.of(error, self._about, self._path) from error


# -- for messages ---------------------------------------------------------------------------------


class _Short(reprlib.Repr):
    # Python has no text for a huge int, or for an object whose __repr__ fails. For these, reprlib gives an
    # address or an error, depending on the release.

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() <= _PRINTED_BITS else _unshown(x)

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            text = repr(x)
        except Exception:
            return _unshown(x)
        half = (self.maxother - 3) // 2
        return text if len(text) <= self.maxother else f"{text[:half]}...{text[-half:]}"


# Python writes no int of more than 4300 digits.
_PRINTED_BITS = 14_000
_short = _Short()


def shown(value: object) -> str:
    """A short repr of whatever a caller passed, for a message."""
    try:
        return _short.repr(value)
    except Exception:
        return _unshown(value)


class _Whole(_Short):
    """Leaves nothing out; an int of more digits than Python writes is in hexadecimal."""

    def __init__(self) -> None:
        super().__init__()
        for limit in [each for each in vars(self) if each.startswith("max")]:
            setattr(self, limit, sys.maxsize)

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() <= _PRINTED_BITS else hex(x)


_whole = _Whole()


def written(value: object) -> str:
    """The repr of a value that is stored, whatever int it is or holds."""
    try:
        return repr(value)
    except Exception:  # Python's, for an int of more than 4300 digits; or of what a plugin has made
        pass
    try:
        return _whole.repr(value)
    except Exception:
        return _unshown(value)


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The end of a message about *name*, which is unknown: what may have been meant, if it can be told.

    *cutoff* is how much of the two names has to be the same.

    >>> nearest("delimeter", ["encoding", "delimiter"])
    "; did you mean 'delimiter'?"
    >>> nearest("ENCODING", ["encoding"])
    "; did you mean 'encoding'?"
    >>> nearest("bogus", ["encoding"])
    ''
    """
    from difflib import get_close_matches  # it takes a while

    if not isinstance(name, str):
        return ""
    known = list(known)
    same = [each for each in known if each.casefold() == name.casefold()]
    found = same or get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"; did you mean {found[0]!r}?" if found else ""


def _unshown(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def text_of(error: BaseException) -> str:
    """What *error* says, whatever class a plugin has raised."""
    try:
        return str(error)
    except Exception as failure:
        return f"(it cannot be told: {type(failure).__name__})"


def refusing(error: Exception, who: str) -> Exception:
    """*error*, by which a plugin refuses a change, with a note of *who* did; otherwise as it is."""
    if not is_refusal(error):
        error.add_note(f"{who} refused this change")
        error._lotdb_refusal = True  # type: ignore[attr-defined]
    return error


def is_refusal(error: BaseException) -> bool:
    """Whether a plugin has refused a change by *error*."""
    return hasattr(error, "_lotdb_refusal")
