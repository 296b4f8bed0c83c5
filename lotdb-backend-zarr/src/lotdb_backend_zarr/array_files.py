"""The files of one array: in a local folder, or objects in a store such as S3."""

from __future__ import annotations

import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lotdb import DamagedError, ObjectStore, open_part
from lotdb_backend_zarr.open_array_file import OpenArrayFile, joined
from lotdb_backend_zarr.open_files import OpenFiles

__all__ = ["ArrayFiles", "ArrayFolder", "ArrayObjects"]

_BINARY = getattr(os, "O_BINARY", 0)

# What lies between two chunks that are wanted is read with them, up to so many bytes; of all that is read for
# a window of a shard, no more than that many bytes at once.
GAP_BYTES = 64 << 10
JOINED_BYTES = 64 << 20
# No object of any store is that large; a stranger's index may say so.
LARGEST_OBJECT = 1 << 60
# A call of the system writes so many runs of bytes; every system takes as many.
MOST_RUNS = 512
# Of so many files it is said at a time that they are to be read.
TAKEN = 256

T = TypeVar("T")


class ArrayFiles(ABC):
    """The files of one array, by their names."""

    #: Whether several are written at once: each waits for the disk at its end.
    writes_several = False

    def each(self, job: Callable[[T], object], several: Iterable[T]) -> None:
        """Call *job*, which reads a file, with each of *several*, in whatever way is fast."""
        for one in several:
            job(one)

    @abstractmethod
    def where(self, name: str) -> str:
        """Where a file is, for messages."""

    @abstractmethod
    def make(self) -> None:
        """Make the place for a new array."""

    @abstractmethod
    def new(self, name: str) -> Any:
        """A context of a new file, as a function that writes several runs of bytes to its end.

        It takes them as a list.
        """

    @abstractmethod
    def open(self, name: str) -> OpenArrayFile:
        """A file, opened to be read; ``DamagedError`` if it is missing."""

    def opener(self, name: str) -> Callable[[], OpenArrayFile]:
        """What opens a file again and again."""
        return partial(self.open, name)

    @abstractmethod
    def content(self, name: str) -> bytes:
        """All of a small file; ``DamagedError`` if it is missing."""


class ArrayFolder(ArrayFiles):
    """Files in a folder.

    Parameters
    ----------
    folder
        Of the array.
    files
        Those that are open to be read.
    sync
        Called with the descriptor of each finished file.
    """

    writes_several = True

    def __init__(self, folder: Path, files: OpenFiles, sync: Callable[[int], None]) -> None:
        self._folder, self._files, self._sync = folder, files, sync
        self._prefix = os.path.join(folder, "")

    def where(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def make(self) -> None:
        os.mkdir(self._folder)

    @contextmanager
    def new(self, name: str) -> Iterator[Callable[[list[Any]], None]]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
        descriptor = os.open(self._folder / name, flags, 0o666)

        def put(several: list[Any]) -> None:
            rest = [memoryview(each).cast("B") for each in several]
            while rest:  # one call writes at most 2 GiB, and less on a full disk, without an error
                _drop(rest, _write(descriptor, rest))

        try:
            yield put
            self._sync(descriptor)
        finally:
            os.close(descriptor)

    def open(self, name: str) -> OpenArrayFile:
        return self._files(f"{self._prefix}{name}")

    def opener(self, name: str) -> Callable[[], OpenArrayFile]:
        return partial(self._files, f"{self._prefix}{name}")

    def content(self, name: str) -> bytes:
        if os.path.islink(self._folder):
            raise DamagedError(f"{self._folder} is a link, and must be a folder")
        try:
            with open(self._folder / name, "rb", opener=open_part) as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DamagedError(f"{self._folder} is missing") from error


class ArrayObjects(ArrayFiles):
    """Objects of a store, each sent when it is whole.

    Parameters
    ----------
    store
        Where the arrays are.
    locator
        Of the array.
    """

    def __init__(self, store: ObjectStore, locator: str) -> None:
        self._store, self._locator = store, locator

    def each(self, job: Callable[[T], object], several: Iterable[T]) -> None:
        rest = iter(several)
        while some := list(itertools.islice(rest, TAKEN)):  # an array may claim many
            self._store.at_once(job, some)

    def where(self, name: str) -> str:
        return self._store.where(self._key(name))

    def make(self) -> None:
        """Nothing has to be made."""

    @contextmanager
    def new(self, name: str) -> Iterator[Callable[[list[Any]], None]]:
        parts: list[np.ndarray[Any, np.dtype[np.uint8]]] = []

        def put(several: list[Any]) -> None:
            parts.extend(np.frombuffer(bytes(memoryview(each).cast("B")), np.uint8) for each in several)

        yield put
        self._store.put(self._key(name), parts, sum(map(len, parts)))

    def open(self, name: str) -> OpenArrayFile:
        return _OpenObject(self._store, self._key(name))

    def content(self, name: str) -> bytes:
        found = self._store.get(self._key(name))
        if found is None:
            raise DamagedError(f"{self._store.where(self._locator)} is missing")
        return found

    def _key(self, name: str) -> str:
        return f"{self._locator}/{name}"


class _OpenObject(OpenArrayFile):
    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store, self._key = store, key

    def whole(self, limit: int) -> OpenArrayFile:
        # One request in place of two.
        data, size = self._store.start_of(self._key, limit)
        return _InMemory(memoryview(data), self._store.where(self._key)) if size <= limit else self

    def read(self, spans: list[tuple[int, int]]) -> Iterator[bytes]:
        for group in joined(spans, GAP_BYTES, JOINED_BYTES):
            first = group[0][0]
            last = sum(group[-1])
            if last > LARGEST_OBJECT:
                raise DamagedError(f"{self._store.where(self._key)} ends too early")
            data = memoryview(self._store.get_range(self._key, first, last - first))
            for offset, size in group:
                yield bytes(data[offset - first : offset - first + size])

    def read_end(self, size: int) -> bytes:
        return bytes(self._store.end_of(self._key, size))


class _InMemory(OpenArrayFile):
    def __init__(self, data: memoryview, where: str) -> None:
        self._data, self._where = data, where

    def read(self, spans: list[tuple[int, int]]) -> Iterator[bytes]:
        for offset, size in spans:
            yield self._part(offset, size)

    def read_end(self, size: int) -> bytes:
        return self._part(len(self._data) - size, size)

    def _part(self, offset: int, size: int) -> bytes:
        if offset < 0 or offset + size > len(self._data):
            raise DamagedError(f"{self._where} ends too early")
        return bytes(self._data[offset : offset + size])


def _write(descriptor: int, several: list[memoryview]) -> int:
    """Write what one call of the system writes of *several* runs of bytes; how many bytes that was."""
    if hasattr(os, "writev"):
        return os.writev(descriptor, several[:MOST_RUNS])
    return os.write(descriptor, several[0])


def _drop(several: list[memoryview], size: int) -> None:
    """Take the first *size* bytes out of *several* runs of bytes."""
    whole = 0
    while whole < len(several) and len(several[whole]) <= size:
        size -= len(several[whole])
        whole += 1
    del several[:whole]
    if size:
        several[0] = several[0][size:]
