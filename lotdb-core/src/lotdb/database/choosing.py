"""Which storage a database is in: by its URL, by the marker in its folder, or as a user says."""

from __future__ import annotations

import errno
import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from lotdb.errors import (
    DamagedError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    InvalidOptionError,
    LotdbError,
    MissingPluginError,
    PluginError,
    UnavailableError,
    shown,
    system_error,
)
from lotdb.interfaces.storage import Storage, StorageContext
from lotdb.registry.registry import Plugins
from lotdb.storage import DatabaseFolder
from lotdb.storage.durable import disk_for, make_folders
from lotdb.storage.folder import check_name, check_path, marked_storage, marker_of
from lotdb.storage.parts import check_file, is_there
from lotdb.storages.one_file import FileStorageKind

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Where", "choose", "mark", "refuse_url", "where_is", "without_password"]

# The folder of a database on a server for which nobody has named one; nothing is read or written there.
_NOWHERE = os.devnull
_URL = r"[a-z][a-z0-9+.-]*://"


class Where:
    """Where a user says that a database is.

    ``path`` is the folder, or the one for the payloads of a database that has a URL; ``store`` is the URL for
    payloads that do not lie in a folder; ``is_given`` is whether the user has said where payloads are.
    """

    def __init__(self, path: str, name: str, *, url: str, store: str = "", is_given: bool = False) -> None:
        self.path = path
        self.name = name
        self.url = url
        self.store = store
        self.is_given = is_given

    @property
    def folder(self) -> Path | None:
        """The folder, if there is one."""
        from pathlib import Path  # which takes as long to load as a database to open

        return Path(self.path) if self._has_folder else None

    @property
    def _has_folder(self) -> bool:
        return self.path != _NOWHERE

    @cached_property
    def absolute(self) -> str:
        """The folder, whatever the working directory is."""
        return os.path.abspath(self.path)

    @cached_property
    def shown(self) -> str:
        """What messages call the database: never a password."""
        return without_password(self.url) if self.url else os.path.join(self.path, self.name)

    @cached_property  # each commit asks for it
    def full(self) -> str:
        """The same, whatever the working directory is."""
        return self.shown if self.url else os.path.join(self.absolute, self.name)

    def make_place(
        self, database: str, durability: Literal["full", "process"], *, read_only: bool
    ) -> LotdbError | None:
        """Make the folder for the payloads of a database on a server, if the user has just named it.

        The error that says why there is no such place, if there is none.
        """
        if not self.url or self.store:
            return None
        if not self._has_folder:
            return InvalidOptionError(
                f"{database} does not say where payloads lie; open it with payloads=, a folder that all of"
                " its processes see, or a URL such as 's3://bucket/prefix'"
            )
        if self.is_given and not read_only:
            make_folders(self.absolute, disk_for(durability))
        elif not os.path.isdir(self.path):  # and not made: payloads would lie beside the disk that is missing
            return UnavailableError(
                errno.ENOENT, f"the folder for the payloads of {database} is not there", self.path
            )
        return None

    def with_payloads(self, payloads: str) -> Where:
        """The same, with the place for payloads that was noted in the database, unless one was given."""
        return self if self.is_given or not payloads else _place(self, payloads, is_given=False)

    @property
    def noted(self) -> str:
        """What the database notes of the place for payloads; nothing of a user's name or password."""
        if not self.is_given:
            return ""
        return without_password(self.store, user=False) if self.store else self.absolute


def where_is(path: Any, name: str, payloads: Any, *, option: str = "path") -> Where:
    """The place that *path*, *name* and *payloads* mean, as a user gave them.

    Messages call *path* by *option*, the argument of the call.
    """
    check_name(name)
    if isinstance(path, str) and _is_url(path):
        found = Where(_NOWHERE, name, url=path)
    else:
        found = Where(_normal(check_path(path, option)), name, url="")
    if payloads is None:
        return found
    is_path = isinstance(payloads, str | os.PathLike) and isinstance(os.fspath(payloads), str)
    if not is_path or not os.fspath(payloads):
        raise InvalidOptionError(
            f"payloads is {shown(payloads)}; use the path of a folder, or the URL of a store"
        )
    return _place(found, os.fspath(payloads), is_given=True)


