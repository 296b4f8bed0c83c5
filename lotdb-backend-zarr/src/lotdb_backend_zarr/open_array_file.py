"""An open file of an array, whether it lies in a folder or is an object in a store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["OpenArrayFile", "joined"]


class OpenArrayFile(ABC):
    """One file of an array, to be read."""

    __slots__ = ()

    #: What is another one if somebody has written to the file, as far as that is told without reading.
    state: Any = None

    @abstractmethod
    def read(self, spans: list[tuple[int, int]]) -> Iterable[Any]:
        """The bytes of each span, given by its place and its size; ``DamagedError`` if they are not there."""

    def read_one(self, offset: int, size: int) -> Any:
        """The bytes of one span; ``DamagedError`` if they are not there."""
        (stored,) = self.read([(offset, size)])
        return stored

    @abstractmethod
    def read_end(self, size: int) -> bytes:
        """The last *size* bytes."""

    def whole(self, limit: int) -> OpenArrayFile:
        """The same file, for one who reads all of it, and keeps up to *limit* bytes of it in memory."""
        return self


def joined(spans: list[tuple[int, int]], gap: int, most: int) -> Iterator[list[tuple[int, int]]]:
    """*spans*, in their order, in groups that are read as one.

    Between two of them there are no more than *gap* bytes, and in a group of several no more than *most*.
    """
    group: list[tuple[int, int]] = []
    for offset, size in spans:
        if group:
            last = sum(group[-1])
            is_next = 0 <= offset - last <= gap and offset + size - group[0][0] <= most
            if not is_next:
                yield group
                group = []
        group.append((offset, size))
    if group:
        yield group
