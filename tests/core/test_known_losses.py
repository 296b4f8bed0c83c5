"""What earlier releases lost without a word, each at least once."""

import hashlib
import os
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    ClosedError,
    DamagedError,
    DatabaseExistsError,
    DataMismatchError,
    DataNode,
    DataReader,
    DataWriter,
    Ingested,
    IngestError,
    InvalidDataError,
    InvalidKeyError,
    InvalidMoveError,
    MissingPluginError,
    NodeExistsError,
    PayloadExistsError,
    Plugins,
    ReadOnlyError,
    hookimpl,
)

npy_backend = runpy.run_path(str(Path(__file__).with_name("npy_backend.py")))

OLD, NEW = np.arange(6, dtype=np.int16), np.arange(60, dtype=np.int16) + 100


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def opened(folder):
    """Opens the database of this test, and closes what was opened at its end."""
    databases = []

    def open_(path=folder, **options):
        databases.append(LOTDB(path, **options))
        return databases[-1]

    yield open_
    for db in databases:
        db.close()


@pytest.fixture
def db(opened):
    return opened()


@pytest.fixture
def root(db):
    return db.open_connection()


@pytest.fixture
def again(opened, db):
    """Commits, closes, and gives the root as it is found in the folder afterwards."""

    def reopen():
        db.commit()
        db.close()
        return opened().open_connection()

    return reopen


def payload(root, path, data):
    node = root.get_data_node(path, backend="blob")
    node.write_data(data)
    return node


def contents(root):
    """Everything at and below *root*: by path its type, its values, and its payloads as type and bytes."""
    found = {}
    for level in range(20):
        for node in root.iterate_tree_level(level):
            own = {}
            for name, value in node.attrs.items():
                if hasattr(value, "read"):
                    array = np.asarray(value)
                    value = (value.kind, array.dtype.str, array.shape, array.tobytes())
                own[name] = value
            found[node.path] = (node.node_type, own)
    return found


def file_hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -- names and places -----------------------------------------------------------------------------


def test_a_new_node_under_the_old_name_of_a_renamed_one_does_not_touch_its_data(root, again):
    payload(root, "take", OLD).rename("first")
    payload(root, "take", NEW)
    root = again()
    np.testing.assert_array_equal(root["first"].read_data(), OLD)
    np.testing.assert_array_equal(root["take"].read_data(), NEW)


def test_a_new_node_under_the_old_place_of_a_moved_one_does_not_touch_its_data(root, again):
    payload(root, "a/take", OLD).move(root.get_node("b"))
    payload(root, "a/take", NEW)
    root = again()
    np.testing.assert_array_equal(root["b/take"].read_data(), OLD)
    np.testing.assert_array_equal(root["a/take"].read_data(), NEW)


def test_a_node_that_is_deleted_and_made_again_begins_empty(root, again):
    payload(root, "take", OLD).set_attribute("label", "old")
    del root["take"]
    assert not root.get_data_node("take").has_data()
    root = again()
    assert dict(root["take"].attrs) == {}


@pytest.mark.parametrize(
    "copy",
    [
        pytest.param(lambda node: node.branch("copy"), id="branch"),
        pytest.param(lambda node: node.parent.add_tree(node, key="copy", copy=True), id="add_tree"),
        pytest.param(lambda node: node.parent.add_tree(node.copy_tree(), key="copy"), id="copy_tree"),
    ],
)
@pytest.mark.parametrize("rewritten", ["original", "copy"])
def test_rewriting_one_of_original_and_copy_leaves_the_other(root, again, copy, rewritten):
    original = root.get_node("original")
    payload(original, "take", OLD).set_attribute("label", "old")
    copy(original)
    node = root[rewritten]["take"]
    node.replace_data(NEW)
    node.set_attribute("label", "new")
    node.get_node("below")
    root = again()
    other = {"original": "copy", "copy": "original"}[rewritten]
    np.testing.assert_array_equal(root[other]["take"].read_data(), OLD)
    assert root[other]["take"].get_attribute("label") == "old"
    assert len(root[other]["take"]) == 0
    np.testing.assert_array_equal(root[rewritten]["take"].read_data(), NEW)
    assert root[rewritten]["take"].get_attribute("label") == "new"


