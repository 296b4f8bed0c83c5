"""zarr's store on obstore, whose errors are ours; for the arrays that only zarr can read and write."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from zarr.abc.store import ByteRequest, Store
from zarr.storage import ObjectStore as ZarrObjectStore

from lotdb import ObjectStore
from lotdb_backend_zarr.delegating_store import DelegatingStore

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer
    from zarr.core.buffer import BufferPrototype

__all__ = ["store_of"]

T = TypeVar("T")


def store_of(objects: ObjectStore, *, read_only: bool) -> Store:
    """zarr's store on *objects*."""
    return _Objects(objects, ZarrObjectStore(objects.native, read_only=read_only), read_only=read_only)


class _Objects(DelegatingStore):
    # What zarr's own store does is handed on to it, since its class cannot be told where its objects are.

    def __init__(self, objects: ObjectStore, store: Store, *, read_only: bool) -> None:
        super().__init__(store, read_only=read_only)
        self._objects = objects

    def with_read_only(self, read_only: bool = False) -> _Objects:
        return _Objects(self._objects, self._store.with_read_only(read_only), read_only=read_only)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Objects) and self._objects.url == other._objects.url

    def __str__(self) -> str:
        return self._objects.url

    def __repr__(self) -> str:
        return f"<store {self._objects.url!r}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"the store {self._objects.url} is not pickled: it holds credentials; open it anew")

    async def _do(self, what: str, key: str, job: Coroutine[Any, Any, T]) -> T:
        try:
            return await job
        except Exception as error:
            failure = self._objects.error_of(what, key, error)
        raise failure

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        return await self._do("read", key, self._store.get(key, prototype, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        return await self._do("read", key, self._store.exists(key))

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()
        await self._do("write", key, self._store.set(key, value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        self._check_writable()
        await self._do("write", key, self._store.set_if_not_exists(key, value))

    async def delete(self, key: str) -> None:
        self._check_writable()
        await self._do("delete", key, self._store.delete(key))

    # Releases before zarr 3.1.3 ask each store for this.

    async def set_partial_values(self, key_start_values: Any) -> None:
        """Refused, as :attr:`supports_partial_writes` says."""
        raise NotImplementedError(f"the store {self._objects.url} writes whole objects")
