"""Payloads written and read whole: a thousand small ones, and one of 230 MB.

A thousand captures of an inertial sensor, (2000, 6) float32 each, in one transaction; and ten minutes of
stereo at 48 kHz in float32. h5py: a dataset each, contiguous, with the sample rate as attribute. zarr: an
array each with chunks of about 1 MB, which its documentation recommends, and its default compressor.
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most, faster
from benchmarks.clock import Timer, bytes_on_disk, check, seconds_each, sync_file
from benchmarks.data import AUDIO_HZ, audio, captures
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes

ZARR_CHUNK = 1 << 20
# The chunks of the zarr backend, of 64 kB.
CHUNK_ROWS = 8192


# ── many small ones ───────────────────────────────────────────────────────────────────────────────────────


def write_captures_lotdb(folder: str, count: int, backend: str) -> Figures:
    from lotdb import LOTDB

    arrays = list(captures(count))
    with LOTDB(folder, new=True) as db:
        load_plugins(db, backend)
        with Timer() as timer, db.connection() as root:
            for number, array in enumerate(arrays):
                capture = root.get_data_node(
                    ("sensor_01", f"capture_{number:06d}"),
                    samplerate_hz=1000,
                    backend=backend,
                    data_attribute="imu",
                )
                capture.write_data(array)
        with db.connection() as root:
            last = root[f"sensor_01/capture_{count - 1:06d}"].read_data()
    check(np.array_equal(last, arrays[-1]), "the last capture")
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_captures_lotdb1(folder: str, count: int, backend: str) -> Figures:
    from lotdb import LOTDB

    if backend == "zarr":
        import zarr  # noqa: F401
    arrays = list(captures(count))
    db = LOTDB(path=folder, name="lotdb.fs", new=True)
    root = db.open_connection()
    with Timer() as timer:
        for number, array in enumerate(arrays):
            capture = root.get_data_node(
                ["sensor_01", f"capture_{number:06d}"],
                samplerate_hz=1000,
                backend=backend,
                data_attribute="imu",
            )
            capture.write_data(array, database=db)
        db.commit()
    last = root.get_node_path(["sensor_01", f"capture_{count - 1:06d}"]).read_data()
    db.close()
    check(np.array_equal(last, arrays[-1]), "the last capture")
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_captures_h5py(folder: str, count: int) -> Figures:
    import h5py

    arrays = list(captures(count))
    with h5py.File(f"{folder}/captures.h5", "w", libver="latest") as file:
        with Timer() as timer:
            sensor = file.create_group("sensor_01")
            for number, array in enumerate(arrays):
                dataset = sensor.create_dataset(f"capture_{number:06d}", data=array)
                dataset.attrs["samplerate_hz"] = 1000
            file.flush()
            sync_file(file.filename)
        last = file[f"sensor_01/capture_{count - 1:06d}"][:]
    check(np.array_equal(last, arrays[-1]), "the last capture")
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_captures_zarr(folder: str, count: int) -> Figures:
    import zarr

    arrays = list(captures(count))
    group = zarr.open_group(f"{folder}/captures.zarr", mode="w")
    with Timer() as timer:
        sensor = group.create_group("sensor_01")
        for number, array in enumerate(arrays):
            sensor.create_array(
                f"capture_{number:06d}", data=array, chunks=array.shape, attributes={"samplerate_hz": 1000}
            )
    last = sensor[f"capture_{count - 1:06d}"][:]
    check(np.array_equal(last, arrays[-1]), "the last capture")
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_captures_files(folder: str, count: int) -> Figures:
    arrays = list(captures(count))
    with Timer() as timer:
        for number, array in enumerate(arrays):
            np.save(f"{folder}/capture_{number:06d}.npy", array)
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


# ── a large one ───────────────────────────────────────────────────────────────────────────────────────────


def write_large_lotdb(folder: str, seconds: int, backend: str) -> Figures:
    from lotdb import LOTDB

    signal = audio(seconds * AUDIO_HZ)
    with LOTDB(folder, new=True) as db:
        load_plugins(db, backend)
        with Timer() as timer, db.connection() as root:
            root.get_data_node("speech", samplerate_hz=AUDIO_HZ, backend=backend).write_data(signal)
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_large_lotdb1(folder: str, seconds: int, backend: str) -> Figures:
    from lotdb import LOTDB

    if backend == "zarr":
        import zarr  # noqa: F401
    signal = audio(seconds * AUDIO_HZ)
    db = LOTDB(path=folder, name="lotdb.fs", new=True)
    root = db.open_connection()
    with Timer() as timer:
        node = root.get_data_node(["speech"], samplerate_hz=AUDIO_HZ, backend=backend)
        node.write_data(signal, database=db)
        db.commit()
    db.close()
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_large_file(folder: str, seconds: int) -> Figures:
    signal = audio(seconds * AUDIO_HZ)
    with Timer() as timer:
        with open(f"{folder}/speech.npy", "wb") as file:
            np.save(file, signal)
            file.flush()
            os.fsync(file.fileno())
        sync_file(folder)
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_large_h5py(folder: str, seconds: int, chunks: bool) -> Figures:
    import h5py

    signal = audio(seconds * AUDIO_HZ)
    with h5py.File(f"{folder}/speech.h5", "w", libver="latest") as file, Timer() as timer:
        file.create_dataset("speech", data=signal, chunks=True if chunks else None)
        file["speech"].attrs["samplerate_hz"] = AUDIO_HZ
        file.flush()
        sync_file(file.filename)
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_large_zarr(folder: str, seconds: int) -> Figures:
    import zarr

    signal = audio(seconds * AUDIO_HZ)
    with Timer() as timer:
        zarr.create_array(
            f"{folder}/speech.zarr",
            data=signal,
            chunks=(ZARR_CHUNK // signal[:1].nbytes, 2),
            attributes={"samplerate_hz": AUDIO_HZ},
        )
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_large_sqlite(folder: str, seconds: int) -> Figures:
    """A row for each second."""
    import sqlite3

    signal = audio(seconds * AUDIO_HZ)
    connection = sqlite3.connect(f"{folder}/speech.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE piece (number INTEGER PRIMARY KEY, rows BLOB)")
    with Timer() as timer, connection:
        for number in range(seconds):
            rows = signal[number * AUDIO_HZ : (number + 1) * AUDIO_HZ]
            connection.execute("INSERT INTO piece VALUES (?, ?)", (number, rows.tobytes()))
    connection.close()
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_large_tensorstore(folder: str, seconds: int) -> Figures:
    import tensorstore

    signal = audio(seconds * AUDIO_HZ)
    place = {"driver": "file", "path": f"{folder}/speech.zarr"}
    with Timer() as timer:
        array = tensorstore.open(
            {
                "driver": "zarr3",
                "kvstore": place,
                "metadata": {
                    "data_type": "float32",
                    "shape": signal.shape,
                    "chunk_grid": {
                        "name": "regular",
                        "configuration": {"chunk_shape": [ZARR_CHUNK // signal[:1].nbytes, 2]},
                    },
                    "codecs": [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 0}}],
                },
            },
            create=True,
        ).result()
        array.write(signal).result()
    check(np.array_equal(array[len(signal) - 10 :].read().result(), signal[-10:]), "the last rows")
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def write_large_icechunk(folder: str, seconds: int) -> Figures:
    import icechunk
    import zarr

    signal = audio(seconds * AUDIO_HZ)
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(f"{folder}/ice"))
    with Timer() as timer:
        session = repository.writable_session("main")
        chunks = (ZARR_CHUNK // signal[:1].nbytes, 2)
        zarr.create_array(session.store, name="speech", data=signal, chunks=chunks)
        session.commit("speech")
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def open_icechunk(folder: str) -> Any:
    import icechunk
    import zarr

    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(f"{folder}/ice"))
    return zarr.open_group(repository.readonly_session("main").store, mode="r")["speech"]


def timed_reads(read: Callable[[], np.ndarray], seconds: int) -> Figures:
    """The first read of the process, and the median of three more."""
    (first,) = seconds_each(read, [()])
    again = seconds_each(read, [()] * 3)
    check(np.array_equal(read(), audio(seconds * AUDIO_HZ)), "the signal")
    return {"first": first, "seconds": statistics.median(again)}


def read_large_lotdb(folder: str, seconds: int, backend: str) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db, db.connection() as root:
        load_plugins(db, backend)
        node = root["speech"]
        figures = timed_reads(node.read_data, seconds)

        def blocks() -> None:
            for _ in node.iter_data_blocks(1, "seconds"):
                pass

        return {**figures, "blocks": statistics.median(seconds_each(blocks, [()] * 3))}


def read_large_lotdb1(folder: str, seconds: int, backend: str) -> Figures:
    from lotdb import LOTDB

    if backend == "zarr":
        import zarr  # noqa: F401
    db = LOTDB(path=folder, name="lotdb.fs")
    figures = timed_reads(db.open_connection().get_node("speech").read_data, seconds)
    db.close()
    return figures


def read_large_file(folder: str, seconds: int) -> Figures:
    offset = os.path.getsize(f"{folder}/speech.npy") - seconds * AUDIO_HZ * 8

    def read() -> np.ndarray:
        return np.fromfile(f"{folder}/speech.npy", np.float32, offset=offset).reshape(-1, 2)

    return timed_reads(read, seconds)


def read_large_h5py(folder: str, seconds: int, chunks: bool) -> Figures:
    import h5py

    with h5py.File(f"{folder}/speech.h5", "r") as file:
        dataset = file["speech"]
        return timed_reads(lambda: dataset[:], seconds)


def stored_zarr(folder: str) -> str:
    """The folder of the one array that LOTDB has stored."""
    (array,) = [entry.path for entry in os.scandir(f"{folder}/lotdb.fs.zarr") if entry.is_dir()]
    return array


def read_large_bare_zarr(folder: str, seconds: int) -> Figures:
    import zarr

    array = zarr.open_array(stored_zarr(folder), mode="r")
    return timed_reads(lambda: array[:], seconds)


def read_large_zarrs(folder: str, seconds: int) -> Figures:
    import zarr

    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):  # of the process, but for now
        array = zarr.open_array(stored_zarr(folder), mode="r")
    return timed_reads(lambda: array[:], seconds)


def read_large_tensorstore(folder: str, seconds: int) -> Figures:
    import tensorstore

    place = {"driver": "file", "path": stored_zarr(folder)}
    array = tensorstore.open({"driver": "zarr3", "kvstore": place}, open=True, read=True).result()
    return timed_reads(lambda: array.read().result(), seconds)


def read_large_zarr(folder: str, seconds: int) -> Figures:
    import zarr

    array = zarr.open_array(f"{folder}/speech.zarr", mode="r")
    return timed_reads(lambda: array[:], seconds)


def compress_chunks(folder: str, seconds: int) -> Figures:
    """The chunks of the zarr backend, compressed as it does it, one after the other in a file."""
    from numcodecs.blosc import Blosc

    codec = Blosc("lz4", 5, Blosc.BITSHUFFLE)
    signal = audio(seconds * AUDIO_HZ)
    sizes = []
    with open(f"{folder}/speech.lz4", "wb") as file:
        for start in range(0, len(signal), CHUNK_ROWS):
            sizes.append(file.write(codec.encode(signal[start : start + CHUNK_ROWS])))
    np.save(f"{folder}/sizes.npy", sizes)
    return {}


def decompress_chunks(folder: str, seconds: int) -> Figures:
    """What the library that decompresses takes in two threads, with nothing checked."""
    from numcodecs import blosc

    blosc.use_threads = False  # as zarr has it
    sizes = np.load(f"{folder}/sizes.npy").tolist()
    places = list(itertools.accumulate(sizes, initial=0))
    file = os.open(f"{folder}/speech.lz4", os.O_RDONLY)

    def read() -> np.ndarray:
        rows = np.empty((seconds * AUDIO_HZ, 2), np.float32)

        def decompress(chunks: range) -> None:
            for chunk in chunks:
                stored = os.pread(file, sizes[chunk], places[chunk])
                blosc.decompress(stored, rows[chunk * CHUNK_ROWS : (chunk + 1) * CHUNK_ROWS])

        with ThreadPoolExecutor(2) as pool:
            half = len(sizes) // 2
            list(pool.map(decompress, (range(half), range(half, len(sizes)))))
        return rows

    figures = timed_reads(read, seconds)
    os.close(file)
    return figures


def read_large_sqlite(folder: str, seconds: int) -> Figures:
    import sqlite3

    connection = sqlite3.connect(f"{folder}/speech.db")

    def read() -> np.ndarray:
        rows = np.empty((seconds * AUDIO_HZ, 2), np.float32)
        for number, piece in connection.execute("SELECT number, rows FROM piece ORDER BY number"):
            at = number * AUDIO_HZ
            rows[at : at + AUDIO_HZ] = np.frombuffer(piece, np.float32).reshape(-1, 2)
        return rows

    figures = timed_reads(read, seconds)
    connection.close()
    return figures


def read_large_icechunk(folder: str, seconds: int) -> Figures:
    array = open_icechunk(folder)
    return timed_reads(lambda: array[:], seconds)


def copy_memory(folder: str, seconds: int) -> Figures:
    signal = audio(seconds * AUDIO_HZ)
    return timed_reads(signal.copy, seconds)


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────


def large(seconds: int) -> dict[str, Side]:
    """Who writes the large array, by a short name; other themes read what they wrote."""
    size = {"seconds": seconds}
    return {
        "blob": Side("LOTDB, blob", write_large_lotdb, {**size, "backend": "blob"}, durable="synced"),
        "zarr": Side("LOTDB, zarr", write_large_lotdb, {**size, "backend": "zarr"}, durable="synced"),
        "blob1": Side(
            "lotdb 1.1.3, blob",
            write_large_lotdb1,
            {**size, "backend": "blob"},
            durable="tree synced, payload not",
            peer=True,
        ),
        "zarr1": Side(
            "lotdb 1.1.3, zarr",
            write_large_lotdb1,
            {**size, "backend": "zarr"},
            durable="tree synced, payload not",
            peer=True,
        ),
        "file": Side("np.save", write_large_file, size, durable="synced"),
        "h5py": Side(
            "h5py, contiguous", write_large_h5py, {**size, "chunks": False}, durable="flushed, synced"
        ),
        "h5py chunked": Side(
            "h5py, chunked", write_large_h5py, {**size, "chunks": True}, durable="flushed, synced"
        ),
        "plain zarr": Side("zarr, 1 MB chunks", write_large_zarr, size, durable="not synced"),
        "sqlite": Side("sqlite3, a BLOB a second", write_large_sqlite, size, durable="synced (WAL, FULL)"),
        "tensorstore": Side(
            "tensorstore, 1 MB chunks",
            write_large_tensorstore,
            size,
            durable="each file synced",
            needs="tensorstore",
        ),
        "icechunk": Side(
            "icechunk, 1 MB chunks",
            write_large_icechunk,
            size,
            durable="one commit",
            peer=True,
            needs="icechunk",
        ),
    }


def cases(sizes: Sizes) -> list[Case]:
    count, seconds = sizes.captures, sizes.seconds
    megabytes = seconds * AUDIO_HZ * 8 // 1_000_000

    def many(label: str, function: object, durable: str, **more: object) -> Side:
        peer = label.startswith("lotdb 1")
        return Side(label, function, {"count": count, **more}, per=count, durable=durable, peer=peer)

    unsynced = "tree synced, payloads not"
    files = many("np.save, a file each", write_captures_files, "not synced")
    write = large(seconds)
    size = {"seconds": seconds}

    def read(label: str, function: object, data: str, **more: object) -> Side:
        made = write[data]
        return Side(label, function, {**size, **more}, made, peer=made.peer, needs=made.needs)

    read_blob = read("LOTDB, blob", read_large_lotdb, "blob", backend="blob")
    read_zarr = read("LOTDB, zarr", read_large_lotdb, "zarr", backend="zarr")
    return [
        Case(
            f"write {count} captures (2000, 6) float32 in one commit, blob, each",
            many("LOTDB, blob", write_captures_lotdb, "synced", backend="blob"),
            (
                Against(
                    many("lotdb 1.1.3, blob", write_captures_lotdb1, unsynced, backend="blob"), faster(4)
                ),
                Against(many("h5py", write_captures_h5py, "flushed, synced"), faster(1)),
                Against(files, usual=True),
            ),
            task=f"store an array of 48 kB ({count} at once, time for one)",
        ),
        Case(
            f"write {count} captures (2000, 6) float32 in one commit, zarr, each",
            many("LOTDB, zarr", write_captures_lotdb, "synced", backend="zarr"),
            (
                Against(
                    many("lotdb 1.1.3, zarr", write_captures_lotdb1, unsynced, backend="zarr"), faster(20)
                ),
                Against(many("zarr", write_captures_zarr, "not synced")),
            ),
        ),
        Case(
            f"write one array of {megabytes} MB, blob",
            write["blob"],
            (
                Against(write["file"], at_most(1.1), usual=True),
                Against(write["blob1"]),
                Against(write["h5py"], at_most(1.1)),
                Against(write["h5py chunked"]),
                Against(write["sqlite"]),
            ),
            task=f"store an array of {megabytes} MB",
        ),
        Case(
            f"write one array of {megabytes} MB, zarr",
            write["zarr"],
            (
                Against(write["file"], at_most(1.1)),
                Against(write["h5py"], at_most(1.1)),
                Against(write["plain zarr"], faster(1)),
                Against(write["tensorstore"]),
                Against(write["icechunk"]),
                Against(write["zarr1"]),
            ),
        ),
        Case(
            f"read {megabytes} MB whole, blob",
            read_blob,
            (
                Against(read("np.fromfile", read_large_file, "file"), faster(0.9), usual=True),
                Against(read("h5py, contiguous", read_large_h5py, "h5py", chunks=False)),
                Against(read("sqlite3, a BLOB a second", read_large_sqlite, "sqlite")),
                Against(read("lotdb 1.1.3, blob", read_large_lotdb1, "blob1", backend="blob")),
                Against(Side("memory to memory", copy_memory, size)),
            ),
            task=f"read an array of {megabytes} MB, and check it",
        ),
        Case(
            f"read {megabytes} MB whole, zarr",
            read_zarr,
            (
                Against(read("bare zarr, the same array", read_large_bare_zarr, "zarr"), faster(0.95)),
                Against(read("bare zarr with zarrs", read_large_zarrs, "zarr"), faster(0.9)),
                Against(
                    read("tensorstore, the same array", read_large_tensorstore, "zarr").but(
                        needs="tensorstore"
                    ),
                    faster(0.9),
                ),
                Against(
                    Side(
                        "pread and numcodecs, two threads, not checked",
                        decompress_chunks,
                        size,
                        Side("numcodecs", compress_chunks, size),
                    )
                ),
                Against(read("zarr, 1 MB chunks", read_large_zarr, "plain zarr"), usual=True),
                Against(read("icechunk, 1 MB chunks", read_large_icechunk, "icechunk")),
                Against(read("lotdb 1.1.3, zarr", read_large_lotdb1, "zarr1", backend="zarr")),
            ),
            task=f"read it from compressed chunks ({megabytes} MB)",
        ),
        Case(
            f"iter_data_blocks over {megabytes} MB in blocks of 1 s, blob",
            read_blob.but(figure="blocks"),
            (Against(read_blob.but(label="read whole"), faster(0.8)),),
        ),
        Case(
            f"iter_data_blocks over {megabytes} MB in blocks of 1 s, zarr",
            read_zarr.but(figure="blocks"),
            (Against(read_zarr.but(label="read whole")),),
        ),
    ]
