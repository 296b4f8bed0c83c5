"""Doing several things at once, in threads that end with the call."""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["at_once"]

T = TypeVar("T")

# More threads than these do not compute, or read from a disk, faster.
_THREADS = 4


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def at_once(job: Callable[[T], object], several: Sequence[T], threads: int | None = None) -> None:
    """Call *job* with each of *several*, in this thread and as many others as make up *threads*.

    They end with the call: none is left that a fork would lose, or that reads from what is closed. What a
    job raises is passed on, and no other one begins then.

    Parameters
    ----------
    job
        Called from any of the threads; it is of use if it lets other threads run most of the time.
    several
        What it is called with.
    threads
        At most so many; None for what computes or reads from a disk: one for each processor, and 4 at most.
    """
    if threads is None:
        threads = min(_THREADS, _processors())
    waiting: Iterator[int] = iter(range(len(several)))
    from queue import SimpleQueue  # which small payloads do not need

    # A queue in C: Ctrl-C inside of a semaphore, or of a thread's start, would leave them waiting for ever.
    done: SimpleQueue[bool] = SimpleQueue()
    failures: list[BaseException] = []
    started = 0

    def work() -> None:
        while (number := next(waiting, None)) is not None:
            job(several[number])

    def work_beside() -> None:
        nonlocal waiting
        try:
            work()
        except BaseException as error:
            failures.append(error)
            waiting = iter(())
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
