"""Where the parts of a database are, and what is there.

A database is one folder and one name in it::

    lotdb.fs            the data file, a ZODB FileStorage
    lotdb.fs.blobs/     its blob folder
    lotdb.fs.lotdb      the marker: this is a LOTDB database, of this format
    lotdb.fs.zarr/      what another backend stores, by the backend's name
    lotdb.fs.readers    locked by those who read
    lotdb.fs.end        where the data file ended at the last commit

All names follow from these two, so the folder can be moved, and no path is written into any file.
"""

from __future__ import annotations

import os
import stat
from functools import cached_property
from typing import Any, Literal

from lotdb.errors import (
    DamagedError,
    DatabaseExistsError,
    DatabaseFormatError,
    DatabaseNotFoundError,
    InvalidOptionError,
    is_gone,
    shown,
    system_errors,
)
from lotdb.storage.compat import FILESTORAGE_MAGIC
from lotdb.storage.older import NAME, older_in, refuse_older
from lotdb.storage.parts import check_file, check_folder, is_there, read_part

__all__ = [
    "FORMAT",
    "LAYOUT",
    "MARKER",
    "PARTS",
    "DatabaseFolder",
    "check_name",
    "check_path",
    "marked_storage",
    "marker_of",
]

#: The version of the folder's format.
FORMAT = 1
#: What the marker holds.
MARKER = b'{"format": %d, "product": "lotdb"}\n' % FORMAT
#: The version of the marker of a folder in another storage, which it names. An older LOTDB refuses it.
STORAGE_FORMAT = 2
#: How ZODB arranges blob files: eight levels of folders, one for each byte of the object id.
LAYOUT = "bushy"

#: The ends of the names of files beside the data file that may be opened or replaced.
PARTS = (
    ".backup",
    ".backup.new",
    ".copy",
    ".copy.new",
    ".copy.whole",
    ".end",
    ".end.new",
    ".index",
    ".index.index_tmp",
    ".lock",
    ".lotdb",
    ".lotdb.new",
    ".old",
    ".pack",
    ".readers",
    ".tmp",
)
# Those in the blob folder.
_BLOB_FILES = (".layout", ".layout.new", ".removed")

DataKind = Literal["absent", "empty", "filestorage", "foreign"]