def _place(where: Where, payloads: str, *, is_given: bool) -> Where:
    if _is_url(payloads):
        store = payloads.rstrip("/")
        return Where(where.path, where.name, url=where.url, store=store, is_given=is_given)
    if where.url:
        path = _normal(check_path(payloads, "payloads"))
        return Where(path, where.name, url=where.url, store=where.store, is_given=is_given)
    raise InvalidOptionError(
        f"payloads is {payloads!r}, but a database that is a folder keeps its payloads in it; leave it out,"
        " or use the URL of a store"
    )


def choose(
    plugins: Plugins,
    where: Where,
    storage: str | None,
    *,
    new: bool,
    read_only: bool,
    durability: Literal["full", "process"],
    timeout: float | None,
    building: bool = False,
) -> Storage:
    """The storage of the database at *where*, not opened yet.

    Raises
    ------
    MissingPluginError, PluginError
        If there is no such storage, or it fails.
    InvalidOptionError
        If *storage* is another one than that of the database.
    DatabaseExistsError, DatabaseNotFoundError, DatabaseFormatError, DamagedError
        What is in the folder is not what was asked for.
    """
    if storage is not None and (not isinstance(storage, str) or not storage):
        raise InvalidOptionError(f"storage is {shown(storage)}; use the name of one, such as 'sqlite'")
    if where.url:
        named: str | None = where.url.partition("://")[0]
    else:
        named = marked_storage(f"{where.full}.lotdb")
    if named and storage not in (None, named) and not new:
        raise InvalidOptionError(
            f"{where.shown!r} is a database in storage {named!r}, and not in {storage!r}; leave out storage="
        )
    kind = _kind(plugins, where, storage or named or FileStorageKind.name)
    exists = named is not None
    if where.url and (kind.marks_folder or kind is FileStorageKind):
        raise _not_on_a_server(where, kind)
    if kind.marks_folder:
        if new and read_only:
            raise InvalidOptionError("new=True and read_only=True do not go together")
        disk = disk_for(durability)
        folder = DatabaseFolder.at(where.path, where.name)
        exists = _check_marked(folder, kind.name, exists=exists, new=new, read_only=read_only)
        if not read_only:
            make_folders(where.absolute, disk)
    about = StorageContext(
        folder=where.absolute,
        name=where.name,
        where=where.full,
        url=where.url,
        new=new,
        read_only=read_only,
        durability=durability,
        timeout=timeout,
        exists=exists,
        building=building,
    )
    try:
        return kind(about)
    except LotdbError:
        raise
    except Exception as error:
        raise failed(kind.name, error) from error


def _not_on_a_server(where: Where, kind: type[Storage]) -> InvalidOptionError:
    """What to raise for a URL whose scheme is a storage in a folder."""
    host, slash, path = where.url.partition("://")[2].partition("?")[0].partition("/")
    path = re.sub("^/+", "/", host.rpartition("@")[2] + slash + path) or "results"
    storage = "" if kind is FileStorageKind else f", storage={kind.name!r}"
    return InvalidOptionError(
        f"{where.shown} is a URL, and a database in storage {kind.name!r} is a folder: open it as"
        f" LOTDB({path!r}{storage})"
    )


def _kind(plugins: Plugins, where: Where, name: str) -> type[Storage]:
    try:
        return plugins.storage(name)
    except MissingPluginError as error:
        from lotdb.interfaces.object_store import SCHEMES

        if not where.url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
            raise
        raise MissingPluginError(
            f"{error.args[0].partition(';')[0]}; an object store holds arrays, and the tree lies elsewhere: "
            f"LOTDB('results', payloads={without_password(where.url, user=False)!r})"
        ) from None


