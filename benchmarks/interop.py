"""Handing a large payload to xarray and dask, and a subtree of many payloads to zarr."""

from __future__ import annotations

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most, below
from benchmarks.clock import Timer, check
from benchmarks.sizes import Sizes

RATE_HZ = 48_000

# Of so many readings, in turns, the fastest of each kind counts.
ALTERNATIONS = 5


def build_large(folder: str, seconds: int) -> Figures:
    from lotdb import LOTDB

    samples = np.random.default_rng(0).integers(-30_000, 30_000, (seconds * RATE_HZ, 2)).astype("f4")
    with LOTDB(folder) as db, db.connection() as root, Timer() as timer:
        root.get_data_node("a").write_data(samples, samplerate_hz=RATE_HZ)
    return {"seconds": timer.seconds}


def hand_out(folder: str, seconds: int) -> Figures:
    """Reading through dask and without it, and what dask itself takes to put copies of blocks together."""
    import dask.array

    from lotdb import LOTDB

    with LOTDB(folder, read_only=True) as db:
        payload = db.open_connection()["a"].get_data()
        payload.to_xarray()  # which imports what it takes
        with Timer() as to_xarray:
            array = payload.to_xarray()
        check(array.sizes["time"] == seconds * RATE_HZ, "the length of the time axis")
        through_dask, whole, copied = [], [], []
        for _ in range(ALTERNATIONS):
            with Timer() as timer:
                rows = payload.to_dask().compute(scheduler="threads")
            check(len(rows) == seconds * RATE_HZ, "the number of rows")
            through_dask.append(timer.seconds)
            del rows
            with Timer() as timer:
                rows = payload.read()
            whole.append(timer.seconds)
            blocks = dask.array.from_array(rows, chunks=payload.to_dask().chunks).map_blocks(np.copy)
            with Timer() as timer:
                blocks.compute(scheduler="threads")
            copied.append(timer.seconds)
            del rows, blocks
    figures = {"dask": through_dask, "whole": whole, "copied": copied}
    return {"to_xarray": to_xarray.seconds, **{name: min(each) for name, each in figures.items()}}


def build_many(folder: str, payloads: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db, db.connection() as root, Timer() as timer:
        for number in range(payloads):
            node = root.get_data_node(f"group_{number // 100:04}/node_{number % 100:02}")
            node.write_data(np.arange(60.0).reshape(10, 6), samplerate_hz=100)
    return {"seconds": timer.seconds}


def open_as_store(folder: str, payloads: int) -> Figures:
    import zarr

    from lotdb import LOTDB
    from lotdb_backend_zarr import NodeStore

    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        with Timer() as timer:
            group = zarr.open_group(NodeStore(root), mode="r")
        check(group["group_0000/node_07/data"][9, 5] == 59, "the last element")
    return {"seconds": timer.seconds}


def cases(sizes: Sizes) -> list[Case]:
    large = {"seconds": sizes.seconds}
    many = {"payloads": sizes.interop_payloads}
    built = Side("LOTDB", build_large, large)
    handed = Side("LOTDB", hand_out, large, built)
    megabytes = sizes.seconds * RATE_HZ * 8 // 1_000_000
    return [
        Case(
            f"`to_xarray()` of {megabytes} MB, before data are read",
            handed.but(figure="to_xarray"),
            alone=below(0.005, "5 ms"),
            unit="ms",
        ),
        Case(
            f"reading {megabytes} MB through dask, in threads",
            handed.but(figure="dask"),
            (
                Against(handed.but(label="LOTDB, `read()`", figure="whole"), at_most(1.25)),
                Against(handed.but(label="dask, copies of blocks of an array in memory", figure="copied")),
            ),
            unit="ms",
        ),
        Case(
            f"opening {sizes.interop_payloads} payloads in zarr, as a `NodeStore`",
            Side("LOTDB", open_as_store, many, Side("LOTDB", build_many, many)),
            alone=below(1.0, "1 s"),
            unit="ms",
        ),
    ]
