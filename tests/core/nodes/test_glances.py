"""Looking up a node whose record is not in memory: it is found as ever, and the record is seldom loaded."""

import os
import random

import pytest

from lotdb import LOTDB, BaseNode, DamagedError, NodeNotFoundError, attr

GROUPS, LEAVES = 60, 30
FORMS = ["group_00/leaf_01", "group_00/leaf_01/below", "group_00/leaf_02", "group_00/leaf_03", "group_00"]


def paths():
    return [f"group_{group:02d}/leaf_{leaf:02d}" for group in range(GROUPS) for leaf in range(LEAVES)]


@pytest.fixture
def folder(tmp_path):
    """A folder with a database of groups of leaves; in the first group there are nodes of other forms."""
    with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
        for path in paths():
            root.get_node_path(path).attrs.update(path=path, half=len(path) / 2, parts=path.split("/"))
        root.get_node_path("group_00/leaf_01/below").attrs["path"] = "group_00/leaf_01/below"
        root["group_00/leaf_02"].attrs["long"] = "x" * 5000
        root.get_data_node("group_00/leaf_03").write_data([1, 2, 3])
        root["group_00"].attrs["of"] = "the group"
    return tmp_path / "db"


@pytest.fixture
def db(folder):
    with LOTDB(folder, durability="process") as database:
        yield database


@pytest.fixture
def root(db):
    return db.open_connection()


def loaded(root):
    """The groups whose records are in memory."""
    return [group.key for group in root.values() if group._children()._p_changed is not None]


def seen(node):
    return node.key, node.node_type, list(node), {name: str(value) for name, value in node.attrs.items()}


def test_a_look_up_finds_what_a_walk_finds(root, db):
    with db.connection() as other:
        walked = {node.path: seen(node) for node in other.iterate_tree()}
    order = sorted(walked)
    random.Random(7).shuffle(order)
    assert {path: seen(root[path]) for path in order if path} == {
        path: found for path, found in walked.items() if path
    }


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("look_up", [BaseNode.__getitem__, lambda root, path: root.get_node(path)])
def test_a_node_of_any_form_is_found_by_the_first_look_up(db, path, look_up):
    with db.connection() as walked:
        expected = {node.path: seen(node) for node in walked.iterate_tree()}[path]
    node = db.open_connection()
    for key in path.split("/"):
        node = look_up(node, key)
    assert seen(node) == expected


def test_look_ups_all_over_a_tree_load_no_records(root):
    for group in range(GROUPS):
        path = f"group_{group:02d}/leaf_10"
        assert root[path].get_attribute("path") == path
    assert loaded(root) == []


def test_what_was_looked_up_is_looked_up_again_without_loading(root):
    for _ in range(5):
        for group in range(GROUPS):
            assert root[f"group_{group:02d}/leaf_10"].get_attribute("half") == 8.0
    assert loaded(root) == []


def test_look_ups_that_come_back_to_a_record_load_it(root):
    for leaf in range(LEAVES):
        assert root[f"group_20/leaf_{leaf:02d}"].get_attribute("half") == 8.0
    assert loaded(root) == ["group_20"]


@pytest.fixture
def reads(monkeypatch):
    """A list which becomes longer with each read of a file."""
    done, read = [], os.pread

    def noted(*arguments):
        done.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(os, "pread", noted)
    return done


def test_the_next_look_ups_into_a_record_read_no_file(root, reads):
    root["group_21/leaf_00"]
    before = len(reads)
    for leaf in range(1, 10):
        path = f"group_20/leaf_{leaf:02d}"
        assert root[path].get_attribute("path") == path
    assert len(reads) == before + 1
    assert loaded(root) == []


def test_columns_are_kept_up_to_a_limit(root, reads, monkeypatch):
    monkeypatch.setattr("lotdb.tree.glances._MOST_BYTES", 2000)
    for leaf in ("leaf_10", "leaf_11"):
        for group in range(20, 30):
            path = f"group_{group}/{leaf}"
            assert root[path].get_attribute("path") == path
    assert len(reads) > 15


def test_where_look_ups_come_back_records_are_loaded_at_once(root):
    for path in paths()[: 10 * LEAVES]:
        root[path]
    root["group_40/leaf_00"]
    assert "group_40" in loaded(root)


