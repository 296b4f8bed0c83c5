"""A zarr store that delegates to another one what its subclasses do not do themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from zarr.abc.store import Store

__all__ = ["DelegatingStore"]


class DelegatingStore(Store):
    """Lists what *store* has, and takes and deletes what it does.

    zarr's own ``WrapperStore`` is no base for it. From zarr 3.3 on that one also forwards calls that get a
    chunk without ``get``, and each new release may add one. A plain store has ``get`` alone.
    """

    def __init__(self, store: Store, *, read_only: bool) -> None:
        super().__init__(read_only=read_only)
        self._store = store

    __hash__ = None  # type: ignore[assignment]

    def list(self) -> AsyncIterator[str]:
        return self._store.list()

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        return self._store.list_prefix(prefix)

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        return self._store.list_dir(prefix)

    @property
    def supports_writes(self) -> bool:
        return self._store.supports_writes

    @property
    def supports_deletes(self) -> bool:
        return self._store.supports_deletes

    @property
    def supports_listing(self) -> bool:
        return self._store.supports_listing

    # Releases before zarr 3.1.3 ask each store for this.

    @property
    def supports_partial_writes(self) -> Literal[False]:
        return False
