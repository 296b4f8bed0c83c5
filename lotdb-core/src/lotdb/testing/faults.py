"""Killing this process at its n-th write or sync: every moment at which a power cut or a kill may come."""

from __future__ import annotations

import builtins
import functools
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["Countdown", "kill_oneself"]

# What reaches the disk through a function of os that no audit event tells of.
CALLS = (
    "write", "writev", "pwrite", "pwritev", "copy_file_range", "fsync", "fdatasync", "ftruncate", "sendfile",
)  # fmt: skip

# What the interpreter tells of by itself, from wherever it is called.
EVENTS = frozenset({
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree",
})  # fmt: skip

# The calls of a backend, which may write in ways that only its library knows.
METHODS = ("write", "write_blocks", "delete")


def kill_oneself() -> NoReturn:
    """End at once, with nothing cleaned up."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    raise AssertionError("still alive")


class Countdown:
    """Counts writes and syncs, and kills the process just before one of them.

    Counted are the functions of ``os`` that write, sync, rename and remove, files that are opened for
    writing, and the beginning and the end of each call of the backend's methods that change something.
    """

    def __init__(self) -> None:
        self._left: int | None = None
        self.counted = 0

    def start(self, kill_at: int) -> None:
        """Count from now on; the *kill_at*-th of what is counted does not happen. With 0 none is the last."""
        self.counted = 0
        self._left = kill_at

    def stop(self) -> None:
        """Count no more."""
        self._left = None

    def tick(self) -> None:
        """One more write or sync is about to happen."""
        if self._left is None:
            return
        self.counted += 1
        if self.counted == self._left:
            kill_oneself()

    def watch(self, backend_class: type[Any]) -> None:
        """Count what this process does, and what *backend_class* is asked to do."""
        for name in CALLS:
            if hasattr(os, name):
                setattr(os, name, self._before(getattr(os, name)))
        for name in METHODS:
            setattr(backend_class, name, self._around(getattr(backend_class, name)))
        # Killed after an opening that empties a file, before the first write, it leaves nothing in it.
        builtins.open = io.open = self._around(builtins.open, _writes)
        os.open = self._around(os.open, _has_flags)
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._left is None:
            return
        if event in EVENTS and not (arguments and "__pycache__" in str(arguments[0])):
            self.tick()  # but for what Python keeps of modules, the first time that they are imported

    def _before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            self.tick()
            return function(*arguments, **named)

        return counted

    def _around(
        self, function: Callable[..., Any], counts: Callable[..., bool] = lambda *_, **__: True
    ) -> Callable[..., Any]:
        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            if not counts(*arguments, **named):
                return function(*arguments, **named)
            self.tick()
            result = function(*arguments, **named)
            self.tick()
            return result

        return counted


def _writes(file: Any, mode: str = "r", *_: Any, **__: Any) -> bool:
    return any(letter in mode for letter in "wxa+")


def _has_flags(path: Any, flags: int, *_: Any, **__: Any) -> bool:
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
