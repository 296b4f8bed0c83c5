"""Ending the wait for a server that does not answer, and does not hang up.

The server ends statements that take too long, and TCP notices a machine that is gone. What is left is
something in between that has taken the question, and is silent for ever. Then this end hangs up.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from psycopg2.extensions import connection, cursor

__all__ = ["WatchedConnection"]

_LOOK_S = 0.5

#: Seconds after which the server should have ended a statement by itself.
_GRACE_S = 15.0


class _Watch:
    """A thread that hangs up connections whose time is over; it runs while any is open."""

    def __init__(self) -> None:
        self._deadlines: dict[int, tuple[float, Any]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process = 0

    def begin(self, waiting: Any, seconds: float) -> None:
        self._deadlines[id(waiting)] = time.monotonic() + seconds, waiting
        # After a fork the thread is not there, and what it watched belongs to the parent.
        if self._thread is None or self._process != os.getpid():
            with self._lock:
                self._start(waiting)

    def _start(self, waiting: Any) -> None:
        if self._process != os.getpid():
            self._deadlines = {id(waiting): self._deadlines[id(waiting)]}
            self._thread = None
        if self._thread is None:
            self._process = os.getpid()
            self._thread = threading.Thread(target=self._look, name="lotdb-postgresql", daemon=True)
            self._thread.start()

    def end(self, waiting: Any) -> None:
        self._deadlines.pop(id(waiting), None)

    def _look(self) -> None:
        idle = 0
        while idle < 60 / _LOOK_S:
            time.sleep(_LOOK_S)
            now = time.monotonic()
            idle = 0 if self._deadlines else idle + 1
            for deadline, waiting in list(self._deadlines.values()):
                if now > deadline:
                    self.end(waiting)
                    waiting.hang_up()
        self._thread = None


_watch = _Watch()


class WatchedConnection(connection):
    """A connection of psycopg2 on which no call waits for ever."""

    #: As RelStorage wants it.
    replica: Any = None

    limit_s = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = WatchedCursor

    def limit(self, seconds: float) -> None:
        """Hang up when an answer takes much longer than *seconds*, which the server has as its own limit."""
        self.limit_s = seconds + _GRACE_S

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Whatever is asked in this context is answered in time, or fails."""
        _watch.begin(self, self.limit_s)
        try:
            yield
        finally:
            _watch.end(self)

    def hang_up(self) -> None:
        """Close the socket below; who waits for an answer gets an error."""
        with contextlib.suppress(Exception):
            end = socket.socket(fileno=os.dup(self.fileno()))
            with end:
                end.shutdown(socket.SHUT_RDWR)

    def commit(self) -> None:
        """Commit."""
        with self.watched():
            super().commit()

    def rollback(self) -> None:
        """Roll back."""
        with self.watched():
            super().rollback()


class WatchedCursor(cursor):
    """A cursor of a watched connection."""

    connection: Any

    def execute(self, query: Any, vars: Any = None) -> None:
        """Execute a statement."""
        with self.connection.watched():
            super().execute(query, vars)

    def executemany(self, query: Any, vars_list: Any) -> None:
        """Execute a statement for each of many rows."""
        with self.connection.watched():
            super().executemany(query, vars_list)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """Copy rows from a file, or to one."""
        with self.connection.watched():
            super().copy_expert(sql, file, size)

    def fetchmany(self, size: int | None = None) -> Any:
        """The next rows, which a named cursor asks the server for."""
        if self.name is None:
            return super().fetchmany(size or self.arraysize)
        with self.connection.watched():
            return super().fetchmany(size or self.arraysize)
