"""Listeners: when they are called, what they may refuse, and what their failures do."""

import re
import textwrap
import threading
import warnings

import numpy as np
import pytest
from tests.services import forked

from lotdb import (
    LOTDB,
    BaseNode,
    DataWriter,
    ListenerWarning,
    Plugins,
    ReadOnlyError,
    hookimpl,
)


class Listener:
    """Calls a function for each commit."""

    def __init__(self, function):
        self.function = function

    @hookimpl
    def lotdb_committed(self, database, changes):
        self.function(database, changes)


def plugins_of(*listeners):
    plugins = Plugins()
    for number, each in enumerate(listeners):
        plugins.register(each, name=f"listener {number}")
    return plugins


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "db"


def open_with(folder, *functions):
    plugins = plugins_of(*map(Listener, functions))
    return LOTDB(folder, durability="process", plugins=plugins)


# -- after the commit -----------------------------------------------------------------------------


def test_ids_of_commits_follow_each_other_and_are_kept(folder):
    told = []
    with open_with(folder, lambda database, changes: told.append((changes, database.id))) as db:
        first, database_id = db.last_commit, db.id
        for key in "ab":
            db.run(lambda root, key=key: root.get_node(key) and None)
        last = db.last_commit
    ids = [(changes.previous_id, changes.commit_id) for changes, _ in told]
    assert ids == [(first, ids[0][1]), (ids[0][1], last)]
    assert first < ids[0][1] < last
    assert all(len(each) == 16 and int(each, 16) for each in (first, last))
    with LOTDB(folder, read_only=True) as db:
        assert (db.id, db.last_commit) == (database_id, last)
    assert {each for _, each in told} == {database_id}
    assert len(database_id) == 32


def test_two_databases_are_told_apart(tmp_path):
    told = []
    plugins = plugins_of(Listener(lambda database, changes: told.append(database)))
    with LOTDB(tmp_path / "a", plugins=plugins) as one, LOTDB(tmp_path / "b", plugins=plugins) as other:
        other.run(lambda root: root.get_node("x") and None)
        one.run(lambda root: root.get_node("x") and None)
        assert told == [other, one]
        assert one.id != other.id


def test_it_is_called_once_for_each_commit_and_never_for_none(folder):
    told = []
    with open_with(folder, lambda database, changes: told.append(list(changes))) as db:
        db.run(lambda root: list(root) and None)
        db.run(lambda root: root.get_node("a") and None)
        root = db.open_connection()
        db.commit()
        root["a"].attrs["x"] = 1
        db.commit()
        db.commit()
        db.pack()
        db.verify()
    assert len(told) == 2


def test_what_it_tells_is_on_the_disk(folder, tmp_path):
    script = """
        import os, signal, sys
        from lotdb import LOTDB, Plugins, hookimpl

        class Killer:
            @hookimpl
            def lotdb_committed(self, changes):
                print(changes.commit_id, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)

        plugins = Plugins()
        plugins.register(Killer())
        with LOTDB(sys.argv[1], plugins=plugins) as db:
            db.run(lambda root: root.get_node("a"))
    """
    command = ["-c", textwrap.dedent(script), folder]
    killed = forked.run(command, capture_output=True, text=True, timeout=60)
    with LOTDB(folder) as db, db.connection() as root:
        assert list(root) == ["a"]
        assert killed.stdout.strip() == db.last_commit


def test_a_tree_in_memory_is_told_when_it_is_committed_only(folder):
    told = []
    with open_with(folder, lambda database, changes: told.append(list(changes))) as db:
        tree = BaseNode("tree", plugins=db.plugins)
        tree.get_node_path("a/b").attrs["x"] = 1
        assert told == []
        db.run(lambda root: root.add_tree(tree) and None)
    assert [[change.kind for change in changes] for changes in told] == [["added"]]


def test_a_listener_reads_the_database_as_the_commit_left_it(folder):
    seen = []

    def look(database, changes):
        with database.connection() as root:
            seen.append([(key, root[key].attrs["n"]) for key in root])
            seen.append(root.get_node(changes[0].path, create=False).path)

    with open_with(folder, look) as db:
        db.run(lambda root: root.get_node("a").attrs.update(n=1))
        assert seen == [[("a", 1)], "a"]


