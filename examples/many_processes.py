"""Many processes and one database: a recorder, a monitor that looks on, and four workers.

    python examples/many_processes.py sqlite                         a folder that all of them write
    python examples/many_processes.py file                           a folder that the recorder alone writes
    python examples/many_processes.py postgresql://me@host/results --payloads /shared/folder
    python examples/many_processes.py postgresql://me@host/results --payloads s3://bucket/prefix

The recorder appends ten times a second. The monitor shows the last second, as often. As soon as a second is
complete, one of the workers measures it. Where many processes may write, the worker writes what it has found;
where one does, it hands it to the recorder. Meanwhile the database is packed.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from lotdb import LOTDB, BaseNode

RATE_HZ, CHANNELS, BLOCKS_PER_S, WORKERS = 1000, 4, 10, 4

Opening = Callable[..., LOTDB]


def record(opening: Opening, seconds: int, work: Any, found: Any) -> None:
    """Append a block ten times a second, and say when a second is complete."""
    noise = np.random.default_rng(0)
    rows = RATE_HZ // BLOCKS_PER_S
    with opening() as db:
        for number in range(seconds * BLOCKS_PER_S):
            block = noise.standard_normal((rows, CHANNELS)).astype("float32")

            def append(root: BaseNode, block: np.ndarray[Any, Any] = block) -> None:
                root["recording"].append_data(block)
                while not found.empty():
                    note(root, *found.get())

            db.run(append)
            if (number + 1) % BLOCKS_PER_S == 0:
                work.put(number // BLOCKS_PER_S)
            time.sleep(1 / BLOCKS_PER_S)
        for _ in range(WORKERS):
            work.put(None)


def measure(opening: Opening, name: str, work: Any, found: Any, *, writes: bool) -> None:
    """Measure each second that is handed out."""
    with opening(read_only=not writes) as db:
        while (second := work.get()) is not None:
            with db.connection() as root:
                rows = root["recording"].read_seconds(second, second + 1)
            level = [float(each) for each in np.sqrt((rows**2).mean(axis=0))]
            if writes:
                db.run(partial(note, second=second, level=level, worker=name))
            else:
                found.put((second, level, name))


def note(root: BaseNode, second: int, level: list[float], worker: str) -> None:
    """Keep what was measured of a second."""
    node = root.get_node_path(f"measured/{second:06d}")
    node.attrs.update({"level": level, "worker": worker})


def watch(opening: Opening, until: Any) -> None:
    """Show the last second, ten times a second, in one line."""
    with opening(read_only=True) as db:
        root = db.open_connection()
        looks = 0
        while not until.wait(1 / BLOCKS_PER_S):
            db.refresh()
            recording = root["recording"].get_data()
            last = recording[-RATE_HZ:] if recording.shape[0] else np.zeros((1, CHANNELS))
            looks += 1
            if looks % BLOCKS_PER_S == 0:
                measured = len(root["measured"]) if "measured" in root else 0
                print(
                    f"monitor: {recording.shape[0] / RATE_HZ:5.1f} s recorded, {measured} measured,"
                    f" peak {np.abs(last).max():.2f}",
                    flush=True,
                )


def main() -> None:
    """Run them all, and look at what they leave."""
    parser = argparse.ArgumentParser(description="a recorder, a monitor and four workers on one database")
    parser.add_argument("storage", help="file, sqlite, or the URL of a database on a server")
    parser.add_argument("--payloads", help="where payloads lie, for a URL: a folder or the URL of a store")
    parser.add_argument("--seconds", type=int, default=10, help="how long to record; 10 by default")
    parser.add_argument("--out", default="examples/output", help="the folder for a database that is a folder")
    given = parser.parse_args()

    if "://" in given.storage:
        opening = partial(LOTDB, given.storage, payloads=given.payloads)
    else:
        folder = Path(given.out) / f"many_processes_{given.storage}"
        shutil.rmtree(folder, ignore_errors=True)
        opening = partial(LOTDB, folder, storage=given.storage)
    writes = given.storage != "file"
    with opening() as db, db.connection() as root:
        empty = np.zeros((0, CHANNELS), "float32")
        root.get_data_node("recording", samplerate_hz=RATE_HZ).write_data(empty)
        if "measured" in root:
            root["measured"].delete_tree()

    processes = get_context("spawn")
    work, found, until = processes.Queue(), processes.Queue(), processes.Event()
    monitor = processes.Process(target=watch, args=(opening, until))
    workers = [
        processes.Process(
            target=measure, args=(opening, f"worker {number}", work, found), kwargs={"writes": writes}
        )
        for number in range(WORKERS)
    ]
    for each in (*workers, monitor):
        each.start()
    recorder = processes.Process(target=record, args=(opening, given.seconds, work, found))
    recorder.start()
    if writes:
        with opening() as db:
            while recorder.is_alive():
                recorder.join(1)
                db.pack()  # beside all of them
    for each in (recorder, *workers):
        each.join()
    until.set()
    monitor.join()

    with opening() as db:
        while not found.empty():
            db.run(lambda root: note(root, *found.get()))
        with db.connection() as root:
            rows, measured = len(root["recording"].get_data()), root["measured"]
            by = sorted({node.attrs["worker"] for node in measured.values()})
            print(f"{rows} rows recorded, {len(measured)} seconds measured by {len(by)} workers in {db}")
            assert rows == given.seconds * RATE_HZ
            assert len(measured) == given.seconds
        db.pack()
        assert db.verify() == []


if __name__ == "__main__":
    main()
