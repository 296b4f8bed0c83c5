"""Where a transaction keeps what it has changed so far, but for what is in memory: a file without a name.

ZODB writes it at a savepoint. Its own lies in the folder for temporary files, which is often kept in memory.
This one lies beside the database if that has a folder, so that a large transaction needs no memory for it. It
has no name, so nothing is left of it once the process has ended, also if that was killed.
"""

from __future__ import annotations

import contextlib
import tempfile
from typing import Any

from ZODB.Connection import TmpStore
from ZODB.POSException import Unsupported

__all__ = ["Aside"]


class Aside(TmpStore):
    """ZODB's temporary storage of one transaction, which counts what it is given."""

    _file: Any

    def __init__(self, storage: Any) -> None:
        super().__init__(storage)
        # Without a folder for blobs, as on a server, each storage fails in its own way.
        with contextlib.suppress(AttributeError, TypeError, Unsupported):
            folder = storage.temporaryDirectory()
            self._file.close()
            self._file = tempfile.TemporaryFile(dir=folder, prefix="aside")  # noqa: SIM115 - close() closes it
        # Whether each record was there before; a program may make many savepoints before anybody asks.
        self._stored: dict[bytes, bool] = {}

    def store(self, oid: bytes, *record: Any) -> Any:
        """Keep a record of this transaction."""
        self._stored.setdefault(oid, oid in self.index)
        return super().store(oid, *record)

    def take_stored(self) -> tuple[list[bytes], int]:
        """The ids of the records that were stored since this was asked last; how many were there before."""
        stored, self._stored = self._stored, {}
        return list(stored), sum(stored.values())

    def flush(self) -> None:
        """Write what waits in memory, so that a full disk is told now and not to the next reader."""
        self._file.flush()