def test_appending_to_the_original_leaves_its_copy(root, again):
    take = payload(root, "take", OLD)
    copy = take.branch("copy")
    take.append_data(NEW)
    copy.append_data(OLD)
    root = again()
    np.testing.assert_array_equal(root["take"].read_data(), np.concatenate([OLD, NEW]))
    np.testing.assert_array_equal(root["copy"].read_data(), np.concatenate([OLD, OLD]))


def test_a_key_with_a_slash_is_refused_and_cannot_be_taken_for_a_path(root, again):
    payload(root, "a/b", OLD)
    with pytest.raises(InvalidKeyError, match="get_node_path"):
        root.get_node("a/b")
    with pytest.raises(InvalidKeyError, match="a/b"):
        root["a"].rename("a/b")
    with pytest.raises(InvalidKeyError, match="a/b"):
        root.add_tree(BaseNode("x"), key="a/b")
    root = again()
    assert list(root) == ["a"]
    np.testing.assert_array_equal(root["a"]["b"].read_data(), OLD)


@pytest.mark.parametrize("key", [".", ".."])
def test_a_key_that_means_a_place_in_a_file_system_is_refused(root, again, key):
    node = payload(root, "a", OLD)
    for wrong in (
        lambda: root.get_node(key),
        lambda: node.rename(key),
        lambda: node.branch(key),
        lambda: root.get_data_node(["a", key, "b"]),
        lambda: BaseNode(key),
    ):
        with pytest.raises(InvalidKeyError, match=r"'\.+'"):
            wrong()
    root = again()
    assert list(root) == ["a"]
    assert list(root["a"]) == []
    np.testing.assert_array_equal(root["a"].read_data(), OLD)


def test_a_payload_and_a_child_may_have_the_same_name(root, again):
    node = root.get_data_node("node", backend="blob")
    node.write_data(OLD, data_attribute="imu")
    payload(node, "imu", NEW)
    root = again()
    np.testing.assert_array_equal(root["node"].read_data(data_attribute="imu"), OLD)
    np.testing.assert_array_equal(root["node/imu"].read_data(), NEW)
    root["node"].delete_data("imu")
    assert not root["node"].has_data("imu")
    np.testing.assert_array_equal(root["node/imu"].read_data(), NEW)


def test_a_payload_and_an_attribute_never_take_each_others_place(root):
    node = payload(root, "node", OLD)
    with pytest.raises(PayloadExistsError, match="is a payload"):
        node.set_attribute("data", 3)
    node.set_attribute("label", "x")
    with pytest.raises(PayloadExistsError, match="is a value and no payload"):
        node.write_data(NEW, data_attribute="label")
    np.testing.assert_array_equal(node.read_data(), OLD)
    assert node.get_attribute("label") == "x"


def test_a_node_cannot_be_moved_below_itself(root, again):
    payload(root, "a/b/c", OLD)
    before = contents(root)
    for target in (root["a"], root["a/b"], root["a/b/c"]):
        with pytest.raises(InvalidMoveError, match="below itself"):
            root["a"].move(target, key="x")
    assert contents(again()) == before


# -- copies and moves of the folder ---------------------------------------------------------------


@pytest.mark.parametrize("backend", ["blob", "npy"])
def test_appending_in_a_copied_folder_leaves_the_original(opened, folder, tmp_path, backend):
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])
    with opened(plugins=plugins) as db, db.connection() as root:
        root.get_data_node("take", backend=backend).write_data(OLD)
    shutil.copytree(folder, tmp_path / "copy")
    before = file_hashes(folder)
    with opened(tmp_path / "copy", plugins=plugins) as copy, copy.connection() as root:
        root["take"].append_data(NEW)
    assert file_hashes(folder) == before
    with opened(plugins=plugins) as db, db.connection() as root:
        np.testing.assert_array_equal(root["take"].read_data(), OLD)
    with opened(tmp_path / "copy", plugins=plugins) as copy, copy.connection() as root:
        np.testing.assert_array_equal(root["take"].read_data(), np.concatenate([OLD, NEW]))


def test_a_folder_can_be_moved(opened, folder, tmp_path):
    with opened() as db, db.connection() as root:
        payload(root, "take", OLD)
    folder.rename(tmp_path / "elsewhere")
    with opened(tmp_path / "elsewhere") as db, db.connection() as root:
        root["take"].append_data(NEW)
        np.testing.assert_array_equal(root["take"].read_data(), np.concatenate([OLD, NEW]))
    assert not folder.exists()


# -- transactions ---------------------------------------------------------------------------------


