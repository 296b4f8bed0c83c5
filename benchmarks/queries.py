"""Finding leaves by a condition, in the tree that ``tree`` builds; and telling what differs between branches.

sqlite3 scans its table with ``json_extract``; a comprehension reads the attribute of each leaf of a walk. A
result is a leaf with ten numbers, one of which is filtered by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from benchmarks.cases import Against, Case, Figures, Side, at_most, faster
from benchmarks.clock import Timer, check
from benchmarks.sizes import Sizes
from benchmarks.tree import build_lotdb, build_sqlite, open_sqlite


def search_lotdb(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB, attr

    limit = 0.25 * (leaves // 100)
    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        everywhere = root.find(where=attr("duration_s") < limit)  # which imports what it takes
        below_it = root.find("subject_000/session_00/**", where=attr("duration_s") < limit)
        with Timer() as timer:
            found = list(everywhere)
        with Timer() as prefixed:
            below = list(below_it)
        check(len(found) == leaves // 100, "the number of matches")
        check(len(below) == min(100, leaves // 100), "the number of matches below the prefix")
    return {"seconds": timer.seconds, "prefixed": prefixed.seconds}


def search_walk(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    limit = 0.25 * (leaves // 100)
    with LOTDB(folder, read_only=True) as db:
        root = db.open_connection()
        with Timer() as timer:
            found = [leaf for leaf in root.iterate_tree_leaves() if leaf.get_attribute("duration_s") < limit]
        check(len(found) == leaves // 100, "the number of matches")
    return {"seconds": timer.seconds}


def search_sqlite(folder: str, leaves: int) -> Figures:
    limit = 0.25 * (leaves // 100)
    connection = open_sqlite(folder)
    query = "SELECT path FROM node WHERE json_extract(attributes, '$.duration_s') < ? ORDER BY path"
    with Timer() as timer:
        found = connection.execute(query, (limit,)).fetchall()
    connection.close()
    check(len(found) == leaves // 100, "the number of matches")
    return {"seconds": timer.seconds}


def results(count: int) -> Iterator[tuple[str, dict[str, float]]]:
    """The paths of results, in their order, with ten numbers each."""
    random = Random(1).random
    for number in range(count):
        yield f"results/{number:07d}", {f"metric_{which}": random() for which in range(10)}


def expected(count: int) -> int:
    """How many of the results a search for 1 % finds."""
    return sum(numbers["metric_4"] < 0.01 for _, numbers in results(count))


def build_results_lotdb(folder: str, count: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        for path, numbers in results(count):
            root.get_node_path(path).attrs.update(numbers)
    return {}


def build_results_sqlite(folder: str, count: int) -> Figures:
    connection = open_sqlite(folder)
    with connection:
        connection.execute("CREATE TABLE node (path TEXT PRIMARY KEY, attributes TEXT) WITHOUT ROWID")
        rows = ((path, json.dumps(numbers)) for path, numbers in results(count))
        connection.executemany("INSERT INTO node VALUES (?, ?)", rows)
    connection.close()
    return {}


def filter_lotdb(folder: str, count: int) -> Figures:
    from lotdb import LOTDB, attr

    with LOTDB(folder, read_only=True) as db:
        matches = db.open_connection().find(where=attr("metric_4") < 0.01)  # which imports what it takes
        with Timer() as timer:
            found = [node.key for node in matches]
    check(len(found) == expected(count), "the number of matches")
    return {"seconds": timer.seconds}


def filter_sqlite(folder: str, count: int) -> Figures:
    connection = open_sqlite(folder)
    query = "SELECT path FROM node WHERE json_extract(attributes, '$.metric_4') < 0.01 ORDER BY path"
    with Timer() as timer:
        found = connection.execute(query).fetchall()
    connection.close()
    check(len(found) == expected(count), "the number of matches")
    return {"seconds": timer.seconds}


def filters(count: int) -> Case:
    """A search through *count* results."""
    size = {"count": count}
    ours = Side("LOTDB", filter_lotdb, size, Side("LOTDB", build_results_lotdb, size))
    sqlite = Side("sqlite3, JSON", filter_sqlite, size, Side("sqlite3, JSON", build_results_sqlite, size))
    work = f"cold find of 1 % of {count} results of ten numbers by one of them"
    return Case(work, ours, (Against(sqlite, at_most(1.3)),), unit="ms")


def compare_lotdb(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB, diff

    with LOTDB(folder) as db:
        root = db.open_connection()
        branch = root["subject_000"].branch("branch")
        branch["session_00/clip_00"].set_attribute("take", -1)
        differences = diff(root["subject_000"], branch)  # which imports what it takes
        with Timer() as timer:
            (found,) = differences
        check(found.path == "session_00/clip_00", "the node that differs")
        db.abort()
    return {"seconds": timer.seconds}


def cases(sizes: Sizes) -> list[Case]:
    leaves = sizes.leaves
    arguments = {"leaves": leaves}
    built = Side("LOTDB", build_lotdb, arguments, durable="synced")
    built_sqlite = Side("sqlite3, JSON", build_sqlite, arguments, durable="synced (WAL, FULL)")
    ours = Side("LOTDB", search_lotdb, arguments, built)
    walked = Side("a comprehension", search_walk, arguments, built)
    sqlite = Side("sqlite3, JSON", search_sqlite, arguments, built_sqlite)
    return [
        Case(
            f"cold find of 1 % of {leaves} leaves by an attribute",
            ours,
            (Against(sqlite, at_most(1.3), usual=True), Against(walked, faster(3))),
            unit="ms",
            task=f"find, among {leaves} nodes, those whose number is small",
        ),
        Case(
            "the same below a prefix of the path",
            ours.but(figure="prefixed"),
            (Against(ours.but(label="LOTDB, all of it"), faster(50)),),
            unit="ms",
        ),
        *map(filters, sizes.searched),
        Case(
            "diff of a branch with one change",
            Side("LOTDB", compare_lotdb, arguments, built),
            (Against(walked.but(label="walking through the tree")),),
            unit="ms",
        ),
    ]
