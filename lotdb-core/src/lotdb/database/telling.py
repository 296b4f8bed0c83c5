"""Telling listeners what a commit has changed, after it is on the disk.

The changes are worked out before the commit, while both states of the tree are at hand, and told after it.
Until all listeners have returned no other connection commits: so they hear of commits in their order, and
what they read is this commit's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from threading import get_ident
from typing import Any

from lotdb.database.opened import EVENT, Opened
from lotdb.errors import ListenerWarning, text_of
from lotdb.node_api.nodes import BaseNode
from lotdb.tree.before import Before
from lotdb.tree.changes import Change, Changes, compare

__all__ = ["Telling"]


class Telling:
    """What a commit that is about to be made will have changed, and who is to be told.

    Parameters
    ----------
    database
        The database.
    root
        The root of the connection that commits, which has a journal.
    connection : ZODB.Connection.Connection
        What the connection is to ZODB.
    """

    def __init__(self, database: Opened, root: BaseNode, connection: Any) -> None:
        self._database = database
        self._root = root
        self._changes: Sequence[Change] | None = None
        self._failure: Exception | None = None
        self._connection = connection
        tree = root._tree
        is_changed = connection.is_changed()
        before = Before(lambda record: is_changed(record._p_oid), connection.state_before)
        assert tree.journal is not None
        try:
            self._changes = compare(tree.journal.play(tree.roots), tree.roots, before, tree.plugins)
        except Exception as error:
            # A part of the earlier state cannot be read, as a rule. Whatever it is, it must not keep the new
            # one from being stored.
            self._failure = error
        self._last = b""

    def begin(self) -> None:
        """Note after which commit this one comes; the database's turn is held from now on."""
        self._last = self._database._storage.last_commit()

    def tell(self) -> None:
        """Call the listeners, if anything was committed."""
        made = self._database._storage.commit_of(self._connection._normal_storage, self._last)
        if made is None:
            return  # all that was changed was undone as well
        commit, before = made
        if self._changes is None:
            _warn(f"nobody was told of commit {commit.hex()} of {self._database}: {self._failure!r}")
            return
        changes = Changes(self._changes, commit.hex(), before.hex(), lambda: self._root)
        self._database._telling = get_ident()
        try:
            failed = self._database.plugins.tell(EVENT, database=self._database, changes=changes)
        finally:
            self._database._telling = None
            changes._end()
        for name, error in failed:
            if not isinstance(error, Exception):
                raise error
            _warn(
                f"plugin {name!r} failed in {EVENT}, and may have missed commit {commit.hex()} of "
                f"{self._database}, which stands: {type(error).__name__}: {text_of(error)}{_where(error)}"
            )


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" (at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"


def _warn(message: str) -> None:
    warnings.warn(message, ListenerWarning, stacklevel=5)
