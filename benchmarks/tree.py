"""A tree of many small nodes: building it, its size, walking through it, and finding one of them.

subject/session/clip, a hundred sessions to a subject and a hundred clips to a session; each clip has three
attributes. h5py: a group a clip, in the file format that its documentation recommends for many objects.
sqlite3: a row a clip, its path as primary key, its attributes as JSON. signac: a job a clip.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator

from benchmarks.cases import Against, Case, Figures, Side, at_most, below, faster
from benchmarks.clock import Timer, bytes_on_disk, check, sync_file
from benchmarks.sizes import Sizes

FAN_OUT = 100


def paths(leaves: int) -> Iterator[tuple[str, str, str]]:
    """The path of each leaf, in the order of the keys."""
    for number in range(leaves):
        session, clip = divmod(number, FAN_OUT)
        subject, session = divmod(session, FAN_OUT)
        yield f"subject_{subject:03d}", f"session_{session:02d}", f"clip_{clip:02d}"


def attributes(number: int) -> dict[str, object]:
    """The attributes of a leaf."""
    return {"label": "walking", "duration_s": number * 0.25, "take": number}


def expected(leaves: int) -> float:
    """The sum of all durations."""
    return sum(number * 0.25 for number in range(leaves))


def chosen(leaves: int, count: int) -> list[tuple[str, float]]:
    """*count* paths at random, and the duration at each."""
    everything = list(paths(leaves))
    numbers = random.Random(1).choices(range(leaves), k=count)
    return [("/".join(everything[number]), number * 0.25) for number in numbers]


# ── building ──────────────────────────────────────────────────────────────────────────────────────────────


def build_lotdb(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, Timer() as timer, db.connection() as root:
        for number, path in enumerate(paths(leaves)):
            root.get_node_path(path).attrs.update(attributes(number))
    return {"seconds": timer.seconds, "bytes": os.path.getsize(f"{folder}/lotdb.fs")}


def build_lotdb1(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    db = LOTDB(path=folder, name="lotdb.fs", new=True)
    root = db.open_connection()
    with Timer() as timer:
        for number, path in enumerate(paths(leaves)):
            node = root.get_node_path(path)
            for name, value in attributes(number).items():
                node.set_attribute(name, value)
        db.commit()
    db.close()
    return {"seconds": timer.seconds, "bytes": os.path.getsize(f"{folder}/lotdb.fs")}


def build_h5py(folder: str, leaves: int) -> Figures:
    import h5py

    with Timer() as timer:
        with h5py.File(f"{folder}/tree.h5", "w", libver="latest") as file:
            for number, path in enumerate(paths(leaves)):
                group = file.create_group("/".join(path))
                for name, value in attributes(number).items():
                    group.attrs[name] = value
        sync_file(f"{folder}/tree.h5")
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def open_sqlite(folder: str):
    import sqlite3

    connection = sqlite3.connect(f"{folder}/tree.sqlite")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def build_sqlite(folder: str, leaves: int) -> Figures:
    connection = open_sqlite(folder)
    with Timer() as timer, connection:
        connection.execute("CREATE TABLE node (path TEXT PRIMARY KEY, attributes TEXT) WITHOUT ROWID")
        connection.executemany(
            "INSERT INTO node VALUES (?, ?)",
            (("/".join(path), json.dumps(attributes(number))) for number, path in enumerate(paths(leaves))),
        )
    connection.close()
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


def build_signac(folder: str, leaves: int) -> Figures:
    import signac

    project = signac.init_project(folder)
    with Timer() as timer:
        for number, (subject, session, clip) in enumerate(paths(leaves)):
            job = project.open_job({"subject": subject, "session": session, "clip": clip})
            job.init()
            job.document.update(attributes(number))
    return {"seconds": timer.seconds, "bytes": bytes_on_disk(folder)}


# ── walking ───────────────────────────────────────────────────────────────────────────────────────────────


def walk_lotdb(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db, db.connection() as root:
        with Timer() as cold:
            total = sum(leaf.get_attribute("duration_s") for leaf in root.iterate_tree_leaves())
        with Timer() as warm:
            again = sum(leaf.get_attribute("duration_s") for leaf in root.iterate_tree_leaves())
    check(total == again == expected(leaves), "the sum of all durations")
    return {"cold": cold.seconds, "warm": warm.seconds}


def walk_lotdb1(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    db = LOTDB(path=folder, name="lotdb.fs")
    root = db.open_connection()
    with Timer() as cold:
        total = sum(leaf.get_attribute("duration_s") for leaf in root.iterate_tree_leaves())
    with Timer() as warm:
        again = sum(leaf.get_attribute("duration_s") for leaf in root.iterate_tree_leaves())
    db.close()
    check(total == again == expected(leaves), "the sum of all durations")
    return {"cold": cold.seconds, "warm": warm.seconds}


def walk_h5py(folder: str, leaves: int) -> Figures:
    import h5py

    def walk(file: h5py.File) -> float:
        return sum(
            clip.attrs["duration_s"]
            for subject in file.values()
            for session in subject.values()
            for clip in session.values()
        )

    with h5py.File(f"{folder}/tree.h5", "r", libver="latest") as file:
        with Timer() as cold:
            total = walk(file)
        with Timer() as warm:
            again = walk(file)
    check(total == again == expected(leaves), "the sum of all durations")
    return {"cold": cold.seconds, "warm": warm.seconds}


def walk_sqlite(folder: str, leaves: int) -> Figures:
    def walk() -> float:
        rows = connection.execute("SELECT path, attributes ->> 'duration_s' FROM node ORDER BY path")
        return sum(duration for path, duration in rows)

    connection = open_sqlite(folder)
    with Timer() as cold:
        total = walk()
    with Timer() as warm:
        again = walk()
    connection.close()
    check(total == again == expected(leaves), "the sum of all durations")
    return {"cold": cold.seconds, "warm": warm.seconds}


def walk_signac(folder: str, leaves: int) -> Figures:
    import signac

    project = signac.get_project(folder)
    with Timer() as cold:
        total = sum(job.document["duration_s"] for job in project)
    with Timer() as warm:
        again = sum(job.document["duration_s"] for job in project)
    check(total == again == expected(leaves), "the sum of all durations")
    return {"cold": cold.seconds, "warm": warm.seconds}


# ── finding ───────────────────────────────────────────────────────────────────────────────────────────────


def find_lotdb(folder: str, leaves: int, count: int) -> Figures:
    from lotdb import LOTDB

    places = chosen(leaves, count)
    with LOTDB(folder) as db, db.connection() as root:
        with Timer() as cold:
            found = [root[path].get_attribute("duration_s") for path, _ in places]
        with Timer() as warm:
            again = [root[path].get_attribute("duration_s") for path, _ in places]
    check(found == again == [duration for _, duration in places], "the durations")
    return {"cold": cold.seconds, "warm": warm.seconds}


def find_lotdb1(folder: str, leaves: int, count: int) -> Figures:
    from lotdb import LOTDB

    places = chosen(leaves, count)
    db = LOTDB(path=folder, name="lotdb.fs")
    root = db.open_connection()

    def find(path: str) -> object:
        return root.get_node_path(path.split("/"), create=False).get_attribute("duration_s")

    with Timer() as cold:
        found = [find(path) for path, _ in places]
    with Timer() as warm:
        again = [find(path) for path, _ in places]
    db.close()
    check(found == again == [duration for _, duration in places], "the durations")
    return {"cold": cold.seconds, "warm": warm.seconds}


def find_h5py(folder: str, leaves: int, count: int) -> Figures:
    import h5py

    places = chosen(leaves, count)
    with h5py.File(f"{folder}/tree.h5", "r", libver="latest") as file:
        with Timer() as cold:
            found = [file[path].attrs["duration_s"] for path, _ in places]
        with Timer() as warm:
            again = [file[path].attrs["duration_s"] for path, _ in places]
    check(found == again == [duration for _, duration in places], "the durations")
    return {"cold": cold.seconds, "warm": warm.seconds}


def find_sqlite(folder: str, leaves: int, count: int) -> Figures:
    places = chosen(leaves, count)
    connection = open_sqlite(folder)

    def find(path: str) -> float:
        query = "SELECT attributes ->> 'duration_s' FROM node WHERE path = ?"
        return connection.execute(query, (path,)).fetchone()[0]

    with Timer() as cold:
        found = [find(path) for path, _ in places]
    with Timer() as warm:
        again = [find(path) for path, _ in places]
    connection.close()
    check(found == again == [duration for _, duration in places], "the durations")
    return {"cold": cold.seconds, "warm": warm.seconds}


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────


def cases(sizes: Sizes) -> list[Case]:
    leaves, some, few, count = sizes.leaves, sizes.some_leaves, sizes.few_leaves, sizes.lookups

    def build(label: str, function: object, leaves: int, durable: str) -> Side:
        peer = label.startswith("lotdb 1")
        return Side(label, function, {"leaves": leaves}, per=leaves, durable=durable, peer=peer)

    def walk(function: object, built: Side) -> Side:
        return Side(built.label, function, built.arguments, built, "cold", built.per, peer=built.peer)

    def find(function: object, built: Side) -> Side:
        arguments = {**built.arguments, "count": count}
        return Side(built.label, function, arguments, built, "cold", count, peer=built.peer)

    built = build("LOTDB", build_lotdb, leaves, "synced")
    built_old = build("lotdb 1.1.3", build_lotdb1, leaves, "synced")
    built_h5py = build(f"h5py ({some} leaves)", build_h5py, some, "synced once closed")
    built_sqlite = build("sqlite3, JSON", build_sqlite, leaves, "synced (WAL, FULL)")
    built_signac = build(f"signac ({few} leaves)", build_signac, few, "not synced")

    walked, walked_old = walk(walk_lotdb, built), walk(walk_lotdb1, built_old)
    walked_h5py, walked_sqlite = walk(walk_h5py, built_h5py), walk(walk_sqlite, built_sqlite)
    walked_signac = walk(walk_signac, built_signac)
    found, found_old = find(find_lotdb, built), find(find_lotdb1, built_old)
    found_h5py, found_sqlite = find(find_h5py, built_h5py), find(find_sqlite, built_sqlite)
    # As many leaves as h5py: the more there are, the fewer of them a record that was read is asked for.
    found_some = find(find_lotdb, build("LOTDB", build_lotdb, some, "synced"))
    found_some_old = find(find_lotdb1, build("lotdb 1.1.3", build_lotdb1, some, "synced"))

    return [
        Case(
            f"build and commit {leaves} leaves with 3 attributes, each",
            built,
            (
                Against(built_old, faster(8)),
                Against(built_h5py, faster(10), usual=True),
                Against(built_sqlite, at_most(2.5)),
                Against(built_signac),
            ),
            unit="µs",
            task=f"add a node with three attributes, to a tree of {leaves}",
        ),
        Case(
            "bytes on disk a leaf",
            built.but(figure="bytes"),
            tuple(
                Against(side.but(figure="bytes"))
                for side in (built_old, built_h5py, built_sqlite, built_signac)
            ),
            alone=below(60, "60 bytes"),
            unit="bytes",
        ),
        Case(
            "cold walk over all leaves reading one attribute, each",
            walked,
            (
                Against(walked_old, faster(12)),
                Against(walked_h5py, faster(10), usual=True),
                Against(walked_sqlite),
                Against(walked_signac),
            ),
            unit="µs",
            task="read an attribute of each node of a tree (time for one)",
        ),
        Case(
            "warm walk over all leaves reading one attribute, each",
            walked.but(figure="warm"),
            (
                Against(walked_old.but(figure="warm"), faster(1)),
                Against(walked_h5py.but(figure="warm")),
                Against(walked_sqlite.but(figure="warm")),
                Against(walked_signac.but(figure="warm")),
            ),
            unit="µs",
        ),
        Case(
            "random lookup of a path and one attribute, cold",
            found,
            (
                Against(found_old, faster(5)),
                Against(found_h5py, faster(3), usual=True),
                Against(found_sqlite),
            ),
            unit="µs",
            task="find a node by its path in a file just opened",
        ),
        Case(
            f"the same of {some} leaves",
            found_some,
            (Against(found_some_old, faster(5)), Against(found_h5py.but(label="h5py"), faster(3))),
            unit="µs",
        ),
        Case(
            "random lookup of a path and one attribute, warm",
            found.but(figure="warm"),
            (
                Against(found_old.but(figure="warm"), faster(1)),
                Against(found_h5py.but(figure="warm")),
                Against(found_sqlite.but(figure="warm")),
            ),
            unit="µs",
        ),
    ]
