"""Small arrays: a commit for each variant of a branch, and recordings with their features.

The variants of others are compared by the mean over all of them: sqlite3 moves its log into its file after
each eightieth.
"""

from __future__ import annotations

import functools
import math
import os
import statistics
import tempfile
import wave
from collections.abc import Callable

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most
from benchmarks.clock import Timer, check, seconds_each
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes

NODES = 20
ARRAY = np.random.default_rng(4).standard_normal((2000, 6)).astype("f4")  # 48 kB
AROUND = 32

RATE_HZ = 16_000
FEATURES = {
    "mel": np.random.default_rng(5).standard_normal((500, 40)).astype("f4"),
    "f0": np.random.default_rng(6).standard_normal(500).astype("f4"),
    "energy": np.random.default_rng(7).standard_normal((500, 2)).astype("f4"),
}


def timed(commit: Callable[[int], object], variants: int) -> Figures:
    seconds = seconds_each(commit, [(number,) for number in range(variants)])
    first = max(0, min(100, variants // 2) - AROUND)
    return {
        "seconds": sum(seconds),
        "early": statistics.median(seconds[first : first + AROUND]),
        "late": statistics.median(seconds[-AROUND:]),
    }


def sweep_lotdb(folder: str, variants: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db:
        load_plugins(db)
        root = db.open_connection()
        for number in range(NODES):
            root.get_data_node(f"base/n{number}", samplerate_hz=1000).write_data(ARRAY)
        db.commit()

        def commit(number: int) -> None:
            node = root["base"].branch(f"v{number}")["n3"]
            node.write_data(ARRAY * number)
            node.attrs.update(rate=number * 0.1, seed=number, loss=1 / (number + 1))
            db.commit()

        figures = timed(commit, variants)
        last = root[f"v{variants - 1}/n3"].read_data()
        check(np.array_equal(last, ARRAY * (variants - 1)), "the last variant")
    return figures


def sweep_sqlite(folder: str, variants: int) -> Figures:
    import sqlite3

    connection = sqlite3.connect(f"{folder}/sweep.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = full")
    connection.execute(
        "CREATE TABLE variant (number INTEGER PRIMARY KEY, rows BLOB, rate REAL, seed INTEGER, loss REAL)"
    )

    def commit(number: int) -> None:
        rows = (ARRAY * number).tobytes()
        values = (number, rows, number * 0.1, number, 1 / (number + 1))
        connection.execute("INSERT INTO variant VALUES (?, ?, ?, ?, ?)", values)

    figures = timed(commit, variants)
    connection.close()
    return figures


def into_a_new_folder(take_in: Callable[[str, int, str], Figures]) -> Callable[[str, int], Figures]:
    """Have the results removed at the end: the files of one take memory that the next could have."""

    @functools.wraps(take_in)
    def run(folder: str, files: int) -> Figures:
        with tempfile.TemporaryDirectory(dir=folder) as results:
            return take_in(folder, files, results)

    return run


def make_files(folder: str, files: int) -> Figures:
    rng = np.random.default_rng(8)
    for number in range(files):
        with wave.open(f"{folder}/{number:04d}.wav", "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(rng.integers(-3000, 3000, 5 * RATE_HZ).astype("i2").tobytes())
    return {}


@into_a_new_folder
def take_in_lotdb(folder: str, files: int, results: str) -> Figures:
    from lotdb import LOTDB

    with LOTDB(f"{results}/all", new=True) as db:
        load_plugins(db)
        root = db.open_connection()
        root.get_data_node("first").attach_file(f"{folder}/0000.wav")  # loads the plugin
        db.commit()
        with Timer() as timer:
            for number in range(files):
                node = root.get_data_node(f"speaker{number % 10}/r{number}")
                node.attach_file(f"{folder}/{number:04d}.wav")
                for name, array in FEATURES.items():
                    node.write_data(array, data_attribute=name, samplerate_hz=100)
            db.commit()
    return {"seconds": timer.seconds}


@into_a_new_folder
def take_in_h5py(folder: str, files: int, results: str) -> Figures:
    import h5py
    import soundfile

    with h5py.File(f"{results}/all.h5", "w", libver="latest") as file:
        descriptor = os.open(file.filename, os.O_RDONLY)
        with Timer() as timer:
            for number in range(files):
                samples, rate = soundfile.read(f"{folder}/{number:04d}.wav", dtype="int16")
                group = file.create_group(f"speaker{number % 10}/r{number}")
                group.create_dataset("data", data=samples).attrs["samplerate_hz"] = rate
                for name, array in FEATURES.items():
                    group.create_dataset(name, data=array)
            file.flush()
            os.fsync(descriptor)
        os.close(descriptor)
    return {"seconds": timer.seconds}


def _samples(folder: str, number: int) -> np.ndarray:
    import soundfile

    samples, rate = soundfile.read(f"{folder}/{number:04d}.wav", dtype="int16")
    check(rate == RATE_HZ, "the sample rate")
    return samples


@into_a_new_folder
def take_in_sqlite(folder: str, files: int, results: str) -> Figures:
    import sqlite3

    _samples(folder, 0)
    connection = sqlite3.connect(f"{results}/all.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = full")
    connection.execute("CREATE TABLE payload (path TEXT PRIMARY KEY, rate REAL, dtype TEXT, rows BLOB)")
    with Timer() as timer:
        connection.execute("BEGIN")
        for number in range(files):
            path = f"speaker{number % 10}/r{number}"
            arrays = {"data": (RATE_HZ, _samples(folder, number))}
            arrays |= {name: (100, array) for name, array in FEATURES.items()}
            for name, (rate, array) in arrays.items():
                row = (f"{path}/{name}", rate, array.dtype.str, array.tobytes())
                connection.execute("INSERT INTO payload VALUES (?, ?, ?, ?)", row)
        connection.execute("COMMIT")
    connection.close()
    return {"seconds": timer.seconds}


@into_a_new_folder
def take_in_tensorstore(folder: str, files: int, results: str) -> Figures:
    import tensorstore

    _samples(folder, 0)
    top = f"{results}/all"

    def put(path: str, array: np.ndarray) -> object:
        place = {"driver": "file", "path": f"{top}/{path}"}
        how = {"driver": "zarr3", "kvstore": place}
        made = tensorstore.open(how, create=True, dtype=array.dtype.name, shape=array.shape).result()
        return made.write(array)

    with Timer() as timer:
        written = []
        for number in range(files):
            path = f"speaker{number % 10}/r{number}"
            written.append(put(f"{path}/data", _samples(folder, number)))
            written += [put(f"{path}/{name}", array) for name, array in FEATURES.items()]
        for each in written:
            each.result()
    return {"seconds": timer.seconds}


@into_a_new_folder
def take_in_icechunk(folder: str, files: int, results: str) -> Figures:
    import icechunk
    import zarr

    def samples(number: int) -> np.ndarray:  # the other environment need not have soundfile
        with wave.open(f"{folder}/{number:04d}.wav") as file:
            return np.frombuffer(file.readframes(file.getnframes()), np.int16)

    storage = icechunk.local_filesystem_storage(f"{results}/all")
    repository = icechunk.Repository.create(storage)
    with Timer() as timer:
        session = repository.writable_session("main")
        top = zarr.group(session.store)
        for number in range(files):
            path = f"speaker{number % 10}/r{number}"
            top.create_array(f"{path}/data", data=samples(number), attributes={"samplerate_hz": RATE_HZ})
            for name, array in FEATURES.items():
                top.create_array(f"{path}/{name}", data=array)
        session.commit("recordings")
    return {"seconds": timer.seconds}


def cases(sizes: Sizes) -> list[Case]:
    count = sizes.variants
    many = {"variants": count}
    ours = Side("LOTDB", sweep_lotdb, many, durable="synced")
    sqlite = Side("sqlite3, a row with a BLOB", sweep_sqlite, many, per=count, durable="synced (WAL, FULL)")
    files = {"files": sizes.files}
    wav = Side("wav files", make_files, files)
    seconds = math.prod((sizes.files, 5))
    return [
        Case(
            f"branch, one array of 48 kB, three attributes, commit, {count} times, each",
            ours.but(per=count),
            (Against(sqlite, at_most(4), usual=True),),
            task="store a variant of 20 arrays, of which one differs",
        ),
        Case(
            f"branch, one array of 48 kB, three attributes, commit, the {count}th",
            ours.but(figure="late"),
            (Against(ours.but(figure="early", label="the 100th"), at_most(1.3)),),
        ),
        Case(
            f"take in {sizes.files} wav files ({seconds} s) with three arrays each, one commit",
            Side("LOTDB", take_in_lotdb, files, wav, durable="synced"),
            (
                Against(
                    Side("h5py", take_in_h5py, files, wav, durable="flushed, synced"),
                    at_most(1.3),
                    usual=True,
                ),
                Against(Side("sqlite3, BLOBs", take_in_sqlite, files, wav, durable="synced (WAL, FULL)")),
                Against(
                    Side(
                        "tensorstore, an array each",
                        take_in_tensorstore,
                        files,
                        wav,
                        durable="each file synced",
                        needs="tensorstore",
                    )
                ),
                Against(
                    Side(
                        "icechunk, an array each",
                        take_in_icechunk,
                        files,
                        wav,
                        durable="one commit",
                        peer=True,
                        needs="icechunk",
                    )
                ),
            ),
            task=f"take in {sizes.files} wav files with three arrays of features each",
        ),
    ]
