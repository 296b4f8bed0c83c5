"""What a closed, a mistyped and a read-only database refuse."""

import hashlib
from threading import Thread

import numpy as np
import pytest
from tests.core.transactions.two_connections import LARGE, NEW, OLD, begin, fill

from lotdb import (
    LOTDB,
    ClosedError,
    InvalidOptionError,
    NodeExistsError,
    Plugins,
    ReadOnlyError,
    UnsupportedValueError,
    WrongNodeError,
    hookimpl,
)


def file_hashes(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_closed_connection_says_so(db, mine):
    node = mine.get_data_node("a")
    payload = node.write_data(NEW)
    db.commit("mine")
    db.close_connection("mine")
    for use in (
        lambda: mine["a"],
        lambda: node.get_attribute("value"),
        lambda: node.set_attribute("value", 1),
        lambda: node.read_data(),
        payload.read,
        lambda: mine.get_node("b"),
    ):
        with pytest.raises(ClosedError, match=r"this connection to database .* is closed"):
            use()
    with pytest.raises(ClosedError, match="no open connection 'mine'"):
        db.commit("mine")


def test_the_root_of_a_block_that_was_left_says_so(db):
    with db.connection() as root:
        pass
    with pytest.raises(ClosedError, match=r"this connection to database .* is closed"):
        root.get_node("a")


def test_a_node_whose_record_was_not_read_is_printed_after_its_block_and_in_another_thread(folder):
    with LOTDB(folder) as db, db.connection() as root:
        root.get_node_path("a/b")
    with LOTDB(folder) as db:
        with db.connection() as root:
            node, seen = root["a"], []
            thread = Thread(target=lambda: seen.append(repr(node)))
            thread.start()
            thread.join()
            assert seen == [f"<BaseNode 'a' of {db}>"]
            assert node._container._p_changed is None  # the other thread has loaded nothing
        assert repr(node) == f"<BaseNode 'a' of {db}>"
        assert str(node.keys()) == f"ChildKeys(<BaseNode 'a' of {db}>)"


def test_a_closed_database_says_so(db, mine):
    node = mine.get_node("a")
    db.commit("mine")
    savepoint = db.savepoint("mine")
    db.close()
    for use in (
        lambda: node.get_attribute("value"),
        lambda: mine.get_node("b"),
        lambda: db.open_connection(),
        lambda: db.commit("mine"),
        lambda: db.abort("mine"),
        lambda: db.close_connection("mine"),
        lambda: db.run(list),
        savepoint.rollback,
        db.savepoint,
        db.pack,
        db.verify,
        db.connection().__enter__,
    ):
        with pytest.raises(ClosedError, match=r"database .* is closed"):
            use()
    db.close()


@pytest.mark.parametrize("use", ["commit", "abort", "savepoint", "close_connection"])
def test_an_unknown_connection_is_named_beside_those_that_are_open(db, mine, theirs, use):
    with pytest.raises(ClosedError, match=r"no open connection 'typo' \(open: 'mine', 'theirs'\)"):
        getattr(db, use)("typo")


def test_opening_a_connection_that_is_open_gives_its_root_again(db, mine):
    mine.set_attribute("value", 1)
    assert db.open_connection("mine") == mine
    assert db.open_connection("mine").get_attribute("value") == 1


def test_a_node_of_another_connection_is_refused(db, mine, theirs):
    fill(db, "a")
    begin(db)
    with pytest.raises(WrongNodeError, match="copy=True"):
        mine.add_tree(theirs["a"], key="b")
    assert list(mine) == ["a"]


def test_a_read_only_database_refuses_writes_of_every_kind_and_no_byte_changes(db, folder, mine, backend):
    node = mine.get_data_node("a", backend=backend)
    node.write_data(OLD)
    node.set_attribute("value", 1)
    db.commit("mine")
    plugins = db.plugins
    db.close()
    before = file_hashes(folder)
    with LOTDB(folder, read_only=True, plugins=plugins) as reader:
        root = reader.open_connection()
        for write in (
            lambda: root["a"].set_attribute("value", 2),
            lambda: root["a"].write_data(LARGE),
            lambda: root["a"].append_data(NEW),
            lambda: root["a"].delete_data(),
            lambda: root.get_node("new"),
            lambda: root["a"].delete_tree(),
            reader.pack,
        ):
            with pytest.raises(ReadOnlyError, match="read_only=True"):
                write()
        reader.commit()
        with reader.connection() as other:
            np.testing.assert_array_equal(other["a"].read_data(), OLD)
        assert reader.verify() == []
    assert file_hashes(folder) == before


def test_a_listener_that_fails_ends_the_transaction_of_run(folder):
    class Listener:
        @hookimpl
        def lotdb_node_created(self, node):
            raise RuntimeError("not today")

    plugins = Plugins()
    plugins.register(Listener(), name="moody")
    with LOTDB(folder, plugins=plugins) as db:
        with pytest.raises(RuntimeError, match="not today"):
            db.run(lambda root: root.get_node("a"))
        with db.connection() as root:
            assert list(root) == []


def test_bad_input_leaves_the_transaction_as_it_was(db, mine):
    mine.get_data_node("a").write_data(OLD)
    mine["a"].set_attribute("value", 1)
    mine.get_node("b")
    for wrong, error in (
        (lambda: mine["a"].set_attribute("value", object()), UnsupportedValueError),
        (lambda: mine["a"].rename("b"), NodeExistsError),
        (lambda: mine.add_tree("a"), WrongNodeError),
        (lambda: mine["a"].write_data(NEW, if_exists="sometimes"), InvalidOptionError),
        (lambda: mine["a"].write_data(NEW, nosuch=1), InvalidOptionError),
    ):
        with pytest.raises(error):
            wrong()
    db.commit("mine")
    with db.connection() as root:
        assert list(root) == ["a", "b"]
        assert root["a"].get_attribute("value") == 1
        np.testing.assert_array_equal(root["a"].read_data(), OLD)


def test_a_connection_that_could_not_be_opened_is_forgotten_though_its_error_is_kept(tmp_path, monkeypatch):
    def failing(*args):
        raise MemoryError

    with LOTDB(tmp_path / "db") as db:
        kept = []
        with monkeypatch.context() as patched:
            patched.setattr(type(db.open_connection("other")), "_at", failing)
            try:
                db.open_connection()
            except MemoryError as error:
                kept.append(error)
        assert kept
        root = db.open_connection()
        root.attrs["label"] = "right"
        db.commit()
        db.close_connection()
        db.close_connection("other")
        assert db._open_connections() == []
        db.pack()
        assert db.run(lambda root: root.attrs["label"]) == "right"


def test_a_connection_is_closed_by_any_of_its_nodes(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        node = db.open_connection("mine").get_node("a")
        db.close_connection(node)
        with pytest.raises(ClosedError, match="'mine'"):
            db.commit("mine")


def test_a_block_closes_its_own_connection(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root, pytest.raises(WrongNodeError, match="closes its connection at its end"):
            db.close_connection(root.get_node("a"))
        with db.connection() as root:
            assert "a" in root


@pytest.mark.parametrize(
    "use",
    [
        lambda root: root["a"],
        lambda root: root.attrs,
        lambda root: root.get_node("a"),
        lambda root: "a" in root,
        list,
        len,
        lambda root: root.__setitem__("a", None),
    ],
)
def test_a_context_that_is_taken_for_the_root_says_what_to_write(db, use):
    for context, call in (
        (db.connection(), r"with db\.connection\(\) as root: \.\.\.; or call db\.open_connection\(\)"),
        (db.at(db.last_commit), r"with db\.at\(when\) as root:"),
    ):
        with pytest.raises(ClosedError, match=call):
            use(context)
        assert not hasattr(context, "_repr_html_")
        with context as root:
            assert list(root) == []
