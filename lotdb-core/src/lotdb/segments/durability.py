"""Putting on the disk what a backend has written, whether the backend thinks of it or not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lotdb.storage.durable import Disk

if TYPE_CHECKING:
    from lotdb.interfaces.backend import Backend
    from lotdb.segments.layout import Array

__all__ = ["make_durable", "store_blocks"]


def store_blocks(
    backend: Backend,
    locator: Any,
    blocks: Iterable[Array],
    shape: tuple[int, ...],
    options: Mapping[str, Any],
) -> None:
    """Have *backend* write an array, which is on the disk when this returns."""
    backend.write_blocks(locator, blocks, shape, options)
    make_durable(backend, locator)
    backend.settle(locator)


def make_durable(backend: Backend, locator: Any) -> None:
    """Sync the files that hold *locator* and the folders that lead to them, unless *backend* does.

    Of a backend that does not say which files these are, all that lie in its folder are synced.
    """
    context = backend.context
    if context is None or not context.durable or backend.syncs:
        return
    top = os.path.abspath(context.folder)
    files = [os.path.abspath(path) for path, _ in backend.files(locator)] or _all_files(top)
    disk, folders = Disk(), set()
    for path in files:
        disk.sync_file(path)
        folders |= _folders_of(path, top)
    for folder in sorted(folders, key=len, reverse=True):  # from the bottom up
        disk.sync_folder(folder)


def _folders_of(path: str, top: str) -> set[str]:
    """The folders whose entries lead to *path*: up to the one in which *top* lies, or two."""
    folder = os.path.dirname(path)
    found = {folder, os.path.dirname(folder)}
    while folder != top and folder.startswith(top + os.sep):
        folder = os.path.dirname(folder)
        found |= {folder, os.path.dirname(folder)}
    return found


def _all_files(top: str) -> list[str]:
    return [
        os.path.join(folder, name)
        for folder, _, names in os.walk(top, onerror=_refuse)
        for name in names
        if not os.path.islink(os.path.join(folder, name))
    ]


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
