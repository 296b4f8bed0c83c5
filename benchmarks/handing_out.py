"""Work handed out to processes: workers that read by reference and return, and workers that write themselves.

A task is the mean of 10 000 numbers. The processes of the pool run already, and have imported what they need:
what is measured is sending, reading and writing.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, faster
from benchmarks.clock import Timer, check
from benchmarks.sizes import Sizes

ROWS = 10_000
PROCESSES = 2


def mean(node: Any) -> float:
    """What a worker does with a reference."""
    return float(node.read_data().mean())


def write_mean(folder: str, path: str) -> None:
    """What a worker does that opens the database for its result."""
    from lotdb import LOTDB

    with LOTDB(folder, timeout=60) as db, db.connection() as root:
        node = root[path]
        node.attrs["mean"] = float(node.read_data().mean())


def is_ready(number: int) -> int:
    """Have a worker import all that it needs."""
    from lotdb import LOTDB

    assert LOTDB is not None
    return os.getpid()


def hand_out(folder: str, tasks: int, how: str) -> Figures:
    """Compute and store the mean of each of so many payloads, in two processes."""
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        for number in range(tasks):
            root.get_data_node(("takes", f"{number:04}")).write_data(np.full(ROWS, float(number)))
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("forkserver")) as pool:
        list(pool.map(is_ready, range(4 * PROCESSES)))
        with Timer() as timer:
            if how == "references":
                _return(folder, pool)
            else:
                paths = [f"takes/{number:04}" for number in range(tasks)]
                list(pool.map(write_mean, [folder] * tasks, paths))
    with LOTDB(folder, read_only=True) as db, db.connection() as root:
        means = [node.attrs["mean"] for node in root["takes"].values()]
        check(means == list(range(tasks)), "the means")
    return {"seconds": timer.seconds}


def _return(folder: str, pool: ProcessPoolExecutor) -> None:
    from lotdb import LOTDB

    with LOTDB(folder) as db, db.connection() as root:
        nodes = list(root["takes"].values())
        for node, found in zip(nodes, pool.map(mean, nodes), strict=True):
            node.attrs["mean"] = found


def cases(sizes: Sizes) -> list[Case]:
    tasks = sizes.tasks
    own = Side("workers that open it for each result", hand_out, {"tasks": tasks, "how": "writing"})
    return [
        Case(
            f"{tasks} tasks in two processes: workers read by reference, and the parent writes",
            Side("LOTDB", hand_out, {"tasks": tasks, "how": "references"}),
            (Against(own, faster(3)),),
        )
    ]
