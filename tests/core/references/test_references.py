"""A pickled node or payload is a reference: where, which commit, which path."""

import copy
import gc
import os
import pickle
import runpy
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    ClosedError,
    DatabaseNotFoundError,
    DataNode,
    LotdbError,
    MomentGoneError,
    NodeNotFoundError,
    Payload,
    Plugins,
    ReadOnlyError,
    StaleNodeError,
    UnsupportedValueError,
    WaitTimeoutError,
    WrongThreadError,
)
from lotdb.database import shared

ROWS = np.arange(5000.0)
npy_backend = runpy.run_path(str(Path(__file__).parents[1] / "npy_backend.py"))


def sent(thing):
    """*thing* as another process gets it."""
    return pickle.loads(pickle.dumps(thing))


def open_ones():
    return [each for each in list(shared._open.values()) if not each.closed]


def in_thread(ask):
    found = []

    def run():
        try:
            found.append(ask())
        except LotdbError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return found[0]


@pytest.fixture(autouse=True)
def nothing_open():
    yield
    shared._close_all()
    shared._warm.clear()


@pytest.fixture
def root(db):
    root = db.open_connection()
    node = root.get_data_node("a/b")
    node.write_data(ROWS, samplerate_hz=100)
    node.write_data(ROWS[:50], data_attribute="chunked", backend="zarr")
    node.attrs["name"] = "first"
    node.get_node("child").attrs["name"] = "below"
    root.get_node("plain").attrs["x"] = 1
    root.get_node("empty")
    db.commit()
    return root


# -- what a reference is --------------------------------------------------------------------------


def test_it_takes_a_few_hundred_bytes_and_holds_no_data(root):
    for thing in (root, root["a/b"], root["a/b"].get_data(), root["a/b"].get_data().for_threads()):
        assert len(pickle.dumps(thing)) < 400
    assert len(pickle.dumps([root["a/b"]] * 2 + [root["a"], root["plain"]])) < 800


def test_a_node_comes_back_as_one_of_its_class_that_shows_the_same(root):
    node = sent(root["a/b"])
    assert isinstance(node, DataNode)
    assert (type(node).__name__, node.key, node.path, node.parent.path) == ("DataNode", "b", "a/b", "a")
    assert node.attrs["name"] == "first"
    assert list(node.attrs) == list(root["a/b"].attrs)
    assert node.read_data().tobytes() == ROWS.tobytes()
    assert node.read_seconds(1, 2).tolist() == ROWS[100:200].tolist()
    assert sorted(node.payloads) == ["chunked", "data"]
    assert node.payloads["chunked"][-3:].tolist() == [47, 48, 49]
    assert list(node) == ["child"]
    assert "child" in node
    assert len(node) == 1
    assert node["child"].attrs["name"] == "below"
    assert node == node["child"].parent
    assert node == sent(root["a/b"])
    assert repr(node) == repr(root["a/b"])
    plain = sent(root["plain"])
    assert isinstance(plain, BaseNode)
    assert not isinstance(plain, DataNode)
    assert sorted(each.path for each in sent(root).iterate_tree()) == sorted(
        each.path for each in root.iterate_tree()
    )


def test_a_payload_comes_back_as_one(root):
    payload = sent(root["a/b"].get_data())
    assert isinstance(payload, Payload)
    assert (payload.shape, payload.samplerate_hz, payload.name) == ((5000,), 100, "data")
    assert payload[10:13].tolist() == [10, 11, 12]
    assert np.asarray(payload).tobytes() == ROWS.tobytes()
    assert len(payload) == 5000
    assert repr(payload) == repr(root["a/b"].get_data())
    assert sum(block.sum() for block in payload.iter_blocks(1000)) == ROWS.sum()


