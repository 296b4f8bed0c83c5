"""Telling a database of lotdb 1.x, which `LOTDB` does not open, from others; nothing is changed."""

from __future__ import annotations

import os

from lotdb.errors import DamagedError, DatabaseFormatError
from lotdb.storage.compat import FILESTORAGE_MAGIC
from lotdb.storage.parts import open_part

__all__ = ["NAME", "is_older", "older_in", "refuse_older"]

#: How lotdb 1.x called a data file when it was given no name.
NAME = "LOTDB"

# Every record of a node names its class so, and ours stand under another path.
_OLDER, _OURS = b"lotdb.tree", b"lotdb.records"
_BLOCK, _MOST = 1 << 20, 1 << 28


def is_older(data_file: str) -> bool:
    """Whether *data_file* was written by lotdb 1.x."""
    try:
        file = open(open_part(data_file), "rb", buffering=0)  # noqa: SIM115
    except (OSError, DamagedError):
        return False
    with file:
        before = file.read(len(FILESTORAGE_MAGIC))
        if before != FILESTORAGE_MAGIC:
            return False
        for _ in range(0, _MOST, _BLOCK):
            block = file.read(_BLOCK)
            if _OURS in before + block:
                return False
            if _OLDER in before + block:
                return True
            if not block:
                break
            before = block[-len(_OURS) :]
    return False


def older_in(folder: str) -> list[str]:
    """The names of the data files of lotdb 1.x in *folder*."""
    try:
        found = sorted(each.name for each in os.scandir(folder) if each.is_file(follow_symlinks=False))
    except OSError:
        return []
    return [name for name in found if is_older(os.path.join(folder, name))]


def refuse_older(data_file: str) -> None:
    """Raise ``DatabaseFormatError`` if *data_file* was written by lotdb 1.x."""
    if is_older(data_file):
        raise DatabaseFormatError(
            f"{data_file} is a database of lotdb 1.x, which this version does not open; it was left as it is:"
            f" copy it into a new one with: lotdb upgrade {_quoted(data_file)} NEW"
        )


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path)
