"""How the cost of one item grows with the number of items: leaves, megabytes of a payload, payloads.

Each case compares a size with the smallest. What it does is what other themes do; a payload is written and
read in blocks, so that it need not fit into memory.
"""

from __future__ import annotations

import random
import statistics

import numpy as np

from benchmarks import tree
from benchmarks.cases import Against, Case, Figures, Side, at_most
from benchmarks.clock import Timer, bytes_on_disk, check, seconds_each
from benchmarks.data import AUDIO_HZ, audio, captures, windows
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes

BLOCK_S = 10
WINDOWS = 200
DIFFERENT = 256


def write_long(folder: str, blocks: int, backend: str) -> Figures:
    from lotdb import LOTDB

    signal = audio(BLOCK_S * AUDIO_HZ)
    with LOTDB(folder, new=True) as db:
        load_plugins(db, backend)
        with Timer() as timer, db.connection() as root:
            node = root.get_data_node("speech", samplerate_hz=AUDIO_HZ, backend=backend)
            for number in range(blocks):
                signal[0] = number
                node.append_data(signal)
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def read_long(folder: str, blocks: int, backend: str) -> Figures:
    from lotdb import LOTDB

    rows = blocks * BLOCK_S * AUDIO_HZ
    with LOTDB(folder) as db, db.connection() as root:
        load_plugins(db, backend)
        node = root["speech"]
        with Timer() as whole:
            seen = [float(block[0, 0]) for block in node.iter_data_blocks(BLOCK_S, "seconds")]
        second = seconds_each(node.read_data, windows(WINDOWS, AUDIO_HZ, rows))
        short = seconds_each(node.read_data, windows(WINDOWS, AUDIO_HZ // 100, rows))
    check(seen == list(range(blocks)), "the first row of each block")
    return {"whole": whole.seconds, "second": statistics.median(second), "short": statistics.median(short)}


def write_many(folder: str, count: int, backend: str) -> Figures:
    from lotdb import LOTDB

    arrays = list(captures(DIFFERENT))
    with LOTDB(folder, new=True) as db:
        load_plugins(db, backend)
        with Timer() as timer, db.connection() as root:
            for number in range(count):
                group, capture = divmod(number, 100)
                node = root.get_data_node(
                    (f"group_{group:04d}", f"capture_{capture:02d}"), samplerate_hz=1000, backend=backend
                )
                node.write_data(arrays[number % DIFFERENT])
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def read_many(folder: str, count: int, backend: str) -> Figures:
    from lotdb import LOTDB

    arrays = list(captures(DIFFERENT))
    numbers = random.Random(3).choices(range(count), k=WINDOWS)
    with LOTDB(folder) as db, db.connection() as root:
        load_plugins(db, backend)

        def read(number: int) -> np.ndarray:
            group, capture = divmod(number, 100)
            return root[f"group_{group:04d}/capture_{capture:02d}"].read_data()

        cold = seconds_each(read, [(number,) for number in numbers])
        for number in numbers[:5]:
            check(np.array_equal(read(number), arrays[number % DIFFERENT]), "the capture")
    return {"seconds": statistics.median(cold)}


def cases(sizes: Sizes) -> list[Case]:
    table = []

    def add(work: str, unit: str, sides: list[Side]) -> None:
        """Each of *sides* against the first, the smallest."""
        first = sides[0]
        for side in sides[1:]:
            target = at_most(1.5) if side.label.startswith("LOTDB") else None
            against = first.but(label=f"of {first.items}")
            table.append(
                Case(f"{work}, of {side.items}", side, (Against(against, target),), unit=unit, plot=work)
            )

    for label, build, walk, find, factors in (
        ("LOTDB", tree.build_lotdb, tree.walk_lotdb, tree.find_lotdb, sizes.growth),
        ("sqlite3, JSON", tree.build_sqlite, tree.walk_sqlite, tree.find_sqlite, sizes.growth),
        ("lotdb 1.1.3", tree.build_lotdb1, tree.walk_lotdb1, tree.find_lotdb1, sizes.growth[:2]),
    ):
        built, walked, found = [], [], []
        for factor in factors:
            leaves = factor * sizes.growth_leaves
            size = {"leaves": leaves}
            peer = label == "lotdb 1.1.3"
            made = Side(label, build, size, per=leaves, durable="synced", peer=peer, items=leaves)
            built.append(made)
            walked.append(Side(label, walk, size, made, "cold", leaves, peer=peer, items=leaves))
            lookups = {**size, "count": sizes.lookups}
            found.append(Side(label, find, lookups, made, "cold", sizes.lookups, peer=peer, items=leaves))
        add("build a leaf", "µs", built)
        add("bytes on disk a leaf", "bytes", [side.but(figure="bytes") for side in built])
        add("cold walk, a leaf", "µs", walked)
        add("warm walk, a leaf", "µs", [side.but(figure="warm") for side in walked])
        add("cold lookup of a leaf", "µs", found)
        add("warm lookup of a leaf", "µs", [side.but(figure="warm") for side in found])

    for backend in ("blob", "zarr"):
        label = f"LOTDB, {backend}"
        written, whole = [], []
        for factor in sizes.growth:
            blocks = factor * sizes.growth_blocks
            size = {"blocks": blocks, "backend": backend}
            megabytes = blocks * BLOCK_S * AUDIO_HZ * 8 // 1_000_000
            made = Side(label, write_long, size, per=megabytes, durable="synced", items=megabytes)
            written.append(made)
            whole.append(Side(label, read_long, size, made, "whole", megabytes, items=megabytes))
        add(f"write a MB of one payload, {backend}", "ms", written)
        add(f"read a MB of one payload in blocks of 10 s, {backend}", "ms", whole)
        add(f"window of 1 s of one payload, {backend}", "µs", [s.but(figure="second", per=1) for s in whole])
        add(f"window of 10 ms of one payload, {backend}", "µs", [s.but(figure="short", per=1) for s in whole])

        many, one = [], []
        for factor in sizes.growth:
            count = factor * sizes.growth_captures
            size = {"count": count, "backend": backend}
            made = Side(label, write_many, size, per=count, durable="synced", items=count)
            many.append(made)
            one.append(Side(label, read_many, size, made, items=count))
        add(f"write a capture (2000, 6) float32, {backend}", "µs", many)
        add(f"find and read a capture, {backend}", "µs", one)
    return table
