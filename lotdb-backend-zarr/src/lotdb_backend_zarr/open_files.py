"""Files that stay open: opening one takes several times as long as reading a small window of it."""

from __future__ import annotations

import contextlib
import io
import os
from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock
from time import monotonic
from typing import Any

from lotdb import DamagedError, open_part
from lotdb_backend_zarr.open_array_file import OpenArrayFile, joined

__all__ = ["OpenFile", "OpenFiles", "most_open"]

_SEEKING = Lock()

#: An open file is not looked at again for so many seconds. To ask the system takes as long as to cut a window
#: out of a decoded chunk, and gives other threads their turn, which costs several times as much. Nobody who
#: keeps to the rules ever writes to such a file.
LOOKED_AT_S = 0.01

# Most files that this package keeps open in a process, and which share of those that the process may have.
# Each database may keep some, whatever the others have.
_MOST = 8192
_SHARE = 4
_SOME = 16

# Chunks that follow each other in a local file are read together, up to so many bytes, which stay in the
# processor's cache until they are decoded.
PIECE_BYTES = 512 << 10


#: The descriptors of those that are open in this process.
OPEN: set[int] = set()


def most_open() -> int:
    """How many files stay open: a share of what the process may have."""
    try:
        from resource import RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows
        return 128
    allowed = getrlimit(RLIMIT_NOFILE)[0]
    return _MOST if allowed < 0 else max(_SOME, min(_MOST, allowed // _SHARE))


class OpenFile(OpenArrayFile):
    """An open file; the last one who has it closes it, and so nobody reads from another file.

    Parameters
    ----------
    path
        The file.
    """

    __slots__ = ("_descriptor", "_looked_at", "is_used", "path", "size", "state")

    def __init__(self, path: str) -> None:
        self._descriptor = -1
        self.path = path
        #: Set whenever it is asked for; cleared when it was looked at whether it is in use.
        self.is_used = True
        try:
            self._descriptor = open_part(path)
        except (FileNotFoundError, NotADirectoryError):
            raise DamagedError(f"{path} is missing") from None
        OPEN.add(self._descriptor)
        self._looked_at = monotonic()
        found = os.fstat(self._descriptor)
        #: Its size in bytes, and what changes if somebody writes to it.
        self.size, self.state = found.st_size, found.st_ctime_ns

    def is_as_it_was(self) -> bool:
        """Whether nobody has written to the file, or removed it, since it was opened, as of a moment ago."""
        now = monotonic()
        if now < self._looked_at + LOOKED_AT_S:
            return True
        found = os.fstat(self._descriptor)
        if found.st_nlink == 0 or found.st_ctime_ns != self.state:
            return False
        self._looked_at = now
        return True

    def read_one(self, offset: int, size: int) -> bytes:
        if offset + size > self.size:
            raise DamagedError(f"{self.path} ends too early")
        data: bytes = read_at(self._descriptor, size, offset)
        while len(data) < size:  # one call reads at most 2 GiB
            more = read_at(self._descriptor, size - len(data), offset + len(data))
            if not more:
                raise DamagedError(f"{self.path} ends too early")
            data += more
        return data

    def read(self, spans: list[tuple[int, int]]) -> Iterator[Any]:
        for group in joined(spans, 0, PIECE_BYTES):  # one by one: a stranger's index may claim much
            first = group[0][0]
            data = self.read_one(first, sum(group[-1]) - first)
            if len(group) == 1:
                yield data
                continue
            view = memoryview(data)
            for offset, size in group:
                yield view[offset - first : offset - first + size]

    def read_end(self, size: int) -> bytes:
        if size > self.size:
            raise DamagedError(f"{self.path} ends too early")
        return self.read_one(self.size - size, size)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            OPEN.discard(self._descriptor)
            with contextlib.suppress(OSError):  # nothing was written through it
                os.close(self._descriptor)


def _seek_and_read(descriptor: int, size: int, offset: int) -> bytes:
    # Windows has no call that does both, so one thread does it at a time.
    with _SEEKING, io.FileIO(descriptor, closefd=False) as file:
        file.seek(offset)
        return file.read(size) or b""


read_at: Any = getattr(os, "pread", _seek_and_read)


class OpenFiles:
    """The files that were read lately, opened.

    Parameters
    ----------
    limit
        Most of them, with those of other databases of this process.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self._lock = Lock()

    def __call__(self, path: str) -> OpenFile:
        """The file *path*, as it is now.

        Raises
        ------
        DamagedError
            If it is missing, or no regular file.
        """
        opened = self._files.get(path)
        if opened is not None and opened.is_as_it_was():
            opened.is_used = True
            return opened
        opened = OpenFile(path)
        with self._lock:
            self._files[path] = opened
            self._files.move_to_end(path)
            while len(OPEN) > self._limit and len(self._files) > _SOME:
                self._forget_one()
        return opened

    def _forget_one(self) -> None:
        """Let go of the file that was opened first of those that were not used since they were looked at."""
        while True:
            path, opened = self._files.popitem(last=False)
            if not opened.is_used:
                return
            opened.is_used = False
            self._files[path] = opened

    def forget(self, folder: str) -> None:
        """Let go of the files in *folder*."""
        start = os.path.join(folder, "")
        with self._lock:
            for path in [each for each in self._files if each.startswith(start)]:
                del self._files[path]

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._files.clear()