def test_abort_forgets_a_payload_that_was_written(db, root):
    payload(root, "take", OLD)
    db.commit()
    root["take"].replace_data(NEW)
    root["take"].write_data(NEW, data_attribute="second")
    payload(root, "other", NEW)
    db.abort()
    assert list(root) == ["take"]
    assert not root["take"].has_data("second")
    np.testing.assert_array_equal(root["take"].read_data(), OLD)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (np.array([object()]), "objects"),
        (np.ma.masked_array([1, 2], mask=[False, True]), "mask"),
        ({"a": 1}, "dict"),
        (None, "NoneType"),
        ([[1, 2], [3]], "list"),
    ],
    ids=["objects", "masked", "mapping", "none", "ragged"],
)
def test_a_replace_that_fails_leaves_the_old_data(root, again, data, why):
    node = payload(root, "take", OLD)
    with pytest.raises(InvalidDataError, match=why):
        node.replace_data(data)
    np.testing.assert_array_equal(again()["take"].read_data(), OLD)


@pytest.mark.parametrize("rows", [10, 1_000_000], ids=["small", "large"])
def test_a_replace_that_fails_in_the_backend_leaves_the_old_data(opened, rows):
    full = npy_backend["FullDiskBackend"]
    db = opened(plugins=npy_backend["plugins_with"](full), default_backend="npy")
    with db.connection() as root:
        root.get_data_node("take").write_data(OLD)
    full.room = 0
    try:
        with pytest.raises(OSError, match="No space left"), db.connection() as root:
            root["take"].replace_data(np.zeros(rows))
    finally:
        full.room = 1_000_000
    with db.connection() as root:
        np.testing.assert_array_equal(root["take"].read_data(), OLD)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda root: root["take"].append_data(NEW), id="append"),
        pytest.param(lambda root: root["take"].replace_data(np.zeros(1_000_000)), id="replace"),
        pytest.param(lambda root: root["take"].delete_data(), id="delete_data"),
        pytest.param(lambda root: root["take"].configure_data(samplerate_hz=5), id="configure_data"),
        pytest.param(lambda root: root.get_data_node("new"), id="create"),
        pytest.param(lambda root: root["take"].set_attribute("label", 1), id="set_attribute"),
        pytest.param(lambda root: root["take"].delete_attribute("label"), id="delete_attribute"),
        pytest.param(lambda root: root["take"].rename("other"), id="rename"),
        pytest.param(lambda root: root["take"].branch("other"), id="branch"),
        pytest.param(lambda root: root["take"].delete_tree(), id="delete_tree"),
        pytest.param(lambda root: root.delete_node("take"), id="delete_node"),
        pytest.param(lambda root: root.add_tree(BaseNode("x")), id="add_tree"),
        pytest.param(lambda root: root.merge_tree(BaseNode("x")), id="merge_tree"),
        pytest.param(lambda root: root["take"].attach_file(__file__), id="attach_file"),
        pytest.param(lambda root: DataWriter.write_text(root, "text"), id="write_text"),
    ],
)
def test_read_only_refuses_every_change_and_no_byte_of_the_folder_differs(opened, folder, write):
    with opened() as db, db.connection() as root:
        payload(root, "take", OLD).set_attribute("label", "old")
    before = file_hashes(folder)
    db = opened(read_only=True)
    root = db.open_connection()
    expected = contents(root)
    with pytest.raises(ReadOnlyError, match="read_only=True"):
        write(root)
    db.commit()
    assert contents(root) == expected
    db.close()
    assert file_hashes(folder) == before


def test_a_connection_commits_when_its_block_ends(opened):
    db = opened()
    with db.connection() as root:
        payload(root, "take", OLD)
    db.close()
    with opened().connection() as root:
        np.testing.assert_array_equal(root["take"].read_data(), OLD)


def test_commit_of_a_mistyped_connection_says_so_and_commits_nothing(db, root):
    root.set_attribute("label", "new")
    with pytest.raises(ClosedError, match=r"no open connection 'typo' \(open: 'standard'\)"):
        db.commit("typo")
    db.abort()
    assert "label" not in root.attrs


def test_new_refuses_an_existing_database_and_leaves_it_whole(opened, folder):
    with opened() as db, db.connection() as root:
        payload(root, "take", OLD)
    before = file_hashes(folder)
    with pytest.raises(DatabaseExistsError, match=r"has lotdb\.fs, .*; open it without new=True"):
        LOTDB(folder, new=True)
    assert file_hashes(folder) == before