def test_a_node_type_of_a_plugin_is_kept(tmp_path, monkeypatch):
    class Experiment(DataNode):
        node_type_name = "acme.experiment"

        def double(self):
            return self.read_data() * 2

        def __call__(self):
            return self.double().sum()

    find = Plugins.node_type

    def node_type(plugins, name):
        return Experiment if name == Experiment.node_type_name else find(plugins, name)

    monkeypatch.setattr(Plugins, "node_type", node_type)
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_node("e", node_type="acme.experiment").write_data(ROWS)
        db.commit(root)
        node = sent(root["e"])
        assert isinstance(node, Experiment)
        assert node.double().tolist() == (ROWS * 2).tolist()
        assert node() == ROWS.sum() * 2
        assert in_thread(node.double).tolist() == (ROWS * 2).tolist()


def test_nothing_can_be_changed_by_it(root):
    node = sent(root["a/b"])
    for change in (
        lambda: node.set_attribute("x", 1),
        lambda: node.write_data(ROWS),
        lambda: node.get_node("new"),
        lambda: node.rename("c"),
        lambda: setattr(node, "key", "c"),
        lambda: node["child"].attrs.update(x=1),
        lambda: node.__delitem__("child"),
    ):
        with pytest.raises(ReadOnlyError, match="at commit"):
            change()
    assert root["a/b"].attrs["name"] == "first"


def test_it_shows_the_commit_that_its_connection_saw(db, root):
    before = pickle.dumps([root["a/b"], root["a/b"].get_data()])
    root["a/b"].attrs["name"] = "second"
    root["a/b"].append_data(ROWS)
    root["a/b"].get_node("new")
    db.commit()
    after = pickle.dumps(root["a/b"])
    node, payload = pickle.loads(before)
    assert (node.attrs["name"], list(node), len(node.get_data())) == ("first", ["child"], 5000)
    assert payload.shape == (5000,)
    node = pickle.loads(after)
    assert (node.attrs["name"], list(node), len(node.get_data())) == ("second", ["child", "new"], 10000)


def test_of_a_reader_and_of_a_reference_it_is_one_to_the_same_moment(db, root, tmp_path):
    with LOTDB(tmp_path / "db", read_only=True) as reader, reader.connection() as seen:
        node, payload = seen["a/b"].reference(), seen["a/b"].get_data().reference()
        root["a/b"].attrs["name"] = "second"
        db.commit()
    for each in (node, sent(node), sent(sent(node)), node.reference(), sent(node["child"]).parent):
        assert each.attrs["name"] == "first"
    for each in (payload, sent(payload), sent(node.get_data()), node.reference().get_data()):
        assert each[:2].tolist() == [0, 1]


# -- threads --------------------------------------------------------------------------------------


def test_any_thread_uses_one_reference(root):
    node, payload = root["a/b"].reference(), root["a/b"].get_data().reference()
    read = node.read_data  # a bound method as well
    for _ in range(2):
        assert in_thread(lambda: node.read_data(3, 5)).tolist() == [3, 4]
        assert in_thread(lambda: read(3, 5)).tolist() == [3, 4]
        assert in_thread(lambda: payload[3:5]).tolist() == [3, 4]
        assert in_thread(lambda: node["child"].attrs["name"]) == "below"
        assert in_thread(lambda: list(node.attrs)) == ["data", "chunked", "name"]
        assert node.read_data(3, 5).tolist() == [3, 4]


def test_what_a_thread_got_from_a_reference_is_its_own(root):
    node = root["a/b"].reference()
    child = in_thread(lambda: node["child"])
    with pytest.raises(WrongThreadError):
        child.attrs["name"]
    assert sent(child).attrs["name"] == "below"  # but any thread may send it


def test_a_node_is_pickled_in_any_thread(db, root):
    node, payload = root["a/b"], root["a/b"].get_data()
    root["plain"].attrs["x"] = 2  # not committed, and somewhere else
    pickled = in_thread(lambda: pickle.dumps([node, payload]))
    assert pickle.loads(pickled)[0].attrs["name"] == "first"
    assert isinstance(in_thread(lambda: pickle.dumps(root["plain"])), WrongThreadError)  # to find it is not
    plain = root["plain"]
    assert isinstance(in_thread(lambda: pickle.dumps(plain)), UnsupportedValueError)


