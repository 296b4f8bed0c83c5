"""A wrapper of zarr stores that never takes an absent chunk for data, and opening the store that it wraps."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zarr.abc.store import ByteRequest, Store
from zarr.storage import FsspecStore, LocalStore

from lotdb import DamagedError, InvalidOptionError, MissingPluginError, ObjectStore
from lotdb_backend_zarr.delegating_store import DelegatingStore

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer
    from zarr.core.buffer import BufferPrototype

__all__ = ["StrictStore", "local_folder", "objects_at", "open_store"]

# URLs of S3, which obstore opens; the others are left to fsspec.
_S3 = re.compile("s3a?://")

# https://zarr-specs.readthedocs.io/en/latest/v3/chunk-key-encodings/default/
_CHUNK = re.compile(r"(^|/)c[./]\d")


class StrictStore(DelegatingStore):
    """A store to read finished arrays from: a chunk that is not there is an error.

    zarr reads an absent chunk as the fill value, without a word. LOTDB writes every chunk of an array, so
    one that is absent has been lost.
    """

    def __init__(self, store: Store, *, read_only: bool = False) -> None:
        super().__init__(store, read_only=read_only or store.read_only)

    def with_read_only(self, read_only: bool = False) -> StrictStore:
        return StrictStore(self._store.with_read_only(read_only))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StrictStore) and self._store == other._store

    def __str__(self) -> str:
        return str(self._store)

    def __repr__(self) -> str:
        return f"StrictStore({self._store!r})"

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        return _present(key, await self._store.get(key, prototype, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        key_ranges = list(key_ranges)
        values = await self._store.get_partial_values(prototype, key_ranges)
        return [_present(key, value) for (key, _), value in zip(key_ranges, values, strict=True)]

    async def getsize(self, key: str) -> int:
        return await self._store.getsize(key)

    async def exists(self, key: str) -> bool:
        return await self._store.exists(key)

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()
        await self._store.set(key, value)

    async def delete(self, key: str) -> None:
        self._check_writable()
        await self._store.delete(key)

    # Releases before zarr 3.1.3 ask each store for this.

    async def set_partial_values(self, key_start_values: Any) -> None:
        self._check_writable()
        await cast(Any, self._store).set_partial_values(key_start_values)


def _present(key: str, value: Buffer | None) -> Buffer | None:
    # Other keys are looked for by zarr to find out what is there.
    if value is None and _CHUNK.search(key):
        raise DamagedError(f"chunk {key!r} is missing")
    return value


def objects_at(store: Any) -> ObjectStore | None:
    """The objects at *store*, if that is the URL of an object store which obstore opens."""
    if not isinstance(store, str) or not _S3.match(store):
        return None
    return ObjectStore(store, extra="lotdb-backend-zarr[s3]")


def open_store(store: Any, folder: Path, *, read_only: bool, objects: ObjectStore | None = None) -> Store:
    """The store to use: *store* as the user gave it (an object or a URL), or else *folder*.

    *objects* are those at *store*, if it is the URL of such.

    Raises
    ------
    InvalidOptionError
        If *store* is neither a zarr store, a path nor a URL.
    """
    if isinstance(store, Store):
        return store.with_read_only(True) if read_only and not store.read_only else store
    if objects is not None:
        from lotdb_backend_zarr.obstore_store import store_of  # which imports obstore

        return store_of(objects, read_only=read_only)
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
