"""Steps on every storage that needs no server, in workers, and where trees go."""

import gc
import pickle
import weakref

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode
from lotdb.steps import step


@step
def mean(node, factor=1):
    return {"mean": float(node.get_data("x").read().mean()) * factor, "twice": node.get_data("x").read() * 2}


@step
def on_mean(mean):
    return mean.attrs["mean"] + float(mean.get_data("twice").read().sum())


def filled(node):
    node.write_data(np.arange(6.0), data_attribute="x")
    on_mean.at(mean.at(node))
    return node


def are_fresh(node):
    return mean.why_stale(node) is None and on_mean.why_stale(node["mean"]) is None


@pytest.mark.parametrize("storage", ["file", "sqlite"])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_a_second_process_of_the_storage_finds_them(tmp_path, storage, backend):
    if storage == "sqlite":
        pytest.importorskip("relstorage")
    with LOTDB(tmp_path / "db", storage=storage, default_backend=backend) as db, db.connection() as root:
        filled(root.get_data_node("a/b"))
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        assert are_fresh(root["a/b"])
        root["a/b"].write_data(np.ones(3), data_attribute="x")
        assert mean.why_stale(root["a/b"]) == "input 'x' was replaced"
        on_mean.at(mean.at(root["a/b"]))
        assert are_fresh(root["a/b"])


def test_a_read_only_database(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        filled(root.get_data_node("a/b"))
    with LOTDB(tmp_path / "db", read_only=True) as db, db.connection() as root:
        assert mean.at(root["a/b"]).attrs["mean"] == 2.5


def test_where_nodes_go_their_results_go(database):
    with database.connection() as root:
        node = filled(root.get_data_node("a/b"))
        database.commit(root)
        moment = database.last_commit
        node.move(root, "moved")
        node = root["moved"]
        assert are_fresh(node)
        assert are_fresh(node.branch("branch"))
        node.write_data(np.ones(2), data_attribute="x")
        mean.at(node)
        database.commit(root)
        root.get_node_path("a/b").restore(moment)
        assert on_mean.why_stale(root["a/b/mean"]) is None


def test_a_step_that_reads_where_it_is(database):
    @step
    def named(node):
        return {"key": node.key, "path": node.path}

    with database.connection() as root:
        node = root.get_node_path("a/b")
        named.at(node)
        root["a"].rename("c")
        assert named.why_stale(root["c/b"]) == "the path was 'a/b' and is 'c/b'"
        assert named.at(root["c/b"]).attrs["path"] == "c/b"


def test_another_database_has_other_identities(tmp_path, database):
    with database.connection() as root:
        filled(root.get_data_node("a/b"))
        copy = root["a/b"].copy_tree()
        assert are_fresh(copy)
        with LOTDB(tmp_path / "other") as other, other.connection() as top:
            node = top.add_tree(root["a/b"], copy=True)
            assert mean.why_stale(node) == "input 'x' was replaced"
    tree = BaseNode("tree")
    filled(tree.get_data_node("c"))
    with database.connection() as root:
        added = root.add_tree(tree)
        on_mean.at(mean.at(added["c"]))
        assert are_fresh(added["c"])


def test_a_worker_computes_by_reference_and_the_writer_stores(database):
    root = database.open_connection()
    node = root.get_data_node("a/b")
    node.write_data(np.arange(6.0), data_attribute="x")
    database.commit()
    reference = pickle.loads(pickle.dumps(node))
    outcome = pickle.loads(pickle.dumps(mean.call(reference, factor=2).compute()))
    result = mean.call(node, factor=2).store(outcome)
    assert result.attrs["mean"] == 5.0
    assert mean.why_stale(node, factor=2) is None
    node.write_data(np.ones(3), data_attribute="x")
    mean.call(node, factor=2).store(outcome)  # the input was replaced while the worker computed
    assert mean.why_stale(node, factor=2) == "input 'x' was replaced"
    assert pickle.loads(pickle.dumps(mean)) is mean


def test_what_is_remembered_goes_with_the_connection(tmp_path):
    db = LOTDB(tmp_path / "db")
    root = db.open_connection()
    filled(root.get_data_node("a/b"))
    assert are_fresh(root["a/b"])
    gone = weakref.ref(root._tree)
    db.commit()
    db.close()
    del db, root
    gc.collect()
    assert gone() is None
