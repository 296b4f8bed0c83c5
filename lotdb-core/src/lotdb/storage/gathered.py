"""The records of the transaction that is being written, before they go into the data file.

FileStorage writes them into a file, and copies it into the data file when the transaction is complete. Most
transactions are small, and need not be written twice. Here they are in memory, until they are many.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from lotdb.storage.transactions import DataFile

__all__ = ["Gathered"]

_MOST_IN_MEMORY = 1 << 20  # bytes


class Gathered:
    """A file for FileStorage, in memory while it is small.

    Parameters
    ----------
    file
        The file for more than that, open for reading and writing.
    path : str
        Where *file* is.
    """

    tell: Callable[[], int]
    seek: Callable[[int], int]
    read: Callable[[int], bytes]
    _put: Callable[[bytes | memoryview], int]

    def __init__(self, file: Any, path: str) -> None:
        self._file = file
        self._path = path
        self._memory: BytesIO | None = None
        self.start_afresh()

    def _use(self, file: Any) -> None:
        self.tell, self.seek, self.read, self._put = file.tell, file.seek, file.read, file.write

    def start_afresh(self) -> None:
        """Forget all that was written."""
        if self._memory is None:
            try:
                self._file.seek(0)
                self._file.truncate()
            except OSError:
                # A write to the file has failed, and each seek now tries it again: as long as the disk is
                # full no transaction could be aborted or begun, however small.
                self._file.raw.close()
                self._file = open(self._path, "w+b")  # noqa: SIM115 - it lives as long as the storage
        self._memory = BytesIO()
        self._use(self._memory)

    def write(self, content: bytes) -> int:
        """Write *content* where the file stands, as any file does."""
        written = self._put(content)
        if self._memory is not None and self.tell() > _MOST_IN_MEMORY:
            whole, self._memory = self._memory.getbuffer(), None
            self._use(self._file)
            self._put(whole)
        return written

    def records(self) -> DataFile:
        """What was written; the file stands at its end."""
        if self._memory is not None:
            return DataFile.of(self._memory.getvalue())
        self._file.flush()
        return DataFile(self._file.fileno(), self.tell())

    def close(self) -> None:
        """Close the file without writing what it still holds: no transaction outlives it."""
        self._file.raw.close()
