"""Waiting for another thread, for a while and no longer.

A wait for ever, with Ctrl-C held back, ends only when the process is killed. So each wait of a
commit, a pack or a read has an end, and is then an error that says what it was that did not come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lotdb.errors import WaitTimeoutError

__all__ = ["WAIT_S", "LimitedLock", "wait_until"]

#: Seconds that a thread waits for another one of this process.
WAIT_S = 60.0

_PAUSE_S = 0.0005


class LimitedLock:
    """A lock that is not waited for without end; ZODB's commit lock.

    Parameters
    ----------
    what : str
        What holds it, for the message.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self.release = self._lock.release
        self.locked = self._lock.locked

    def acquire(self) -> bool:
        """Take the lock.

        Raises
        ------
        WaitTimeoutError
            Another thread kept it for a minute.
        """
        if not self._lock.acquire(timeout=WAIT_S):
            raise _timed_out(self._what)
        return True

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self.release()


def wait_until(has_come: Callable[[], bool], what: str) -> None:
    """Return when *has_come* is true; raise ``WaitTimeoutError`` if it is not for a minute."""
    deadline = time.monotonic() + WAIT_S
    while not has_come():
        if time.monotonic() >= deadline:
            raise _timed_out(what)
        time.sleep(_PAUSE_S)


def _timed_out(what: str) -> WaitTimeoutError:
    return WaitTimeoutError(
        f"waited {WAIT_S:g} seconds for {what} without success; nothing was changed: try again, or close the"
        " database"
    )