class DatabaseFolder:
    """The folder *path* seen as the place of the database *name*; ``DatabaseFolder.at`` checks both.

    Looking at it never changes anything.
    """

    def __init__(self, path: str, name: str) -> None:
        self.path = path
        self.name = name

    @classmethod
    def at(
        cls, path: str | os.PathLike[str], name: str, *, option: str = "path", takes_name: bool = True
    ) -> DatabaseFolder:
        """The folder for *path* and *name* as a user gave them.

        Messages call *path* by *option*, the argument of the call. It *takes_name* if it has ``name=``, too.

        Raises
        ------
        InvalidOptionError
            *path* is a file or no path at all, or *name* is not one plain file name.
        """
        check_name(name)
        return cls(_folder_path(path, option, takes_name=takes_name), name)

    @cached_property  # an opening asks for it thirty times
    def data_file(self) -> str:
        """The FileStorage."""
        return os.path.join(self.path, self.name)

    @property
    def blobs(self) -> str:
        """The folder of blob files."""
        return self.data_file + ".blobs"

    @property
    def layout_file(self) -> str:
        """The file in which ZODB notes how the blob folder is arranged."""
        return os.path.join(self.blobs, ".layout")

    @property
    def marker(self) -> str:
        """The file that tells a LOTDB database from any other FileStorage."""
        return self.data_file + ".lotdb"

    @property
    def readers_file(self) -> str:
        """The file that readers lock."""
        return self.data_file + ".readers"

    @property
    def watermark(self) -> str:
        """The file that says where the data file ended at the last commit."""
        return self.data_file + ".end"

    @property
    def old_file(self) -> str:
        """The data file as it was before a pack that did not come to its end."""
        return self.data_file + ".old"

    def data_kind(self) -> DataKind:
        """What the data file is."""
        return _kind(self.data_file)

    def can_recover(self) -> bool:
        """Whether the data file was lost between the two renames at the end of a pack."""
        return _kind(self.old_file) == "filestorage"

    def backend_folders(self) -> list[str]:
        """The folders ``<name>.<backend>`` next to the blob folder."""
        prefix = self.name + "."
        try:
            names = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []
        # A dot in the rest means that it belongs to another database: one named ``<name>.something``.
        found = [n for n in names if n.startswith(prefix) and "." not in n[len(prefix) :] and n != prefix]
        paths = [os.path.join(self.path, n) for n in found]
        return [p for p in paths if p != self.blobs and _is_folder(p)]

    def payloads(self) -> list[str]:
        """What holds payloads, of any backend."""
        return ([self.blobs] if _holds_blobs(self.blobs) else []) + self.backend_folders()

    def remains(self) -> list[str]:
        """The parts that only a finished database has, apart from the data file.

        An empty blob folder is none: a creation that was cut short leaves one.
        """
        return ([self.marker] if is_there(self.marker) else []) + self.payloads()

    def refuse_existing(self) -> None:
        """Raise if anything is there that a new database would collide with."""
        parts = [self.data_file, self.old_file, self.marker, self.blobs]
        found = [part for part in parts if is_there(part)] + self.backend_folders()
        if found:
            raise DatabaseExistsError(
                f"a new database {self.name!r} was asked for, but {self.path} has {_names(found)}; open it"
                " without new=True, choose another name, or move these away"
            )

    def check_plain(self) -> None:
        """Raise ``DamagedError`` if a part is a link, a FIFO or whatever else is no real file or folder.

        Nothing must have been opened before: writing to a link changes what it points to.
        """
        if _is_link(self.data_file):
            check_file(self.data_file)
        for suffix in PARTS:
            check_file(self.data_file + suffix)
        if check_folder(self.blobs):
            check_folder(os.path.join(self.blobs, "tmp"))
            for name in _BLOB_FILES:
                check_file(os.path.join(self.blobs, name))

    def own_data_kind(self) -> DataKind:
        """What the data file is; raise if it is something else than a FileStorage."""
        kind = self.data_kind()
        if kind == "foreign":
            if is_there(self.marker) or (_is_cut(self.data_file) and self.remains()):
                raise DamagedError(
                    f"{self.data_file} does not start as a data file does, but of a database there is"
                    f" {_names(self.remains())}; nothing was changed: restore it from a backup"
                )
            raise DatabaseFormatError(
                f"{self.data_file} is not a LOTDB database: it does not start as a ZODB FileStorage does;"
                " choose another name"
            )
        return kind

    def refuse_older(self, *, new: bool, read_only: bool) -> None:
        """Raise if the data file was written by lotdb 1.x, or if one would be created beside such a file.

        To be called before anything is locked: a lock leaves a file there.
        """
        if is_there(self.marker):
            return
        refuse_older(self.data_file)
        if not new and not is_there(self.data_file) and not self.remains():
            # Who creates a database does not wait until all files of a large folder were looked at.
            for name in older_in(self.path) if read_only else [NAME]:
                refuse_older(os.path.join(self.path, name))

    def refuse_unmarked(self) -> None:
        """Raise if the data file has no marker beside it and was not written by this LOTDB."""
        head = read_part(self.data_file, 1 << 20)
        # A creation that was cut short leaves the magic bytes alone; a lost marker, our own records.
        if len(head) <= len(FILESTORAGE_MAGIC) or b"lotdb.records" in head:
            return
        raise DatabaseFormatError(f"{self.data_file} is not a LOTDB database; choose another name")

    def refuse_lost_data(self) -> None:
        """Raise if the data file is gone and other parts are left."""
        if is_there(self.data_file + ".backup") and not is_there(self.data_file):
            raise DamagedError(
                f"the first backup to {self.path} was not finished, so there is no database in it yet: make"
                " the backup again, which goes on where it stopped"
            )
        if remains := self.remains():
            lost = "empty" if self.data_kind() == "empty" else "missing"
            raise DamagedError(
                f"{self.data_file} is {lost}, but of the same database there is {_names(remains)}, which was"
                " left alone; restore the data file from a backup, or move the other files away to start with"
                " a new database"
            )

    def refuse_lost_commits(self) -> None:
        """Raise if there are payloads; called when the data file has no commit that could name them."""
        if payloads := self.payloads():
            raise DamagedError(
                f"{self.data_file} holds no commit, but beside it there is {_names(payloads)}, which was left"
                " alone; restore the data file from a backup, or move the other files away to start with a"
                " new database"
            )

    def check_readable(self) -> None:
        """Raise unless there is a whole database that can be opened without repair."""
        if self.own_data_kind() == "filestorage":
            self.check_parts()
            return
        if self.can_recover():
            raise DamagedError(
                f"{self.data_file} is missing since a pack was interrupted; open it once without"
                f" read_only=True to bring it back from {self.name}.old"
            )
        self.refuse_lost_data()
        raise DatabaseNotFoundError(
            f"there is no database {self.name!r} in {self.path}; leave out read_only=True to create it"
        )

    def check_parts(self) -> None:
        """Raise unless what stands beside the data file makes it a LOTDB database of this format."""
        marked = is_there(self.marker)
        if marked:
            _check_marker(self.marker)
        if _is_folder(self.blobs):
            _check_layout(self.layout_file)
        elif marked:
            raise DamagedError(
                f"{self.data_file} is there, but its blob folder {self.name}.blobs is missing; bring it back"
                " from where the database was copied, or make an empty folder of that name to go on"
            )
        else:
            raise DatabaseFormatError(
                f"{self.data_file} is a ZODB FileStorage, but not a LOTDB database: {self.name}.lotdb and"
                f" {self.name}.blobs are missing"
            )


