"""A copy of a branch whose nodes have payloads, and the first change in it, in a database just opened."""

from __future__ import annotations

import os
import statistics

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most, below
from benchmarks.clock import PeakDisk, PeakMemory, Timer, check, seconds_each, sync_file
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes
from benchmarks.tree import build_lotdb as build_tree
from benchmarks.tree import paths

# How many children are written to, one commit each, where the median of such writes counts.
WRITES = 9
# How many children or records are in a record, where ZODB stores them without LOTDB.
TOGETHER = 120


def payload(number: int) -> np.ndarray:
    """A small payload, another one for each node."""
    return np.arange(number, number + 32, dtype=np.float32).reshape(16, 2)


def build_lotdb(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        study = root.get_node("study")
        for number, path in enumerate(paths(leaves)):
            study.get_data_node(path, samplerate_hz=100).write_data(payload(number))
    return {}


def branch_lotdb(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    copy = f"study_{os.getpid()}"
    first = "/".join(next(paths(leaves)))
    with LOTDB(folder) as db:
        load_plugins(db)
        root = db.open_connection()
        with Timer() as branched:
            root["study"].branch(copy)
            db.commit()
        with Timer() as changed:
            root[f"{copy}/{first}"].set_attribute("label", "changed")
            db.commit()
        check(root[f"{copy}/{first}"].get_attribute("label") == "changed", "the change in the copy")
        check(root[f"study/{first}"].get_attribute("label") is None, "the original")
        check(np.array_equal(root[f"{copy}/{first}"].read_data(), payload(0)), "the copy's payload")
    return {"branch": branched.seconds, "change": changed.seconds}


def build_lotdb1(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    db = LOTDB(path=folder, name="lotdb.fs", new=True)
    root = db.open_connection()
    for number, path in enumerate(paths(leaves)):
        node = root.get_data_node(["study", *path], samplerate_hz=100, backend="blob")
        node.write_data(payload(number), database=db)
    db.commit()
    db.close()
    return {}


def branch_lotdb1(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    db = LOTDB(path=folder, name="lotdb.fs")
    root = db.open_connection()
    with Timer() as branched:
        copy = root.get_node("study").copy_tree()
        copy.key = f"study_{os.getpid()}"
        root.add_tree(copy)
        db.commit()
    with Timer() as changed:
        copy.get_node_path(next(paths(leaves))).set_attribute("label", "changed")
        db.commit()
    db.close()
    return {"branch": branched.seconds, "change": changed.seconds}


def build_h5py(folder: str, leaves: int) -> Figures:
    import h5py

    with h5py.File(f"{folder}/tree.h5", "w", libver="latest") as file:
        for number, path in enumerate(paths(leaves)):
            file.create_dataset("/".join(("study", *path)), data=payload(number))
    return {}


def branch_h5py(folder: str, leaves: int) -> Figures:
    import h5py

    with h5py.File(f"{folder}/tree.h5", "r+", libver="latest") as file, Timer() as branched:
        file.copy("study", f"study_{os.getpid()}")
        file.flush()
        sync_file(file.filename)
    return {"branch": branched.seconds}


def build_wide(folder: str, children: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        wide = root.get_node("wide")
        for number in range(children):
            wide.get_node(f"c{number:07d}").set_attribute("x", number)
    return {}


def write_wide(folder: str, children: int) -> Figures:
    """The first write to a branch of a node with many children; those to it before, and when it is gone."""
    from lotdb import LOTDB

    keys = [f"c{number * (children // WRITES):07d}" for number in range(WRITES)]

    def size() -> int:
        return os.path.getsize(os.path.join(folder, "lotdb.fs"))

    with LOTDB(folder) as db:
        load_plugins(db)
        root = db.open_connection()

        def write(key: str, value: int) -> None:
            root["wide"][key].set_attribute("y", value)
            db.commit()

        root.get_node("other").set_attribute("y", 0)
        for key in keys:
            write(key, 0)
        plain = statistics.median(seconds_each(write, [(key, os.getpid()) for key in keys]))
        root["wide"].branch("copy")
        db.commit()
        before = size()
        with Timer() as first:
            root["copy"][keys[WRITES // 2]].set_attribute("y", -1)
            db.commit()
        written = size() - before
        check(root["wide"][keys[WRITES // 2]].get_attribute("y") == os.getpid(), "the original")
        root.delete_node("copy")
        db.commit()
        after = statistics.median(seconds_each(write, [(key, -2) for key in keys]))
    return {"first": first.seconds, "bytes": written, "after": after, "plain": plain}


def build_parts(folder: str, children: int) -> Figures:
    """By ZODB alone: a hundred children in a record, as many of these below another one, and one above."""
    import transaction
    import ZODB
    from persistent.list import PersistentList

    keys = [f"c{number:07d}" for number in range(children)]
    buckets = [PersistentList(keys[first : first + TOGETHER]) for first in range(0, children, TOGETHER)]
    middle = [PersistentList(buckets[first : first + TOGETHER]) for first in range(0, len(buckets), TOGETHER)]
    db = ZODB.DB(f"{folder}/zodb.fs")
    db.open().root.top = PersistentList(middle)
    transaction.commit()
    db.close()
    return {}


def write_parts(folder: str, children: int) -> Figures:
    """Writes to one of the buckets; and those that copy it and what is above it, since it is shared."""
    import transaction
    import ZODB
    from persistent.list import PersistentList

    db = ZODB.DB(f"{folder}/zodb.fs")
    top = db.open().root.top
    places = [(number * len(top) // WRITES, number) for number in range(min(WRITES, len(top)))]

    def change(above: int, number: int) -> None:
        top[above][number][0] = str(os.getpid())
        transaction.commit()

    def copy(above: int, number: int) -> None:
        buckets = PersistentList(top[above])
        buckets[number] = PersistentList(buckets[number])
        buckets[number][0] = str(-os.getpid())
        top[above] = buckets
        transaction.commit()

    seconds_each(change, places)
    plain = statistics.median(seconds_each(change, places))
    after = statistics.median(seconds_each(copy, places))
    check(all(top[above][number][0] == str(-os.getpid()) for above, number in places), "what was written")
    db.close()
    return {"after": after, "plain": plain}


def pack_many(folder: str, leaves: int) -> Figures:
    """Packing a tree after a few changes."""
    from lotdb import LOTDB

    with LOTDB(folder) as db:
        load_plugins(db)
        with db.connection() as root:
            for path in list(paths(leaves))[:: max(leaves // 30, 1)]:
                root["/".join(path)].set_attribute("label", os.getpid())
        with PeakMemory() as memory, Timer() as packed, PeakDisk(folder) as disk:
            db.pack()
        live = os.path.getsize(f"{folder}/lotdb.fs")
    return {"packed": packed.seconds, "bytes": memory.grown, "room": disk.grown / live}


def merge_many(folder: str, children: int) -> Figures:
    """Copying a node with many children into a tree in memory, and merging it into a new node."""
    from lotdb import BaseNode

    top = BaseNode("top")
    source = top.get_node("source")
    for number in range(children):
        source.get_node(f"c{number:07d}").set_attribute("x", number)
    with Timer() as copied:
        copy = source.copy_tree()
    with Timer() as merged:
        top.get_node("target").merge_tree(source)
    check(len(copy) == len(top["target"]) == children, "the copies")
    return {"copied": copied.seconds, "merged": merged.seconds}


def wide_cases(sizes: Sizes) -> list[Case]:
    size = {"children": sizes.wide_children}
    merged = Side("LOTDB", merge_many, {"children": sizes.wide_children // 3}, figure="merged")
    leaves = {"leaves": sizes.walked_leaves}
    packed = Side("LOTDB", pack_many, leaves, Side("LOTDB", build_tree, leaves), "packed", durable="synced")
    parts = Side("bare ZODB", write_parts, size, Side("bare ZODB", build_parts, size), durable="synced")
    side = Side("LOTDB", write_wide, size, Side("LOTDB", build_wide, size), "first", durable="synced")
    return [
        Case(
            f"first write to a branch of a node with {size['children']} children, and commit",
            side,
            alone=below(0.015, "15 ms"),
        ),
        Case(
            f"bytes that the first write to a branch of a node with {size['children']} children takes",
            side.but(figure="bytes"),
            alone=below(200_000, "200 kB"),
            unit="MB",
        ),
        Case(
            f"writes to a node with {size['children']} children that was branched once, and commits",
            side.but(figure="after"),
            (Against(side.but(figure="plain", label="the same before it was branched"), at_most(1.3)),),
        ),
        Case(
            "such records and nothing else: one that is shared and two above it copied, and commits",
            parts.but(figure="after"),
            (Against(parts.but(figure="plain", label="the one, written in its place")),),
        ),
        Case(
            f"pack of {sizes.walked_leaves} leaves after a few changes",
            packed,
            alone=below(20e-6 * sizes.walked_leaves + 1, f"{0.02 * sizes.walked_leaves + 1000:g} ms"),
        ),
        Case(
            f"memory: pack of {sizes.walked_leaves} leaves",
            packed.but(figure="bytes"),
            alone=below(60_000_000, "60 MB"),
            unit="MB",
        ),
        Case(
            f"disk that a pack of {sizes.walked_leaves} leaves needs meanwhile, to what is kept",
            packed.but(figure="room"),
            alone=below(1.1, "1.1"),
            unit="×",
        ),
        Case(
            f"merge_tree of {sizes.wide_children // 3} children into nothing",
            merged,
            (Against(merged.but(figure="copied", label="copy_tree"), at_most(1.5)),),
        ),
    ]


def cases(sizes: Sizes) -> list[Case]:
    return [*tree_cases(sizes), *wide_cases(sizes)]


def tree_cases(sizes: Sizes) -> list[Case]:
    many, few = {"leaves": sizes.leaves}, {"leaves": sizes.leaves // 100}

    def sides(size: dict[str, int]) -> Side:
        return Side("LOTDB", branch_lotdb, size, Side("LOTDB", build_lotdb, size), "branch", durable="synced")

    large, small = sides(many), sides(few).but(label=f"the same of {few['leaves']} nodes")
    return [
        Case(
            f"branch copy of {many['leaves']} nodes with payloads, and commit",
            large,
            (Against(small, at_most(2)),),
            alone=below(0.010, "10 ms"),
        ),
        Case(
            f"branch copy of {few['leaves']} nodes with payloads, and commit",
            small.but(label="LOTDB"),
            (
                Against(
                    Side(
                        "lotdb 1.1.3",
                        branch_lotdb1,
                        few,
                        Side("lotdb 1.1.3", build_lotdb1, few, peer=True),
                        "branch",
                        durable="tree synced, payloads not",
                        peer=True,
                    )
                ),
                Against(
                    Side(
                        "h5py, Group.copy",
                        branch_h5py,
                        few,
                        Side("h5py", build_h5py, few),
                        "branch",
                        durable="synced",
                    ),
                    usual=True,
                ),
            ),
            task=f"copy {few['leaves']} nodes with arrays, to change the copy",
        ),
        Case(
            "first change in such a copy, and commit (fan-outs of 100)",
            large.but(figure="change"),
            alone=below(0.010, "10 ms"),
        ),
    ]
