"""Windows at random places of ten minutes of stereo at 48 kHz in float32, everything open already."""

from __future__ import annotations

import os
import sqlite3
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most, faster, more
from benchmarks.clock import Timer, check, seconds_each
from benchmarks.data import AUDIO_HZ, audio, windows
from benchmarks.payloads import large, open_icechunk, stored_zarr
from benchmarks.sizes import Sizes


def timed(read: Callable[[int, int], np.ndarray], seconds: int, rows: int, count: int) -> Figures:
    """The median over the windows. The first tenth of them warms up."""
    total = seconds * AUDIO_HZ
    places = windows(count, rows, total)
    times = seconds_each(read, places)
    signal = audio(total)
    for start, stop in places[:5]:
        check(np.array_equal(read(start, stop), signal[start:stop]), "the rows of the window")
    return {"seconds": statistics.median(times[count // 10 :])}


def read_lotdb(folder: str, backend: str, again: bool = False, checked: bool = True, **size: int) -> Figures:
    """Windows; *again* when their blocks have been found right, which a connection does once."""
    from lotdb import LOTDB

    if not checked:
        from lotdb_backend_blob.backend import BlobBackend

        BlobBackend.checks_windows = True  # so that the core leaves it to it
    try:
        with LOTDB(folder) as db, db.connection() as root:
            if again:
                timed(root["speech"].read_data, **size)
            return timed(root["speech"].read_data, **size)
    finally:
        if not checked:
            BlobBackend.checks_windows = False


def read_in_threads(folder: str, threads: int, seconds: int, rows: int, count: int) -> Figures:
    """All windows, shared out among *threads*; the seconds are those until the last of them is done."""
    from lotdb import LOTDB

    places = windows(count, rows, seconds * AUDIO_HZ)
    signal = audio(seconds * AUDIO_HZ)
    with LOTDB(folder) as db, db.connection() as root:
        payload = root["speech"].get_data().for_threads()
        for start, stop in places:
            check(np.array_equal(payload.read(start, stop), signal[start:stop]), "the rows of the window")

        def read(share: list[tuple[int, int]]) -> None:
            for start, stop in share:
                payload.read(start, stop)

        def run() -> float:
            with Timer() as timer, ThreadPoolExecutor(threads) as pool:
                list(pool.map(read, [places[first::threads] for first in range(threads)]))
            return timer.seconds

        run()  # each thread has a reader of its own, but the files and the memory are warm
        return {"seconds": statistics.median(run() for _ in range(9)) / count}


def read_lotdb1(folder: str, backend: str, **size: int) -> Figures:
    from lotdb import LOTDB

    db = LOTDB(path=folder, name="lotdb.fs")
    figures = timed(db.open_connection().get_node("speech").read_data, **size)
    db.close()
    return figures


def read_file(folder: str, **size: int) -> Figures:
    path = f"{folder}/speech.npy"
    offset = os.path.getsize(path) - size["seconds"] * AUDIO_HZ * 8
    descriptor = os.open(path, os.O_RDONLY)

    def read(start: int, stop: int) -> np.ndarray:
        rows = np.empty((stop - start, 2), np.float32)
        os.preadv(descriptor, [rows], offset + start * 8)
        return rows

    figures = timed(read, **size)
    os.close(descriptor)
    return figures


def read_h5py(folder: str, chunks: bool, **size: int) -> Figures:
    import h5py

    with h5py.File(f"{folder}/speech.h5", "r") as file:
        dataset = file["speech"]
        return timed(lambda start, stop: dataset[start:stop], **size)


def read_bare_zarr(folder: str, **size: int) -> Figures:
    import zarr

    array = zarr.open_array(stored_zarr(folder), mode="r")
    return timed(lambda start, stop: array[start:stop], **size)


def read_tensorstore(folder: str, **size: int) -> Figures:
    import tensorstore

    place = {"driver": "file", "path": stored_zarr(folder)}
    array = tensorstore.open({"driver": "zarr3", "kvstore": place}, open=True, read=True).result()
    return timed(lambda start, stop: array[start:stop].read().result(), **size)


def read_icechunk(folder: str, **size: int) -> Figures:
    array = open_icechunk(folder)
    return timed(lambda start, stop: array[start:stop], **size)


def read_sqlite(folder: str, **size: int) -> Figures:
    connection = sqlite3.connect(f"{folder}/speech.db")
    query = "SELECT rows FROM piece WHERE number BETWEEN ? AND ? ORDER BY number"

    def read(start: int, stop: int) -> np.ndarray:
        first, last = start // AUDIO_HZ, (stop - 1) // AUDIO_HZ
        rows = b"".join(piece for (piece,) in connection.execute(query, (first, last)))
        at = first * AUDIO_HZ
        return np.frombuffer(rows, np.float32).reshape(-1, 2)[start - at : stop - at]

    figures = timed(read, **size)
    connection.close()
    return figures


def read_zarr(folder: str, **size: int) -> Figures:
    import zarr

    array = zarr.open_array(f"{folder}/speech.zarr", mode="r")
    return timed(lambda start, stop: array[start:stop], **size)


def cases(sizes: Sizes) -> list[Case]:
    write = large(sizes.seconds)
    second, short = AUDIO_HZ, AUDIO_HZ // 100

    def side(label: str, function: object, data: str, rows: int, count: int, **others: object) -> Side:
        size = {"seconds": sizes.seconds, "rows": rows, "count": count}
        made = write[data]
        return Side(label, function, {**size, **others}, made, peer=made.peer, needs=made.needs)

    def blob(rows: int, count: int) -> dict[str, Side]:
        return {
            "ours": side("LOTDB, blob", read_lotdb, "blob", rows, count, backend="blob", again=True),
            "first": side(
                "LOTDB, blob, read for the first time", read_lotdb, "blob", rows, count, backend="blob"
            ),
            "unchecked": side(
                "LOTDB, blob, unchecked",
                read_lotdb,
                "blob",
                rows,
                count,
                backend="blob",
                again=True,
                checked=False,
            ),
            "pread": side("pread", read_file, "file", rows, count),
            "contiguous": side("h5py, contiguous", read_h5py, "h5py", rows, count, chunks=False),
            "chunked": side("h5py, chunked", read_h5py, "h5py chunked", rows, count, chunks=True),
            "sqlite": side("sqlite3, a BLOB a second", read_sqlite, "sqlite", rows, count),
            "old": side("lotdb 1.1.3, blob", read_lotdb1, "blob1", rows, 5, backend="blob"),
        }

    def zarr(rows: int, count: int) -> dict[str, Side]:
        few = max(count // 5, 3)
        return {
            "ours": side("LOTDB, zarr", read_lotdb, "zarr", rows, count, backend="zarr"),
            "bare": side("bare zarr, the same array", read_bare_zarr, "zarr", rows, count),
            "tensorstore": side("tensorstore, the same array", read_tensorstore, "zarr", rows, count).but(
                needs="tensorstore"
            ),
            "plain": side("zarr, 1 MB chunks", read_zarr, "plain zarr", rows, count),
            "icechunk": side("icechunk, 1 MB chunks", read_icechunk, "icechunk", rows, count),
            "old": side("lotdb 1.1.3, zarr", read_lotdb1, "zarr1", rows, few, backend="zarr"),
        }

    long = blob(second, sizes.windows)
    brief = blob(short, 10 * sizes.windows)
    longest = min(10, sizes.seconds // 2) * second
    few = max(sizes.windows // 5, 4)
    alone, together = (
        Side(
            f"LOTDB, blob, {threads} thread{'s' * (threads > 1)}",
            read_in_threads,
            {"threads": threads, "seconds": sizes.seconds, "rows": longest, "count": few},
            write["blob"],
        )
        for threads in (1, 2)
    )
    long_zarr = zarr(second, sizes.windows)
    brief_zarr = zarr(short, sizes.windows)
    return [
        Case(
            "window of 1 s (48 kHz stereo float32), blob",
            long["ours"],
            (
                Against(long["pread"], at_most(1.3)),
                Against(long["unchecked"], at_most(1.25)),
                Against(long["first"]),
                Against(long["contiguous"], faster(1), usual=True),
                Against(long["chunked"]),
                Against(long["sqlite"]),
                Against(long["old"]),
            ),
            unit="µs",
            task="read 1 s of a recording of 10 minutes",
        ),
        Case(
            "window of 10 ms, blob",
            brief["ours"],
            (
                Against(brief["pread"], more(15e-6, "15 µs")),
                Against(brief["unchecked"], at_most(1.5)),
                Against(brief["first"]),
                Against(brief["chunked"], faster(5)),
                Against(brief["contiguous"]),
                Against(brief["sqlite"]),
                Against(brief["old"]),
            ),
            unit="µs",
        ),
        Case(
            "windows of 10 s in two threads, blob",
            together,
            (Against(alone),),
            unit="µs",
        ),
        Case(
            "window of 1 s, zarr",
            long_zarr["ours"],
            (
                Against(long_zarr["bare"], at_most(1.1)),
                Against(long_zarr["tensorstore"]),
                Against(long_zarr["plain"], usual=True),
                Against(long_zarr["icechunk"]),
                Against(long_zarr["old"]),
            ),
            unit="µs",
            task="read 1 s of it from compressed chunks",
        ),
        Case(
            "window of 10 ms, zarr",
            brief_zarr["ours"],
            (
                Against(brief_zarr["bare"], at_most(1.1)),
                Against(brief_zarr["tensorstore"]),
                Against(brief_zarr["plain"]),
                Against(brief_zarr["icechunk"]),
                Against(brief_zarr["old"]),
            ),
            unit="µs",
        ),
    ]