def check_name(name: str) -> None:
    """Raise ``InvalidOptionError`` unless *name* is one plain file name."""
    plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")
    if not plain or len(name.encode(errors="replace")) > 200 or not _is_text(name):
        raise InvalidOptionError(f"name is {shown(name)}; use one plain file name, such as 'lotdb.fs'")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def check_path(path: Any, option: str = "path", what: str = "a folder") -> str:
    """*path* as text; ``InvalidOptionError``, which names the argument *option*, if it is none of *what*."""
    is_path = isinstance(path, str | os.PathLike) and isinstance(os.fspath(path), str)
    if not is_path or not os.fspath(path) or "\0" in os.fspath(path):
        raise InvalidOptionError(f"{option} is {shown(path)}; use the path of {what}, as text")
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise InvalidOptionError(
            f"{option} {shown(path)} cannot be the name of {what}: {error.reason}"
        ) from error
    given: str = os.fspath(path)
    return given


def _folder_path(path: str | os.PathLike[str], option: str, *, takes_name: bool) -> str:
    folder = os.path.abspath(check_path(path, option))
    nearest = folder
    with system_errors("", folder):
        while not is_there(nearest):
            nearest = os.path.dirname(nearest)
        is_folder = _is_folder(nearest)
    if not is_folder:
        refuse_older(nearest)
        advice = "use the path of one"
        if takes_name and nearest == folder:
            above, name = os.path.split(nearest)
            advice = f"{option}= takes the folder and name= the file in it: {option}={above!r}, name={name!r}"
        raise InvalidOptionError(f"{nearest} is not a folder; {advice}")
    return folder


# Those of os.path say no where the system cannot tell.


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _is_folder(path: str) -> bool:
    """Whether *path* is a folder, or a link to one."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        if is_gone(error):
            return False
        raise


def _kind(path: str) -> DataKind:
    try:
        start = read_part(path, len(FILESTORAGE_MAGIC))
    except FileNotFoundError:
        return "absent"
    except DamagedError:  # a link, a FIFO, a folder
        return "foreign"
    if not start:
        return "empty"
    return "filestorage" if start == FILESTORAGE_MAGIC else "foreign"


def _is_cut(path: str) -> bool:
    """Whether the file is the beginning of a data file, too short to be one."""
    try:
        return FILESTORAGE_MAGIC.startswith(read_part(path, len(FILESTORAGE_MAGIC)))
    except (FileNotFoundError, DamagedError):
        return False


def _holds_blobs(path: str) -> bool:
    try:
        return not set(os.listdir(path)) <= {".layout", ".layout.new", "tmp"}
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True


def _check_marker(path: str) -> None:
    try:
        content = read_part(path, 4096)
        if content == MARKER:
            return
        import json  # which no marker of ours needs

        marker = json.loads(content)
        product, version = marker["product"], marker["format"]
    except (ValueError, TypeError, KeyError):
        raise DatabaseFormatError(
            f"{path} is not a marker that LOTDB wrote; remove it, and opening the database for writing makes"
            " a new one"
        ) from None
    if product != "lotdb":
        raise DatabaseFormatError(f"{path} marks a database of {shown(product)}, not of LOTDB")
    if version != FORMAT:
        raise DatabaseFormatError(
            f"{path} names format {shown(version)}, and this LOTDB knows format {FORMAT}; upgrade it with:"
            " pip install --upgrade lotdb-core"
        )


def marker_of(storage: str) -> bytes:
    """What the marker of a database in *storage* holds, for another storage than a data file."""
    about = {"format": STORAGE_FORMAT, "product": "lotdb", "storage": storage}
    import json

    return json.dumps(about).encode() + b"\n"


def marked_storage(marker: str) -> str | None:
    """The storage that the file *marker* names; None if there is none, or if it is that of a data file.

    What is wrong with it is said by who opens that.
    """
    try:
        content = read_part(marker, 4096)
    except OSError:  # of which DamagedError is one
        return None
    if content == MARKER:
        return None
    try:
        import json

        about = json.loads(content)
        is_known = about["product"] == "lotdb" and about["format"] == STORAGE_FORMAT
        return about["storage"] if is_known and type(about["storage"]) is str else None
    except (ValueError, TypeError, KeyError):
        return None


def _check_layout(path: str) -> None:
    try:
        layout = read_part(path, 100).strip()
    except FileNotFoundError:
        return
    if layout not in (b"", LAYOUT.encode()):  # an empty one is what a power cut leaves, and is repaired
        raise DatabaseFormatError(f"{path} names the blob layout {shown(layout)}; LOTDB uses {LAYOUT!r}")


def _names(paths: list[str]) -> str:
    return ", ".join(map(os.path.basename, paths))
