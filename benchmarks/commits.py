"""One small change and a durable commit, again and again, each at another place of a tree of 10 000 leaves.

Bare ZODB: a persistent mapping a leaf in a BTree, which is as little as a commit can write.
"""

from __future__ import annotations

import random
import statistics

from benchmarks import tree
from benchmarks.cases import Against, Case, Figures, Side, at_most
from benchmarks.clock import check, seconds_each
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes

LEAVES = 10_000


def places(commits: int) -> list[str]:
    """A path for each commit."""
    everything = ["/".join(path) for path in tree.paths(LEAVES)]
    return random.Random(2).sample(everything, commits)


def median(change: object, commits: int) -> Figures:
    """The median over all commits but the first few, which load what they change for the first time."""
    seconds = seconds_each(change, list(enumerate(places(commits))))
    return {"seconds": statistics.median(seconds[len(seconds) // 10 :])}


def commit_lotdb(folder: str, commits: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db:
        load_plugins(db)
        root = db.open_connection()

        def change(number: int, path: str) -> None:
            root[path].set_attribute("take", number)
            db.commit()

        figures = median(change, commits)
        check(root[places(commits)[-1]].get_attribute("take") == commits - 1, "the last change")
    return figures


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
    check(take == commits - 1, "the last change")
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
        check(file[places(commits)[-1]].attrs["take"] == commits - 1, "the last change")
    return figures


def cases(sizes: Sizes) -> list[Case]:
    size = {"leaves": LEAVES}
    commits = {"commits": sizes.commits}

    def side(
        label: str, function: object, build: object, durable: str = "synced", peer: bool = False
    ) -> Side:
        return Side(label, function, commits, Side(label, build, size, peer=peer), durable=durable, peer=peer)

    return [
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
        )
    ]
