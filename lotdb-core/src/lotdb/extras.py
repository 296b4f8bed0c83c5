"""What a plain install does not bring: imported when it is first needed, or told how to get."""

from __future__ import annotations

import errno
import functools
import importlib
import os
import re
import sys
import zlib
from collections.abc import Callable
from typing import Any

from lotdb.errors import LotdbError, MissingPluginError

# From so many bytes on, it is worth looking whether isal is there.
_WORTH_A_LOOK = 32 << 10


def import_extra(module: str, extra: str, needed_by: str) -> Any:
    """The *module* that the extra *extra*, such as ``lotdb-core[pandas]``, installs.

    Raises
    ------
    MissingPluginError
        If it is not installed. The message begins with *needed_by* and holds the pip command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A library that is there, but lacks a part of its own, is another trouble, with a message of its own.
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise
        raise MissingPluginError(
            f'{needed_by} needs {library}, which is not installed; install it with: pip install "{extra}"'
        ) from error


def crc32_of(data: bytes | memoryview, so_far: int = 0) -> int:
    """The CRC-32 (ISO 3309) of *data*, continued from *so_far*; of many bytes by the fastest library here."""
    return (zlib.crc32 if len(data) < _WORTH_A_LOOK else fastest_crc32())(data, so_far)


@functools.cache
def fastest_crc32() -> Callable[[Any, int], int]:
    """The CRC-32 of isal where that is installed, or else that of zlib, which gives the same numbers."""
    try:
        library = import_extra("isal.isal_zlib", "lotdb-core[fast]", "a faster CRC-32")
    except (ImportError, LotdbError):
        return zlib.crc32
    crc32: Callable[[Any, int], int] = library.crc32
    return crc32


def distributions_with(group: str) -> list[str] | None:
    """The names of the distributions that may have entry points of *group*; None if that cannot be told.

    importlib_metadata answers that, too, and says which they are. Importing it, and having it look at each
    distribution, takes ten times as long, and most programs have no plugins but backends.
    """
    if any(map(_finds_elsewhere, sys.meta_path)):
        return None
    wanted, found = group.encode(), list[str]()
    try:
        for folder in sys.path:
            for path in _distributions(folder or "."):
                if wanted in _content(f"{path}{os.sep}entry_points.txt"):
                    found.append(_name_of(path))
    except (OSError, ValueError):  # importlib_metadata knows better, or says what is wrong
        return None
    return found


# What finds distributions in the folders of the path.
_KNOWN_FINDERS = ("importlib_metadata", "_frozen_importlib_external")


def _finds_elsewhere(finder: Any) -> bool:
    kind = finder if isinstance(finder, type) else type(finder)
    return hasattr(finder, "find_distributions") and kind.__module__ not in _KNOWN_FINDERS


def _distributions(folder: str) -> list[str]:
    """The folders in *folder* that describe distributions; an error if it is none, such as an archive."""
    if folder.lower().endswith(".egg"):
        raise ValueError("an egg, which may be an archive, and has a name in a form of its own")
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    # Their names end with .dist-info or .egg-info.
    return [f"{folder}{os.sep}{name}" for name in names if name[-5:].lower() == "-info"]


def _name_of(path: str) -> str:
    """The name of the distribution that the folder *path* describes, as importlib_metadata tells it."""
    name = os.path.basename(path)
    return re.sub(r"[-_.]+", "-", name.rpartition(".")[0].partition("-")[0]).lower()


def _content(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return b""
        raise
    try:
        parts = []
        while part := os.read(descriptor, 1 << 20):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


# Of our own packages, those that have a format which not every install of lotdb-ingest has.
_PACKAGES = {
    **dict.fromkeys(("h5", "hdf5", "hdf", "he5"), '"lotdb-ingest[hdf5]"'),
    "zarr": "lotdb-backend-zarr",
}


def package_of(format: str) -> str | None:
    """What to install, as pip is told, for a *format* that is not a matter of ``lotdb-ingest`` alone."""
    return _PACKAGES.get(format)
