"""Rows that a server sends some at a time, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["Rows"]

_AT_A_TIME = 1000


class Rows:
    """A cursor over a session of psycopg2; each question has a cursor of its own on the server."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._cursor: Any = None

    def execute(self, question: str) -> None:
        """Ask; what is left of the rows before is dropped."""
        if self._cursor is not None:
            self._cursor.close()
        self._cursor = self._session.cursor(name="lotdb")
        self._cursor.execute(question)

    def fetchone(self) -> Any:
        """The next row, or None."""
        return self._cursor.fetchone()

    def __iter__(self) -> Iterator[Any]:
        while rows := self._cursor.fetchmany(_AT_A_TIME):
            yield from rows
