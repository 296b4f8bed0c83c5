"""The file that an ingester gets, and those that belong to it."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import IO, Any, Literal, overload

from lotdb.errors import FileNotReadError, IngestError, lacking, shown
from lotdb.interfaces.options import MAX_BYTES, Options, check_flag, check_known, check_limit

__all__ = ["ARGUMENTS", "SourceFile", "open_regular", "state_of"]

HEAD_BYTES = 4096
# A file of up to so many bytes is read as a whole to be hashed, and kept in memory as long as it is open.
_KEPT = 1 << 20

#: Arguments of ``attach_file``, one of which may be meant by an option that is unknown.
ARGUMENTS = (
    "data_attribute",
    "backend",
    "samplerate_hz",
    "format",
    "metadata",
    "if_exists",
    "skip_unchanged",
    "max_bytes",
)


@dataclass(frozen=True)
class SourceFile:
    """The file that an ingester gets.

    Parameters
    ----------
    path
        The path that the user passed; for messages and names. Read from *file*, do not open the path again.
    file
        The open file, binary, seekable and at its start.
    size
        Bytes in the file. Compare what a header announces with this before allocating anything.
    format
        The user's ``format=``, or else the suffix in lower case without its dot.
    options
        Further arguments of the user, such as ``encoding``. An option that no ingester looks at is an
        ``InvalidOptionError`` for the user.
    max_bytes
        Largest number of bytes allowed for the file with those beside it, and for the decoded data.
    """

    path: Path
    file: IO[bytes]
    size: int
    format: str
    options: Mapping[str, Any] = field(default_factory=dict)
    max_bytes: int = MAX_BYTES

    @cached_property
    def head(self) -> bytes:
        """The first 4096 bytes, or all bytes of a shorter file; the position in the file stays."""
        content: bytes | None = self.__dict__.get("_content")
        if content is not None:
            return content[:HEAD_BYTES]
        position = self.file.tell()
        self.file.seek(0)
        try:
            return self.file.read(HEAD_BYTES)
        finally:
            self.file.seek(position)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (FIPS 180-4) of the file, as hexadecimal digits; the position in the file stays."""
        position = self.file.tell()
        self.file.seek(0)
        try:
            import hashlib  # which takes longer to import than most of what else is here

            if self.size <= _KEPT:  # to prepare reading in blocks takes as long as to sum this
                content = self.__dict__["_content"] = self.file.read()
                return hashlib.sha256(content).hexdigest()
            return hashlib.file_digest(self.file, "sha256").hexdigest()  # type: ignore[arg-type]
        except OSError as error:
            if failure := lacking(error):
                about = f"cannot read {str(self.path)!r}: {failure.strerror}"
                raise FileNotReadError(failure.errno, about, str(self.path)) from error
            raise IngestError(f"cannot read {str(self.path)!r}: {error.strerror or error}") from error
        finally:
            self.file.seek(position)

    def in_memory(self) -> IO[bytes]:
        """The file, for who reads many small parts of it: its bytes in memory, if LOTDB has read a short one.

        It is at its start, and has no descriptor; another object than *file*, if it is in memory.
        """
        content: bytes | None = self.__dict__.get("_content")
        if content is not None:
            return io.BytesIO(content)
        self.file.seek(0)
        return self.file

    # -- files that belong to it -------------------------------------------------------------------

    @overload
    def beside(self, name: str, *, required: Literal[True] = True) -> SourceFile: ...

    @overload
    def beside(self, name: str, *, required: bool) -> SourceFile | None: ...

    def beside(self, name: str, *, required: bool = True) -> SourceFile | None:
        """Another file of the same recording, open.

        It is hashed and watched as the first one is: if it changes, or a missing one appears,
        ``skip_unchanged`` takes the recording in again. Ask for each file that belongs to the recording,
        also for one that a library opens by its name.

        Parameters
        ----------
        name
            A suffix such as ``".dat"``, for the file of the same name; or a path relative to the folder of
            this file, with ``"/"``, and without ``".."``.
        required
            Whether a missing file is an error.

        Returns
        -------
        SourceFile or None
            The same object each time, at its start; None if it is missing and not *required*. LOTDB closes
            it.

        Raises
        ------
        IngestError
            If it is missing, or no regular file, or not below the folder of the first file; or if all files
            together have more than *max_bytes*.
        """
        return self._together.find(self, name, check_flag("required", required))

    def as_path(self) -> Path:
        """A path under which the bytes of this file can be read, for libraries that open files by name.

        It is that of the file itself. If the file has none, as a member of an archive or bytes in memory,
        it is that of a temporary copy, which is removed after the file was taken in. Copies of files
        :meth:`beside` lie beside it.
        """
        return self._together.path_of(self)

    @cached_property
    def _together(self) -> Together:
        return Together(self)

    @cached_property
    def _before(self) -> tuple[int, int]:
        return state_of(self.file)

    # -- what it may be ----------------------------------------------------------------------------

    def check_options(self, *known: str) -> None:
        """Raise ``InvalidOptionError`` for an option of the user that is not in *known*."""
        given = self.options.given if isinstance(self.options, Options) else self.options
        check_known(f"format {self.format!r}", given, known, ARGUMENTS)
        if isinstance(self.options, Options):
            self.options.asked.update(known)

    def limit(self, option: str, default: int) -> int:
        """The user's limit *option*, or *default*; ``InvalidOptionError`` if it is invalid."""
        return check_limit(option, self.options.get(option, default))

    def check_bytes(self, announced: int) -> None:
        """Raise ``IngestError`` if *announced* bytes of data are more than *max_bytes*."""
        if announced > self.max_bytes:
            raise IngestError(
                f"it announces {announced} bytes of data, the limit is {self.max_bytes}; "
                "pass max_bytes= to raise it"
            )


