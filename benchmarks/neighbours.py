"""What an operation costs a node that has more and more payloads, attributes, siblings or ancestors.

The operation has no use for any of it, so it should cost the same: it is compared with the same beside one of
them. What is merged with its equal is not written.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable

import numpy as np

from benchmarks.cases import Against, Case, Figures, Side, at_most, below
from benchmarks.clock import Timer, check, seconds_each
from benchmarks.ours import load_plugins
from benchmarks.sizes import Sizes
from benchmarks.tree import paths

REPEATS = 200
WORK = {
    "set": "set an attribute",
    "get": "get an attribute",
    "write": "write a small payload",
    "read": "read a small window",
    "make": "make and delete a child",
    "branch": "branch and delete the branch",
    "move": "move a node and move it back",
    "commit": "set an attribute and commit it",
    "store": "write a small payload and commit it",
}
# These grow. A change that moves or shares a node makes it look up all its ancestors again, and a transaction
# depends on the guards of all of them. A node with all its payloads is one record, which a commit rewrites.
TARGETS = {
    ("ancestors", "branch"): None,
    ("ancestors", "move"): None,
    ("ancestors", "commit"): None,
    ("payloads", "commit"): None,
    ("payloads", "store"): None,
    ("ancestors", "store"): None,
}
# What is asked of a node with 100 payloads.
BESIDE_100 = ("set", "write", "commit", "store")


def _put_beside(node: object, kind: str, count: int) -> object:
    if kind == "payloads":
        for number in range(count):
            node.write_data(np.arange(8.0), data_attribute=f"other_{number}")
    elif kind == "attributes":
        node.attrs.update({f"other_{number}": "some words" for number in range(count)})
    elif kind == "siblings":
        for number in range(count):
            node.parent.get_node(f"other_{number}")
    return node


def operate(folder: str, kind: str, count: int) -> Figures:
    from lotdb import LOTDB

    above = [f"level_{number}" for number in range(count if kind == "ancestors" else 1)]
    with LOTDB(folder, new=True) as db:
        load_plugins(db)
        root = db.open_connection()
        node = _put_beside(root.get_data_node((*above, "node")), kind, count)
        node.write_data(np.arange(100.0))
        node.set_attribute("label", -1)
        db.commit()

        def make() -> None:
            node.get_node("child")
            node.delete_node("child")

        above_node, other = node.parent, root.get_node("other")

        def move() -> None:
            node.move(other)
            node.move(above_node)

        def commit(number: int) -> None:
            node.set_attribute("label", number)
            db.commit()

        def store(number: int) -> None:
            node.write_data(np.arange(100.0))
            db.commit()

        work: dict[str, Callable[[int], object]] = {
            "set": lambda number: node.set_attribute("label", number),
            "get": lambda number: node.get_attribute("label"),
            "write": lambda number: node.write_data(np.arange(100.0)),
            "read": lambda number: node.read_data(10, 20),
            "make": lambda number: make(),
            "branch": lambda number: node.branch("copy").delete_tree(),
            "move": lambda number: move(),
            "commit": commit,
            "store": store,
        }
        figures = {}
        for name, function in work.items():
            function(0)
            each = seconds_each(function, [(number,) for number in range(REPEATS)])
            figures[name] = statistics.median(each)
        check(node.get_attribute("label") == REPEATS - 1, "the attribute")
        check(node.read_data().tolist() == list(range(100)), "the payload")
    return figures


def build(folder: str, leaves: int) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder, new=True) as db, db.connection() as root:
        for number, path in enumerate(paths(leaves)):
            root.get_data_node(("raw", *path)).write_data(np.arange(number, number + 8.0))
        # One of its own, with payloads of its own, as another program would have made it.
        root.add_tree(root["raw"].copy_tree(), key="other")
    return {}


def merge(folder: str, how: str) -> Figures:
    from lotdb import LOTDB

    with LOTDB(folder) as db:
        load_plugins(db)
        root = db.open_connection()
        if how == "branch":
            if "branch" not in root:
                root["raw"].branch("branch")
            source = root["branch"]
        else:
            source = root["other"]
        root["raw"].merge_tree(source, overwrite=True)
        db.commit()
        before = os.path.getsize(f"{folder}/lotdb.fs")
        with Timer() as timer:
            root["raw"].merge_tree(source, overwrite=True)
            db.commit()
        grown = os.path.getsize(f"{folder}/lotdb.fs") - before
    return {"seconds": timer.seconds, "bytes": grown}


def cases(sizes: Sizes) -> list[Case]:
    table = []
    for kind in ("payloads", "attributes", "siblings", "ancestors"):
        sides = [
            Side("LOTDB", operate, {"kind": kind, "count": count}, items=count) for count in sizes.neighbours
        ]
        for name, work in WORK.items():
            named = [side.but(label=f"of {side.items} {kind}", figure=name) for side in sides]
            target = TARGETS.get((kind, name), at_most(3))
            against = [Against(named[0], target), *map(Against, named[1:-1])]
            title = f"{work}, beside {sides[-1].items} {kind}"
            if kind == "ancestors":
                title = f"{work}, below {sides[-1].items} ancestors"
            table.append(Case(title, named[-1].but(label="LOTDB"), tuple(against), unit="µs"))
            if kind == "payloads" and name in BESIDE_100 and 100 in sizes.neighbours:
                hundred = next(side for side in named if side.items == 100)
                against = [Against(named[0], at_most(2))]
                table.append(
                    Case(
                        f"{work}, beside 100 payloads", hundred.but(label="LOTDB"), tuple(against), unit="µs"
                    )
                )
    data = Side("LOTDB", build, {"leaves": sizes.few_leaves})
    for how, what in (("branch", "a branch of it"), ("other", "an equal tree of its own")):
        merged = Side("LOTDB", merge, {"how": how}, data)
        work = f"merge {sizes.few_leaves} nodes with {what}, overwrite=True"
        table.append(Case(work, merged, alone=below(1.0, "1 s")))
        written = merged.but(figure="bytes")
        table.append(Case(f"{work}: what is written", written, alone=below(0, "0 bytes"), unit="bytes"))
    return table
