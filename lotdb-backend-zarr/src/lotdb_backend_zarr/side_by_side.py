"""Work on chunks in several threads: compressors let other threads run."""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from queue import SimpleQueue

__all__ = ["side_by_side"]

_THREADS = 4


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def side_by_side(work: Callable[[int], None], count: int) -> None:
    """Call *work* with each number below *count*, in this thread and others; raise what it raises.

    All of them end with the call.
    """
    numbers: Iterator[int] = iter(range(count))
    # A queue in C: Ctrl-C inside of a semaphore, or of a thread's start, would leave them waiting for ever.
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    started = 0

    def take() -> None:
        while (number := next(numbers, None)) is not None:
            work(number)

    def take_beside() -> None:
        failure: BaseException | None = None
        try:
            take()
        except BaseException as error:
            failure = error
        finally:
            done.put(failure)

    failures: list[BaseException | None] = []
    try:
        for _ in range(min(_THREADS, _processors(), count) - 1):
            try:
                start_new_thread(take_beside, ())
            except RuntimeError:  # no more of them: this one does it
                break
            started += 1
        take()
    finally:
        numbers = iter(())  # also if this one failed: the others end with what they are at
        failures = [done.get() for _ in range(started)]
    for failure in failures:
        if failure is not None:
            raise failure
