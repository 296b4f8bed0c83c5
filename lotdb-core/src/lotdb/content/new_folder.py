"""A folder that appears at its place when it is complete, and takes the place of an older one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from lotdb.errors import ExportError, not_left_out
from lotdb.storage.durable import Disk

__all__ = ["UNFINISHED", "new_folder", "recover"]

# The end of the name of what is being written, here and for files.
UNFINISHED = ".lotdb-export"
_THREADS = 16
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@contextlib.contextmanager
def new_folder(place: Path, if_exists: str, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """A new folder, which is at *place*, synced to the disk, when the block ends without an error.

    *is_ours* says of a folder that is at *place* whether it may be replaced.

    Raises
    ------
    ExportError
        If something is at *place* that is not to be replaced, or there is no folder to put it in.
    """
    recover(place)
    if os.path.lexists(place):
        if if_exists == "error":
            raise ExportError(_THERE)
        if not place.is_dir() or not is_ours(place):  # nothing but an export is ever removed
            raise ExportError("it exists and is no exported folder; choose another path")
    if not place.parent.is_dir():
        raise ExportError(f"there is no folder {str(place.parent)!r}; make it first")
    unfinished = place.with_name(f".{uuid.uuid4().hex[:16]}{UNFINISHED}")
    try:
        os.mkdir(unfinished)
        yield unfinished
        _sync(unfinished)
        if if_exists == "replace" and place.exists():
            _put_in_place_of(unfinished, place)
        elif os.path.lexists(place):
            raise ExportError(_THERE)
        else:
            os.rename(unfinished, place)
        Disk().sync_folder(str(place.parent))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


_THERE = "it already exists; pass if_exists='replace' to replace it"


def recover(place: Path) -> None:
    """Give back its name to the folder that was at *place* when an export was killed, if one was."""
    if not os.path.lexists(place) and _aside(place).is_dir():
        # Another process may do the same at this moment.
        with contextlib.suppress(OSError):
            os.rename(_aside(place), place)


def _aside(place: Path) -> Path:
    """Where the folder of *place* stands while another one gets its name."""
    name = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:24]  # which may be as long as names can be
    return place.with_name(f".{name}.replaced{UNFINISHED}")


def _put_in_place_of(unfinished: Path, place: Path) -> None:
    if _exchange(unfinished, place):
        return
    # Without that call there is a moment without either: whoever asks for the folder next brings it back.
    aside = _aside(place)
    shutil.rmtree(aside, ignore_errors=True)  # of an export that was killed when it had replaced all
    os.rename(place, aside)
    try:
        os.rename(unfinished, place)
    except BaseException:
        recover(place)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders exchange their names in one step; False if the system cannot (``man 2 renameat2``)."""
    import ctypes  # which not every program needs

    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def _sync(top: Path) -> None:
    """Put all files and folders at and below *top* on the disk: file systems sync several at once faster."""
    disk = Disk()
    found = list(os.walk(top, onerror=not_left_out))
    from concurrent.futures import ThreadPoolExecutor  # which not every program needs

    def sync(several: list[str], one: Callable[[str], None]) -> None:
        for path in several:
            one(path)

    files = [os.path.join(folder, name) for folder, _, names in found for name in names]
    folders = [folder for folder, *_ in found]
    with ThreadPoolExecutor(_THREADS) as threads:
        # Each thread gets its share at once: to hand out small files takes longer than to sync them.
        for paths, one in ((files, disk.sync_file), (folders, disk.sync_folder)):
            shares = [paths[first::_THREADS] for first in range(_THREADS)]
            deque(threads.map(partial(sync, one=one), shares), maxlen=0)
