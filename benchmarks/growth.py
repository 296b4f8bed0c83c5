"""How the cost of one item grows with the number of items: leaves, megabytes of a payload, payloads.

Each case compares a size with the smallest. What it does is what other themes do; a payload is written and
read in blocks, so that it need not fit into memory.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks import tree
from benchmarks.cases import Against, Case, Figures, Plot, Side, at_most
from benchmarks.clock import Timer, bytes_on_disk, check, seconds_each
from benchmarks.data import AUDIO_HZ, audio, captures, windows
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes

BLOCK_S = 10
WINDOWS = 200
DIFFERENT = 256

Function = Callable[..., Figures]


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


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────


def cases(sizes: Sizes) -> list[Case]:
    backends = ("blob", "zarr")
    table = [
        *tree_cases(sizes, "LOTDB", tree.build_lotdb, tree.walk_lotdb, tree.find_lotdb),
        *tree_cases(sizes, "sqlite3, JSON", tree.build_sqlite, tree.walk_sqlite, tree.find_sqlite),
        # It takes a hundred microseconds a leaf, so it is left out at the largest size.
        *tree_cases(
            replace(sizes, growth=sizes.growth[:2]),
            "lotdb 1.1.3",
            tree.build_lotdb1,
            tree.walk_lotdb1,
            tree.find_lotdb1,
        ),
        *(case for backend in backends for case in long_cases(sizes, backend)),
        *(case for backend in backends for case in many_cases(sizes, backend)),
    ]
    return [replace(case, repeats=sizes.growth_repeats) for case in table]


def compared(plot: Plot, unit: str, sides: Sequence[Side], backend: str = "") -> list[Case]:
    """Each of *sides* against the first, the smallest."""
    first = sides[0]
    work = f"{plot.title}, {backend}" if backend else plot.title
    target = at_most(1.5, "size" if unit == "bytes" else "time") if first.label.startswith("LOTDB") else None
    against = Against(first.but(label=f"of {first.items} {plot.items}"), target)
    return [
        Case(f"{work}, of {side.items} {plot.items}", side, (against,), unit=unit, plot=plot)
        for side in sides[1:]
    ]


def tree_cases(sizes: Sizes, label: str, build: Function, walk: Function, find: Function) -> list[Case]:
    """A tree of more and more leaves."""
    peer = label.startswith("lotdb 1")
    built, walked, found = [], [], []
    for factor in sizes.growth:
        leaves = factor * sizes.growth_leaves
        size = {"leaves": leaves}
        lookups = {**size, "count": sizes.lookups}
        made = Side(label, build, size, per=leaves, durable="synced", peer=peer, items=leaves)
        built.append(made)
        walked.append(Side(label, walk, size, made, "cold", leaves, peer=peer, items=leaves))
        found.append(Side(label, find, lookups, made, "cold", sizes.lookups, peer=peer, items=leaves))

    def leaf(title: str) -> Plot:
        return Plot(title, "leaves", "leaf")

    return [
        *compared(leaf("build a leaf"), "µs", built),
        *compared(leaf("bytes on disk a leaf"), "bytes", [side.but(figure="bytes") for side in built]),
        *compared(leaf("cold walk, a leaf"), "µs", walked),
        *compared(leaf("warm walk, a leaf"), "µs", [side.but(figure="warm") for side in walked]),
        *compared(leaf("cold lookup of a leaf"), "µs", found),
        *compared(leaf("warm lookup of a leaf"), "µs", [side.but(figure="warm") for side in found]),
    ]


def long_cases(sizes: Sizes, backend: str) -> list[Case]:
    """One payload that is longer and longer."""
    label = f"LOTDB, {backend}"
    written, whole = [], []
    for factor in sizes.growth:
        blocks = factor * sizes.growth_blocks
        size = {"blocks": blocks, "backend": backend}
        megabytes = blocks * BLOCK_S * AUDIO_HZ * 8 // 1_000_000
        made = Side(label, write_long, size, per=megabytes, durable="synced", items=megabytes)
        written.append(made)
        whole.append(Side(label, read_long, size, made, "whole", megabytes, items=megabytes))
    second = [side.but(figure="second", per=1) for side in whole]
    short = [side.but(figure="short", per=1) for side in whole]
    read = "read a MB of one payload in blocks of 10 s"
    return [
        *compared(Plot("write a MB of one payload", "MB", "MB"), "ms", written, backend),
        *compared(Plot(read, "MB", "MB"), "ms", whole, backend),
        *compared(Plot("window of 1 s of one payload", "MB", "window"), "µs", second, backend),
        *compared(Plot("window of 10 ms of one payload", "MB", "window"), "µs", short, backend),
    ]


def many_cases(sizes: Sizes, backend: str) -> list[Case]:
    """More and more payloads."""
    label = f"LOTDB, {backend}"
    written, read = [], []
    for factor in sizes.growth:
        count = factor * sizes.growth_captures
        size = {"count": count, "backend": backend}
        made = Side(label, write_many, size, per=count, durable="synced", items=count)
        written.append(made)
        read.append(Side(label, read_many, size, made, items=count))
    write = "write a capture (2000, 6) float32"
    return [
        *compared(Plot(write, "captures", "capture"), "µs", written, backend),
        *compared(Plot("find and read a capture", "captures", "capture"), "µs", read, backend),
    ]
