"""What was read of objects lately, in memory."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict
from threading import Lock
from typing import Any

__all__ = ["Cache"]


class Cache:
    """Pieces of objects that never change; those that were not asked for the longest go first.

    Parameters
    ----------
    limit
        Most bytes that it holds.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._pieces: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._starts: dict[str, list[int]] = {}
        self._lock = Lock()

    def get(self, key: str, start: int, size: int) -> memoryview | None:
        """*size* bytes of object *key* from *start* on, if one piece has them."""
        with self._lock:
            starts = self._starts.get(key)
            at = bisect_right(starts, start) - 1 if starts else -1
            if not starts or at < 0:
                return None
            name = key, starts[at]
            piece = memoryview(self._pieces[name])
            skip = start - starts[at]
            if len(piece) < skip + size:
                return None
            self._pieces.move_to_end(name)
            return piece[skip : skip + size]

    def put(self, key: str, start: int, piece: Any) -> None:
        """Keep a *piece*, a buffer of bytes; not one that would drive out most of the others."""
        if len(piece) > self.limit // 4:
            return
        name = key, start
        with self._lock:
            known = self._pieces.get(name)
            if known is not None and len(known) >= len(piece):
                return
            if known is None:
                insort(self._starts.setdefault(key, []), start)
            else:
                self.size -= len(known)
            self._pieces[name] = piece
            self._pieces.move_to_end(name)
            self.size += len(piece)
            while self.size > self.limit:
                self._drop(next(iter(self._pieces)))

    def forget(self, key: str) -> None:
        """Drop all pieces of object *key*."""
        with self._lock:
            for start in list(self._starts.get(key, ())):
                self._drop((key, start))

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._pieces.clear()
            self._starts.clear()
            self.size = 0

    def _drop(self, name: tuple[str, int]) -> None:
        key, start = name
        self.size -= len(self._pieces.pop(name))
        self._starts[key].remove(start)
        if not self._starts[key]:
            del self._starts[key]
