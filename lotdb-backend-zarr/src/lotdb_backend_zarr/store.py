"""Opening the zarr store, and a wrapper that never takes an absent chunk for data."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from lotdb import DamagedError, InvalidOptionError, MissingPluginError

__all__ = ["StrictStore", "local_folder", "open_store"]

# https://zarr-specs.readthedocs.io/en/latest/v3/chunk-key-encodings/default/
_CHUNK = re.compile(r"(^|/)c[./]\d")


class StrictStore(WrapperStore[Store]):
    """A store to read finished arrays from: a chunk that is not there is an error.

    zarr reads an absent chunk as the fill value, without a word. LOTDB writes every chunk of an array, so
    one that is absent has been lost.
    """

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        return _present(key, await self._store.get(key, prototype, byte_range))

    async def getsize(self, key: str) -> int:
        return await self._store.getsize(key)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        key_ranges = list(key_ranges)
        values = await self._store.get_partial_values(prototype, key_ranges)
        return [_present(key, value) for (key, _), value in zip(key_ranges, values, strict=True)]

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        async for key, value in self._store._get_many(requests):
            yield key, _present(key, value)


def _present(key: str, value: Buffer | None) -> Buffer | None:
    # Other keys are looked for by zarr to find out what is there.
    if value is None and _CHUNK.search(key):
        raise DamagedError(f"chunk {key!r} is missing")
    return value


def open_store(store: Any, folder: Path, *, read_only: bool) -> Store:
    """The store to use: *store* as the user gave it (an object or a URL), or else *folder*.

    Raises
    ------
    InvalidOptionError
        If *store* is neither a zarr store, a path nor a URL.
    """
    if isinstance(store, Store):
        return store.with_read_only(True) if read_only and not store.read_only else store
    if isinstance(store, str) and "://" in store:
        try:
            return FsspecStore.from_url(store, read_only=read_only)
        except ImportError as error:
            raise MissingPluginError(
                f"store {store!r} needs a package that is not installed ({error}); "
                'install it with: pip install "lotdb-backend-zarr[remote]"'
            ) from error
    if store is None or isinstance(store, str | os.PathLike):
        return LocalStore(folder if store is None else os.path.abspath(store), read_only=read_only)
    raise InvalidOptionError(f"store is {store!r}; use a zarr store, a path or a URL")


def local_folder(store: Store) -> Path | None:
    """Where a store keeps its files, if that is a local folder."""
    return Path(store.root) if isinstance(store, LocalStore) else None