# -- the tree -------------------------------------------------------------------------------------


def test_editing_a_value_that_was_read_changes_nothing_that_is_stored(root, again):
    root.set_attribute("config", {"window": [1, 2]})
    root.get_attribute("config")["window"].append(3)
    root.attrs["config"]["other"] = 4
    assert root.get_attribute("config") == {"window": [1, 2]}
    assert again().get_attribute("config") == {"window": [1, 2]}


def test_editing_a_value_after_it_was_set_changes_nothing_that_is_stored(root, again):
    config = {"window": [1, 2]}
    root.set_attribute("config", config)
    config["window"].append(3)
    assert again().get_attribute("config") == {"window": [1, 2]}


def test_edit_attribute_stores_what_was_edited_in_place(root, again):
    root.set_attribute("config", {"window": [1, 2]})
    with root.edit_attribute("config") as config:
        config["window"].append(3)
    assert again().get_attribute("config") == {"window": [1, 2, 3]}


def test_edit_attribute_stores_nothing_when_its_block_fails(root, again):
    root.set_attribute("config", {"window": [1, 2]})
    with pytest.raises(ZeroDivisionError), root.edit_attribute("config") as config:
        config["window"].append(1 / 0)
    assert again().get_attribute("config") == {"window": [1, 2]}


def subtree_in_memory():
    tree = BaseNode("take")
    tree.get_data_node("new").write_data(NEW)
    return tree


@pytest.mark.parametrize("copy", [False, True], ids=["move", "copy"])
def test_add_tree_over_an_existing_subtree_is_refused(root, again, copy):
    payload(root, "take/old", OLD)
    tree = subtree_in_memory()
    with pytest.raises(NodeExistsError, match=r"'take' already.*if_exists='replace'"):
        root.add_tree(tree, copy=copy)
    np.testing.assert_array_equal(tree["new"].read_data(), NEW)
    root = again()
    assert list(root["take"]) == ["old"]
    np.testing.assert_array_equal(root["take/old"].read_data(), OLD)


def test_add_tree_replaces_an_existing_subtree_when_asked(root, again):
    payload(root, "take/old", OLD)
    root.add_tree(subtree_in_memory(), if_exists="replace")
    root = again()
    assert list(root["take"]) == ["new"]
    np.testing.assert_array_equal(root["take/new"].read_data(), NEW)


def test_add_tree_finds_a_free_key_when_asked(root, again):
    payload(root, "take/old", OLD)
    assert root.add_tree(subtree_in_memory(), if_exists="rename").path == "take_2"
    root = again()
    np.testing.assert_array_equal(root["take/old"].read_data(), OLD)
    np.testing.assert_array_equal(root["take_2/new"].read_data(), NEW)


def test_rename_and_branch_refuse_a_key_that_is_taken(root, again):
    payload(root, "a", OLD)
    payload(root, "b", NEW)
    for wrong in (root["a"].rename, root["a"].branch):
        with pytest.raises(NodeExistsError, match="'b' already"):
            wrong("b")
    root = again()
    np.testing.assert_array_equal(root["a"].read_data(), OLD)
    np.testing.assert_array_equal(root["b"].read_data(), NEW)


def test_delete_only_node_keeps_a_grandchild_of_the_same_name(root, again):
    payload(root, "a/a", OLD)
    payload(root, "a/b/c", NEW)
    root.delete_node("a", only_node=True)
    root = again()
    assert list(root) == ["a", "b"]
    np.testing.assert_array_equal(root["a"].read_data(), OLD)
    np.testing.assert_array_equal(root["b/c"].read_data(), NEW)


def test_delete_only_node_refuses_when_a_child_would_take_the_place_of_a_sibling(root, again):
    payload(root, "a/b", OLD)
    payload(root, "b", NEW)
    before = contents(root)
    with pytest.raises(NodeExistsError, match="its child 'b' would clash"):
        root.delete_node("a", only_node=True)
    assert contents(again()) == before


