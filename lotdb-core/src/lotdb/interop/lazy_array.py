"""An array of xarray's own lazy kind: what is selected of it is read when its values are needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from xarray.backends.common import BackendArray
from xarray.core import indexing

from lotdb.interop.labels import NodeVariable

__all__ = ["lazy_array"]


def lazy_array(variable: NodeVariable) -> Any:
    """*variable* as data of an xarray Variable."""
    # Who assigns to a part of it gets a copy in memory.
    lazy: Any = indexing.LazilyIndexedArray(_Stored(variable))
    return indexing.CopyOnWriteArray(lazy)


class _Stored(BackendArray):
    """Reads from a payload; slices and numbers are read as they are, and anything else within a box."""

    def __init__(self, variable: NodeVariable) -> None:
        self._variable = variable
        self.shape = variable.shape
        self.dtype = variable.dtype

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, index: tuple[Any, ...]) -> Any:
        return np.asarray(self._variable[index], self.dtype)

    def __dask_tokenize__(self) -> str:
        return self._variable.token()

    # It never changes, so a copy is the same.

    def __copy__(self) -> _Stored:
        return self

    def __deepcopy__(self, memo: Any) -> _Stored:
        return self
