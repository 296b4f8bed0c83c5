"""Opening the storage of a database folder."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from functools import partial

from zc.lockfile import LockError
from ZODB.FileStorage.FileStorage import CorruptedFileStorageError, FileStorageFormatError
from ZODB.FileStorage.format import CorruptedError

from lotdb.errors import (
    DamagedError,
    DatabaseFormatError,
    FileSystemError,
    InvalidOptionError,
    LotdbError,
    ReadOnlyError,
    system_error,
)
from lotdb.storage.durable import Disk, disk_for, make_folders
from lotdb.storage.filestorage import SafeFileStorage
from lotdb.storage.folder import DatabaseFolder
from lotdb.storage.following import identity, was_packed
from lotdb.storage.lock import is_held, patiently, writer_busy
from lotdb.storage.parts import is_there
from lotdb.storage.prepare import prepare

__all__ = ["open_storage"]


def open_storage(
    path: str | os.PathLike[str],
    name: str = "lotdb.fs",
    *,
    new: bool = False,
    read_only: bool = False,
    durability: str = "full",
    timeout: float | None = None,
) -> SafeFileStorage:
    """The storage of the database *name* in the folder *path*.

    Parameters
    ----------
    path : str or os.PathLike
        The database's folder; made, with those above it, if it is missing.
    name : str
        The name of the data file in it.
    new : bool
        True refuses to open what is there. False opens it, or creates it if nothing is there.
    read_only : bool
        True looks at the last commit, and changes nothing. It needs no lock that a writer holds.
    durability : {"full", "process"}
        ``"full"`` survives a power cut. ``"process"`` is quicker, and survives a kill.
    timeout : float, optional
        Seconds to wait for a database that is in use.

    Raises
    ------
    InvalidOptionError
        An argument that makes no sense.
    DatabaseBusyError
        Another process writes, or a pack is under way.
    DatabaseExistsError, DatabaseNotFoundError
        Something, or nothing, is there.
    DatabaseFormatError, DamagedError
        What is there is not a LOTDB database, or not a whole one. It was left alone.
    ReadOnlyError
        The folder cannot be written.
    FileSystemError
        The system could not open or write a file.
    """
    disk = disk_for(durability)
    with _typed_errors(path, read_only):
        return _open(DatabaseFolder.at(path, name), disk, new=new, read_only=read_only, timeout=timeout)


def _open(
    folder: DatabaseFolder, disk: Disk, *, new: bool, read_only: bool, timeout: float | None
) -> SafeFileStorage:
    if read_only and new:
        raise InvalidOptionError("new=True and read_only=True do not go together")
    folder.refuse_older(new=new, read_only=read_only)
    if read_only:
        folder.check_plain()
        return patiently(partial(_open_for_reading, folder, disk), timeout)
    if new:
        folder.refuse_existing()  # before the lock leaves a file there
    folder.check_plain()
    make_folders(folder.path, disk)
    return patiently(partial(_open_for_writing, folder, disk, new), timeout)


def _open_for_reading(folder: DatabaseFolder, disk: Disk) -> SafeFileStorage:
    before = identity(folder.data_file)
    if not is_there(folder.readers_file):
        folder.check_readable()  # before the lock leaves a file there
    while True:
        try:
            with _data_errors(folder):
                storage = SafeFileStorage(
                    folder.data_file, folder.blobs, disk, read_only=True, prepare=folder.check_readable
                )
        except (LotdbError, OSError):
            # Halfway between the data file from before a pack and the one from after it, nothing fits.
            if not was_packed(folder.data_file, before):
                raise
        else:
            if not was_packed(folder.data_file, before):
                storage.warn()
                return storage
            storage.close()
        before = identity(folder.data_file)


def _open_for_writing(folder: DatabaseFolder, disk: Disk, new: bool) -> SafeFileStorage:
    with _data_errors(folder):
        return SafeFileStorage(
            folder.data_file,
            folder.blobs,
            disk,
            read_only=False,
            prepare=partial(prepare, folder, disk, new=new),
        )


@contextlib.contextmanager
def _data_errors(folder: DatabaseFolder) -> Iterator[None]:
    """Makes one of our errors of what ZODB raises about the data file, and about its lock."""
    try:
        yield
    except LotdbError:
        raise
    except LockError as error:
        if is_held(error):
            raise writer_busy(folder.data_file) from None
        cause = system_error(error.__context__) or OSError(str(error))
        raise FileSystemError.of(cause, "the lock cannot be taken", folder.data_file + ".lock") from error
    except FileStorageFormatError as error:
        raise DatabaseFormatError(f"{folder.data_file} is not a FileStorage of ZODB 5 or later") from error
    except io.UnsupportedOperation as error:  # so Python's files say that the system cannot tell a position
        raise FileSystemError.of(error, "", folder.data_file) from error
    except (CorruptedError, CorruptedFileStorageError, ValueError) as error:
        raise DamagedError(f"{folder.data_file} is damaged: {error}") from error


@contextlib.contextmanager
def _typed_errors(path: str | os.PathLike[str], read_only: bool) -> Iterator[None]:
    """Makes one of our errors of one of the system's."""
    try:
        yield
    except LotdbError:
        raise
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and not read_only:
            raise ReadOnlyError(
                f"{os.path.abspath(path)} cannot be written ({error}); open it with read_only=True"
            ) from error
        raise FileSystemError.of(error, "the database cannot be opened", os.path.abspath(path)) from error
