"""Windows of 32 kB over many recordings, warm: by path and with a payload in hand, alone, and two at a time.

A recording is 20 s of one channel at 16 kHz in int16, a window is 1 s. The others keep everything open. Those
who read at the same time do half of the windows each: no more is read than by one.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most, faster
from benchmarks.clock import Timer, bytes_on_disk, check
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes

HZ = 16_000
SECONDS = 20
SMALL = 40_000  # bytes of a payload, where there are thousands
PYTHON_LOOP = 400  # rounds of a loop, which take about as long as what a window takes beside its chunks

Read = Callable[[int, int], np.ndarray]
Window = tuple[int, int]


def recording(number: int) -> np.ndarray:
    """A recording whose upper bits change little, as those of a microphone."""
    noise = np.random.default_rng(number % 16).standard_normal(SECONDS * HZ)
    return (np.cumsum(noise) * 20).astype(np.int16) + np.int16(number)


def path_of(number: int) -> str:
    return f"speaker_{number % 10}/take_{number:05d}"


def windows(count: int, recordings: int) -> list[Window]:
    """A recording and a first sample each, the same ones for everybody."""
    random = np.random.default_rng(1)
    numbers = random.integers(0, recordings, count).tolist()
    return list(zip(numbers, random.integers(0, (SECONDS - 1) * HZ, count).tolist(), strict=True))


def timed(read: Read, recordings: int, count: int) -> Figures:
    """Seconds a window, when all were read once before: the least of five times, or of a second."""
    places = windows(count, recordings)
    for number, start in places[:20]:
        check(np.array_equal(read(number, start), recording(number)[start : start + HZ]), "the window")
    _all(read, places)
    took = [_all(read, places)]
    while len(took) < 5 and sum(took) < 1:
        took.append(_all(read, places))
    return {"seconds": min(took) / count}


def _all(read: Read, places: list[Window]) -> float:
    with Timer() as timer:
        for number, start in places:
            read(number, start)
    return timer.seconds


# ── who holds them ────────────────────────────────────────────────────────────────────────────────────────


def make_lotdb(folder: str, recordings: int, backend: str) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        for number in range(recordings):
            root.get_data_node(path_of(number), samplerate_hz=HZ, backend=backend).write_data(
                recording(number)
            )
    return {"bytes": bytes_on_disk(folder)}


def make_zarr(folder: str, recordings: int) -> Figures:
    """In chunks of 512 kB, as the zarr backend used to write them, with its compression."""
    import zarr

    codec = zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle")
    group = zarr.open_group(f"{folder}/recordings.zarr", mode="w")
    for number in range(recordings):
        group.create_array(path_of(number), data=recording(number), chunks=(1 << 18,), compressors=codec)
    return {"bytes": bytes_on_disk(folder)}


def make_sqlite(folder: str, recordings: int) -> Figures:
    import sqlite3

    connection = sqlite3.connect(f"{folder}/recordings.db")
    with connection:
        connection.execute("CREATE TABLE recording (number INTEGER PRIMARY KEY, rows BLOB)")
        for number in range(recordings):
            connection.execute("INSERT INTO recording VALUES (?, ?)", (number, recording(number).tobytes()))
    connection.close()
    return {}


def make_h5py(folder: str, recordings: int, compression: str) -> Figures:
    import h5py

    how = {"chunks": (HZ,), "compression": compression, "shuffle": True} if compression else {}
    with h5py.File(f"{folder}/recordings.h5", "w") as file:
        for number in range(recordings):
            file.create_dataset(path_of(number), data=recording(number), **how)
    return {}


def make_files(folder: str, recordings: int) -> Figures:
    for number in range(recordings):
        np.save(f"{folder}/{number}.npy", recording(number))
    return {}


def make_icechunk(folder: str, recordings: int) -> Figures:
    import icechunk
    import zarr

    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(f"{folder}/ice"))
    session = repository.writable_session("main")
    group = zarr.group(session.store)
    for number in range(recordings):
        group.create_array(path_of(number), data=recording(number), chunks=(HZ,))
    session.commit("recordings")
    return {}


# ── who reads them ────────────────────────────────────────────────────────────────────────────────────────


def read_lotdb(folder: str, recordings: int, count: int, backend: str, by: str) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, read_only=True) as db, db.connection() as root:
        load_plugins(db, backend)
        if by == "path":
            return timed(lambda n, at: root[path_of(n)].read_data(at, at + HZ), recordings, count)
        payloads = [root[path_of(number)].get_data() for number in range(recordings)]
        return timed(lambda n, at: payloads[n][at : at + HZ], recordings, count)


def read_h5py(folder: str, recordings: int, count: int, is_open: bool) -> Figures:
    import h5py

    # No chunks are kept: of many recordings most are not in memory, and here all would be.
    with h5py.File(f"{folder}/recordings.h5", "r", rdcc_nbytes=0) as file:
        if not is_open:
            return timed(lambda n, at: file[path_of(n)][at : at + HZ], recordings, count)
        datasets = [file[path_of(number)] for number in range(recordings)]
        return timed(lambda n, at: datasets[n][at : at + HZ], recordings, count)


def read_sqlite(folder: str, recordings: int, count: int) -> Figures:
    import sqlite3

    connection = sqlite3.connect(f"{folder}/recordings.db")

    def read(number: int, start: int) -> np.ndarray:
        with connection.blobopen("recording", "rows", number, readonly=True) as blob:
            blob.seek(2 * start)
            return np.frombuffer(blob.read(2 * HZ), np.int16)

    figures = timed(read, recordings, count)
    connection.close()
    return figures


def read_memmap(folder: str, recordings: int, count: int) -> Figures:
    arrays = [np.load(f"{folder}/{number}.npy", mmap_mode="r") for number in range(recordings)]
    return timed(lambda n, at: np.array(arrays[n][at : at + HZ]), recordings, count)


def _places(folder: str, recordings: int) -> Iterator[tuple[str, int]]:
    """The folder of the zarr array that each recording lies in, and its first row there."""
    from lotdb import LOTDB

    with LOTDB(folder, read_only=True) as db, db.connection() as root:
        for number in range(recordings):
            (segment,) = root[path_of(number)].get_data().segments()
            yield os.path.dirname(segment.files[0][0]), segment.array_row


def read_tensorstore(folder: str, recordings: int, count: int) -> Figures:
    import tensorstore

    places = list(_places(folder, recordings))
    opened = {
        path: tensorstore.open(
            {"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}, open=True, read=True
        ).result()
        for path in {path for path, _ in places}
    }
    arrays = [(opened[path], first) for path, first in places]

    def read(number: int, start: int) -> np.ndarray:
        array, first = arrays[number]
        return array[first + start : first + start + HZ].read().result()

    return timed(read, recordings, count)


def read_bare_zarr(folder: str, recordings: int, count: int) -> Figures:
    import zarr

    places = list(_places(folder, recordings))
    opened = {path: zarr.open_array(path, mode="r") for path in {path for path, _ in places}}
    arrays = [(opened[path], first) for path, first in places]

    def read(number: int, start: int) -> np.ndarray:
        array, first = arrays[number]
        return array[first + start : first + start + HZ]

    return timed(read, recordings, count)


def read_icechunk(folder: str, recordings: int, count: int) -> Figures:
    import icechunk
    import zarr

    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(f"{folder}/ice"))
    group = zarr.open_group(repository.readonly_session("main").store, mode="r")
    arrays = [group[path_of(number)] for number in range(recordings)]
    return timed(lambda n, at: arrays[n][at : at + HZ], recordings, count)


# ── two at a time ─────────────────────────────────────────────────────────────────────────────────────────


def read_in_threads(folder: str, recordings: int, count: int, backend: str, threads: int) -> Figures:
    from lotdb import LOTDB

    places = windows(count, recordings)
    with LOTDB(folder, read_only=True) as db, db.connection() as root:
        payloads = [root[path_of(number)].get_data().for_threads() for number in range(recordings)]

        def read(share: list[Window]) -> None:
            for number, start in share:
                payloads[number][start : start + HZ]

        return {"seconds": _shared(read, places, threads) / count}


def preadv_in_threads(folder: str, recordings: int, count: int, threads: int) -> Figures:
    """What two threads can gain at most: nothing but the call of the system, into a new array."""
    with _reading_files(folder, recordings) as read:
        return {"seconds": _shared(read, windows(count, recordings), threads) / count}


@contextlib.contextmanager
def _reading_files(folder: str, recordings: int) -> Iterator[Callable[[list[Window]], None]]:
    """What reads windows of open files, each by a call of the system."""
    files = [os.open(f"{folder}/{number}.npy", os.O_RDONLY) for number in range(recordings)]
    header = os.fstat(files[0]).st_size - 2 * SECONDS * HZ

    def read(share: list[Window]) -> None:
        for number, start in share:
            os.preadv(files[number], [np.empty(HZ, np.int16)], header + 2 * start)

    yield read
    for file in files:
        os.close(file)


def make_chunks(folder: str, recordings: int) -> Figures:
    """The first 64 kB of each recording, compressed as the zarr backend does it: a file each."""
    from numcodecs.blosc import Blosc

    codec = Blosc("lz4", 5, Blosc.BITSHUFFLE)
    for number in range(recordings):
        with open(f"{folder}/{number}.lz4", "wb") as file:
            file.write(codec.encode(recording(number)[: 2 * HZ]))
    return {}


def decompress_in_threads(
    folder: str, recordings: int, count: int, threads: int, python: int = 0
) -> Figures:
    """What two threads can gain at most with compressed chunks: one is read and decompressed for a window.

    With *python*, only for every other window at random, as if the other chunks were in memory, and so many
    rounds of a loop for each.
    """
    from numcodecs import blosc

    blosc.use_threads = False  # as zarr has it
    sizes = [os.path.getsize(f"{folder}/{number}.lz4") for number in range(recordings)]
    files = [os.open(f"{folder}/{number}.lz4", os.O_RDONLY) for number in range(recordings)]

    def read(share: list[Window]) -> None:
        for number, start in share:
            if not python or start % 2:
                blosc.decompress(os.pread(files[number], sizes[number], 0), np.empty(4 * HZ, np.uint8))
            for _ in range(python):
                pass

    seconds = _shared(read, windows(count, recordings), threads)
    for file in files:
        os.close(file)
    return {"seconds": seconds / count}


def _shared(read: Callable[[list[Window]], None], places: list[Window], threads: int) -> float:
    """Seconds in which so many threads have read all of *places*: the least of six times."""
    with ThreadPoolExecutor(threads) as pool:

        def run() -> float:
            with Timer() as timer:
                list(pool.map(read, [places[first::threads] for first in range(threads)]))
            return timer.seconds

        return min(run() for _ in range(6))


def _read_share(folder: str, share: list[Window], start_line: object, seconds: object) -> None:
    from lotdb import LOTDB

    with LOTDB(folder, read_only=True) as db, db.connection() as root:
        payloads = {number: root[path_of(number)].get_data() for number, _ in share}

        def read() -> None:
            for number, start in share:
                payloads[number][start : start + HZ]

        read()
        _in_rounds(read, start_line, seconds)


def _loop_share(folder: str, share: list[Window], start_line: object, seconds: object) -> None:
    """What two processes can gain at most: each has a processor to itself, and shares no memory."""

    def count() -> None:
        for _ in share:
            for _ in range(200):
                pass

    _in_rounds(count, start_line, seconds)


def _preadv_share(folder: str, share: list[Window], start_line: object, seconds: object) -> None:
    """What two processes can gain at most by reading: nothing but the call of the system."""
    with _reading_files(folder, 1 + max(number for number, _ in share)) as read:
        read(share)
        _in_rounds(lambda: read(share), start_line, seconds)


def _in_rounds(work: Callable[[], object], start_line: object, seconds: object) -> None:
    """Do *work* five times, each time when all processes are ready, and say from when until when it took.

    *work* has no clock of its own, since the garbage collector goes before each.
    """
    gc.collect()
    for _ in range(5):
        start_line.wait()
        begin = time.monotonic()
        work()
        seconds.put((begin, time.monotonic()))


def read_in_processes(folder: str, recordings: int, count: int, processes: int) -> Figures:
    return _in_processes(_read_share, folder, windows(count, recordings), processes)


def preadv_in_processes(folder: str, recordings: int, count: int, processes: int) -> Figures:
    return _in_processes(_preadv_share, folder, windows(count, recordings), processes)


def loop_in_processes(folder: str, recordings: int, count: int, processes: int) -> Figures:
    return _in_processes(_loop_share, folder, windows(count, recordings), processes)


def _in_processes(work: Callable[..., None], folder: str, places: list[Window], processes: int) -> Figures:
    context = multiprocessing.get_context("spawn")
    start_line, seconds = context.Barrier(processes), context.Queue()
    shares = [places[first::processes] for first in range(processes)]
    workers = [context.Process(target=work, args=(folder, each, start_line, seconds)) for each in shares]
    for worker in workers:
        worker.start()
    # All of a round have begun when the first of the next one begins.
    rounds = sorted(seconds.get() for _ in range(5 * processes))
    for worker in workers:
        worker.join()
    took = []
    for first in range(0, len(rounds), processes):
        some = rounds[first : first + processes]
        took.append(max(end for _, end in some) - min(begin for begin, _ in some))
    return {"seconds": min(took) / len(places)}


# ── more and more payloads ────────────────────────────────────────────────────────────────────────────────


def make_many(folder: str, payloads: int, backend: str) -> Figures:
    from lotdb import LOTDB

    random = np.random.default_rng(2)
    with LOTDB(folder, new=True, durability="process") as db:
        root = db.open_connection()
        for number in range(payloads):
            data = random.integers(-99, 99, SMALL // 2).astype(np.int16)
            root.get_data_node(path_of(number), backend=backend).write_data(data)
            if number % 10 == 9:  # ten lie in a file
                db.commit()
        db.commit()
    return {}


def read_many(folder: str, payloads: int, count: int, backend: str, kept: int | None = None) -> Figures:
    """Windows by path, each payload read once before; *kept*: bytes of decoded chunks that stay in memory."""
    from lotdb import LOTDB

    settings = {} if kept is None else {"backends": {backend: {"cache_bytes": kept}}}
    with LOTDB(folder, read_only=True, **settings) as db, db.connection() as root:
        load_plugins(db, backend)
        numbers = np.random.default_rng(3).integers(0, payloads, count).tolist()
        for number in range(payloads):
            root[path_of(number)].read_data(100, 4196)

        def run() -> float:
            with Timer() as timer:
                for number in numbers:
                    root[path_of(number)].read_data(100, 4196)
            return timer.seconds

        seconds = statistics.median(run() for _ in range(5))
    return {"seconds": seconds / count}


def make_one_file(folder: str, payloads: int) -> Figures:
    with open(f"{folder}/all", "wb") as file:
        for _ in range(payloads):
            file.write(bytes(range(200)) * (SMALL // 200))
    return {}


def preadv_many(folder: str, payloads: int, count: int) -> Figures:
    """The same bytes from one file, by nothing but preadv into an array that is new each time."""
    numbers = np.random.default_rng(3).integers(0, payloads, count).tolist()
    with open(f"{folder}/all", "rb") as file:
        descriptor = file.fileno()

        def run() -> float:
            with Timer() as timer:
                for number in numbers:
                    os.preadv(descriptor, [np.empty(4096, np.int16)], number * SMALL + 200)
            return timer.seconds

        run()
        seconds = statistics.median(run() for _ in range(5))
    return {"seconds": seconds / count}


def cases(sizes: Sizes) -> list[Case]:
    size = {"recordings": sizes.recordings}
    reads = {**size, "count": sizes.recording_windows}
    fewer = {**size, "count": max(sizes.recording_windows // 10, 1)}  # for what takes milliseconds a window
    ours = {
        backend: Side(f"LOTDB, {backend}", make_lotdb, {**size, "backend": backend})
        for backend in ("blob", "zarr")
    }

    def lotdb(backend: str, by: str) -> Side:
        label = f"LOTDB, {backend}, by path" if by == "path" else f"LOTDB, {backend}, payloads in hand"
        return Side(label, read_lotdb, {**reads, "backend": backend, "by": by}, ours[backend])

    def h5py(label: str, compression: str, is_open: bool = True) -> Side:
        made = Side(label, make_h5py, {**size, "compression": compression})
        return Side(label, read_h5py, {**reads, "is_open": is_open}, made)

    memmap = Side("np.memmap, all open", read_memmap, reads, Side("np.save", make_files, size))
    contiguous = h5py("h5py, contiguous, all open", "")
    blobs = Side("sqlite3, BLOBs", read_sqlite, reads, Side("sqlite3", make_sqlite, size))
    of_others = (
        Against(h5py("h5py, chunks of 1 s, gzip, all open", "gzip"), faster(2), usual=True),
        Against(h5py("h5py, chunks of 1 s, lzf, all open", "lzf")),
        Against(h5py("h5py, chunks of 1 s, gzip, by path", "gzip", is_open=False), faster(2)),
        Against(
            Side("tensorstore, the same arrays", read_tensorstore, reads, ours["zarr"], needs="tensorstore"),
            faster(1),
        ),
        Against(Side("bare zarr, the same arrays", read_bare_zarr, fewer, ours["zarr"])),
        Against(
            Side(
                "icechunk, chunks of 1 s",
                read_icechunk,
                fewer,
                Side("icechunk", make_icechunk, size, peer=True, needs="icechunk"),
                peer=True,
                needs="icechunk",
            )
        ),
    )
    what = f"windows of 32 kB over {sizes.recordings} recordings"
    table = [
        Case(
            f"{what}, blob, by path",
            lotdb("blob", "path"),
            (Against(contiguous, at_most(1.1)), Against(memmap), Against(blobs)),
            unit="µs",
        ),
        Case(
            f"{what}, blob, payloads in hand",
            lotdb("blob", "payload"),
            (Against(memmap, at_most(1.3)), Against(contiguous), Against(blobs)),
            unit="µs",
        ),
        Case(
            f"{what}, zarr, by path",
            lotdb("zarr", "path"),
            of_others,
            unit="µs",
            task=f"read 1 s of one of {sizes.recordings} compressed recordings",
        ),
        Case(f"{what}, zarr, payloads in hand", lotdb("zarr", "payload"), of_others, unit="µs"),
        Case(
            f"bytes on disk of {sizes.recordings} recordings, zarr",
            ours["zarr"].but(figure="bytes"),
            (
                Against(
                    Side("zarr, chunks of 512 kB", make_zarr, size, figure="bytes"), at_most(1.05, "size")
                ),
            ),
            unit="MB",
            repeats=1,
        ),
    ]
    shared = {"blob": reads, "zarr": {**size, "count": max(sizes.recording_windows // 3, 2)}}
    for backend in ("blob", "zarr"):
        alone, together = (
            Side(
                f"{count} thread{'s' * (count > 1)}",
                read_in_threads,
                {**shared[backend], "backend": backend, "threads": count},
                ours[backend],
            )
            for count in (1, 2)
        )
        table.append(
            Case(f"{what}, {backend}, in two threads", together, (Against(alone, faster(1.8)),), unit="µs")
        )
        alone, together = (
            Side(
                f"{count} process{'es' * (count > 1)}",
                read_in_processes,
                {**shared[backend], "processes": count},
                ours[backend],
            )
            for count in (1, 2)
        )
        table.append(
            Case(f"{what}, {backend}, in two processes", together, (Against(alone, faster(1.8)),), unit="µs")
        )
    chunks = Side("numcodecs", make_chunks, size)
    for name, function, files in (
        ("preadv", preadv_in_threads, Side("np.save", make_files, size)),
        ("pread and numcodecs", decompress_in_threads, chunks),
        ("pread, numcodecs and a loop of Python", decompress_in_threads, chunks),
    ):
        loop = {"python": PYTHON_LOOP} if "loop" in name else {}
        alone, together = (
            Side(f"{count} thread{'s' * (count > 1)}", function, {**reads, "threads": count, **loop}, files)
            for count in (1, 2)
        )
        work = f"{what}, {name} and nothing else, in two threads"
        table.append(Case(work, together, (Against(alone),), unit="µs"))
    for work, function, made in (
        (
            f"{what}, preadv and nothing else, in two processes",
            preadv_in_processes,
            Side("np.save", make_files, size),
        ),
        ("a loop of Python and nothing else, in two processes", loop_in_processes, None),
    ):
        alone, together = (
            Side(f"{count} process{'es' * (count > 1)}", function, {**reads, "processes": count}, made)
            for count in (1, 2)
        )
        table.append(Case(work, together, (Against(alone),), unit="µs"))
    # Chunks of 100 payloads stay decoded in memory, those of 5000 do not: so zarr without it as well.
    for name, backend, settings in (
        ("blob", "blob", {}),
        ("zarr", "zarr", {}),
        ("zarr, nothing kept", "zarr", {"kept": 0}),
    ):
        few, *more = (
            Side(
                f"over {payloads} payloads",
                read_many,
                {"payloads": payloads, "count": sizes.recording_windows, "backend": backend, **settings},
                Side("LOTDB", make_many, {"payloads": payloads, "backend": backend}),
            )
            for payloads in sizes.many_payloads
        )
        for side in more:
            work = f"windows of 8 kB {side.label} by path, {name}"
            table.append(Case(work, side, (Against(few, at_most(1.3)),), unit="µs"))
    few, *more = (
        Side(
            f"over {payloads} payloads",
            preadv_many,
            {"payloads": payloads, "count": sizes.recording_windows},
            Side("a file", make_one_file, {"payloads": payloads}),
        )
        for payloads in sizes.many_payloads
    )
    for side in more:
        table.append(
            Case(f"windows of 8 kB {side.label}, preadv and nothing else", side, (Against(few),), unit="µs")
        )
    return table
