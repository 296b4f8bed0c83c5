"""Doing several things in several threads, which end when all is done."""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

__all__ = ["at_once", "processors"]


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def at_once(job: Callable[[Any], None], several: Sequence[Any], threads: int) -> None:
    """Call *job* with each of *several*, in this thread and as many others as make up *threads*.

    They end with the call: none is left that a fork would lose, or that reads from what is closed.
    """
    waiting: Iterator[int] = iter(range(len(several)))
    # A queue in C: Ctrl-C inside of a semaphore, or of a thread's start, would leave them waiting for ever.
    done: SimpleQueue[bool] = SimpleQueue()
    failures: list[BaseException] = []
    started = 0

    def work() -> None:
        while (number := next(waiting, None)) is not None:
            job(several[number])

    def work_beside() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            done.put(True)

    try:
        for _ in range(min(threads, len(several)) - 1):
            try:
                start_new_thread(work_beside, ())
            except RuntimeError:  # no more of them: this one does it
                break
            started += 1
        work()
    finally:
        waiting = iter(())  # also if Ctrl-C came: the others end with what they are at
        for _ in range(started):
            done.get()
    if failures:
        raise failures[0]
