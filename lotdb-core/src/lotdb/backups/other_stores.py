"""Copying arrays from one backend to another, where files cannot be copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lotdb.errors import DamagedError, LotdbError, PluginError, store_error
from lotdb.interfaces.backend import Backend
from lotdb.interfaces.installed import with_versions
from lotdb.segments.durability import store_blocks
from lotdb.segments.layout import Array, Layout

__all__ = ["copy_array", "has_last_row"]

_BLOCK_BYTES = 16 << 20


def copy_array(
    source: Backend,
    target: Backend,
    locator: str,
    layout: Layout,
    rows: int,
    options: dict[str, object],
    copied: Callable[[int, str], object],
) -> int:
    """Copy the first *rows* rows of an array to the same locator of *target*, if they are not there.

    Arrays are written from their beginning to their end. So if the last row is there, all are.

    Returns
    -------
    int
        How many bytes were copied.

    Raises
    ------
    DamagedError
        The array is missing, or shorter than it should be.
    UnavailableError
        One of the stores cannot be reached.
    """
    if has_last_row(target, locator, layout, rows):
        return 0
    place = target.describe(locator)

    def blocks() -> Iterator[Array]:
        step = max(_BLOCK_BYTES // max(layout.row_bytes, 1), 1)
        for first in range(0, rows, step):
            block = np.empty((min(step, rows - first), *layout.row_shape), layout.dtype)
            with _failures(source, "read"):
                source.read_into(locator, first, block)
            copied(block.nbytes, place)
            yield block

    with _failures(target, "write"):
        target.delete(locator)  # what an interrupted backup has left
        store_blocks(target, locator, blocks(), (rows, *layout.row_shape), options)
    return rows * layout.row_bytes


def has_last_row(target: Backend, locator: str, layout: Layout, rows: int) -> bool:
    """Whether the last of so many rows can be read."""
    with _failures(target, "read"):
        try:
            target.read_into(locator, rows - 1, np.empty((1, *layout.row_shape), layout.dtype))
        except DamagedError:
            return False
    return True


class _failures:
    """Context manager that makes one of our errors of what a backend raises."""

    def __init__(self, backend: Backend, doing: str) -> None:
        self._backend, self._doing = backend, doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, LotdbError | MemoryError) or not isinstance(error, Exception):
            return
        about = f"backend {self._backend.name!r} cannot {self._doing}"
        if failure := store_error(error, about, None):
            raise failure from error
        raise PluginError(
            f"backend {with_versions(self._backend.name)} failed to {self._doing}: {error!r}"
        ) from error
