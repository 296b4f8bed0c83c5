"""A database's folder that is made under another name, and appears at its place when it is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from lotdb.errors import DatabaseBusyError, DatabaseExistsError, system_errors
from lotdb.storage.durable import Disk
from lotdb.storage.parts import is_there

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]

__all__ = ["appearing", "refuse_existing"]


def refuse_existing(target: str) -> None:
    """Raise ``DatabaseExistsError`` if there is anything at *target*."""
    with system_errors("", target):
        there = is_there(target)
    if there:
        raise DatabaseExistsError(f"{target} exists; name a folder that does not, for the new database")


@contextlib.contextmanager
def appearing(target: str, doing: str) -> Iterator[str]:
    """A new folder, which is at *target* when the block ends without an error, and else is removed.

    What a killed process has left of it is removed the next time.

    Parameters
    ----------
    target
        Absolute path, at which nothing is.
    doing
        What is done, in one word, such as ``"restore"``.

    Raises
    ------
    DatabaseExistsError
        There is something at *target* by then, or in the way.
    DatabaseBusyError
        Another process does the same.
    """
    above, last = os.path.split(target)
    around = os.path.join(above, f".{last}.{doing.removesuffix('e')}ing")
    # This file in a folder says that it is ours to remove.
    mark = os.path.join(around, f"{doing}-under-way")
    folder = os.path.join(around, "new")
    missing = _missing(above)
    try:
        os.makedirs(above, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # of a process that was killed, or that is still at it
            os.mkdir(around)
        if not os.path.isfile(mark) and os.listdir(around):
            raise DatabaseExistsError(
                f"{around} is in the way, and is none that a {doing} left; move it away"
            )
        with _held(mark, around, doing):
            try:
                shutil.rmtree(folder, ignore_errors=True)
                # After a power cut, what is synced below must not be there without the mark.
                Disk().sync_file(mark)
                Disk().sync_folder(around)
                os.mkdir(folder)
                yield folder
                refuse_existing(target)
                os.rename(folder, target)
                Disk().sync_folder(above)
            finally:
                _clear(around, mark)
    except BaseException:
        # Ctrl-C may have come before it was held, or while it was removed.
        with contextlib.suppress(OSError, DatabaseBusyError):
            if os.path.isfile(mark):
                with _held(mark, around, doing):
                    _clear(around, mark)
            os.rmdir(around)
        with contextlib.suppress(OSError):  # somebody has put something there
            for each in missing:
                os.rmdir(each)
        raise


def _clear(around: str, mark: str) -> None:
    """Remove the folder *around*; the mark goes last, so that what a kill leaves here is known to be ours."""
    for each in os.listdir(around):
        shutil.rmtree(os.path.join(around, each), ignore_errors=True)  # but the mark, which is a file
    if os.listdir(around) == [os.path.basename(mark)]:
        with contextlib.suppress(OSError):
            Disk().sync_folder(around)
            os.remove(mark)
            os.rmdir(around)


def _missing(folder: str) -> list[str]:
    """*folder* and those above it that are not there, from below."""
    missing = []
    while not is_there(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing


@contextlib.contextmanager
def _held(mark: str, folder: str, doing: str) -> Iterator[None]:
    """While the file *mark* is locked by this process."""
    with open(mark, "ab") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DatabaseBusyError(
                    f"another {doing} writes to {folder}; wait until it is done"
                ) from None
        try:
            yield
        finally:
            if fcntl is not None:  # a child that was forked meanwhile has the same open file, and the lock
                fcntl.flock(file, fcntl.LOCK_UN)
