"""References: what stands for a node or a payload in other threads and processes.

A reference is a node, or a payload, of a class of its own that is made below the class of the node. It knows
where the database is, which commit it means, and the path. Whatever is asked of it, it asks of the node
itself, which it finds when it is first used. A node belongs to the thread of a connection, so each thread
finds its own. A payload is found once, in a form that any thread reads.

Nothing is opened when a reference is unpickled: a pool of processes that fails there loses its worker, or
waits for ever, and does not tell why.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from threading import get_ident
from types import FunctionType, MethodType
from typing import Any, NamedTuple

from lotdb.content import payloads
from lotdb.content.payload import Payload
from lotdb.database.opened import NOBODY, Opened
from lotdb.database.session import Session
from lotdb.database.shared import Shared, Where, installed_but, open_at, to_write
from lotdb.errors import (
    NodeNotFoundError,
    StaleNodeError,
    UnsupportedValueError,
)
from lotdb.keys import node_text
from lotdb.node_api.nodes import BaseNode
from lotdb.segments.payload_record import PayloadRecord
from lotdb.tree.node import class_for

__all__ = ["keys_of", "open_to_write", "refer", "referred_node", "referred_payload"]


class Reference(NamedTuple):
    """A node in a moment; all of it is plain."""

    where: tuple[Any, ...]  # what a Where is made of
    commit: str
    keys: tuple[str, ...]

    def find(self) -> BaseNode:
        """The node, in a connection of this thread."""
        root = open_at(Where(*self.where)).root_at(self.commit)
        try:
            return root.get_node_path(self.keys, False) if self.keys else root
        except NodeNotFoundError as error:
            raise NodeNotFoundError(f"{error}, at commit {self.commit}") from error


# -- what is sent ---------------------------------------------------------------------------------


def refer(session: Session, kind: type[Any], keys: tuple[str, ...], payload: Any) -> Any:
    """See ``Tree.reference``."""
    reference = Reference(_where(session.database), _commit(session, keys), keys)
    if payload is None:
        return referred_node(*reference, kind.node_type_name)
    name, record = payload
    return referred_payload(*reference, name, _rows_of(record))


def _commit(session: Session, keys: tuple[str, ...]) -> str:
    """The commit that *session* sees, if the node at *keys* is as it was then; in any thread."""
    while True:
        seen, touched = session.snapshot, session.tree.touched
        if session.changed and touched is not None and touched.has(keys):
            raise UnsupportedValueError(
                f"{node_text(keys)} of {session.database} has changes, at it or below it, that are not "
                "committed; commit() first, for another process sees what is committed"
            )
        # The thread of the connection may have begun its next transaction meanwhile.
        if seen == session.snapshot and touched is session.tree.touched:
            return (int.from_bytes(seen, "big") - 1).to_bytes(8, "big").hex()


def _where(database: Opened) -> tuple[Any, ...]:
    known: tuple[Any, ...] | None = database.__dict__.get("_referred")
    if known is None:
        backends = []
        for name, config in sorted(database._backend_configs.items()):
            if config:
                sent = database.plugins.backend(name).settings_to_send(config, Path(database._directory))
                backends.append((name, tuple(sent.items())))
        where = database._where
        path = where.shown if where.url else os.path.dirname(database._backends.data_file)
        off = tuple(sorted(database.plugins._off))
        known = tuple(Where(path, where.name, where.noted or None, database.id, tuple(backends), off))
        database.__dict__["_referred"] = known  # the same object each time: a pickle holds it once
    return known


def _rows_of(record: PayloadRecord) -> str:
    """What tells the rows of a payload from others that were under its name at another time."""
    rows = [(segment.first, segment.rows, segment.checksum) for segment in record.segments]
    about = record.kind, record.layout.dtype.str, record.shape, rows
    return blake2b(repr(about).encode(), digest_size=8).hexdigest()


def keys_of(reference: Any) -> tuple[str, ...]:
    """The keys from the root down to the node that *reference* is one to."""
    keys: tuple[str, ...] = reference._about[0].keys
    return keys


def open_to_write(reference: Any) -> Shared:
    """The database of *reference*, open for writing, once in this process and as long as that lives."""
    return to_write(Where(*reference._about[0].where))


# -- what comes out -------------------------------------------------------------------------------


def referred_node(where: tuple[Any, ...], commit: str, keys: tuple[str, ...], node_type: str) -> Any:
    """What a pickled node becomes."""
    plugins = installed_but(Where(*where).off)
    kind: Any = class_for(plugins, node_type)
    node = object.__new__(_referring(kind, _ReferredNode))
    object.__setattr__(node, "_about", (Reference(where, commit, keys), node_type))
    object.__setattr__(node, "_here", threading.local())
    return node


def referred_payload(where: tuple[Any, ...], commit: str, keys: tuple[str, ...], name: str, rows: str) -> Any:
    """What a pickled payload becomes."""
    payload = object.__new__(_referring(Payload, _ReferredPayload))
    object.__setattr__(payload, "_about", (Reference(where, commit, keys), name, rows))
    object.__setattr__(payload, "_found", None)
    return payload


# What a reference answers itself.
_OWN = frozenset((
    "_about", "_found", "_found_it", "_here", "__class__", "__copy__", "__deepcopy__", "__reduce__",
    "__reduce_ex__", "reference",
))  # fmt: skip


class _Referring:
    """A reference, which has what it stands for do all but a few things."""

    __slots__ = ()

    _about: tuple[Any, ...]

    def _found_it(self) -> Any:
        raise NotImplementedError

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN:
            return object.__getattribute__(self, name)
        there = getattr(type(self), name, None)
        if isinstance(there, FunctionType):
            return MethodType(_asked(there, name), self)
        return getattr(self._found_it(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._found_it(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._found_it(), name)

    def reference(self) -> Any:
        """Itself."""
        return self

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self


class _ReferredNode(_Referring):
    """A node that any thread may use: each thread has its own, which it finds when it first asks."""

    __slots__ = ()

    _here: threading.local

    def _found_it(self) -> BaseNode:
        node: BaseNode | None = getattr(self._here, "node", None)
        # Not that of a connection that is closed, or was forked.
        if node is None or node._tree.owner != get_ident():
            node = self._here.node = self._about[0].find()
        return node

    def __reduce_ex__(self, protocol: object) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        reference, node_type = self._about
        return referred_node, (*reference, node_type)


class _ReferredPayload(_Referring):
    """A payload that any thread may read."""

    __slots__ = ()

    _found: Payload | None

    def _found_it(self) -> Payload:
        payload = self._found
        if payload is None or payload._tree._tree.owner == NOBODY:  # type: ignore[attr-defined]
            reference, name, rows = self._about
            node = reference.find()
            payload = payloads.get(node, name)
            if _rows_of(payload._record) != rows:
                raise StaleNodeError(
                    f"{payload._place} has other rows at commit {reference.commit} than the payload that was "
                    "sent, which was replaced; get it anew before you send it"
                )
            payload = payload.for_threads()
            object.__setattr__(self, "_found", payload)
        return payload

    def __reduce_ex__(self, protocol: object) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        reference, name, rows = self._about
        return referred_payload, (*reference, name, rows)


@functools.cache
def _asked(method: FunctionType, name: str) -> Callable[..., Any]:
    """*method*, that of what the reference stands for in the thread that calls it."""

    @functools.wraps(method)
    def ask(self: _Referring, *args: Any, **options: Any) -> Any:
        return getattr(self._found_it(), name)(*args, **options)

    return ask


@functools.cache
def _referring(cls: type[Any], how: type[_Referring]) -> type[Any]:
    """A class below *cls* whose objects are references."""
    own = ("_about", "_here") if how is _ReferredNode else ("_about", "_found")
    named = {"__slots__": own, "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    return type(cls.__name__, (how, cls), {**named, "__doc__": cls.__doc__})
