"""The databases that references of this process read from: each opened once, and closed when it is idle."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import os
import threading
import time
from collections import OrderedDict
from threading import get_ident
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from lotdb.database import LOTDB
from lotdb.database.moments import open_moment
from lotdb.errors import DatabaseNotFoundError
from lotdb.node_api.nodes import BaseNode
from lotdb.registry.registry import Plugins, check_plugins
from lotdb.storage import uninterrupted
from lotdb.storage.waiting import LimitedLock

__all__ = ["Shared", "Where", "installed_but", "open_at", "to_write"]

#: A database that nothing has used for so many seconds is closed.
IDLE_S = 60.0
#: So many databases stay open though nothing uses them, and in each thread so many moments of one.
WARM_DATABASES, WARM_MOMENTS = 8, 4


class Where(NamedTuple):
    """Which database it is, and how to open it; all of it is plain."""

    path: str  # or the URL, without a password
    name: str
    payloads: str | None  # where they are, if the user has said so
    id: str
    backends: tuple[tuple[str, Any], ...] = ()
    off: tuple[str, ...] = ()


@functools.cache
def installed_but(off: tuple[str, ...]) -> Plugins:
    """The plugins that are installed, without those called *off*."""
    return check_plugins(None, off)


class Shared(LOTDB):
    """A database that all threads of the process use, each through connections of its own."""

    def __init__(self, where: Where, *, read_only: bool = True) -> None:
        super().__init__(
            where.path,
            where.name,
            read_only=read_only,
            payloads=where.payloads,
            backends={name: dict(config) for name, config in where.backends},
            plugins=installed_but(where.off),
        )
        if self.id != where.id:
            self.close()
            raise DatabaseNotFoundError(f"{self} is another database than the one that the reference names")
        self._here = threading.local()

    def root_at(self, commit: str) -> BaseNode:
        """The root after a commit, in this thread.

        Its connection is open as long as somebody has a node of it.
        """
        roots: OrderedDict[str, BaseNode] = self._here.__dict__.setdefault("roots", OrderedDict())
        root = roots.get(commit)
        if root is None or root._tree.owner != get_ident():
            root = roots[commit] = open_moment(self, commit).root
        roots.move_to_end(commit)
        while len(roots) > WARM_MOMENTS:
            roots.popitem(last=False)
        return root


_turn = LimitedLock("another thread to open a database")
_open: WeakValueDictionary[Where, Shared] = WeakValueDictionary()
# What keeps them open though nobody has a node of them, and when they were asked for last.
_warm: OrderedDict[Where, tuple[Shared, float]] = OrderedDict()
_timer: threading.Timer | None = None
_written: dict[Where, Shared] = {}


def open_at(where: Where) -> Shared:
    """The database at *where*, open for reading; any thread may ask.

    Raises
    ------
    DatabaseNotFoundError
        If there is none, or another one.
    """
    # Ctrl-C waits: between taking the turn and the block it would leave it taken, and a database half known.
    with uninterrupted(), _turn:
        database = _open.get(where)
        if database is None or database.closed:
            database = _open[where] = Shared(where)
        _warm[where] = database, time.monotonic()
        _warm.move_to_end(where)
        while len(_warm) > WARM_DATABASES:
            _warm.popitem(last=False)
        _look_again()
    return database


def to_write(where: Where) -> Shared:
    """The database at *where*, open for writing; any thread may ask."""
    with uninterrupted(), _turn:
        database = _written.get(where)
        if database is None or database.closed:
            database = _written[where] = Shared(where, read_only=False)
    return database


def _look_again() -> None:
    global _timer
    if _timer is None:
        _timer = threading.Timer(IDLE_S, _drop_idle)
        _timer.daemon = True
        _timer.start()


def _drop_idle() -> None:
    global _timer
    with _turn:
        _timer = None
        until = time.monotonic() - IDLE_S
        idle = [_warm.pop(where) for where, (_, used) in list(_warm.items()) if used <= until]
        if _warm:
            _look_again()
    if idle:
        # One whose nodes somebody has stays open. The others are closed when they are collected.
        idle.clear()
        gc.collect()


def _close_all() -> None:
    for database in [*_open.values(), *_written.values()]:
        with contextlib.suppress(Exception):  # another thread is in the middle of something
            database.close()


def _forget_in_child() -> None:
    """What a parent has opened is of no use in a child that it forked, which opens its own."""
    global _turn, _timer
    _turn = LimitedLock("another thread to open a database")
    _timer = None
    _warm.clear()
    _written.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
