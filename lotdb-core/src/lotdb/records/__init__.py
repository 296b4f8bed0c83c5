"""What ZODB stores: a few small persistent classes, and tuples of plain values.

A node has no record of its own unless it needs one. Its *entry* is a tuple in its parent's
children, of one of three forms::

    (type name, names, value, value, ...)     a leaf, packed: names is the tuple of attribute names
    (type name, box, shared)                  a leaf with a record of its own
    (type name, children, shared, guard)      a branch: a node with children

*own* is what a node holds itself: ``(names, value, value, ...)``, in the plain form of ``values/values.py``.
A :class:`Box` is a record for a leaf whose own has grown large or keeps changing. The own of a branch lies in
``children[""]``, a key that no child can have, so that two transactions that change an attribute and add a
child merge.

``shared`` says that another parent may point to the same record. Nothing is ever changed in or below a
shared record: the first write puts a clone in its place, in which every child record is shared in turn.
Copying a branch is therefore one new entry, whatever lies below. Of many children, which lie in many records,
the clone shares those that it does not change; see ``records/patchwork.py``.

The :class:`Guard` of a branch holds nothing. Deleting, moving or sharing a branch stores its guard again,
and a write anywhere below depends on all guards above it. So a write below conflicts if such a change was
committed first. Writes to different children merge, and reading never loads a guard. If the write is
committed first, the change deletes or copies what was written, too; it conflicts only with a write to the
children of the branch itself, if these are few.
"""

from __future__ import annotations

import threading
from typing import Any

from BTrees.OOBTree import OOBTree, OOBucket
from persistent import Persistent

from lotdb.errors import DamagedError
from lotdb.storage.folding import unfolded

Own = tuple[Any, ...]
Entry = tuple[Any, ...]

OWN_KEY = ""

# A tree of so many levels has more children than there are atoms.
_LEVELS = 30
NO_TREE = "the records that hold the children of a node do not make up a tree"

# The records that are being loaded, one below the other.
_loading = threading.local()


class Bucket(OOBucket):
    """Some neighbouring children of a branch; what is rewritten when one of them changes."""

    __slots__ = ()

    #: Its state is stored as columns; see ``storage/folding.py``.
    is_folded = True

    def __setstate__(self, state: Any) -> None:
        state = unfolded(state)
        # From an empty bucket a search goes on to the next one, even if that is the same bucket again.
        if type(state) is not tuple or (
            len(state) > 1 and not (state[0] and type(state[1]) is Bucket and state[1] is not self)
        ):
            raise DamagedError(NO_TREE)
        super().__setstate__(state)

    def _p_resolveConflict(self, old: Any, committed: Any, new: Any) -> Any:
        from lotdb.records.merge import merge_buckets  # which only conflicts need

        return merge_buckets(old, committed, new)


class Children(OOBTree):
    """The children of a branch: key to entry, in the order of the keys.

    One that shares records with another has a third part in its state, a byte for each part below: 1 for one
    that is shared. Such records are looked into as any BTree is; ``records/patchwork.py`` changes them.
    """

    __slots__ = ("_v_shared",)
    _bucket_type = Bucket
    is_folded = True

    #: Which parts are shared; None in a record that shares none.
    _v_shared: bytes | None

    def __init__(self, *args: Any) -> None:
        self._v_shared = None
        super().__init__(*args)

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        if self._v_shared is None:
            return state
        if len(state) == 1:  # a bucket that is the only part, and not stored yet, would lie in this record
            state = ((self._firstbucket,), self._firstbucket)
        return (*state, self._v_shared)

    def __setstate__(self, state: Any) -> None:
        shared = None
        if state is not None and (type(state) is not tuple or len(state) > 1):
            if type(state) is tuple and len(state) == 3:
                *state, shared = state
                state = tuple(state)
                if (
                    type(shared) is not bytes
                    or type(state[0]) is not tuple
                    or len(shared) != len(state[0][::2])
                ):
                    raise DamagedError(NO_TREE)
            self._check_parts(state)
        self._v_shared = shared
        super().__setstate__(unfolded(state))

    def _check_parts(self, state: Any) -> None:
        """Raise ``DamagedError`` unless what is below is a tree: BTrees searches a ring for ever.

        Most have buckets below them. What has more is read down to the last level above the buckets: about
        one record for 16 000 children.
        """
        parts = state[0][::2] if type(state) is tuple and type(state[0]) is tuple else ()
        kind = type(parts[0]) if parts else None
        if kind not in (Bucket, Children) or any(type(part) is not kind for part in parts):
            raise DamagedError(NO_TREE)
        if kind is Bucket:
            if state[1] is not parts[0]:
                raise DamagedError(NO_TREE)
            return
        above: list[Children] = _loading.__dict__.setdefault("above", [])
        above.append(self)
        try:
            for part in parts:
                if len(above) > _LEVELS or any(part is each for each in above) or part._firstbucket is None:
                    raise DamagedError(NO_TREE)
            if state[1] is not parts[0]._firstbucket:
                raise DamagedError(NO_TREE)
        finally:
            above.pop()

    # Four times the default. While all fit into one bucket, it lies in this very record: one load finds one.
    max_leaf_size = 128
    max_internal_size = 250

    def _p_resolveConflict(self, old: Any, committed: Any, new: Any) -> Any:
        from lotdb.records.merge import merge_trees

        return merge_trees(old, committed, new)


class Guard(Persistent):
    """A record of each branch, on which transactions depend that write below the branch."""

    __slots__ = ()

    #: Who goes through a tree reads none of them, so a storage that reads ahead leaves them out.
    is_walked = False

    def __getstate__(self) -> None:
        """Nothing; only the transaction that stored it last matters."""

    def __setstate__(self, state: None) -> None:
        """There is nothing to set."""


class Rows(Persistent):
    """Rows of small arrays, as bytes, which lie in a record in place of a backend; they never change."""

    __slots__ = ("__weakref__", "rows")
    is_walked = False

    def __init__(self) -> None:
        self.rows = b""

    def __getstate__(self) -> bytes:
        return self.rows

    def __setstate__(self, state: bytes) -> None:
        self.rows = state


class Box(Persistent):
    """The own of one node, in a record of its own."""

    __slots__ = ("own",)

    def __init__(self, own: Own) -> None:
        self.own = own

    def __getstate__(self) -> Own:
        return self.own

    def __setstate__(self, state: Own) -> None:
        self.own = state
