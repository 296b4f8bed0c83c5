"""A recording that grows: a tenth of a second of stereo at 48 kHz at a time, and a commit for each.

Others are compared by the mean over all appends, since most of them put off a part of the work: sqlite3 moves
its log into its file after each hundredth append, and LOTDB joins small pieces. Bare ZODB stores a record for
each piece, which is as little as an append to a tree of ZODB's can take.

What one append costs depends on whether older pieces are written anew along with it, so the cost of "the
20th" and "the 2000th" is the mean, and the median, of the 32 appends around or before it.
"""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Callable

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most, below, faster
from benchmarks.clock import Syncs, Timer, bytes_on_disk, check, seconds_each
from benchmarks.data import AUDIO_HZ, audio
from benchmarks.ours import load_plugins
from benchmarks.payloads import write_large_lotdb
from benchmarks.sizes import Sizes

ROWS = AUDIO_HZ // 10
AROUND = 32


def timed(append: Callable[[np.ndarray], None], appends: int) -> Figures:
    """Append all of a signal, piece by piece."""
    signal = audio(appends * ROWS)
    seconds = seconds_each(append, [(signal[start : start + ROWS],) for start in range(0, len(signal), ROWS)])
    early, late = seconds[4 : 4 + AROUND], seconds[-AROUND:]
    return {
        "seconds": sum(seconds),
        "early": statistics.mean(early),
        "late": statistics.mean(late),
        "early median": statistics.median(early),
        "late median": statistics.median(late),
    }


def append_lotdb(folder: str, appends: int, backend: str, watched: bool = False) -> Figures:
    """Append, and pack; *watched* by a reader that looks at the last second from time to time."""
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, contextlib.ExitStack() as stack:
        load_plugins(db, backend)
        root = db.open_connection()
        if watched:
            db.commit()
            reader = stack.enter_context(LOTDB(folder, read_only=True))
            seen = reader.open_connection()
        made = 0

        def append(block: np.ndarray) -> None:
            node = root.get_data_node("speech", samplerate_hz=AUDIO_HZ, backend=backend)
            node.append_data(block)
            db.commit()
            nonlocal made
            made += 1
            if watched and made % 20 == 0:
                reader.refresh()
                seen["speech"].get_data()[-AUDIO_HZ:]

        with Syncs() as syncs:
            figures = timed(append, appends)
        written = bytes_on_disk(folder)
        db.close_connection()
        with Timer() as pack:
            db.pack()
    each = {"unpacked": written, "bytes": bytes_on_disk(folder), "syncs": syncs.count / appends}
    return {**figures, **each, "pack": pack.seconds}


def append_lotdb1(folder: str, appends: int, backend: str) -> Figures:
    from lotdb import LOTDB

    if backend == "zarr":
        import zarr  # noqa: F401
    db = LOTDB(path=folder, name="lotdb.fs", new=True)
    root = db.open_connection()

    def append(block: np.ndarray) -> None:
        node = root.get_data_node(["speech"], samplerate_hz=AUDIO_HZ, backend=backend)
        node.append_data(block, database=db)
        db.commit()

    figures = timed(append, appends)
    db.close()
    return figures


def append_h5py(folder: str, appends: int) -> Figures:
    import h5py

    with h5py.File(f"{folder}/speech.h5", "w", libver="latest") as file:
        descriptor = os.open(file.filename, os.O_RDONLY)
        dataset = file.create_dataset("speech", (0, 2), "f4", maxshape=(None, 2), chunks=(ROWS, 2))

        def append(block: np.ndarray) -> None:
            dataset.resize(len(dataset) + len(block), axis=0)
            dataset[-len(block) :] = block
            file.flush()
            os.fsync(descriptor)

        figures = timed(append, appends)
        os.close(descriptor)
    return {**figures, "bytes": bytes_on_disk(folder)}


def append_sqlite(folder: str, appends: int) -> Figures:
    import sqlite3

    connection = sqlite3.connect(f"{folder}/speech.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = full")
    connection.execute("CREATE TABLE piece (number INTEGER PRIMARY KEY, rows BLOB)")

    def append(block: np.ndarray) -> None:
        connection.execute("INSERT INTO piece (rows) VALUES (?)", (block.tobytes(),))

    figures = timed(append, appends)
    connection.close()
    return {**figures, "unpacked": bytes_on_disk(folder), "bytes": bytes_on_disk(folder)}


def append_zodb(folder: str, appends: int) -> Figures:
    import transaction
    import ZODB
    from BTrees.IOBTree import IOBTree
    from persistent.mapping import PersistentMapping

    db = ZODB.DB(f"{folder}/zodb.fs")
    pieces = db.open().root.pieces = IOBTree()
    transaction.commit()

    def append(block: np.ndarray) -> None:
        pieces[len(pieces)] = PersistentMapping(rows=block.tobytes())
        transaction.commit()

    figures = timed(append, appends)
    db.close()
    return figures


def append_tensorstore(folder: str, appends: int) -> Figures:
    """Every append writes a chunk and the array's new shape, one after the other."""
    import tensorstore

    array = tensorstore.open(
        {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": f"{folder}/speech.zarr"},
            "metadata": {
                "data_type": "float32",
                "shape": [0, 2],
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [ROWS, 2]}},
            },
        },
        create=True,
    ).result()

    def append(block: np.ndarray) -> None:
        nonlocal array
        rows = array.shape[0]
        array = array.resize(exclusive_max=[rows + len(block), 2]).result()
        array[rows:].write(block).result()

    return timed(append, appends)


