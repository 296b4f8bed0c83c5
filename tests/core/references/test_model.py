"""Whatever a transaction does: what has a reference shows at the reader what the transaction sees itself."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import LOTDB, LotdbError, UnsupportedValueError
from lotdb.database import shared

PATHS = ["a", "b", "a/x", "a/y", "b/x", "a/x/deep", "c"]
paths = st.sampled_from(PATHS)
steps = st.one_of(
    st.tuples(st.just("set"), paths, st.integers(0, 9)),
    st.tuples(st.just("unset"), paths),
    st.tuples(st.just("make"), paths),
    st.tuples(st.just("fill"), paths, st.integers(0, 9)),
    st.tuples(st.just("delete"), paths),
    st.tuples(st.just("lift"), paths),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("copy"), paths, paths),
    st.tuples(st.just("merge"), paths, paths),
    st.tuples(st.just("rename"), paths, st.sampled_from(["x", "y", "z"])),
    st.tuples(st.just("write"), paths, st.integers(0, 9)),
    st.tuples(st.just("append"), paths),
    st.tuples(st.just("savepoint")),
    st.tuples(st.just("rollback")),
    st.tuples(st.just("commit")),
    st.tuples(st.just("abort")),
)


def do(db, root, step, points):
    what, *about = step
    node = root[about[0]] if about and what not in ("make", "fill") else None
    match what:
        case "set":
            node.attrs["n"] = about[1]
        case "unset":
            del node.attrs["n"]
        case "make":
            root.get_node_path(about[0])
        case "fill":
            made = root.get_node_path([*about[0].split("/"), f"new {about[1]}"])
            made.attrs.update(n=about[1])
            made.get_node("below").attrs["n"] = about[1]
            made.attrs["n"] = -1
        case "delete":
            node.delete_tree()
        case "lift":
            node.parent.delete_node(node.key, only_node=True)
        case "move":
            root[about[1]].add_tree(node)
        case "copy":
            root[about[1]].add_tree(node, copy=True, if_exists="replace")
        case "merge":
            root[about[1]].merge_tree(node, overwrite=True)
        case "rename":
            node.rename(about[1])
        case "write":
            root.get_data_node(about[0]).write_data(np.full(3, about[1]))
        case "append":
            root.get_data_node(about[0], create=False).append_data(np.full(2, 5))
        case "savepoint":
            points.append(db.savepoint())
        case "rollback" if points:
            points[-1].rollback()
        case "commit" | "abort":
            points.clear()
            getattr(db, what)()


def shown(node):
    """All of *node* and of what is below it, but for what its payloads are called in messages."""
    own = {
        name: value.read().tolist() if name in node.payloads else value for name, value in node.attrs.items()
    }
    return node.node_type, own, {key: shown(child) for key, child in node.items()}


@pytest.mark.slow
@given(st.lists(steps, max_size=12), st.sampled_from([1, 1, 3]))
def test_a_reference_shows_what_the_transaction_sees_or_there_is_none(tmp_path_factory, done, every):
    with LOTDB(tmp_path_factory.mktemp("db"), durability="process") as db:
        root = db.open_connection()
        for number, path in enumerate(PATHS[:5]):
            root.get_node_path(path).attrs["n"] = number
        root.get_data_node("a/y").write_data(np.arange(4))
        db.commit()
        points = []
        for number, step in enumerate(done):
            try:
                do(db, root, step, points)
            except LotdbError:
                continue
            # Between, so many changes are noted that nobody has asked about.
            for node in [root, *root.iterate_tree()] if number % every == 0 else []:
                try:
                    pickled = pickle.dumps(node)
                except UnsupportedValueError:
                    assert step[0] not in ("commit", "abort")
                    continue
                assert shown(pickle.loads(pickled)) == shown(node)
    shared._close_all()
    shared._warm.clear()