def test_a_node_that_becomes_a_data_node_is_the_same_for_every_handle(root, again):
    old = root.get_node("node")
    old.set_attribute("before", 1)
    node = root.get_data_node("node", backend="blob")
    old.set_attribute("through_the_old_handle", 2)
    old.get_node("child")
    node.write_data(OLD)
    assert isinstance(node, DataNode)
    assert old == node
    assert hash(old) == hash(node)
    assert old.node_type == "data"
    np.testing.assert_array_equal(DataReader.read(old), OLD)
    root = again()
    assert root["node"].attrs["before"] == 1
    assert root["node"].attrs["through_the_old_handle"] == 2
    assert list(root["node"]) == ["child"]
    np.testing.assert_array_equal(root["node"].read_data(), OLD)


# -- payloads -------------------------------------------------------------------------------------


def test_a_second_payload_does_not_change_the_defaults_of_the_node(opened):
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])
    db = opened(plugins=plugins)
    with db.connection() as root:
        node = root.get_data_node("node", samplerate_hz=100, backend="blob", data_attribute="imu")
        node.write_data(OLD)
        node.write_data(NEW, data_attribute="control", samplerate_hz=5, backend="npy")
    with db.connection() as root:
        node = root["node"]
        assert (node.samplerate_hz, node.backend, node.data_attribute) == (100, "blob", "imu")
        assert (node.get_data("control").samplerate_hz, node.get_data("control").backend) == (5, "npy")
        np.testing.assert_array_equal(node.read_data(), OLD)
        np.testing.assert_array_equal(node.read_seconds(0.01, 0.03), OLD[1:3])
        np.testing.assert_array_equal(node.read_seconds(1, 2, data_attribute="control"), NEW[5:10])


def test_changing_the_defaults_of_a_node_leaves_its_payloads(root, again):
    node = root.get_data_node("node", samplerate_hz=100, backend="blob")
    node.write_data(OLD)
    root.get_data_node("node", samplerate_hz=7, data_attribute="other")
    assert again()["node"].get_data("data").samplerate_hz == 100


def test_a_negative_start_counts_from_the_end(root):
    node = payload(root, "take", NEW)
    np.testing.assert_array_equal(node.read_data(-10), NEW[-10:])
    np.testing.assert_array_equal(node.read_data(-10, -5), NEW[-10:-5])
    np.testing.assert_array_equal(node.get_data()[-10:], NEW[-10:])


def test_append_refuses_another_dtype_instead_of_converting(root, again):
    node = payload(root, "take", OLD)
    with pytest.raises(DataMismatchError, match="dtype int16, the new data float64; nothing was appended"):
        node.append_data(NEW.astype(float))
    node.append_data(NEW)
    data = again()["take"].read_data()
    assert data.dtype == np.int16
    np.testing.assert_array_equal(data, np.concatenate([OLD, NEW]))


def test_append_refuses_rows_of_another_shape(root, again):
    node = payload(root, "take", np.zeros((4, 3)))
    with pytest.raises(DataMismatchError, match=r"shape of a row \(3,\), the new data \(2,\)"):
        node.append_data(np.zeros((4, 2)))
    assert again()["take"].get_data().shape == (4, 3)


# -- files that are taken in ----------------------------------------------------------------------


@pytest.mark.crossed
@pytest.mark.parametrize(
    ("name", "kind"), [("notes.txt", "text"), ("capture.unknown", "bytes"), ("suffixless", "bytes")]
)
@pytest.mark.parametrize("database", ["on disk", "in memory"])
def test_a_file_goes_to_the_backend_that_was_asked_for(opened, folder, tmp_path, name, kind, database):
    file = tmp_path / name
    file.write_bytes(b"id;001\nNA\n")
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])
    db = opened(plugins=plugins)
    root = db.open_connection() if database == "on disk" else BaseNode("root", plugins=plugins)
    node = root.get_data_node("node", backend="blob")
    taken = node.attach_file(file, backend="npy")
    assert (taken.kind, taken.backend) == (kind, "npy")
    if database == "in memory":
        root = db.open_connection().add_tree(root)
        node = root["node"]
    db.commit()
    assert node.get_data().backend == "npy"
    assert len(list((folder / "lotdb.fs.npy").glob("*.npy"))) == 1
    assert node.read_data() == ("id;001\nNA\n" if kind == "text" else b"id;001\nNA\n")


@pytest.mark.parametrize("name", ["notes.txt", "capture.unknown"])
def test_a_file_for_a_backend_that_is_not_installed_is_refused(root, again, tmp_path, name):
    file = tmp_path / name
    file.write_bytes(b"text")
    node = payload(root, "node", OLD)
    before = contents(root)
    with pytest.raises(MissingPluginError, match=r"no backend named .nosuch. .*; install"):
        node.attach_file(file, backend="nosuch")
    assert contents(again()) == before