# -- what has none --------------------------------------------------------------------------------


def changed_attribute(root):
    root["a/b"].attrs["name"] = "other"
    return [root, root["a"], root["a/b"], root["a/b"].get_data()], [root["plain"], root["a/b/child"]]


def deleted_attribute(root):
    root["plain"].delete_attribute("x")
    return [root, root["plain"]], [root["a"], root["a/b"].get_data()]


def first_attribute(root):
    root["empty"].attrs["x"] = 1
    return [root, root["empty"]], [root["plain"]]


def new_child(root):
    new = root["a/b"].get_node("new")
    return [root, root["a/b"], new], [root["plain"], root["a/b/child"]]


def new_path(root):
    new = root.get_data_node("x/y/z")
    return [root, root["x"], root["x/y"], new], [root["plain"], root["a/b"]]


def deleted_and_made_again(root):
    del root["plain"]
    return [root, root.get_node("plain")], [root["a"]]


def moved(root):
    root["plain"].add_tree(root["a/b"])
    return [root, root["a"], root["plain"], root["plain/b"], root["plain/b/child"]], []


def renamed(root):
    root["a"].rename("c")
    return [root, root["c"], root["c/b"], root["c/b"].get_data()], [root["plain"]]


def branched(root):
    root.add_tree(root["a"], key="copy", copy=True)
    return [root, root["copy"], root["copy/b/child"]], [root["a"], root["a/b"], root["plain"]]


def replaced(root):
    root.add_tree(root["plain"], key="a", copy=True, if_exists="replace")
    return [root, root["a"]], [root["plain"]]


def merged(root):
    other = BaseNode("other")
    other.get_node("b").get_node("child").attrs["more"] = 1
    root["a"].merge_tree(other)
    return [root, root["a"], root["a/b"], root["a/b/child"]], [root["plain"]]


def taken_over(root):
    other = BaseNode("other")
    other.get_data_node("deep").write_data(ROWS)
    root.add_tree(other)
    return [root, root["other"], root["other/deep"], other], [root["plain"]]


def retyped(root):
    return [root, root.get_data_node("plain")], [root["a"]]


def appended(root):
    root["a/b"].append_data(ROWS)
    return [root, root["a"], root["a/b"], root["a/b"].get_data("chunked")], [root["a/b/child"]]


def lifted(root):
    root["a"].delete_node("b", only_node=True)
    return [root, root["a"], root["a/child"]], [root["plain"]]


@pytest.mark.sampled(4)
@pytest.mark.crossed
@pytest.mark.parametrize("savepoint", [False, True], ids=["at once", "after a savepoint"])
@pytest.mark.parametrize(
    "change",
    [
        changed_attribute, deleted_attribute, first_attribute, new_child, new_path, deleted_and_made_again,
        moved, renamed, branched, replaced, merged, taken_over, retyped, appended, lifted,
    ],
)  # fmt: skip
def test_what_is_changed_and_not_committed_has_no_reference_and_all_else_has(db, root, change, savepoint):
    touched, untouched = change(root)
    if savepoint:
        db.savepoint()
    for thing in touched:
        with pytest.raises(UnsupportedValueError, match="not committed; commit"):
            pickle.dumps(thing)
        assert isinstance(in_thread(lambda thing=thing: pickle.dumps(thing)), UnsupportedValueError)
    for thing in untouched:
        assert sent(thing).path == thing.path if isinstance(thing, BaseNode) else len(sent(thing))
    db.commit()
    for thing in touched:
        if isinstance(thing, BaseNode):
            assert sent(thing).path == thing.path
            assert list(sent(thing).attrs) == list(thing.attrs)


def test_after_an_abort_all_have_a_reference_again(db, root):
    root["a/b"].attrs["name"] = "other"
    db.abort()
    assert sent(root["a/b"]).attrs["name"] == "first"


