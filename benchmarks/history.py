"""Looking back: a moment, the first read in it, the last hundred commits, and what many commits cost."""

from __future__ import annotations

import os
from collections.abc import Callable

from benchmarks.cases import Against, Case, Figures, Side, at_most, below
from benchmarks.clock import Timer, check
from benchmarks.sizes import Sizes

LISTED = 100


def make_lotdb(folder: str, commits: int, size: int) -> Figures:
    """A database of so many commits, each of which writes the same node; *size* is that of the data file."""
    from lotdb import LOTDB

    path = f"{folder}/results"
    with LOTDB(path, durability="process") as db:
        root = db.open_connection()
        node = root.get_node_path("a/b/often")
        text = 0
        for number in range(commits):
            node.attrs["number"] = number
            if size:
                # As much as is left is divided among the commits that are left.
                left = size - os.path.getsize(f"{path}/lotdb.fs")
                text = max(left // (commits - number), 0)
                for part in range(text // 30_000 + 1):
                    root.get_node_path(f"large/{number}/{part}").attrs["text"] = os.urandom(
                        min(text, 30_000) // 2
                    ).hex()
            db.commit(note=f"number {number}")
        db.close_connection()
        found = [commit.id for commit in db.history() if commit.note.startswith("number")]
        with open(f"{folder}/ids", "w") as file:
            file.write("\n".join(reversed(found)))
    return {"seconds": 0.0, "bytes": os.path.getsize(f"{path}/lotdb.fs")}


def _opened(folder: str, work: Callable[..., None]) -> Figures:
    from lotdb import LOTDB

    with open(f"{folder}/ids") as file:
        ids = file.read().split("\n")
    with LOTDB(f"{folder}/results", read_only=True) as db:
        with db.connection() as root:
            check(root["a/b/often"].attrs["number"] == len(ids) - 1, "the last commit is there")
        timer = Timer()
        work(db, ids, timer)
    return {"seconds": timer.seconds}


def at_lotdb(folder: str, part: float) -> Figures:
    def work(db, ids, timer):  # type: ignore[no-untyped-def]
        with timer:
            opened = db.at(ids[int(part * (len(ids) - 1))])
            root = opened.__enter__()
        check("a" in root, "the moment has its tree")
        opened.__exit__(None, None, None)

    return _opened(folder, work)


def first_read_lotdb(folder: str, part: float) -> Figures:
    def work(db, ids, timer):  # type: ignore[no-untyped-def]
        number = int(part * (len(ids) - 1))
        with db.at(ids[number]) as root:
            with timer:
                found = root["a/b/often"].attrs["number"]
            check(found == number, "it is what it was")

    return _opened(folder, work)


def history_lotdb(folder: str) -> Figures:
    def work(db, ids, timer):  # type: ignore[no-untyped-def]
        with timer:
            found = [commit.id for commit in db.history(limit=LISTED)]
        check(found[: len(ids)] == ids[::-1][:LISTED], "the commits are the last ones")

    return _opened(folder, work)


def open_lotdb(folder: str) -> Figures:
    from lotdb import LOTDB

    with Timer() as timer:
        db = LOTDB(f"{folder}/results", read_only=True)
    with db.connection() as root:
        check("a/b/often" in root, "it has its tree")
    db.close()
    return {"seconds": timer.seconds}


def cases(sizes: Sizes) -> list[Case]:
    many, few = sizes.history_commits, 10
    size = 700 * many  # about what the commits of one small node take
    data = {
        number: Side("LOTDB", make_lotdb, {"commits": number, "size": size if number == few else 0})
        for number in (many, few)
    }

    def side(function: Callable[..., Figures], number: int = many, **arguments: float) -> Side:
        return Side("LOTDB", function, arguments, data=data[number])

    return [
        Case(
            f"open the first of {many} moments",
            side(at_lotdb, part=0.0),
            (Against(side(at_lotdb, part=1.0).but(label="the last one"), below(0.005, "5 ms")),),
        ),
        Case(
            f"first read of a node that each of {many} commits rewrote, at the first moment",
            side(first_read_lotdb, part=0.0),
            (Against(side(first_read_lotdb, part=1.0).but(label="at the last"), below(0.010, "10 ms")),),
        ),
        Case(
            "the same in the middle",
            side(first_read_lotdb, part=0.5),
            (Against(side(first_read_lotdb, part=1.0).but(label="at the last"), below(0.010, "10 ms")),),
        ),
        Case(
            f"the last {LISTED} of {many} commits",
            side(history_lotdb),
            (Against(side(history_lotdb, few).but(label="of ten commits"), below(0.010, "10 ms")),),
        ),
        Case(
            f"open a database of {many} commits",
            side(open_lotdb),
            (Against(side(open_lotdb, few).but(label="of ten, as large"), at_most(1.1)),),
            alone=below(0.010, "10 ms"),
        ),
        Case(
            f"bytes on disk a small commit, of {many}",
            data[many].but(figure="bytes", per=many),
            alone=below(1_200, "1.2 kB"),
            unit="bytes",
            repeats=1,
        ),
    ]
