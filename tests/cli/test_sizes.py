"""du and stats, and node.usage and db.stats, which they print."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode

MIB = 1 << 20
# A million takes a minute.
NODES = int(os.environ.get("LOTDB_TEST_USAGE_NODES", "5000"))


@pytest.fixture
def measured(tmp_path):
    """Two large payloads of which a branch shares one; the third is in a branch alone."""
    folder = tmp_path / "db"
    with LOTDB(folder) as db:
        with db.connection() as root:
            root.get_data_node("a/one").write_data(np.zeros(MIB, "u1"))
            root.get_data_node("a/two").write_data(np.zeros(2 * MIB, "u1"))
            root["a"].branch("b")
        with db.connection() as root:
            root["b/two"].write_data(np.zeros(4 * MIB, "u1"))
    return folder


def test_usage_tells_what_a_subtree_has_alone_and_what_it_shares(measured):
    with LOTDB(measured, read_only=True) as db, db.connection() as root:
        a, b, whole = root["a"].usage(), root["b"].usage(), root.usage()
    assert (a.nodes, a.payloads, a.segments) == (3, 2, 2)
    assert a.payload_bytes == pytest.approx(2 * MIB, rel=0.001)
    assert a.shared_payload_bytes == pytest.approx(MIB, rel=0.001)
    assert b.payload_bytes == pytest.approx(4 * MIB, rel=0.001)
    assert b.shared_payload_bytes == a.shared_payload_bytes
    assert whole.payload_bytes == pytest.approx(7 * MIB, rel=0.001)
    assert whole.shared_bytes == 0
    assert whole.alone_bytes == whole.tree_bytes + whole.payload_bytes


def test_usage_of_children_is_the_usage_of_each(measured):
    with LOTDB(measured, read_only=True) as db, db.connection() as root:
        assert root.usage_of_children() == {key: root[key].usage() for key in root}


def test_what_a_node_has_alone_is_what_deleting_it_frees(measured):
    def size():
        return sum(path.stat().st_size for path in measured.rglob("*.blob"))

    with LOTDB(measured) as db:
        db.pack()
        before = size()
        with db.connection() as root:
            alone = root["b"].usage().payload_bytes
            root["b"].delete_tree()
        db.pack()
    assert before - size() == alone


def test_the_tree_of_a_node_takes_what_a_pack_frees(tmp_path):
    """Many small nodes of one kind, which take several times as much in memory as on the disk."""

    def size():
        return (tmp_path / "db" / "lotdb.fs").stat().st_size

    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            for number in range(5000):
                root.get_node_path(f"all/n{number:04}").attrs.update(label="walking", take=number)
            root.get_data_node("all/small").write_data(np.arange(1000))
        with db.connection() as root:
            alone = root["all"].usage().tree_bytes
            root["all"].delete_tree()
    before = size()  # without the room for more commits, which there is while the database is open
    with LOTDB(tmp_path / "db") as db:
        db.pack()
    freed = before - size()
    assert alone == pytest.approx(freed, rel=0.1)


def test_usage_counts_a_branch_within_the_subtree_once(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        for number in range(300):
            root.get_node_path(f"all/a/n{number}").attrs["text"] = "x" * 600
        db.commit(root)
        once = root["all"].usage()
        for number in range(10):
            root["all/a"].branch(f"b{number}")
        db.commit(root)
        root["all/b3/n7"].attrs["text"] = "y"  # a clone, whose children are shared one by one
        db.commit(root)
        often = root["all"].usage()
    assert once.nodes == 302
    assert once.tree_bytes > 300 * 600
    assert often.tree_bytes < 1.3 * once.tree_bytes
    assert often.shared_bytes == 0


@pytest.mark.parametrize("nodes", [NODES])
def test_usage_takes_little_memory(tmp_path, nodes):
    with LOTDB(tmp_path / "db", durability="process") as db:
        with db.connection() as root:
            for number in range(nodes):
                root.get_node_path(f"all/{number // 1000}/{number % 1000}").attrs["value"] = number
            root["all"].branch("other")
        with db.connection() as root:
            root.usage()  # what is loaded once
            tracemalloc.start()
            usage = root["all"].usage()
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert usage.nodes == nodes + nodes // 1000 + 1
    assert usage.alone_bytes == 0
    # Up to 128 nodes lie in one record, and what was loaded is let go.
    assert peak < 1 * MIB + 8 * nodes


def test_usage_of_a_tree_in_memory_counts_its_nodes():
    tree = BaseNode()
    tree.get_node_path("a/b")
    usage = tree.usage()
    assert (usage.nodes, usage.alone_bytes, usage.shared_bytes) == (3, 0, 0)


@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_stats_foretells_what_a_pack_frees(tmp_path, backend):
    folder = tmp_path / "db"
    with LOTDB(folder) as db:
        for number in range(30):
            with db.connection() as root:
                node = root.get_data_node(f"n{number % 3}/m", backend=backend)
                node.write_data(np.random.default_rng(number).bytes(100_000))
                node.attrs["text"] = "x" * 1000
                for each in range(number):
                    root.get_node_path(f"many/{number}_{each}").attrs["value"] = each
        before = db.stats()
        db.pack()
        after = db.stats()
    assert before.free_payload_bytes == before.parts[part(backend)] - after.parts[part(backend)]
    assert before.free_tree_bytes == pytest.approx(
        before.parts["lotdb.fs"] - after.parts["lotdb.fs"], rel=0.02
    )
    assert (after.nodes, after.payloads) == (before.nodes, before.payloads) == (8 + sum(range(30)), 3)
    assert after.free_bytes < 2000
    assert before.bytes == sum(before.parts.values())


def part(backend):
    return "lotdb.fs.blobs" if backend == "blob" else f"lotdb.fs.{backend}"


def test_du_prints_alone_and_shared_and_children_largest_first(measured, printed):
    lines = [json.loads(line) for line in printed("du", measured, "--children", "--json").splitlines()]
    assert [line["path"] for line in lines] == ["b", "a"]
    assert lines[0]["alone_bytes"] >= 4 * MIB
    alone, unit, shared, *_ = printed("du", measured, "a").splitlines()[1].split()
    assert (alone, unit, shared) == ("2.0", "MiB", "1.0")


def test_stats_prints_parts_and_what_a_pack_would_free(measured, printed):
    stats = json.loads(printed("stats", measured, "--json"))
    assert {"lotdb.fs", "lotdb.fs.blobs"} <= stats["parts"].keys()
    assert (stats["nodes"], stats["payloads"]) == (7, 4)
    assert "a pack would free" in printed("stats", measured)


def test_stats_tells_which_nodes_own_a_file(measured, printed, lotdb):
    sizes = {path.stat().st_size // MIB: path for path in Path(measured).rglob("*.blob")}
    assert printed("stats", measured, "--file", sizes[1]) == "a/one  data\nb/one  data\n"
    assert printed("stats", measured, "--file", os.path.relpath(sizes[2])) == "a/two  data\n"
    assert json.loads(printed("stats", measured, "--file", sizes[4], "--json"))["path"] == "b/two"
    code, _, err = lotdb("stats", measured, "--file", Path(measured, "lotdb.fs"))
    assert code == 1
    assert "part of the tree" in err
