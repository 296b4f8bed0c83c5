"""The mean of ten numbers at each of many places, by what people use in place of steps.

joblib.Memory finds a result by hashing its argument. signac-flow asks a condition of each job, here whether
its document holds the result. A Makefile compares the times of files; each result is made by an interpreter
of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.cases import Figures, Side
from benchmarks.clock import Timer, check

USUAL = "joblib.Memory"
FLOW: dict[str, Any] = {"peer": True, "needs": "flow"}


def save_inputs(folder: str, nodes: int) -> None:
    os.makedirs(f"{folder}/inputs")
    for number in range(nodes):
        np.save(f"{folder}/inputs/{number:05}.npy", np.full(10, float(number)))


def mean(data: np.ndarray) -> float:
    return float(data.mean())


def means_of_joblib(folder: str, nodes: int) -> float:
    """The seconds that joblib takes to compute, or find, the mean of each input."""
    from joblib import Memory

    cached = Memory(f"{folder}/cache", verbose=0).cache(mean)
    with Timer() as timer:
        means = [cached(np.load(f"{folder}/inputs/{number:05}.npy")) for number in range(nodes)]
    check(means == list(range(nodes)), "the results")
    return timer.seconds


def means_joblib(folder: str, nodes: int) -> Figures:
    save_inputs(folder, nodes)
    return {"seconds": means_of_joblib(folder, nodes)}


def again_joblib(folder: str, nodes: int) -> Figures:
    return {"seconds": means_of_joblib(folder, nodes)}


def run_flow(folder: str, nodes: int) -> float:
    """The seconds that signac-flow takes to compute the mean of each job that has none."""
    from flow import FlowProject

    class Means(FlowProject):  # type: ignore[misc]
        pass

    def operate(job: Any) -> None:
        with job.data:
            numbers = np.asarray(job.data["numbers"])
        job.doc["mean"] = mean(numbers)

    Means.post(lambda job: "mean" in job.doc)(Means.operation(operate))
    with Timer() as timer:
        project = Means.get_project(folder)
        project.run(progress=False)
    check(sorted(job.doc["mean"] for job in project) == list(range(nodes)), "the results")
    return timer.seconds


def means_flow(folder: str, nodes: int) -> Figures:
    import signac

    project = signac.init_project(folder)
    for number in range(nodes):
        job = project.open_job({"number": number}).init()
        job.data["numbers"] = np.full(10, float(number))
    return {"seconds": run_flow(folder, nodes)}


def again_flow(folder: str, nodes: int) -> Figures:
    return {"seconds": run_flow(folder, nodes)}


MAKEFILE = """\
INPUTS := $(wildcard inputs/*.npy)
all: $(INPUTS:inputs/%.npy=means/%.json)
means/%.json: inputs/%.npy mean.py
\t@{python} mean.py $< $@
"""
SCRIPT = """\
import json, sys
import numpy as np
with open(sys.argv[2], "w") as file:
    json.dump(float(np.load(sys.argv[1]).mean()), file)
"""


def run_make(folder: str, nodes: int) -> Figures:
    with Timer() as timer:
        subprocess.run(["make", "--silent", "-C", folder], check=True)
    for number in range(nodes):
        with open(f"{folder}/means/{number:05}.json") as file:
            check(json.load(file) == number, "the results")
    return {"seconds": timer.seconds}


def prepare_make(folder: str, nodes: int) -> None:
    for name, text in {"Makefile": MAKEFILE.format(python=f"'{sys.executable}'"), "mean.py": SCRIPT}.items():
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)
    save_inputs(folder, nodes)
    os.makedirs(f"{folder}/means")


def means_make(folder: str, nodes: int) -> Figures:
    prepare_make(folder, nodes)
    return run_make(folder, nodes)


def made(folder: str, nodes: int) -> Figures:
    """The files as make leaves them, without waiting for an interpreter each."""
    prepare_make(folder, nodes)
    for number in range(nodes):
        with open(f"{folder}/means/{number:05}.json", "w") as file:
            json.dump(float(number), file)
    return {}


def computing(nodes: int) -> tuple[Side, ...]:
    """Those who compute the means. With make, a fortieth of them: an interpreter takes long to start."""
    fewer = max(1, nodes // 40)
    return (
        Side(USUAL, means_joblib, {"nodes": nodes}, per=nodes, durable="not synced"),
        Side("signac-flow", means_flow, {"nodes": nodes}, per=nodes, durable="not synced", **FLOW),
        Side("a Makefile of files", means_make, {"nodes": fewer}, per=fewer, durable="not synced"),
    )


def finding(nodes: int, computed: tuple[Side, ...]) -> tuple[Side, ...]:
    """Those who find that all of them are there, in a new process, where *computed* has left them."""
    joblib, flow, _ = computed
    files = Side("make", made, {"nodes": nodes})
    return (
        Side(USUAL, again_joblib, {"nodes": nodes}, joblib, per=nodes),
        Side("signac-flow", again_flow, {"nodes": nodes}, flow, per=nodes, **FLOW),
        Side("a Makefile of files", run_make, {"nodes": nodes}, files, per=nodes),
    )