def test_a_listener_that_writes_to_the_database_is_told_why_not(folder):
    def write(database, changes):
        with database.connection() as root:
            root.get_node("index")

    with open_with(folder, write) as db:
        with pytest.warns(ListenerWarning, match="ReadOnlyError.*cannot change it; do it after"):
            db.run(lambda root: root.get_node("a") and None)
        with db.connection() as root:
            assert list(root) == ["a"]


def test_a_listener_that_commits_what_another_connection_has_changed_is_told_why_not(folder):
    def commit(database, changes):
        database.commit("other")

    with open_with(folder, commit) as db:
        other = db.open_connection("other")
        other.get_node("by other")
        with pytest.warns(ListenerWarning, match="ReadOnlyError.*cannot change it; do it after"):
            db.run(lambda root: root.get_node("a") and None)
        assert "by other" in other, "its changes wait for a commit of their own"
        db.commit("other")
        with db.connection() as root:
            assert list(root) == ["a", "by other"]


def test_a_listener_may_close_the_database(folder):
    with open_with(folder, lambda database, changes: database.close()) as db:
        db.run(lambda root: root.get_node("a") and None)
        assert db.closed
    with LOTDB(folder) as db, db.connection() as root:
        assert list(root) == ["a"]


def test_a_listener_may_write_to_another_database(folder, tmp_path):
    with LOTDB(tmp_path / "log", durability="process", plugins=Plugins()) as log:

        def note(database, changes):
            log.run(lambda root: root.get_node(changes.commit_id) and None)

        with open_with(folder, note) as db:
            db.run(lambda root: root.get_node("a") and None)
            with log.connection() as root:
                assert list(root) == [db.last_commit]


@pytest.mark.parametrize("error", [ValueError("no"), OSError(28, "full"), KeyError("k")])
def test_a_listener_that_fails_silences_nobody_and_the_commit_stands(folder, error):
    told = []

    def fail(database, changes):
        raise error

    def tell(database, changes):
        told.append(changes.commit_id)

    with open_with(folder, tell, fail, tell) as db:
        root = db.open_connection()
        root.get_node("a")
        with pytest.warns(ListenerWarning, match=r"'listener 1' failed in lotdb_committed.*test_listeners"):
            db.commit()
        assert told == [db.last_commit] * 2
        root.get_node("b")
        with pytest.warns(ListenerWarning):
            db.commit()
        with db.connection() as other:
            assert list(other) == ["a", "b"]


def test_a_warning_that_is_an_error_leaves_all_in_order(folder):
    def fail(database, changes):
        raise ValueError("no")

    with open_with(folder, fail) as db:
        root = db.open_connection()
        for key in "ab":
            root.get_node(key)
            with warnings.catch_warnings():
                warnings.simplefilter("error", ListenerWarning)
                with pytest.raises(ListenerWarning, match="which stands"):
                    db.commit()
        with db.connection() as other:
            assert list(other) == ["a", "b"]


def test_ctrl_c_in_a_listener_comes_out_after_all_have_heard(folder):
    told = []

    def interrupted(database, changes):
        raise KeyboardInterrupt

    with open_with(folder, lambda database, changes: told.append(1), interrupted) as db:
        root = db.open_connection()
        root.get_node("a")
        with pytest.raises(KeyboardInterrupt):
            db.commit()
        root.get_node("b")
        with pytest.raises(KeyboardInterrupt):
            db.commit()
        assert told == [1, 1]
        with db.connection() as other:
            assert list(other) == ["a", "b"]


