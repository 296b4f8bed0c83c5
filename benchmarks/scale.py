"""Several processes on one database, in each storage; and walking through a tree that lies in each.

A result is ten numbers and an array of 48 kB, committed by itself. The PostgreSQL server is one of its own,
on this machine, with its usual settings: what it has said to be committed survives a power cut.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most, faster
from benchmarks.clock import Timer, check
from benchmarks.sizes import Sizes
from benchmarks.tree import attributes, expected, paths

NUMBERS, ROWS = 10, 6_000
PROCESSES = 4
DURABLE = {"full": "synced", "process": "not synced"}


def has_server() -> bool:
    """Whether PostgreSQL is installed, and what connects to it."""
    found = any(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    with contextlib.suppress(ImportError):
        import psycopg2

        return found and psycopg2 is not None
    return False


@contextlib.contextmanager
def _place(folder: str, storage: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is opened, and what else is passed the first time."""
    if storage != "postgresql":
        yield folder, {"storage": storage}
        return
    from tests.services.postgresql import PASSWORD, PostgreSQL, programs

    os.environ["PGPASSWORD"] = PASSWORD
    with contextlib.closing(PostgreSQL(programs(), fsync="on", full_page_writes="on")) as server:
        yield server.new_database(), {"payloads": folder}


# ── committing ────────────────────────────────────────────────────────────────────────────────────────────


def _results(count: int) -> Iterator[tuple[int, list[float], np.ndarray]]:
    made = np.random.default_rng(1)
    for number in range(count):
        yield number, made.random(NUMBERS).tolist(), made.random(ROWS)


def _commit(target: str, own: str, count: int, durability: str, ready: Any) -> float:
    """Commit results below a node of one's own, when all are ready."""
    from lotdb import LOTDB

    with LOTDB(target, durability=durability) as db:
        root = db.open_connection()
        ready.wait()
        with Timer() as timer:
            for number, numbers, array in _results(count):
                node = root.get_data_node((own, f"{number}"))
                node.set_attribute("numbers", numbers)
                node.write_data(array)
                db.commit()
    return timer.seconds


def _queue(target: str, own: str, count: int, durability: str, ready: Any) -> float:
    """The same, where each result waits until no other process has the database open."""
    from lotdb import LOTDB

    ready.wait()
    with Timer() as timer:
        for number, numbers, array in _results(count):
            with (
                LOTDB(target, durability=durability, timeout=300) as db,
                db.connection() as root,
            ):
                node = root.get_data_node((own, f"{number}"))
                node.set_attribute("numbers", numbers)
                node.write_data(array)
    return timer.seconds


def _insert(target: str, own: str, count: int, durability: str, ready: Any) -> float:
    """Insert rows of a table."""
    import psycopg2

    columns = ", ".join(f"n{number}" for number in range(NUMBERS))
    insert = f"INSERT INTO results (own, {columns}, array_) VALUES (%s{', %s' * NUMBERS}, %s)"
    with contextlib.closing(psycopg2.connect(target)) as session, session.cursor() as cursor:
        ready.wait()
        with Timer() as timer:
            for _, numbers, array in _results(count):
                cursor.execute(insert, (own, *numbers, psycopg2.Binary(array.tobytes())))
                session.commit()
    return timer.seconds


def _at_once(work: Any, target: str, processes: int, count: int, durability: str) -> float:
    """Seconds until so many processes have done their part."""
    context = get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        ready = manager.Barrier(processes + 1)
        parts = [
            pool.apply_async(work, (target, f"worker {number}", count, durability, ready))
            for number in range(processes)
        ]
        ready.wait()
        start = time.perf_counter()
        for part in parts:
            part.get()
        return time.perf_counter() - start


def commit(folder: str, storage: str, processes: int, results: int, durability: str = "full") -> Figures:
    """So many results in all, by processes that have the database open."""
    return _committed(_commit, folder, storage, processes, results, durability)


def queue(folder: str, results: int) -> Figures:
    """So many results in all, by processes of which one at a time has the database open."""
    return _committed(_queue, folder, "file", PROCESSES, results, "full")


