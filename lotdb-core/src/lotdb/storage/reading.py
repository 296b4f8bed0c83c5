"""Reading records in a way that Ctrl-C cannot leave half done.

FileStorage lends file objects to readers, counts them, and commits once all are back. A reader that is
interrupted before it gave its file back is counted for ever, and the next commit waits for ever. Here nothing
is lent and nobody is counted: all read from one descriptor, each at places of its own, and look afterwards
whether the file is still the one that they began with.
"""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Any

from ZODB.FileStorage import FileStorage

from lotdb.storage.parts import open_part
from lotdb.storage.waiting import wait_until

__all__ = ["AHEAD", "Descriptor", "ReadFile", "SteadyReads"]

#: Bytes that are read at once, in hope that they hold the whole record.
AHEAD = 8192


class Descriptor:
    """An open file; the last of its readers closes it."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, file: str | int) -> None:
        self.number = -1
        self.number = open_part(file) if isinstance(file, str) else os.dup(file)

    def __del__(self) -> None:
        if self.number >= 0:
            # It was only read from, and Python prints what a destructor raises.
            with contextlib.suppress(OSError):
                os.close(self.number)


class _Place:
    """A place in the file; has of a file object what FileStorage uses."""

    __slots__ = ("_ahead", "_at", "_descriptor", "_start")

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._at = self._start = 0
        self._ahead = b""

    def __enter__(self) -> _Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def fileno(self) -> int:
        return self._descriptor.number

    def seek(self, position: int) -> None:
        self._at = position

    def read(self, size: int) -> bytes:
        at, ahead = self._at, self._ahead
        first = at - self._start
        if first < 0 or first + size > len(ahead):
            if size > AHEAD:
                data = self._read_all(size)
                self._at = at + len(data)
                return data
            self._ahead = ahead = os.pread(self._descriptor.number, AHEAD, at)
            self._start, first = at, 0
        data = ahead[first : first + size]
        self._at = at + len(data)
        return data

    def _read_all(self, size: int) -> bytes:
        parts, at = [], self._at
        # One call gives at most 2 GiB, and macOS refuses more.
        while size and (part := os.pread(self._descriptor.number, min(size, 1 << 30), at)):
            parts.append(part)
            at += len(part)
            size -= len(part)
        return b"".join(parts)


class ReadFile:
    """The data file, to be read; stands in place of ZODB's ``FilePool``.

    Parameters
    ----------
    path : str
        The data file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.closed = False
        #: Whether a commit is at its last step, or a pack puts another file in place.
        self.writing = False
        #: What is read from; None while another file is put in place.
        self.descriptor: Descriptor | None = Descriptor(path)

    def get(self) -> _Place:
        """A place to read from."""
        descriptor = self.descriptor
        if descriptor is None:
            wait_until(lambda: self.closed or self.descriptor is not None, f"a pack of {self._path}")
            descriptor = self.descriptor
        if self.closed or descriptor is None:
            raise ValueError("closed")
        return _Place(descriptor)

    def write_lock(self) -> ReadFile:
        """A context in which what is read may change; the commit lock is held."""
        return self

    def __enter__(self) -> None:
        if self.closed:
            raise ValueError("closed")
        self.writing = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.descriptor is None and not self.closed:
                self.descriptor = Descriptor(self._path)
        except OSError:
            # There is no file in its place, or it cannot be opened; who asks must not wait for another one.
            self.closed = True
            if error is None:
                raise
        finally:
            self.writing = False

    def empty(self) -> None:
        """Read no longer from this file: another one is about to take its place."""
        self.descriptor = None

    def flush(self) -> None:
        """Nothing to do: nothing is kept of what was read."""

    def close(self) -> None:
        """Let go of the file; more than once does no harm."""
        self.closed = True
        self.descriptor = None


class SteadyReads(FileStorage):
    """A FileStorage whose reads leave nothing behind, and are made again if a pack has replaced the file."""

    _file_name: str
    _tid: bytes
    _files: Any

    def read_steadily(self) -> None:
        """Read from now on as this class does; where a system cannot, as ZODB does."""
        if hasattr(os, "pread"):
            self._files.close()
            self._files = ReadFile(self._file_name)

    # Both are written out: every object that a connection loads comes through the second.

    def load(self, oid: bytes, version: str = "") -> tuple[bytes, bytes]:
        """The current record of *oid*, and the id of its transaction."""
        files = self._files
        if type(files) is not ReadFile:
            return super().load(oid, version)  # type: ignore[no-any-return]
        while True:
            if files.writing:
                self._wait_for_commit(files)
            descriptor = files.descriptor
            try:
                found: tuple[bytes, bytes] = super().load(oid, version)
            except Exception:
                if files.descriptor is descriptor:
                    raise
            else:
                if files.descriptor is descriptor:
                    return found

    def loadBefore(self, oid: bytes, tid: bytes) -> tuple[bytes, bytes, bytes | None] | None:
        """The record of *oid* before *tid*, and the ids of its transaction and of the next."""
        files = self._files
        if type(files) is not ReadFile:
            return super().loadBefore(oid, tid)  # type: ignore[no-any-return]
        while True:
            # A connection may know of a commit that is at its last step, and count on reading it.
            if files.writing and tid > self._tid:
                self._wait_for_commit(files)
            descriptor = files.descriptor
            try:
                found: tuple[bytes, bytes, bytes | None] | None = super().loadBefore(oid, tid)
            except Exception:
                if files.descriptor is descriptor:
                    raise
            else:
                if files.descriptor is descriptor:
                    return found

    def _wait_for_commit(self, files: ReadFile) -> None:
        wait_until(lambda: not files.writing, f"a commit of another thread to {self._file_name}")
