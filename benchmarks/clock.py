"""What the sides of a case measure with: time, memory, bytes on disk, and whether the result is right."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable, Iterable


class Timer:
    """As ``with Timer() as timer:`` the seconds that the block took, in ``timer.seconds``.

    Before the clock starts, Python's garbage collector goes through what there is. Otherwise its first way
    through all that was imported, of 5 to 50 ms, falls into the block of one side and not of another.
    """

    seconds: float

    def __enter__(self) -> Timer:
        gc.collect()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds = time.perf_counter() - self._start


def seconds_each(function: Callable[..., object], arguments: Iterable[tuple[object, ...]]) -> list[float]:
    """Seconds that each call of *function* took. What it returns is dropped within the time."""
    seconds = []
    clock = time.perf_counter
    gc.collect()  # as above
    for each in arguments:
        start = clock()
        function(*each)
        seconds.append(clock() - start)
    return seconds


class PeakMemory:
    """As ``with PeakMemory() as memory:`` the bytes by which the process grows at most: ``memory.grown``."""

    grown: int

    def __enter__(self) -> PeakMemory:
        # Linux: this sets the peak back to what is in use now.
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        self._start = _status("VmRSS")
        return self

    def __exit__(self, *exception: object) -> None:
        self.grown = _status("VmHWM") - self._start


def _status(name: str) -> int:
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(name))
    return int(line.split()[1]) * 1024


class PeakDisk:
    """As ``with PeakDisk(folder) as disk:`` the bytes by which *folder* grows at most, in ``disk.grown``.

    Files of folders in it are not counted. It looks a hundred times a second.
    """

    grown = 0

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> PeakDisk:
        self._start = self._now()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.grown = max(self.grown, self._now() - self._start)

    def _now(self) -> int:
        total = 0
        for entry in os.scandir(self._folder):
            with contextlib.suppress(FileNotFoundError):  # one that was just replaced
                total += entry.stat().st_size if entry.is_file() else 0
        return total


class Syncs:
    """As ``with Syncs() as syncs:`` how often Python code made files durable meanwhile: ``syncs.count``."""

    count = 0

    def __enter__(self) -> Syncs:
        self._real = {name: getattr(os, name) for name in ("fsync", "fdatasync") if hasattr(os, name)}
        for name, function in self._real.items():
            setattr(os, name, self._counted(function))
        return self

    def __exit__(self, *exception: object) -> None:
        for name, function in self._real.items():
            setattr(os, name, function)

    def _counted(self, function: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            self.count += 1
            function(descriptor)

        return sync


def bytes_on_disk(path: str) -> int:
    """Size of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names
    )


def sync_file(path: str) -> None:
    """Put a file, or a folder's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check(condition: object, what: str) -> None:
    """Stop if a side did not do its work: a figure for something else is worse than none."""
    if not condition:
        raise AssertionError(what)
