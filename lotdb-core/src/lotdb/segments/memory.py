"""The reference backend: arrays in memory, for trees that are in no database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from lotdb.errors import DamagedError
from lotdb.interfaces.backend import LOCATOR_PREFIX, Backend

__all__ = ["MemoryBackend"]


class MemoryLocator(str):
    """A locator that keeps its array alive: when the last payload lets go, the array goes as well."""

    __slots__ = ("__weakref__",)


class MemoryBackend(Backend):
    """Arrays in memory; nothing outlives the process."""

    name = "memory"
    concurrent_reads = 1
    checks_windows = True  # nothing alters the memory of this process

    def __init__(self, context: Any = None) -> None:
        super().__init__(context)
        self._arrays: WeakKeyDictionary[MemoryLocator, np.ndarray[Any, Any]] = WeakKeyDictionary()

    def new_locator(self) -> MemoryLocator:
        return MemoryLocator(LOCATOR_PREFIX + os.urandom(16).hex())

    def write(self, locator: Any, array: np.ndarray[Any, Any], options: Mapping[str, Any]) -> None:
        self._arrays[locator] = np.frombuffer(bytearray(array.tobytes()), array.dtype).reshape(array.shape)

    def read_into(self, locator: Any, first_row: int, out: np.ndarray[Any, Any]) -> None:
        rows = self._arrays.get(locator)
        if rows is None or first_row + len(out) > len(rows):
            raise DamagedError(f"no {len(out)} rows from {first_row} on at {locator} in memory")
        found = rows[first_row : first_row + len(out)]
        # As bytes: numpy leaves out what lies between the fields of a structure.
        out.reshape(-1).view(np.uint8)[...] = found.reshape(-1).view(np.uint8)

    def holds(self, locator: Any) -> bool:
        """Whether something is stored under *locator*."""
        return locator in self._arrays

    def delete(self, locator: Any) -> None:
        self._arrays.pop(locator, None)

    def locators(self) -> Iterable[tuple[str, float]]:
        return [(locator, 0.0) for locator in list(self._arrays)]
