"""Steps: asking for a result that is there, and computing results of many nodes.

joblib.Memory finds a result by hashing the array that it was made from.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks import pipelines
from benchmarks.cases import Against, Case, Figures, Side, below, faster
from benchmarks.clock import Timer, check
from benchmarks.sizes import Sizes
from lotdb.steps import step

NUMBERS = 131_072  # 1 MiB
STEP_S = 0.005
SETTINGS = {"low": 0.5, "high": 20.0, "order": 4, "window": "hann", "center": True}


def power(
    data: np.ndarray, low: float, high: float, order: int, window: str, center: bool
) -> float:  # the settings only have to be compared
    """Something that takes no time."""
    return float(data[0]) + low


@step
def power_of(node: Any, low: float, high: float, order: int, window: str, center: bool) -> float:
    """The same of a node."""
    return power(node.get_data().read(), low, high, order, window, center)


# The seconds that each call of the next step took in this process.
_spent: list[float] = []


@step
def busy(node: Any) -> float:
    """Five milliseconds of work."""
    start = time.perf_counter()
    mean = float(node.get_data().read().mean())
    while time.perf_counter() < start + STEP_S:
        pass
    _spent.append(time.perf_counter() - start)
    return mean


def ask_lotdb(folder: str, times: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        node = root.get_data_node("recording")
        node.write_data(np.ones(NUMBERS))
        result = power_of.at(node, **SETTINGS)
        db.commit(root)
        power_of.at(node, **SETTINGS)
        with Timer() as timer:
            for _ in range(times):
                power_of.at(node, **SETTINGS)
        check(result.attrs["value"] == 1.5, "the result")
    return {"seconds": timer.seconds}


def ask_joblib(folder: str, times: int) -> Figures:
    from joblib import Memory

    cached = Memory(folder, verbose=0).cache(power)
    data = np.ones(NUMBERS)
    check(cached(data, **SETTINGS) == 1.5, "the result")
    cached(data, **SETTINGS)
    with Timer() as timer:
        for _ in range(times):
            cached(data, **SETTINGS)
    return {"seconds": timer.seconds}


def build(folder: str, nodes: int) -> Figures:
    """Nodes with ten numbers each."""
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        for number in range(nodes):
            root.get_data_node(("nodes", f"{number:05}")).write_data(np.full(10, float(number)))
    return {}


def map_nodes(folder: str, nodes: int, workers: int) -> Figures:
    """Compute at each node, and find all fresh the second time."""
    from lotdb import LOTDB

    build(folder, nodes)
    with LOTDB(folder) as db, db.connection() as root:
        before = time.process_time()
        with Timer() as timer:
            report = busy.map(root.find("nodes/*"), workers=workers)
        own = time.process_time() - before
        check(report.computed == nodes, "the number of results")
        found = [node.attrs["value"] for node in root.find("nodes/*/busy")]
        check(found == list(range(nodes)), "the results")
    return {
        "seconds": timer.seconds,
        "overhead": (timer.seconds - sum(_spent)) / nodes,
        "writer": own / nodes,
    }


def compute_all(folder: str, nodes: int) -> Figures:
    """Nodes, each with a result."""
    from lotdb import LOTDB

    build(folder, nodes)
    with LOTDB(folder) as db, db.connection() as root:
        check(power_of.map(root.find("nodes/*"), **SETTINGS).computed == nodes, "the number of results")
    return {}


def map_fresh(folder: str, nodes: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db, db.connection() as root:
        with Timer() as cold:
            power_of.map(root.find("nodes/*"), **SETTINGS)
        with Timer() as timer:
            report = power_of.map(root.find("nodes/*"), **SETTINGS)
        check(report.fresh == nodes, "the number of fresh results")
    return {"seconds": timer.seconds, "cold": cold.seconds}


# ── a mean of ten numbers at each of many places ──────────────────────────────────────────────────────────


@step
def mean_of(node: Any) -> float:
    """Something quick."""
    return float(node.get_data().read().mean())


def means_lotdb(folder: str, nodes: int) -> Figures:
    from lotdb import LOTDB

    build(folder, nodes)
    with LOTDB(folder) as db, db.connection() as root, Timer() as timer:
        check(mean_of.map(root.find("nodes/*")).computed == nodes, "the number of results")
    return {"seconds": timer.seconds}


def again_lotdb(folder: str, nodes: int) -> Figures:
    from lotdb import LOTDB

    with Timer() as timer, LOTDB(folder) as db, db.connection() as root:
        check(mean_of.map(root.find("nodes/*")).fresh == nodes, "the number of fresh results")
    return {"seconds": timer.seconds}


def cases(sizes: Sizes) -> list[Case]:
    asked, nodes, fresh = sizes.results, sizes.mapped, sizes.results
    few = max(1, asked // 100)
    two = Side("LOTDB", map_nodes, {"nodes": nodes, "workers": 2}, durable="synced")
    one = Side("one process", map_nodes, {"nodes": nodes, "workers": 1}, durable="synced")
    computed = Side("LOTDB", compute_all, {"nodes": fresh}, durable="synced")
    found = Side("LOTDB", map_fresh, {"nodes": fresh}, computed)
    many = {"nodes": nodes}
    means = Side("LOTDB", means_lotdb, many, per=nodes, durable="synced")
    by_others = pipelines.computing(nodes)
    by_others_again = pipelines.finding(nodes, by_others)
    return [
        Case(
            "asking a step for a fresh result of 1 MiB and five settings",
            Side("LOTDB", ask_lotdb, {"times": asked}, per=asked),
            (Against(Side("joblib.Memory", ask_joblib, {"times": few}, per=few), faster(5), usual=True),),
            alone=below(60e-6, "60 µs"),
            unit="µs",
            task="ask for a result of 1 MB of data that was computed before",
        ),
        Case(
            f"map over {fresh} nodes whose results are fresh",
            found,
            alone=below(50e-6 * fresh, f"{0.05 * fresh:g} ms"),
        ),
        Case(
            "the same, the first time in a process",
            found.but(figure="cold"),
            alone=below(400e-6 * fresh, f"{0.4 * fresh:g} ms"),
        ),
        Case(
            f"map of a step of 5 ms over {nodes} nodes in two processes",
            two,
            (Against(one, faster(1.7)),),
        ),
        Case(
            "what it takes of the process that writes, for a node",
            two.but(figure="writer"),
            alone=below(0.0005, "0.5 ms"),
            unit="µs",
        ),
        Case(
            "what map takes for a node beyond the step itself, in one process",
            one.but(label="LOTDB", figure="overhead"),
            unit="µs",
        ),
        Case(
            f"computing the mean of ten numbers at each of {nodes} nodes, per result",
            means,
            tuple(Against(side, usual=side.label == pipelines.USUAL) for side in by_others),
            unit="µs",
            task="compute something quick at each of many places",
        ),
        Case(
            f"finding in a new process that the results at {nodes} nodes are there and fresh, per result",
            Side("LOTDB", again_lotdb, many, means, per=nodes),
            tuple(Against(side, usual=side.label == pipelines.USUAL) for side in by_others_again),
            unit="µs",
            task="run a pipeline again of which everything is computed",
        ),
    ]
