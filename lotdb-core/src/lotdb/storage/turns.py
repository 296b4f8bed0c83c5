"""Locks between processes, on files; the system lets go of those of a process that is killed.

One is of an open file (``flock``), so threads that have opened it each on their own exclude each other too.
The system would wait without end, so it is asked again and again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator

from lotdb.errors import WaitTimeoutError
from lotdb.storage.parts import open_part

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment, unused-ignore]

__all__ = ["Turn"]

_SHORTEST_S, _LONGEST_S = 0.0001, 0.002


class Turn:
    """A lock on a file, which is made if it is missing.

    Parameters
    ----------
    path : str
        The file.
    what : str
        What whoever holds it does, for the message.
    """

    def __init__(self, path: str, what: str) -> None:
        self._path = path
        self._what = what
        self._descriptor: int | None = None
        self.is_held = False
        self._process = 0  # the one that has taken the lock

    @property
    def descriptor(self) -> int | None:
        """The open file, once the lock was taken."""
        return self._descriptor

    def acquire(self, *, exclusive: bool = True, timeout: float = 60.0) -> None:
        """Take the lock; another one may share it unless it is *exclusive*.

        Raises
        ------
        WaitTimeoutError
            Another has it, and kept it for *timeout* seconds.
        """
        if self._descriptor is None:
            self._descriptor = open_part(self._path, os.O_RDWR | os.O_CREAT)
        pause, deadline = _SHORTEST_S, None
        while not self._try(exclusive):
            now = time.monotonic()
            deadline = deadline or now + timeout
            if now >= deadline:
                raise WaitTimeoutError(
                    f"waited {timeout:g} seconds for {self._what} without success; nothing was changed"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_S)
        self.is_held, self._process = True, os.getpid()

    def _try(self, exclusive: bool) -> bool:
        if fcntl is None or self._descriptor is None:
            return True
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            return False
        return True

    def release(self) -> None:
        """Let go; more than once does no harm."""
        if self.is_held and self._descriptor is not None and fcntl is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.is_held = False

    @contextlib.contextmanager
    def held(self, *, exclusive: bool = True, timeout: float = 60.0) -> Iterator[None]:
        """A context with the lock."""
        self.acquire(exclusive=exclusive, timeout=timeout)
        try:
            yield
        finally:
            self.release()

    def close(self) -> None:
        """Let go, and close the file; a forked child does so with its copy, and its parent keeps the lock."""
        if self._process == os.getpid():
            # Closing is not enough: a child that was forked meanwhile has the same open file.
            with contextlib.suppress(OSError):
                self.release()
        descriptor, self._descriptor = self._descriptor, None
        self.is_held = False
        if descriptor is not None:
            os.close(descriptor)