def failed(name: str, error: Exception) -> LotdbError | OSError:
    """What to raise for an *error* that a storage has raised on its own account."""
    if (failure := system_error(error)) is not None:
        return failure
    return PluginError(f"storage {name!r} failed to open: {type(error).__name__}: {error}")


def _check_marked(folder: DatabaseFolder, storage: str, *, exists: bool, new: bool, read_only: bool) -> bool:
    """Raise the right error unless a database of *storage* may be opened in *folder*, or created there.

    Whether there is one, which *exists* if it was marked before.
    """
    if new:
        folder.refuse_existing()
    check_file(folder.marker)
    if exists:
        return True
    error = _why_not(folder, storage, read_only=read_only)
    # Another process may have made it since the marker was looked for, and the marker comes last.
    if marked_storage(folder.marker) == storage and not new:
        return True
    if error is not None:
        raise error
    return False


def _why_not(folder: DatabaseFolder, storage: str, *, read_only: bool) -> LotdbError | None:
    """Why no database of *storage* may be created in *folder*, which had none; None if one may."""
    own = f"{folder.data_file}.{storage}"
    if is_there(folder.marker) or folder.data_kind() != "absent":
        return DatabaseFormatError(
            f"{folder.data_file} is not a database in storage {storage!r}; leave out storage=, or choose"
            " another name"
        )
    if others := [each for each in folder.payloads() if each != own]:
        return DamagedError(
            f"{own} is missing, but of the same database there is {', '.join(map(os.path.basename, others))},"
            " which was left alone; restore it from a backup, or move the other files away to start with a"
            " new database"
        )
    if read_only:
        return DatabaseNotFoundError(
            f"there is no database {folder.name!r} in {folder.path}; leave out read_only=True to create it"
        )
    return None


def mark(storage: Storage) -> None:
    """Note in the folder of a database which storage it is in, now that it has all that belongs to it."""
    about = storage.context
    if not storage.marks_folder or about.read_only:
        return
    disk = disk_for(about.durability)
    marker = f"{about.where}.lotdb"
    if not is_there(marker):
        disk.write_file(marker, marker_of(storage.name))
        folder = os.path.dirname(marker)
        disk.sync_folder(folder)
        disk.sync_folder(os.path.dirname(folder))


def refuse_url(place: Any, what: str) -> None:
    """Raise ``InvalidOptionError`` if *place* is a URL: *what* is made in a folder."""
    if isinstance(place, str) and _is_url(place):
        raise InvalidOptionError(
            f"{without_password(place)} is a URL, and {what} is made in a folder; name one. To copy it to a"
            " server, call lotdb.convert(folder, URL)"
        )


def without_password(url: str, *, user: bool = True) -> str:
    """The *url* without a password, and without what follows a question mark.

    >>> without_password("postgresql://me:secret@host:5432/results?sslkey=x")
    'postgresql://me@host:5432/results'
    >>> without_password("s3://key:secret@bucket/prefix", user=False)
    's3://bucket/prefix'
    """
    from urllib.parse import SplitResult, urlsplit, urlunsplit  # which few databases need

    try:
        parts = urlsplit(url)
        who, _, place = parts.netloc.rpartition("@")
    except ValueError:  # no URL at all
        return url.partition("://")[0] + "://"
    name = who.partition(":")[0]
    kept = SplitResult(parts.scheme, f"{name}@{place}" if name and user else place, parts.path, "", "")
    return urlunsplit(kept)


def _is_url(text: str) -> bool:
    return "://" in text and re.match(_URL, text) is not None


def _normal(path: str) -> str:
    """The *path* as pathlib writes it, which leaves ``..`` alone: it may stand behind a link."""
    return path if ".." in path else os.path.normpath(path)