def test_children_that_are_made_between_references_have_none_whatever_was_asked_before(db, root):
    b, plain = root["a/b"], root["plain"]
    for number in range(3):
        new = [b.get_node(f"new {number}"), plain.get_node(f"new {number}"), b.get_node(f"second {number}")]
        new[0].attrs["x"] = number
        for node in (*new, b, plain, root):
            with pytest.raises(UnsupportedValueError, match="not committed; commit"):
                pickle.dumps(node)
        assert sent(root["a/b/child"]).path == "a/b/child"
        assert sent(root["empty"]).path == "empty"
    b.parent.rename("c")
    later = b.get_node("later")
    with pytest.raises(UnsupportedValueError, match=r"^node 'c/b/later' of .*not committed; commit"):
        pickle.dumps(later)
    with pytest.raises(UnsupportedValueError, match=r"^the root of .*not committed; commit"):
        pickle.dumps(root)
    assert sent(root["empty"]).path == "empty"


def one_attribute_again_and_again(root):
    for number in range(11):
        root["plain"].attrs["x"] = number


def children(root):
    for number in range(10):
        root["plain"].get_node(number)


@pytest.mark.parametrize("change", [one_attribute_again_and_again, children])
def test_after_very_many_changes_none_has(db, root, monkeypatch, change):
    monkeypatch.setattr("lotdb.tree.touched.MOST", 10)
    db.abort()
    change(root)
    with pytest.raises(UnsupportedValueError, match="commit"):
        pickle.dumps(root["a/b"])
    db.commit()
    assert sent(root["a/b"]).attrs["name"] == "first"


def test_trees_in_memory_copies_and_databases_have_none(db, root):
    memory = BaseNode("m")
    memory.get_data_node("n").write_data(ROWS)
    detached = root.copy_tree()
    for thing in (memory, memory["n"], memory["n"].get_data(), memory["n"].get_data().for_threads(),
                  detached, detached["a/b"], detached["a/b"].get_data()):  # fmt: skip
        with pytest.raises(UnsupportedValueError, match=r"memory.*add_tree"):
            pickle.dumps(thing)
        with pytest.raises(UnsupportedValueError):
            thing.reference()
    for how in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(UnsupportedValueError, match="send its path, or the nodes"):
            how(db)