class Together:
    """A file and those that were asked for beside it, with their temporary copies."""

    def __init__(self, first: SourceFile) -> None:
        self._path = first.path
        self._size = first.size
        #: What was asked for, by its path below the folder of the first; None for what is missing.
        self.beside: dict[str, SourceFile | None] = {}
        #: Files that may be read under their own name.
        self.named: list[SourceFile] = []
        self._copies: Path | None = None  # the folder of the copies

    @cached_property
    def _folder(self) -> Path:
        return Path(self._path).parent

    def find(self, source: SourceFile, name: Any, required: bool) -> SourceFile | None:
        """The file *name* beside *source*."""
        below = self._below(source, name)
        key = below.as_posix()
        if key not in self.beside:
            self.beside[key] = self._open(source, below)
        found = self.beside[key]
        if found is not None:
            found.file.seek(0)
        elif required:
            raise IngestError(
                f"{source.path.name!r} belongs together with {key!r}, which is missing: there is no file "
                f"{str(self._folder / below)!r}"
            )
        return found

    def _below(self, source: SourceFile, name: Any) -> Path:
        """Where *name* leads from the folder of the first file."""
        if not isinstance(name, str) or not name or "\0" in name:
            raise IngestError(f"{shown(name)} is no name of a file beside {source.path.name!r}")
        names = [name]
        if name.startswith(".") and name.strip(".") and not {"/", "\\"} & set(name):
            # Cameras and recorders write suffixes in capitals.
            names = [source.path.stem + name, source.path.stem + name.upper()]
        # As Windows reads it, too: "\" leads out of the folder there, and so does a drive.
        strict = PureWindowsPath(name)
        if strict.drive or strict.root or ".." in strict.parts or not strict.parts:
            raise IngestError(
                f"{source.path.name!r} names {shown(name)}, which is not below its folder: files that belong "
                "together are in one folder, or below it"
            )
        base = Path(source.path).parent.relative_to(self._folder)
        for folder in list((base / names[0]).parents)[:-1]:
            if (self._folder / folder).is_symlink():
                raise IngestError(f"{folder.as_posix()!r}, in which {name!r} should be, is a link")
        there = [each for each in names if os.path.lexists(self._folder / base / each)]
        return base / (there or names)[0]

    def _open(self, source: SourceFile, below: Path) -> SourceFile | None:
        place = self._folder / below
        if not os.path.lexists(place):
            return None
        try:
            file, about = open_regular(place)
        except FileNotReadError:
            raise
        except IngestError as error:
            raise IngestError(
                f"{source.path.name!r} belongs together with {below.as_posix()!r}: {error}"
            ) from error
        self._size += about.st_size
        if self._size > source.max_bytes:
            file.close()
            raise IngestError(
                f"together with {below.as_posix()!r} it has {self._size} bytes, the limit is "
                f"{source.max_bytes}; pass max_bytes= to raise it"
            )
        suffix = place.suffix.removeprefix(".").lower()
        found = SourceFile(place, file, about.st_size, suffix, source.options, source.max_bytes)
        found.__dict__.update(_together=self, _before=state_of(file))
        return found

    def path_of(self, source: SourceFile) -> Path:
        """The path under which *source* can be read."""
        if _is_at_its_path(source):
            self.named.append(source)
            return source.path
        if self._copies is None:
            self._copies = Path(tempfile.mkdtemp(prefix="lotdb-"))
            # For those that nobody closes, such as a source that a test has made.
            weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)
        name = next((key for key, other in self.beside.items() if other is source), source.path.name)
        copy: Path = self._copies / (name or "file")
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            position = source.file.tell()
            source.file.seek(0)
            try:
                with open(copy, "xb") as file:
                    shutil.copyfileobj(source.file, file, 1 << 20)
            finally:
                source.file.seek(position)
        return copy

    def moved(self) -> list[SourceFile]:
        """Those that were read under their names, and are not what has that name now."""
        return [source for source in self.named if not _is_at_its_path(source)]

    def close(self) -> None:
        """Close the files beside the first, and remove the copies."""
        for source in self.beside.values():
            if source is not None:
                source.file.close()
        if self._copies is not None:
            shutil.rmtree(self._copies, ignore_errors=True)
            self._copies = None


def open_regular(path: Path) -> tuple[IO[bytes], os.stat_result]:
    """The file at *path*, open, and what the system says of it.

    Raises
    ------
    IngestError
        If it cannot be opened, or is no regular file.
    """
    try:
        # Non-blocking, because opening a FIFO would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if failure := lacking(error):
            text = f"cannot open {str(path)!r}: {reason}"
            raise FileNotReadError(failure.errno, text, str(path)) from error
        raise IngestError(f"cannot open {str(path)!r}: {reason}") from error
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        more = ", but a folder; ingest_tree takes one in" if stat.S_ISDIR(about.st_mode) else ""
        raise IngestError(f"cannot ingest {str(path)!r}: it is not a regular file{more}")
    return open(descriptor, "rb"), about


def state_of(file: IO[bytes]) -> tuple[int, int]:
    """What changes if the file is written to: its size, and its time."""
    about = os.fstat(file.fileno())
    return about.st_size, about.st_mtime_ns


def _is_at_its_path(source: SourceFile) -> bool:
    """Whether the open file is the one that its path leads to, byte for byte."""
    # A member of an archive may have the descriptor of the archive.
    if not isinstance(getattr(source.file, "raw", source.file), io.FileIO):
        return False
    with contextlib.suppress(OSError, ValueError):
        there, here = os.stat(source.path), os.fstat(source.file.fileno())
        return stat.S_ISREG(there.st_mode) and os.path.samestat(there, here)
    return False
