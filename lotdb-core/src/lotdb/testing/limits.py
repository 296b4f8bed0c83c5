"""Time limits: what does not come back is told, and stopped."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, TypeVar

import pytest

__all__ = ["Overdue", "at_once", "is_of_the_kit", "switching_often", "within"]

# After the alarm: what does not return to Python cannot be interrupted, only ended with the process.
GRACE_S = 15.0

# A handler somewhere may have swallowed the first alarm, or the clean-up waits for the same lock.
AGAIN_S = 2.0

T = TypeVar("T")


class Overdue(BaseException):
    """Something took longer than it may; the text says where each thread was."""


@contextlib.contextmanager
def within(seconds: float, what: str, config: pytest.Config | None = None) -> Iterator[None]:
    """Raise :class:`Overdue` in the block when *seconds* have passed.

    An alarm interrupts whatever Python waits for. Where there are no alarms, and in code that never returns
    to Python, nothing can be interrupted: then the whole run is ended, with *what* as the reason.
    """
    done = threading.Event()
    rings = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    watch = threading.Thread(
        target=_give_up_unless, args=(done, seconds + (GRACE_S if rings else 0.0), what, config), daemon=True
    )
    watch.start()
    try:
        with _alarm(seconds) if rings else contextlib.nullcontext():
            yield
    finally:
        done.set()


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(signum: int, frame: FrameType | None) -> None:
        raise Overdue(_places())

    handler = signal.signal(signal.SIGALRM, ring)
    before = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)


def _places() -> str:
    """Where each thread is, but for the kit's own and the test runner's lines."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = []
    for ident, frame in sys._current_frames().items():
        lines = [line for line in traceback.extract_stack(frame) if not is_of_the_kit(line.filename)]
        if lines:
            at = ", ".join(f"{line.filename}:{line.lineno} in {line.name}" for line in lines[-3:])
            found.append(f"{names.get(ident, ident)}: {at}")
    return "; ".join(found)


def is_of_the_kit(path: str) -> bool:
    """Whether a file belongs to the kits, to the test runner, or to Python's own library."""
    parts = path.replace(os.sep, "/")
    if path.startswith("<"):
        return True
    runners = ("/pytest/", "/_pytest/", "/pluggy/", "/hypothesis/", "/xdist/", "/execnet/")
    if f"{os.sep}lotdb{os.sep}testing{os.sep}" in path or any(name in parts for name in runners):
        return True
    return parts.startswith(_LIBRARY) and "/site-packages/" not in parts


_LIBRARY = os.path.dirname(os.__file__).replace(os.sep, "/") + "/"


def _give_up_unless(done: threading.Event, seconds: float, what: str, config: pytest.Config | None) -> None:
    if done.wait(seconds):
        return
    capture = config.pluginmanager.getplugin("capturemanager") if config is not None else None
    if capture is not None:  # what is written now would be lost otherwise
        capture.suspend_global_capture(in_=True)
    stderr = sys.__stderr__ or sys.stderr
    stderr.write(f"\n{what}\nIt cannot be interrupted, so the whole run ends here. Where each thread is:\n")
    stderr.flush()
    faulthandler.dump_traceback(stderr, all_threads=True)
    os._exit(70)


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """What the jobs return, each done in a thread of its own; the first error of any is raised.

    None begins before all threads run: short jobs would otherwise be done one after the other.

    The threads are no reason to wait at the end of the process: one that hangs is left behind.
    """
    results: list[Any] = [None] * len(jobs)
    raised: list[BaseException] = []
    together = threading.Barrier(len(jobs))

    def run(number: int) -> None:
        try:
            together.wait(30)
            results[number] = jobs[number]()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
    return results


@contextlib.contextmanager
def switching_often() -> Iterator[None]:
    """Let the threads of this process take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