def test_commits_of_threads_are_told_one_after_the_other(folder):
    told, threads_told, inside = [], set(), []

    def listen(database, changes):
        assert not inside
        inside.append(1)
        with database.connection() as root:
            assert [change.path in root for change in changes] == [True]
            assert len(root) == len(told) + 1
        told.append((changes.previous_id, changes.commit_id))
        threads_told.add(threading.current_thread())
        inside.pop()

    with open_with(folder, listen) as db:
        turn = iter(range(1000))

        def work():
            for _ in range(10):
                db.run(lambda root: root.get_node(f"{next(turn):04}") and None, attempts=1000)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert not any(thread.is_alive() for thread in threads)
        assert told[-1][1] == db.last_commit
    assert len(threads_told) == 4
    assert [commit for _, commit in told[:-1]] == [previous for previous, _ in told[1:]]


def test_a_listener_that_comes_late_is_told_from_the_next_transaction_on(folder):
    told = []
    plugins = Plugins()
    with LOTDB(folder, durability="process", plugins=plugins) as db:
        root = db.open_connection()
        root.get_node("a")
        plugins.register(Listener(lambda database, changes: told.append((changes.previous_id, len(changes)))))
        db.commit()
        assert told == []
        last = db.last_commit
        root.get_node("b")
        db.commit()
        assert told == [(last, 1)]


def test_a_commit_whose_earlier_state_cannot_be_read_stands_and_says_so(folder, monkeypatch):
    told = []
    with open_with(folder, lambda database, changes: told.append(1)) as db:
        db.run(lambda root: root.get_node("a") and None)
        root = db.open_connection()
        root["a"].attrs["x"] = 1
        from lotdb.errors import DamagedError

        def damaged(record):
            raise DamagedError("a record cannot be decoded")

        monkeypatch.setattr(type(root._tree._session.connection), "state_before", lambda self, r: damaged(r))
        with pytest.warns(ListenerWarning, match="nobody was told of commit .*a record cannot be decoded"):
            db.commit()
        with db.connection() as other:
            assert other["a"].attrs["x"] == 1
    assert told == [1]


# -- within the change ----------------------------------------------------------------------------


class Refusing:
    """Hears of changes, and refuses those of the kind *refused*."""

    def __init__(self):
        self.refused = None
        self.heard = []

    def _hear(self, kind, *about):
        self.heard.append((kind, *about))
        if kind == self.refused:
            raise TypeError(f"{kind} is refused")

    @hookimpl
    def lotdb_node_created(self, node, database):
        self._hear("created", node.path, database)

    @hookimpl
    def lotdb_node_moved(self, node, old_path, database):
        self._hear("moved", old_path, node.path, database)

    @hookimpl
    def lotdb_node_deleted(self, parent, key, database):
        self._hear("deleted", parent.path, key, database)

    @hookimpl
    def lotdb_payload_written(self, node, name, database):
        self._hear("written", node.path, name, database)
        if self.refused == "read":
            raise TypeError(f"{node.attrs[name].read()} is refused")


def grow(root):
    root.get_node_path("a/b/c").attrs["x"] = 1
    root.get_data_node("d").write_data([1, 2])
    root.get_node("e")


def picture(root):
    return {
        node.path: {
            name: value.read().tolist() if hasattr(value, "read") else value
            for name, value in node.attrs.items()
        }
        for node in root.iterate_tree()
    }


def other_tree():
    tree = BaseNode("tree")
    tree.get_data_node("below").write_data([3])
    return tree


STEPS = {
    "created": [
        lambda root: root.get_node("new"),
        lambda root: root.get_node_path("new/below"),
        lambda root: root.get_data_node("a/new", samplerate_hz=3),
        lambda root: root["a"].branch("twin"),
        lambda root: root.add_tree(other_tree()),
        lambda root: root.add_tree(other_tree(), key="a", if_exists="replace"),
        lambda root: root.add_tree(other_tree(), key="d", copy=True, if_exists="replace"),
        lambda root: root["e"].merge_tree(root["a"]),
    ],
    "moved": [
        lambda root: root["a"].rename("z"),
        lambda root: root["a/b"].move(root["e"]),
        lambda root: root.add_tree(root["e"], key="a", if_exists="replace"),
        lambda root: root.delete_node("a", only_node=True),
    ],
    "deleted": [
        lambda root: root["a"].delete_tree(),
        lambda root: root.delete_node("a", only_node=True),
        lambda root: root.delete_tree(),
    ],
    "written": [
        lambda root: root["d"].write_data([5]),
        lambda root: root["d"].append_data([5]),
        lambda root: root["d"].compact_data(),
        lambda root: DataWriter.write_text(root["e"], "text"),
        lambda root: root["d"].merge_tree(other_tree()["below"], overwrite=True),
        lambda root: root["d"].attach_file("f.npy"),
    ],
}


