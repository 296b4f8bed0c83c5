"""Finding leaves by a condition, in the tree that ``tree`` builds; and telling what differs between branches.

sqlite3 scans its table with ``json_extract``; a comprehension reads the attribute of each leaf of a walk.
"""

from __future__ import annotations

from dataclasses import replace

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
    *others, table = [size_cases(leaves) for leaves in (sizes.few_found, sizes.walked_leaves, sizes.leaves)]
    return [*table, *(replace(cases[0], task="") for cases in others)]


def size_cases(leaves: int) -> list[Case]:
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
            (Against(ours.but(label="LOTDB, all of it")),),
            unit="ms",
        ),
        Case(
            "diff of a branch with one change",
            Side("LOTDB", compare_lotdb, arguments, built),
            (Against(walked.but(label="walking through the tree")),),
            unit="ms",
        ),
    ]