def append_icechunk(folder: str, appends: int) -> Figures:
    import icechunk
    import zarr

    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(f"{folder}/ice"))
    session = repository.writable_session("main")
    zarr.create_array(session.store, name="speech", shape=(0, 2), chunks=(ROWS, 2), dtype="f4")
    session.commit("empty")

    def append(block: np.ndarray) -> None:
        session = repository.writable_session("main")
        array = zarr.open_group(session.store)["speech"]
        rows = array.shape[0]
        array.resize((rows + len(block), 2))
        array[rows:] = block
        session.commit("more")

    return timed(append, appends)


def append_file(folder: str, appends: int) -> Figures:
    descriptor = os.open(f"{folder}/speech.raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append(block: np.ndarray) -> None:
        os.write(descriptor, block)
        os.fsync(descriptor)

    figures = timed(append, appends)
    os.close(descriptor)
    return {**figures, "bytes": bytes_on_disk(folder)}


def read_lotdb(folder: str, backend: str, rows: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db, db.connection() as root:
        node = root["speech"]
        check(np.array_equal(node.read_data(), audio(rows)), "the signal")
        return {"seconds": statistics.median(seconds_each(node.read_data, [()] * 5))}


def cases(sizes: Sizes) -> list[Case]:
    return [case for backend in ("blob", "zarr") for case in backend_cases(sizes, backend)]


def backend_cases(sizes: Sizes, backend: str) -> list[Case]:
    many, few = sizes.appends, sizes.few_appends
    rows = many * ROWS
    data_bytes = rows * 8
    label = f"LOTDB, {backend}"

    long = Side(label, append_lotdb, {"appends": many, "backend": backend}, durable="synced")
    short = Side(label, append_lotdb, {"appends": few, "backend": backend}, per=few, durable="synced")
    short1 = Side(
        f"lotdb 1.1.3, {backend}",
        append_lotdb1,
        {"appends": few, "backend": backend},
        per=few,
        durable="tree synced, payload not",
        peer=True,
    )
    h5py = Side("h5py, chunked", append_h5py, {"appends": many}, durable="flushed, synced")
    file = Side("write and fsync", append_file, {"appends": many}, durable="synced")
    sqlite = Side("sqlite3, BLOBs", append_sqlite, {"appends": many}, durable="synced (WAL, FULL)")
    zodb = Side("bare ZODB, a record a piece", append_zodb, {"appends": many}, durable="synced")
    watched = {"appends": sizes.some_appends, "backend": backend, "watched": True}
    some = Side(label, append_lotdb, watched, durable="synced")

    def brief(name: str, function: Callable[..., Figures], durable: str, needs: str) -> Side:
        peer = needs == "icechunk"
        return Side(name, function, {"appends": few}, per=few, durable=durable, needs=needs, peer=peer)

    reading = {"backend": backend, "rows": rows}
    # A tenth of a second an append: so many seconds of audio.
    at_once = Side(label, write_large_lotdb, {"seconds": many // 10, "backend": backend}, durable="synced")
    return [
        Case(
            f"append 0.1 s and commit, {many} times, each, {backend}",
            long.but(per=many),
            (
                Against(sqlite.but(per=many), at_most(3)),
                Against(zodb.but(per=many)),
                Against(h5py.but(per=many), usual=True),
                Against(file.but(per=many)),
            ),
            task="append 0.1 s to a recording, on the disk when it returns" if backend == "blob" else "",
        ),
        Case(
            f"append 0.1 s and commit, the {many}th, {backend} (mean of {AROUND})",
            long.but(figure="late"),
            (Against(long.but(figure="early", label="the 20th"), at_most(1.3)),),
        ),
        Case(
            f"append 0.1 s and commit, the {many}th, {backend} (median of {AROUND})",
            long.but(figure="late median"),
            (
                Against(long.but(figure="early median", label="the 20th"), at_most(1.3)),
                Against(h5py.but(figure="late median")),
                Against(file.but(figure="late median")),
            ),
        ),
        Case(
            f"syncs an append and commit, {backend}",
            long.but(figure="syncs"),
            alone=below(2.05, "2, but for the first ones"),
            unit="syncs",
        ),
        Case(
            f"bytes on disk after {sizes.some_appends} appends beside a reader, before a pack, "
            f"to the data's, {backend}",
            some.but(figure="unpacked", per=sizes.some_appends * ROWS * 8),
            alone=below(2.2, "2.2"),
            unit="×",
        ),
        Case(
            f"bytes on disk after {many} appends and pack, to the data's, {backend}",
            long.but(figure="bytes", per=data_bytes),
            (Against(h5py.but(figure="bytes", per=data_bytes)),),
            alone=below(1.1, "1.1"),
            unit="×",
        ),
        Case(
            f"append 0.1 s and commit, {few} times, each, {backend}",
            short,
            (
                Against(short1, faster(8)),
                Against(
                    brief("tensorstore", append_tensorstore, "each file synced, not atomic", "tensorstore")
                ),
                Against(brief("icechunk", append_icechunk, "one commit", "icechunk")),
            ),
        ),
        Case(
            f"read the appended payload whole, {data_bytes // 1_000_000} MB, {backend}",
            Side(label, read_lotdb, reading, long),
            (Against(Side("written at once", read_lotdb, reading, at_once), faster(0.8)),),
        ),
    ]