def test_of_a_closed_connection_and_of_a_node_that_is_gone_there_is_none(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            node = root.get_data_node("n")
            payload = node.write_data(ROWS)
            db.commit(root)
            payload = node.get_data()
            reference = node.reference()
        for thing in (node, payload):
            with pytest.raises(ClosedError):
                pickle.dumps(thing)
        with db.connection() as root:
            gone = root["n"]
            del root["n"]
            db.commit(root)
            with pytest.raises(StaleNodeError):
                pickle.dumps(gone)
    assert reference.read_data().tobytes() == ROWS.tobytes()  # that needs no connection of ours


def test_copies_of_nodes_and_payloads(root):
    node, payload = root["a/b"], root["a/b"].get_data()
    for how in (copy.copy, copy.deepcopy):
        assert how(node) is node
        assert how(payload) is payload
        assert how({"node": node})["node"] is node
        reference = node.reference()
        assert how(reference) is reference
    memory = BaseNode("m")
    memory.get_node("below").attrs["x"] = 1
    assert copy.copy(memory) is memory
    twin = copy.deepcopy(memory)
    twin["below"].attrs["x"] = 2
    assert memory["below"].attrs["x"] == 1


# -- what a reader finds --------------------------------------------------------------------------


def test_unpickling_opens_nothing_and_the_error_comes_with_the_first_use(root, tmp_path):
    pickled = pickle.dumps([root["a/b"], root["a/b"].get_data()])
    shutil.copytree(tmp_path / "db", tmp_path / "kept")
    root._tree._session.database.close()
    shutil.rmtree(tmp_path / "db")
    node, payload = pickle.loads(pickled)
    assert isinstance(node, DataNode)
    for ask in (lambda: node.attrs["name"], lambda: payload[:2], lambda: len(node)):
        with pytest.raises(DatabaseNotFoundError, match="db"):
            ask()
    with LOTDB(tmp_path / "db"):
        pass
    with pytest.raises(DatabaseNotFoundError, match="another database"):
        node.read_data()
    shutil.rmtree(tmp_path / "db")
    (tmp_path / "kept").rename(tmp_path / "db")
    assert node.attrs["name"] == "first"  # it is asked again each time
    assert payload[:2].tolist() == [0, 1]


def test_a_payload_that_was_replaced_before_it_was_sent_is_an_error_and_not_other_rows(db, root):
    payload = root["a/b"].get_data()
    root["a/b"].write_data(ROWS + 1)
    db.commit()
    late = sent(payload)
    with pytest.raises(StaleNodeError, match="replaced"):
        late.read()
    root["a/b"].attrs["other"] = 1  # a commit that leaves the rows alone
    payload = root["a/b"].get_data()
    db.commit()
    assert sent(payload)[:2].tolist() == [1, 2]


def test_a_moment_that_was_packed_away_is_an_error(db, root):
    node, payload = root["a/b"], root["a/b"].get_data()
    pickled = pickle.dumps([node, payload])
    root["a/b"].write_data(ROWS + 1)
    db.commit()
    db.pack()
    for thing in pickle.loads(pickled):
        with pytest.raises(MomentGoneError, match="pack"):
            thing.metadata if isinstance(thing, Payload) else thing.attrs["name"]
    assert sent(root["a/b"]).read_data(0, 2).tolist() == [1, 2]


def test_while_a_pack_is_under_way_an_earlier_moment_waits_and_a_current_one_does_not(db, root, monkeypatch):
    earlier = root["a/b"].reference()
    root["a/b"].attrs["name"] = "second"
    db.commit()
    current = root["a/b"].reference()
    monkeypatch.setattr("lotdb.storage.waiting.WAIT_S", 0.01)
    with db._storage.announcing_pack():
        assert current.attrs["name"] == "second"
        with pytest.raises(WaitTimeoutError, match="pack"):
            earlier.attrs["name"]
    assert earlier.attrs["name"] == "first"


def test_a_commit_that_is_not_there_is_an_error(db, root, tmp_path):
    db.close()
    shutil.copytree(tmp_path / "db", tmp_path / "earlier")
    with LOTDB(tmp_path / "db") as later, later.connection() as root:
        root.attrs["later"] = 1
        later.commit(root)
        node = root["a/b"].reference()
    shutil.rmtree(tmp_path / "db")
    (tmp_path / "earlier").rename(tmp_path / "db")
    with pytest.raises(LookupError, match="no commit"):
        node.read_data()


def test_what_was_opened_is_kept_from_packs_until_nobody_has_it(db, root):
    node, payload = sent(root["a/b"]), sent(root["a/b"].get_data("chunked"))
    assert node.attrs["name"] == "first"
    assert payload.shape == (50,)
    for number in range(3):
        root["a/b"].write_data(ROWS + number + 1)
        root["a/b"].write_data(ROWS[:9], data_attribute="chunked", backend="zarr")
        db.commit()
        db.pack()
    assert node.read_data().tobytes() == ROWS.tobytes()
    assert payload.read().tolist() == ROWS[:50].tolist()
    assert node["child"].attrs["name"] == "below"
    before = db.stats().bytes
    del node, payload
    drop_idle()
    db.pack()
    assert db.stats().bytes < before


def drop_idle():
    """As if nothing had been used for a minute."""
    for where in list(shared._warm):
        shared._warm[where] = shared._warm[where][0], float("-inf")
    shared._drop_idle()
    gc.collect()


def test_a_database_is_opened_once_and_closed_when_it_is_idle(root):
    nodes = [sent(each) for each in (root["a/b"], root["a"], root["plain"])]
    assert len(open_ones()) == 0
    for node in nodes:
        assert node.path
        in_thread(lambda node=node: node.path)
    assert len(open_ones()) == 1
    drop_idle()
    assert len(open_ones()) == 1  # somebody has nodes of it
    assert nodes[0].attrs["name"] == "first"
    nodes.clear()
    del node
    drop_idle()
    assert len(open_ones()) == 0


def test_only_so_many_databases_and_moments_stay_open(tmp_path):
    for number in range(shared.WARM_DATABASES + 2):
        with LOTDB(tmp_path / str(number), durability="process") as db, db.connection() as root:
            for commit in range(shared.WARM_MOMENTS + 2):
                root.attrs["n"] = commit
                db.commit(root)
                assert root.reference().attrs["n"] == commit
    gc.collect()
    assert len(shared._warm) == shared.WARM_DATABASES
    assert len(open_ones()) == shared.WARM_DATABASES
    for database in open_ones():
        assert len(database._here.roots) == shared.WARM_MOMENTS


def test_a_node_that_is_not_there_at_that_commit_is_an_error(db, root):
    about = root["a/b"].__reduce_ex__(4)
    make, (where, commit, _, node_type) = about
    with pytest.raises(NodeNotFoundError, match=commit):
        make(where, commit, ("a", "nowhere"), node_type).path  # noqa: B018


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about os.fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_reads_by_the_reference_that_its_parent_uses(root):
    node, payload = root["a/b"].reference(), root["a/b"].get_data().reference()
    assert node.attrs["name"] == "first"
    assert payload[:1].tolist() == [0]
    child = os.fork()
    if child == 0:
        done = 1
        try:
            done = 0 if node.attrs["name"] == "first" and payload[:2].tolist() == [0, 1] else 2
        finally:
            os._exit(done)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert node["child"].attrs["name"] == "below"


# -- where it is ----------------------------------------------------------------------------------


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LOTDB("db", "other.fs", backends={"zarr": {"store": "arrays"}}) as db, db.connection() as root:
        root.get_data_node("n").write_data(ROWS, backend="zarr")
        db.commit(root)
        monkeypatch.chdir("/")
        pickled = pickle.dumps(root["n"])
        assert pickle.loads(pickled).read_data().tobytes() == ROWS.tobytes()
    assert (tmp_path / "arrays").is_dir()


def test_settings_of_the_blob_backend_go_along(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"blob": {"store": "arrays", "cache_bytes": 1 << 20}}
    with LOTDB("db", backends=settings) as db, db.connection() as root:
        root.get_data_node("n").write_data(ROWS)
        db.commit(root)
        monkeypatch.chdir("/")
        node = sent(root["n"])
        assert node.read_data().tobytes() == ROWS.tobytes()
        config = node._tree.stage.backend_of("blob").context.config
        assert config == {"store": str(tmp_path / "arrays"), "cache_bytes": 1 << 20}


@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize(
    "store",
    ["memory://key:secret@bucket/x", "memory://bucket/x?token=secret", "memory://bucket/x#secret"],
)
def test_what_may_hold_credentials_does_not_go_into_a_reference(tmp_path, store, backend):
    with LOTDB(tmp_path / "db", backends={backend: {"store": store}}) as db, db.connection() as root:
        root.get_node("n")
        db.commit(root)
        with pytest.raises(UnsupportedValueError, match="credentials") as caught:
            pickle.dumps(root["n"])
        assert "secret" not in str(caught.value)


def test_settings_of_a_backend_that_does_not_say_what_is_secret_are_refused(tmp_path):
    class Backend(npy_backend["NpyBackend"]):
        settings = ("password",)

    plugins = npy_backend["plugins_with"](Backend)
    with LOTDB(tmp_path / "db", plugins=plugins, backends={"npy": {"password": "secret"}}) as db:
        root = db.open_connection()
        with pytest.raises(UnsupportedValueError, match="settings_to_send") as caught:
            pickle.dumps(root)
        assert "secret" not in str(caught.value)
        db.close_connection()


def test_plugins_that_are_off_are_off_for_the_reader(tmp_path):
    with LOTDB(tmp_path / "db", plugins_off=["zarr"]) as db, db.connection() as root:
        node = root.reference()
        assert list(node._tree.plugins._off) == ["zarr"]