def _committed(
    work: Any, folder: str, storage: str, processes: int, results: int, durability: str
) -> Figures:
    from lotdb import LOTDB

    count = results // processes
    with _place(folder, storage) as (target, options):
        with LOTDB(target, new=True, **options) as db, db.connection() as root:
            for number in range(processes):
                root.get_node(f"worker {number}")
        seconds = _at_once(work, target, processes, count, durability)
        with LOTDB(target, read_only=True) as db, db.connection() as root:
            check(all(len(root[f"worker {number}"]) == count for number in range(processes)), "the results")
            last = root["worker 0", f"{count - 1}"]
            *_, (_, numbers, array) = _results(count)
            check(last.get_attribute("numbers") == numbers, "the numbers")
            check(np.array_equal(last.read_data(), array), "the array")
    return {"seconds": seconds}


def insert(folder: str, results: int) -> Figures:
    """So many rows in all."""
    import psycopg2

    with _place(folder, "postgresql") as (target, _):
        columns = ", ".join(f"n{number} double precision" for number in range(NUMBERS))
        with contextlib.closing(psycopg2.connect(target)) as session, session.cursor() as cursor:
            cursor.execute(
                f"CREATE TABLE results (id bigserial PRIMARY KEY, own text, {columns}, array_ bytea)"
            )
            session.commit()
            seconds = _at_once(_insert, target, PROCESSES, results // PROCESSES, "full")
            cursor.execute("SELECT count(*), min(length(array_)) FROM results")
            check(cursor.fetchone() == (results // PROCESSES * PROCESSES, 8 * ROWS), "the rows")
    return {"seconds": seconds}


# ── walking ───────────────────────────────────────────────────────────────────────────────────────────────


def _walk(target: str) -> tuple[float, float]:
    from lotdb import LOTDB

    with LOTDB(target, read_only=True) as db, db.connection() as root, Timer() as timer:
        total = sum(leaf.get_attribute("duration_s") for leaf in root.iterate_tree_leaves())
    return timer.seconds, total


def walk(folder: str, storage: str, leaves: int) -> Figures:
    """Go through all leaves, in a process that has just opened the database."""
    from lotdb import LOTDB

    with _place(folder, storage) as (target, options):
        with LOTDB(target, new=True, **options) as db, db.connection() as root:
            for number, path in enumerate(paths(leaves)):
                root.get_node_path(path).attrs.update(attributes(number))
        with get_context("spawn").Pool(1) as pool:
            seconds, total = pool.apply(_walk, (target,))
    check(total == expected(leaves), "the sum of all durations")
    return {"seconds": seconds}


def cases(sizes: Sizes) -> list[Case]:
    results, table = sizes.results_at_once, []
    per: dict[str, Any] = {"per": results}
    work = "commit a result of ten numbers and 48 kB, four processes at once"

    def side(label: str, storage: str, processes: int, durability: str = "full") -> Side:
        arguments = {"storage": storage, "processes": processes, "results": results, "durability": durability}
        return Side(label, commit, arguments, durable=DURABLE[durability], **per)

    for durability in ("full", "process"):
        alone = side("one process on the file storage", "file", 1, durability)
        # Opening it for each result takes long, so it is a tenth of the results.
        fewer = max(results // 10, PROCESSES)
        queued = Side(
            "four that queue for the file storage", queue, {"results": fewer}, durable="synced", per=fewer
        )
        against = [Against(alone, at_most(2))]
        if durability == "full":
            against.append(Against(queued, faster(1.5)))
        ours = side("LOTDB, SQLite", "sqlite", PROCESSES, durability)
        table.append(Case(f"{work}, storage sqlite, durability={durability!r}", ours, tuple(against)))
    if has_server():
        rows = Side("rows inserted by psycopg2", insert, {"results": results}, durable="synced", **per)
        ours = side("LOTDB, PostgreSQL", "postgresql", PROCESSES)
        table.append(Case(f"{work}, on a PostgreSQL server", ours, (Against(rows, faster(0.3)),)))
    leaves = sizes.scale_leaves
    in_file = Side("in a data file", walk, {"storage": "file", "leaves": leaves})
    times = {"sqlite": 1.5, "postgresql": 6.0} if has_server() else {"sqlite": 1.5}
    for storage, most in times.items():
        ours = Side(f"LOTDB, {storage}", walk, {"storage": storage, "leaves": leaves})
        against = [Against(in_file, at_most(most))]
        table.append(
            Case(f"cold walk over {leaves} leaves, storage {storage}", ours, tuple(against), repeats=3)
        )
    return table
