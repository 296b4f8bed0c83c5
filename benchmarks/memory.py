"""How much a process grows at most while it works on more than it should hold. Linux only."""

from __future__ import annotations

import os

import numpy as np

from benchmarks import tree
from benchmarks.cases import Case, Figures, Side, below
from benchmarks.clock import PeakMemory, check
from benchmarks.data import AUDIO_HZ, blocks
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes

BLOCK = 8 << 20
ROWS = BLOCK // 8
MB = 1_000_000


def walk(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db, db.connection() as root, PeakMemory() as memory:
        total = sum(leaf.get_attribute("duration_s") for leaf in root.iterate_tree_leaves())
    check(total == tree.expected(leaves), "the sum of all durations")
    return {"bytes": memory.grown}


def look_up(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db, db.connection() as root, PeakMemory() as memory:
        total = sum(root["/".join(path)].get_attribute("duration_s") for path in tree.paths(leaves))
    check(total == tree.expected(leaves), "the sum of all durations")
    return {"bytes": memory.grown}


def build(folder: str, leaves: int) -> Figures:
    tree.build_lotdb(os.path.join(folder, "first"), 10)  # which imports what it takes
    with PeakMemory() as memory:
        tree.build_lotdb(os.path.join(folder, "second"), leaves)
    return {"bytes": memory.grown}


def write_small(folder: str, payloads: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True, durability="process") as db:
        root = db.open_connection()
        for number in range(payloads):
            node = root.get_data_node(f"group_{number // 100:04}/node_{number % 100:02}")
            node.write_data(np.full(200, float(number)))
            if number % 10_000 == 9_999:
                db.commit()
        db.commit()
    return {}


def verify(folder: str, payloads: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, read_only=True) as db:
        load_plugins(db)
        with PeakMemory() as memory:
            found = db.verify()
    check(not found, "nothing is damaged")
    return {"bytes": memory.grown}


def write(folder: str, backend: str, count: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db:
        load_plugins(db, backend)
        with PeakMemory() as memory, db.connection() as root:
            node = root.get_data_node("speech", samplerate_hz=AUDIO_HZ, backend=backend)
            for block in blocks(count, ROWS):
                node.append_data(block)
    with LOTDB(folder) as db, db.connection() as root:
        check(root["speech"].get_data().nbytes == count * BLOCK, "the size of the payload")
    return {"bytes": memory.grown}


def read(folder: str, backend: str, count: int) -> Figures:
    from lotdb import LOTDB

    seen = []
    with LOTDB(folder) as db, db.connection() as root:
        load_plugins(db, backend)
        with PeakMemory() as memory:
            for block in root["speech"].iter_data_blocks(ROWS):
                seen.append(float(block[0, 0]))
    check(seen == list(range(count)), "the first row of each block")
    return {"bytes": memory.grown}


def cases(sizes: Sizes) -> list[Case]:
    leaves, count = sizes.walked_leaves, sizes.streamed_blocks
    bound = 3 * BLOCK + 64 * MB
    streams = below(bound, f"3 blocks + 64 MB = {bound // MB} MB")
    megabytes = count * BLOCK // MB
    of_tree = Side("LOTDB", tree.build_lotdb, {"leaves": leaves})
    table = [
        Case(
            f"memory: walk over {leaves} leaves",
            Side("LOTDB", walk, {"leaves": leaves}, of_tree, "bytes"),
            alone=below(60 * MB, "60 MB"),
            unit="MB",
            repeats=3,
        ),
        Case(
            f"memory: look-ups of {leaves} leaves in one transaction",
            Side("LOTDB", look_up, {"leaves": leaves}, of_tree, "bytes"),
            alone=below(60 * MB, "60 MB"),
            unit="MB",
            repeats=3,
        ),
    ]
    table += [
        Case(
            f"memory: build {leaves} leaves in one transaction",
            Side("LOTDB", build, {"leaves": leaves}, figure="bytes"),
            alone=below(100 * MB, "100 MB"),
            unit="MB",
            repeats=3,
        ),
        Case(
            f"memory: verify {sizes.verified} payloads",
            Side(
                "LOTDB",
                verify,
                {"payloads": sizes.verified},
                Side("LOTDB", write_small, {"payloads": sizes.verified}),
                "bytes",
            ),
            alone=below(60 * MB, "60 MB"),
            unit="MB",
            repeats=3,
        ),
    ]
    for backend in ("blob", "zarr"):
        size = {"backend": backend, "count": count}
        writing = Side(f"LOTDB, {backend}", write, size, figure="bytes", durable="synced")
        reading = Side(f"LOTDB, {backend}", read, size, writing, "bytes")
        table += [
            Case(
                f"memory: append {megabytes} MB in blocks of 8 MiB, one commit, {backend}",
                writing,
                alone=streams,
                unit="MB",
                repeats=3,
            ),
            Case(
                f"memory: read {megabytes} MB in blocks of 8 MiB, {backend}",
                reading,
                alone=streams,
                unit="MB",
                repeats=3,
            ),
        ]
    return table
