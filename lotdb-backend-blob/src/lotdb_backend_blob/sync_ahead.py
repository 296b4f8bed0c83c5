"""Syncing a file while it is written, so that the disk is at work from the beginning."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any

from lotdb import BackendContext

__all__ = ["AHEAD_BYTES", "SyncAhead"]

# After so many bytes, what is there is given to the disk, if that has nothing to do.
AHEAD_BYTES = 32 << 20


class SyncAhead:
    """A context in which a file is written; if that fails, nobody has the file open when it is left.

    Parameters
    ----------
    context
        What the backend was given.
    descriptor
        Of the file.
    """

    def __init__(self, context: BackendContext, descriptor: int) -> None:
        self._context, self._descriptor = context, descriptor
        self._last: Any = None

    def __enter__(self) -> SyncAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._last is not None:
            with contextlib.suppress(OSError):
                self._last.wait()

    def go_on(self) -> None:
        """Sync what is there, unless an earlier sync is under way."""
        if self._last is None or self._last.is_done:
            self.finish()

    def finish(self) -> Any:
        """Sync all of it; what is returned waits for that."""
        self._last = self._context.start_sync(self._descriptor, self._last)
        return self._last

    def finish_now(self) -> None:
        """Sync all of it, and wait; a file that is not large needs no thread for that."""
        if self._last is None:
            self._context.sync(self._descriptor)
        else:
            self.finish().wait()
