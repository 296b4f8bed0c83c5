"""An open database, as its connections and its upkeep see it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from ZODB.utils import p64, u64

from lotdb.errors import LotdbError
from lotdb.plugins import Plugins
from lotdb.segments.backends import Backends
from lotdb.tree.tree import Tree

if TYPE_CHECKING:
    import ZODB

__all__ = ["NOBODY", "Opened"]

#: Owner of a tree that is closed; no thread has this number.
NOBODY = -1


class Connected(Protocol):
    """A connection, as the database sees it."""

    @property
    def tree(self) -> Tree:
        """The tree that it sees."""

    @property
    def oldest(self) -> bytes:
        """The transaction number before which it, or a copy made from it, reads."""


class Opened:
    """An open database, as its connections and its upkeep see it; ``lotdb.LOTDB`` is its public face."""

    path: Path
    name: str
    read_only: bool
    plugins: Plugins
    default_backend: str
    _zodb: ZODB.DB
    _backends: Backends
    _connections: WeakSet[Connected]  # all that were made and are in use
    _refusal: LotdbError | None

    @property
    def _data_file(self) -> str:
        return os.path.abspath(self.path / self.name)

    def __str__(self) -> str:
        return f"database {os.fspath(self.path / self.name)!r}"

    def _open_connections(self) -> list[Connected]:
        """The connections that are open."""
        return [session for session in list(self._connections) if session.tree.owner != NOBODY]

    def _why_refused(self) -> LotdbError | None:
        """The error that says why nothing can be done with the database any more, or None."""
        return self._refusal

    def _give_up(self, reason: LotdbError) -> None:
        """Refuse all further use, because of *reason*."""
        self._refusal = reason
        for session in list(self._connections):
            session.tree.owner = NOBODY

    def _check(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def _oldest_snapshot(self) -> bytes | None:
        starts = [session.oldest for session in self._open_connections()]
        return p64(u64(min(starts)) - 1) if starts else None