def test_where_what_is_looked_up_is_changed_records_are_loaded_at_once(root):
    for group in range(20):
        root[f"group_{group:02d}/leaf_10"].set_attribute("half", 0)
    root["group_40/leaf_00"]
    assert "group_40" in loaded(root)


def test_a_look_up_sees_what_this_transaction_has_changed(root, db):
    root["group_10/leaf_10"]
    root.get_node("group_10").get_node("leaf_10").set_attribute("half", "changed")
    assert root["group_10/leaf_10"].get_attribute("half") == "changed"
    db.abort()
    assert root["group_10/leaf_10"].get_attribute("half") == 8.0


def test_a_look_up_sees_what_was_deleted_moved_and_made(root):
    for key in ("leaf_10", "leaf_11", "leaf_12"):
        root["group_10"][key]
    root["group_10"].delete_node("leaf_10")
    root["group_10/leaf_11"].rename("leaf_x")
    root["group_10"].get_node("leaf_y")
    assert root.get("group_10/leaf_10") is None
    assert root.get("group_10/leaf_11") is None
    assert root["group_10/leaf_x"].get_attribute("path") == "group_10/leaf_11"
    assert root["group_10/leaf_y"].get_attribute("path") is None
    assert root["group_10/leaf_12"].get_attribute("path") == "group_10/leaf_12"


def test_a_look_up_sees_one_moment(root, db):
    assert root["group_10/leaf_10"].get_attribute("half") == 8.0
    with db.connection() as other:
        other["group_10/leaf_10"].set_attribute("half", 1)
        other["group_11/leaf_10"].set_attribute("half", 1)
    assert root["group_10/leaf_10"].get_attribute("half") == 8.0
    assert root["group_11/leaf_10"].get_attribute("half") == 8.0
    db.abort()
    assert root["group_10/leaf_10"].get_attribute("half") == 1
    assert root["group_11/leaf_10"].get_attribute("half") == 1


def test_a_node_that_was_only_looked_up_can_be_changed(root, db):
    root["group_10/leaf_10"].set_attribute("half", 1)
    db.commit()
    with db.connection() as other:
        assert other["group_10/leaf_10"].attrs == {
            "path": "group_10/leaf_10",
            "half": 1,
            "parts": ["group_10", "leaf_10"],
        }
        assert len(other["group_10"]) == LEAVES


def test_a_look_up_after_changes_were_put_aside_sees_them(root, monkeypatch):
    root["group_10"].get_node("leaf_10").set_attribute("half", "aside")
    root._tree.put_aside()
    assert "group_10" not in loaded(root)
    assert root["group_10/leaf_10"].get_attribute("half") == "aside"
    assert root["group_10/leaf_11"].get_attribute("half") == 8.0


@pytest.mark.parametrize("key", ["leaf_", "leaf_99", "a", "z"])
def test_what_is_not_there_is_not_found(root, key):
    with pytest.raises(NodeNotFoundError, match="its children are 'leaf_00', 'leaf_01'"):
        root[f"group_10/{key}"]
    node = root.get_node_path(f"group_10/{key}")
    node.set_attribute("x", 1)
    assert root[f"group_10/{key}"].get_attribute("x") == 1


@pytest.mark.parametrize(
    "look",
    [
        lambda root: [root[f"a{number:02d}/b05"] for number in range(80)],
        lambda root: list(root.find("**", attr("x") == 1)),
    ],
    ids=["look-ups", "a search"],
)
def test_what_is_referred_to_by_what_was_looked_at_is_let_go_of(tmp_path, monkeypatch, look):
    monkeypatch.setattr("lotdb.storage.kept_records._FEW", 200)
    with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
        for number in range(80):
            for below in range(10):
                root.get_node_path((f"a{number:02d}", f"b{below:02d}", "leaf")).set_attribute("x", 0)
    with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
        look(root)
        # Those of 32 records may have come since it was last looked at; there are 1760.
        assert len(root._tree._session.connection._cache._kept) < 1000


def test_a_look_up_in_a_damaged_record_says_so(folder):
    file = folder / "lotdb.fs"
    data = file.read_bytes()
    place = data.rindex(b"group_10/leaf_10")
    file.write_bytes(data[:place] + b"X" + data[place + 1 :])
    with LOTDB(folder, durability="process") as db, db.connection() as root:
        with pytest.raises(DamagedError):
            root["group_10/leaf_11"]
        assert root["group_11/leaf_11"].get_attribute("half") == 8.0
