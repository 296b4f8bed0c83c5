"""One small change and a durable commit, again and again, each at another place of a tree of 10 000 leaves.

And what many such commits, of which one may be at the same place as the one before, leave on the disk.

Bare ZODB: a persistent mapping a leaf in a BTree, which is as little as a commit can write.
"""

from __future__ import annotations

import os
import random
import statistics
import time

from benchmarks import tree
from benchmarks.cases import Against, Case, Figures, Side, at_most, below
from benchmarks.clock import Timer, check, seconds_each
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes

LEAVES = 10_000


def places(commits: int) -> list[str]:
    """A path for each commit."""
    everything = ["/".join(path) for path in tree.paths(LEAVES)]
    return random.Random(2).sample(everything, commits)


#: Other values in each process: sqlite3 writes nothing in place of what is the same.
FIRST = time.time_ns() // 1_000_000 % 1_000_000_000


def median(change: object, commits: int) -> Figures:
    """The median over the later half of the commits; in the first one, most records are loaded."""
    seconds = seconds_each(change, list(enumerate(places(commits), FIRST)))
    return {"seconds": statistics.median(seconds[len(seconds) // 2 :])}


def commit_lotdb(folder: str, commits: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db:
        load_plugins(db)
        root = db.open_connection()

        def change(number: int, path: str) -> None:
            root[path].set_attribute("take", number)
            db.commit()

        figures = median(change, commits)
        check(root[places(commits)[-1]].get_attribute("take") == FIRST + commits - 1, "the last change")
    return figures


def keep_lotdb(folder: str, commits: int, how: str) -> Figures:
    """Bytes that a commit takes, and seconds to open the database after the last."""
    from lotdb import LOTDB

    used = places(min(commits, LEAVES)) if how == "anywhere" else places(1)
    file = f"{folder}/lotdb.fs"
    with LOTDB(folder, durability="process") as db:
        root = db.open_connection()
        before = os.path.getsize(file)
        for number in range(commits):
            root[used[number % len(used)]].set_attribute("take", FIRST + number)
            db.commit()
    with Timer() as opened:
        db = LOTDB(folder)
    with db.connection() as root:
        last = used[(commits - 1) % len(used)]
        check(root[last].get_attribute("take") == FIRST + commits - 1, "the last change")
    db.close()
    return {"bytes": (os.path.getsize(file) - before) / commits, "opened": opened.seconds}


def commit_lotdb1(folder: str, commits: int) -> Figures:
    from lotdb import LOTDB

    db = LOTDB(path=folder, name="lotdb.fs")
    root = db.open_connection()

    def change(number: int, path: str) -> None:
        root.get_node_path(path.split("/")).set_attribute("take", number)
        db.commit()

    figures = median(change, commits)
    db.close()
    return figures


def build_zodb(folder: str, leaves: int) -> Figures:
    import transaction
    import ZODB
    from BTrees.OOBTree import OOBTree
    from persistent.mapping import PersistentMapping

    db = ZODB.DB(f"{folder}/zodb.fs")
    connection = db.open()
    connection.root.leaves = OOBTree()
    for number, path in enumerate(tree.paths(leaves)):
        connection.root.leaves["/".join(path)] = PersistentMapping(tree.attributes(number))
    transaction.commit()
    db.close()
    return {}


def commit_zodb(folder: str, commits: int) -> Figures:
    import transaction
    import ZODB

    db = ZODB.DB(f"{folder}/zodb.fs")
    leaves = db.open().root.leaves

    def change(number: int, path: str) -> None:
        leaves[path]["take"] = number
        transaction.commit()

    figures = median(change, commits)
    db.close()
    return figures


def commit_sqlite(folder: str, commits: int) -> Figures:
    connection = tree.open_sqlite(folder)

    def change(number: int, path: str) -> None:
        with connection:
            connection.execute(
                "UPDATE node SET attributes = json_set(attributes, '$.take', ?) WHERE path = ?",
                (number, path),
            )

    figures = median(change, commits)
    query = "SELECT attributes ->> 'take' FROM node WHERE path = ?"
    (take,) = connection.execute(query, (places(commits)[-1],)).fetchone()
    connection.close()
    check(take == FIRST + commits - 1, "the last change")
    return figures


def commit_h5py(folder: str, commits: int) -> Figures:
    import os

    import h5py

    with h5py.File(f"{folder}/tree.h5", "r+", libver="latest") as file:
        descriptor = os.open(file.filename, os.O_RDONLY)

        def change(number: int, path: str) -> None:
            file[path].attrs["take"] = number
            file.flush()
            os.fsync(descriptor)

        figures = median(change, commits)
        os.close(descriptor)
        check(file[places(commits)[-1]].attrs["take"] == FIRST + commits - 1, "the last change")
    return figures


def cases(sizes: Sizes) -> list[Case]:
    size = {"leaves": LEAVES}
    commits = {"commits": sizes.commits}

    def side(
        label: str, function: object, build: object, durable: str = "synced", peer: bool = False
    ) -> Side:
        return Side(label, function, commits, Side(label, build, size, peer=peer), durable=durable, peer=peer)

    many = {"commits": sizes.history_commits}
    kept = [
        Side("LOTDB", keep_lotdb, {**many, "how": how}, Side("LOTDB", tree.build_lotdb, size))
        for how in ("at one place", "anywhere")
    ]
    # A change rewrites the bucket of its leaf: up to 128 leaves of some 35 bytes. What changes again and
    # again leaves its bucket; what changes once does not.
    bounds = below(1_200, "1.2 kB"), None
    return [
        *(
            Case(
                f"bytes a commit, of {sizes.history_commits} small commits {side.arguments['how']}",
                side.but(figure="bytes"),
                () if bound else (Against(kept[0].but(figure="bytes", label="at one place")),),
                alone=bound,
                unit="bytes",
            )
            for side, bound in zip(kept, bounds, strict=True)
        ),
        *(
            Case(
                f"open a database after {sizes.history_commits} small commits {side.arguments['how']}",
                side.but(figure="opened"),
                alone=below(0.010, "10 ms"),
            )
            for side in kept
        ),
        Case(
            "one small change and commit",
            side("LOTDB", commit_lotdb, tree.build_lotdb),
            (
                Against(side("bare ZODB", commit_zodb, build_zodb), at_most(1.3)),
                Against(side("lotdb 1.1.3", commit_lotdb1, tree.build_lotdb1, peer=True)),
                Against(
                    side("sqlite3, JSON", commit_sqlite, tree.build_sqlite, "synced (WAL, FULL)"),
                    at_most(1.6),
                    usual=True,
                ),
                Against(side("h5py", commit_h5py, tree.build_h5py, "flushed and synced, not atomic")),
            ),
            task="change one attribute, on the disk when it returns",
        ),
    ]