@pytest.mark.sampled
@pytest.mark.crossed
@pytest.mark.parametrize("where", ["database", "memory"])
@pytest.mark.parametrize(
    ("kind", "number"), [(kind, number) for kind, those in STEPS.items() for number in range(len(those))]
)
def test_a_step_that_a_listener_refuses_is_undone(folder, tmp_path, monkeypatch, kind, number, where):
    monkeypatch.chdir(tmp_path)
    np.save("f.npy", np.arange(4.0))
    listener = Refusing()
    told = []
    plugins = plugins_of(listener, Listener(lambda database, changes: told.append(list(changes))))
    with LOTDB(folder, durability="process", plugins=plugins) as db:
        db.run(grow)
        root = BaseNode(plugins=plugins) if where == "memory" else db.open_connection()
        if where == "memory":
            grow(root)
        before, told[:] = picture(root), []
        handle = root["a/b/c"]
        listener.refused, listener.heard = kind, []
        with pytest.raises(TypeError, match=f"{kind} is refused") as info:
            STEPS[kind][number](root)
        assert re.fullmatch(r"lotdb_\w+ of plugin 'listener 0' refused this change", info.value.__notes__[0])
        assert {each[-1] for each in listener.heard} == {None if where == "memory" else db}
        assert picture(root) == before
        assert handle.attrs["x"] == 1
        if where == "database":
            root["e"].attrs["after"] = True
            db.commit()
            assert [[change.kind for change in changes] for changes in told] == [["attribute_set"]]
            with db.connection() as other:
                assert picture(other) == {**before, "e": {"after": True}}
            assert db.verify() == []


def test_deleting_only_a_node_and_merging_tell_all_that_they_do():
    listener = Refusing()
    root = BaseNode(plugins=plugins_of(listener))
    grow(root)
    listener.heard = []
    root.delete_node("a", only_node=True)
    assert listener.heard == [("deleted", "", "a", None), ("moved", "a/b", "b", None)]
    listener.heard = []
    root["d"].merge_tree(other_tree()["below"], overwrite=True)
    assert listener.heard == [("written", "d", "data", None)]


def test_a_listener_sees_what_it_may_refuse(folder):
    listener = Refusing()
    with LOTDB(folder, durability="process", plugins=plugins_of(listener)) as db:
        root = db.open_connection()
        grow(root)
        listener.refused = "read"
        with pytest.raises(TypeError, match=r"\[7 8\] is refused"):
            root["d"].write_data([7, 8])
        assert root["d"].read_data().tolist() == [1, 2]


def test_what_a_listener_writes_goes_with_what_it_refuses(folder):
    class Careless:
        @hookimpl
        def lotdb_node_created(self, node):
            if node.key == "new":
                node.attrs["by"] = "listener"
                node.parent.attrs["by"] = "listener"
                node.get_node("index")
                raise TypeError("after all, no")

    with LOTDB(folder, durability="process", plugins=plugins_of(Careless())) as db:
        root = db.open_connection()
        grow(root)
        before = picture(root)
        with pytest.raises(TypeError, match="after all"):
            root["a"].get_node("new")
        assert picture(root) == before
        db.commit()
        with db.connection() as other:
            assert picture(other) == before


def test_a_listener_of_a_read_only_database_changes_nothing(folder):
    with LOTDB(folder, durability="process") as db:
        db.run(grow)
    with (
        LOTDB(folder, read_only=True, plugins=plugins_of(Refusing())) as db,
        db.connection() as root,
        pytest.raises(ReadOnlyError),
    ):
        root.get_node("new")
