"""Decoded chunks in memory: windows that are close to each other lie in the same chunk."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np

__all__ = ["Decoded"]

Array = np.ndarray[Any, Any]


class Decoded:
    """The chunks that windows were cut from lately; those that were not asked for the longest go first.

    Parameters
    ----------
    limit
        Most bytes that it holds.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._chunks: OrderedDict[Any, Array] = OrderedDict()
        self._lock = Lock()

    def get(self, name: Any) -> Array | None:
        """The chunk of that *name*, if it is held; it is not to be changed."""
        chunk = self._chunks.get(name)
        if chunk is not None:
            try:  # noqa: SIM105  # a context manager takes longer than all the rest
                self._chunks.move_to_end(name)
            except KeyError:  # another thread has dropped it since
                pass
        return chunk

    def put(self, name: Any, chunk: Array) -> None:
        """Hold a *chunk*, unless it would drive out most of the others."""
        if chunk.nbytes > self.limit // 4:
            return
        with self._lock:
            known = self._chunks.pop(name, None)
            self.size += chunk.nbytes - (0 if known is None else known.nbytes)
            self._chunks[name] = chunk
            while self.size > self.limit:
                self.size -= self._chunks.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Drop all."""
        with self._lock:
            self._chunks.clear()
            self.size = 0
