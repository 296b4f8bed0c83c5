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

    When it is full, a chunk comes in when it is asked for the second time lately. Of windows over more than
    it can hold, nearly none is of a chunk that is held, and to exchange chunks for each of them would only
    take time: all that comes in drives something out of the processor's cache, too.

    Parameters
    ----------
    limit
        Most bytes that it holds, beside the chunk that was put last.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._chunks: OrderedDict[Any, Array] = OrderedDict()
        # The names of those that did not come in, as many as chunks are held: whatever would fit comes in at
        # its second turn. And the last of them: windows that follow each other lie in it.
        self._passed: OrderedDict[Any, None] = OrderedDict()
        self._last: tuple[Any, Array | None] = (None, None)
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
        last = self._last
        if last[0] == name:
            chunk = last[1]
            if chunk is not None:
                self.put(name, chunk)
        return chunk

    def put(self, name: Any, chunk: Array) -> None:
        """Hold a *chunk*, unless it would drive out most of the others."""
        size = chunk.nbytes
        if size > self.limit // 4:
            return
        with self._lock:
            if self.size + size > self.limit and name not in self._chunks and name not in self._passed:
                self._passed[name] = None
                self._last = name, chunk
                if len(self._passed) > len(self._chunks):
                    self._passed.popitem(last=False)
                return
            self._passed.pop(name, None)
            self._last = None, None
            known = self._chunks.pop(name, None)
            self.size += size - (0 if known is None else known.nbytes)
            self._chunks[name] = chunk
            while self.size > self.limit:
                self.size -= self._chunks.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Drop all."""
        with self._lock:
            self._chunks.clear()
            self._passed.clear()
            self._last = None, None
            self.size = 0
