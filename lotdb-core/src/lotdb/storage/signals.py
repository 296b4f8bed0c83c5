"""Holding back Ctrl-C while a commit, a pack or a close is under way."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from importlib import import_module
from types import FrameType, TracebackType
from typing import Any

__all__ = ["uninterrupted"]

# The functions below those of the signal module, if they are there: it spends nearly all of its time on
# turning numbers into members of its enums and back, and takes as long to load as five modules.
_plain: Any = import_module("_signal" if "_signal" in sys.builtin_module_names else "signal")
_SIGNALS = (int(_plain.SIGINT), int(_plain.SIGTERM))
_get_handler, _set_handler = _plain.getsignal, _plain.signal

_Handler = Callable[[int, FrameType | None], Any]
_Arrival = tuple[_Handler, int, FrameType | None]


class uninterrupted:
    """Context manager in which SIGINT and SIGTERM wait until its block is left.

    An exception raised by a signal handler between two lines of ZODB's commit leaves a lock held for good.
    Masking the signal is not enough: another thread may receive it, and Python then still runs the handler
    in the main thread. So the handlers themselves are replaced by one that takes notes; when the block is
    left they are put back and called with what came, each signal once. A block within another one leaves that
    to it.

    Outside the main thread it does nothing, as Python runs no handler there. A signal without a Python
    handler keeps its effect: a process that is killed at any moment loses nothing.
    """

    def __init__(self) -> None:
        self._replaced: list[tuple[int, _Handler]] = []
        self._arrived: dict[int, _Arrival] = {}
        self._is_over = False

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            for signum in _SIGNALS:
                self._replace(signum)
        except BaseException:  # the handler of the second signal ran while the first was replaced already
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        try:
            _restore(self._replaced)
        finally:
            _deliver(list(self._arrived.values()))

    def _replace(self, signum: int) -> None:
        handler = _get_handler(signum)
        while getattr(handler, "__func__", None) is uninterrupted._note:
            other: uninterrupted = handler.__self__
            if not other._is_over:
                return  # in the block of another one, which takes the notes
            handler = other._handler(signum)
        if callable(handler):
            self._replaced.append((signum, handler))
            _set_handler(signum, self._note)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        handler = self._handler(signum)
        if not self._is_over:
            self._arrived.setdefault(signum, (handler, signum, frame))
            return
        # The other signal came, and raised, before this one's handler was put back.
        _set_handler(signum, handler)
        handler(signum, frame)

    def _handler(self, signum: int) -> _Handler:
        return dict(self._replaced)[signum]


# Both go on in ``finally``: a handler that raises must neither keep the next signal from being delivered nor
# leave another handler replaced.


def _restore(replaced: list[tuple[int, _Handler]]) -> None:
    if replaced:
        (signum, handler), *rest = replaced
        try:
            _set_handler(signum, handler)
        finally:
            _restore(rest)


def _deliver(arrived: list[_Arrival]) -> None:
    if arrived:
        (handler, signum, frame), *rest = arrived
        try:
            handler(signum, frame)
        finally:
            _deliver(rest)
