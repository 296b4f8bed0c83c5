"""One line in a terminal that tells how far a map is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from lotdb.public import BaseNode

__all__ = ["Progress", "Told", "teller"]

#: Called with how many nodes are done, of how many (None if nobody knows), and the path of the last one.
Progress = Callable[[int, int | None, str], object]
#: The same, called with the node, or its keys, of which a path is made only for who wants it.
Told = Callable[[int, int | None, BaseNode | tuple[str, ...]], object]

_EVERY_S = 0.1


class _Line:
    """``band_power: 1200 of 2000, 41 a second``, written over again and again, and wiped out at the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()
        self._next = self._began + _EVERY_S
        self._width = 0

    def __call__(self, done: int, total: int | None, place: object) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY_S
        of = "" if total is None else f" of {total}"
        line = f"{self._what}: {done}{of}, {done / (now - self._began):.3g} a second"
        sys.stderr.write(f"\r{line.ljust(self._width)}")
        sys.stderr.flush()
        self._width = len(line)

    def end(self) -> None:
        if self._width:
            sys.stderr.write(f"\r{' ' * self._width}\r")
            sys.stderr.flush()


def teller(progress: Any, what: str) -> tuple[Told, Callable[[], None]]:
    """Whom to tell, as *progress* says, and what to call at the end.

    By default a line in the terminal, if there is one; with False nobody.
    """
    if progress is None and sys.stderr.isatty():
        line = _Line(what)
        return line, line.end
    if callable(progress):
        return lambda done, total, place: progress(done, total, _path_of(place)), _nothing
    return _ignore, _nothing


def _path_of(place: BaseNode | tuple[str, ...]) -> str:
    return "/".join(place) if isinstance(place, tuple) else place._path()


def _ignore(done: int, total: int | None, place: object) -> None:
    pass


def _nothing() -> None:
    pass
