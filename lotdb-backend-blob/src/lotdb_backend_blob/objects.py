"""Arrays as objects in a store such as S3: one ``.npy`` file each, written as a whole and read in ranges."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lotdb import BackendContext, DamagedError, ObjectStore, ReadOnlyError
from lotdb_backend_blob.cache import Cache
from lotdb_backend_blob.npy_reading import rows_in
from lotdb_backend_blob.npy_writing import header
from lotdb_backend_blob.owner_note import NAME, check_note, note_of

__all__ = ["Objects"]

_NAME = re.compile(r"(seg-[0-9a-f]{32})\.npy")

# The first request for an object brings so many bytes: the header, and all of a small array.
START_BYTES = 64 << 10
# From this size on, rows are copied while they come, and not kept in the cache.
STREAMED_BYTES = 4 << 20
# Of so many objects it is known where their rows begin.
KNOWN = 100_000


class Objects:
    """The objects of a database, each named by its locator.

    Parameters
    ----------
    context
        What the backend was given.
    store
        Where they are.
    cache_bytes
        Most bytes of what was read that are kept in memory.
    """

    def __init__(self, context: BackendContext, store: ObjectStore, cache_bytes: int) -> None:
        self._context = context
        self._store = store
        self._cache = Cache(cache_bytes)
        self._known: dict[str, tuple[int, int]] = {}
        self._is_owned = False

    def path(self, locator: str) -> str:
        """The URL of the object, for messages."""
        return self._store.where(_key(locator))

    def write(self, locator: str, blocks: Iterable[np.ndarray[Any, Any]], shape: tuple[int, ...]) -> None:
        """Store an array of *shape*, given as *blocks* of its rows, as one object."""
        if self._context.read_only:
            raise ReadOnlyError(f"{self._store.url} was opened to be read only")
        if not self._is_owned:
            self.claim()
        blocks = iter(blocks)
        first = next(blocks)
        start = np.frombuffer(header(first.dtype, shape), np.uint8)
        rows = (block.reshape(-1).view(np.uint8) for block in itertools.chain([first], blocks))
        size = len(start) + math.prod(shape) * first.dtype.itemsize
        self._store.put(_key(locator), itertools.chain([start], rows), size)

    def claim(self) -> None:
        """Note the database's id in the store, or raise if there is that of another one."""
        note = self._store.put_new(NAME, note_of(self._context.database_id))
        check_note(note, self._context.database_id, self._store.url)
        self._is_owned = True

    def read_into(self, locator: str, offset: int, out: np.ndarray[Any, Any]) -> None:
        """Fill *out* with the bytes from *offset* on, counted from where the rows begin."""
        if out.nbytes > STREAMED_BYTES:
            self.read_summed(locator, offset, out)
            return
        target = out.reshape(-1).view(np.uint8)
        start, _ = self._place(locator, offset, len(target))
        piece: Any = self._cache.get(locator, start, len(target))
        if piece is None:
            piece = self._store.get_range(_key(locator), start, len(target))
            self._cache.put(locator, start, piece)
        target[:] = np.frombuffer(piece, np.uint8)

    def read_summed(self, locator: str, offset: int, out: np.ndarray[Any, Any]) -> int:
        """The same for many bytes, which are not kept; their CRC-32."""
        target = out.reshape(-1).view(np.uint8)
        start, size = self._place(locator, offset, len(target))
        is_rest = start + len(target) == size
        return self._store.read_into(_key(locator), start, target, is_rest=is_rest)

    def _place(self, locator: str, offset: int, wanted: int) -> tuple[int, int]:
        """Where the bytes from *offset* on begin in the object, and its size."""
        first, size = self._known.get(locator) or self._look(locator)
        start = first + offset
        if start + wanted > size:
            raise DamagedError(f"the object has {size} bytes, at least {start + wanted} are recorded")
        return start, size

    def _look(self, locator: str) -> tuple[int, int]:
        """Where the rows begin, and the size of the object."""
        start, size = self._store.start_of(_key(locator), START_BYTES)
        if len(self._known) >= KNOWN:
            self._known.clear()
        self._known[locator] = found = rows_in(bytes(memoryview(start)[:12])), size
        self._cache.put(locator, 0, start)
        return found

    def delete(self, locator: str) -> None:
        """Delete the object, if it is there."""
        self._known.pop(locator, None)
        self._cache.forget(locator)
        self._store.delete([_key(locator)])

    def is_stored(self, locator: str) -> bool:
        """Whether the object is there."""
        return self._store.size(_key(locator)) is not None

    def locators(self) -> Iterator[tuple[str, float]]:
        """Each stored locator, with the time when it was stored, by the store's clock.

        Raises
        ------
        InvalidOptionError
            If the place is that of another database.
        """
        note = self._store.get(NAME)
        if note is None:  # nothing was ever written
            return
        check_note(note, self._context.database_id, self._store.url)
        for key, _, changed in self._store.list():
            if found := _NAME.fullmatch(key):
                yield found[1], changed

    def now(self) -> float:
        """The time by the store's clock."""
        return self._store.now()

    def close(self) -> None:
        """Forget what was read."""
        self._cache.clear()
        self._known.clear()


def _key(locator: str) -> str:
    return f"{locator}.npy"