@pytest.fixture
def recorder():
    """Plugins that know a format whose header says a rate: 'RATE 8' and then bytes."""

    class Recorder:
        @hookimpl
        def lotdb_ingest_file(self, source):
            if source.format != "rec":
                return None
            word, rate = source.file.readline().split()
            if word != b"RATE":
                raise IngestError("it does not begin with RATE")
            data = np.frombuffer(source.file.read(), np.uint8)
            return Ingested(data=data, format="rec", samplerate_hz=float(rate), attributes={"seen": True})

    plugins = Plugins()
    plugins.register(Recorder(), name="recorder")
    return plugins


@pytest.fixture
def recording(tmp_path):
    file = tmp_path / "a.rec"
    file.write_bytes(b"RATE 8\n0123456789")
    return file


def test_the_rate_in_a_file_is_taken(opened, recorder, recording):
    with opened(plugins=recorder).connection() as root:
        node = root.get_data_node("node")
        assert node.attach_file(recording).samplerate_hz == 8
        assert node.read_seconds(0.5, 1).tobytes() == b"4567"


def test_a_default_rate_that_contradicts_the_file_is_refused_and_nothing_is_set(opened, recorder, recording):
    with opened(plugins=recorder).connection() as root:
        node = root.get_data_node("node", samplerate_hz=4)
        before = dict(node.attrs)
        with pytest.raises(DataMismatchError, match=r"8 Hz, the node's default is 4 Hz.*samplerate_hz="):
            node.attach_file(recording)
        assert dict(node.attrs) == before


def test_a_rate_that_is_given_with_the_file_decides(opened, recorder, recording):
    with opened(plugins=recorder).connection() as root:
        node = root.get_data_node("node", samplerate_hz=4)
        assert node.attach_file(recording, samplerate_hz=2).samplerate_hz == 2
        assert node.samplerate_hz == 4


def test_a_file_that_cannot_be_taken_in_leaves_the_old_payload(opened, recorder, recording):
    with opened(plugins=recorder).connection() as root:
        node = payload(root, "node", OLD)
        before = contents(root)
        recording.write_bytes(b"NOISE 8\n0123")
        with pytest.raises(IngestError, match=r"a\.rec.*does not begin with RATE"):
            node.attach_file(recording)
        os.remove(recording)
        with pytest.raises(IngestError, match=r"cannot open.*a\.rec"):
            node.attach_file(recording)
        assert contents(root) == before


# -- damage is never made to look sound -----------------------------------------------------------


@pytest.mark.parametrize("how", ["compact", "copy"])
def test_what_is_damaged_is_not_rewritten_as_if_it_were_sound(tmp_path, how):
    with LOTDB(tmp_path / "db", durability="process") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.zeros(5_000_000))  # several blocks
        file = max(tmp_path.glob("db/lotdb.fs.blobs/**/*.blob"), key=lambda path: path.stat().st_size)
        with open(file, "r+b") as opened:
            opened.seek(20_000_000)
            opened.write(b"\x01")
        with (
            LOTDB(tmp_path / "other", durability="process") as other,
            db.connection() as root,
            other.connection() as theirs,
        ):
            with pytest.raises(DamagedError, match=file.name):
                if how == "compact":
                    root["a"].compact_data()
                else:
                    theirs.add_tree(root["a"], copy=True)
            assert list(theirs) == []
        assert len(db.verify()) == 1


@pytest.mark.parametrize("place", ["memory", "database"])
def test_a_merge_that_fails_half_way_changes_nothing(tmp_path, place):
    with LOTDB(tmp_path, durability="process") as db:
        root = db.open_connection() if place == "database" else BaseNode()
        root.get_node_path("into/a").set_attribute("x", 1)
        source = BaseNode("source")
        source.get_node_path("a").set_attribute("y", 2)
        source.get_data_node("b").write_data(np.arange(5))
        source.get_data_node("c").write_data(np.arange(5))
        source._tree.stage._backends("memory").delete(source["c"].get_data()._record.segments[0].locator)
        with pytest.raises(DamagedError, match="memory"):
            root["into"].merge_tree(source)
        assert list(root["into"]) == ["a"]
        assert dict(root["into/a"].attrs) == {"x": 1}
