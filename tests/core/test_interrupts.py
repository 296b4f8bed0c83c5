"""Ctrl-C at each moment of a change, of reading, opening and closing.

A signal handler of Python runs in the main thread, when a function is entered or one of C has returned. So a
profile function counts these moments, and sends the signal at a chosen one: each can be tried, one by one.
"""

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from itertools import count

import numpy as np
import pytest
from tests.services import forked
from torture import storm

from lotdb import LOTDB, BaseNode, ClosedError, FileSystemError, Plugins, WaitTimeoutError
from lotdb.hookspecs import hookimpl

# How many moments lie between two that are tried. 1 tries them all, which takes a quarter of an hour.
STEP = int(os.environ.get("LOTDB_INTERRUPT_STEP", "0"))
# How many interrupts the storm has; 20 000 take three minutes.
STORM = int(os.environ.get("LOTDB_STORM", "80"))
SEED = int(os.environ.get("LOTDB_SEED", "20"))
OURS = ("/lotdb/", "/lotdb_backend", "/ZODB/", "/transaction/", "/persistent/", "contextlib.py")
WIDE = 300

# A file that is opened when the signal comes is closed by its destructor, which complains.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Interrupt:
    """Runs a function and sends SIGINT at the *nth* moment at which a handler may run.

    That is when a function of Python is entered, and when one of C has returned.
    """

    def __init__(self, nth: int, kind: str = "signal") -> None:
        self.left = nth
        self.kind = kind
        self.hit = False

    def __call__(self, function, *args):
        sys.setprofile(self._count)
        try:
            return function(*args)
        finally:
            sys.setprofile(None)

    def _count(self, frame, event, arg):
        if event not in ("call", "c_return") or self.hit:
            return
        if not any(part in frame.f_code.co_filename for part in OURS):
            return
        self.left -= 1
        if self.left == 0:
            self.hit = True
            sys.setprofile(None)
            if self.kind == "memory":
                raise MemoryError
            signal.raise_signal(signal.SIGINT)


def moments(step: int, name: str):
    """Numbers of moments to try, until the caller has seen that there are no more."""
    step = STEP or step
    return count(random.Random(f"{SEED} {name}").randint(1, step), step)


def state(node):
    """All that a tree holds, as plain data."""
    found = {}
    for each in node.iterate_tree():
        attributes = {}
        for name in each.attrs:
            value = each.attrs[name]
            attributes[name] = value.read().tolist() if hasattr(value, "segments") else value
        found[each.path] = (each.node_type, attributes, list(each))
    return found


def fill(root):
    root.attrs["about"] = "all"
    root.get_node("count").attrs["n"] = 0
    root.get_node_path("a/x").attrs.update(v=1, text="short")
    root.get_node_path("a/x/below").attrs["v"] = 2
    root.get_node_path("a/z")
    root.get_node_path("b/y").attrs["boxed"] = "long" * 300
    root.get_node_path("b/x").attrs["v"] = 3
    for leaf in range(3):
        root.get_node_path(f"deep/one/two/leaf{leaf}").attrs["v"] = leaf
    root["deep"].branch("copied")
    data = root.get_data_node("data/set", samplerate_hz=10)
    data.write_data(np.arange(20.0))
    data.write_data(np.arange(5), data_attribute="other")


def fill_wide(root):
    wide = root.get_node("wide")
    for number in range(WIDE):
        wide.get_node(f"{number:03}").attrs["v"] = number


def memory_tree():
    tree = BaseNode("memory")
    tree.get_node_path("in/memory").attrs["v"] = 1
    tree.get_data_node("in/data").write_data(np.arange(7))
    return tree


def merge(root):
    root["a"].merge_tree(root["b"], overwrite=True)


def build(root):
    for number in range(150):
        root["b"].get_node(f"n{number}").attrs["v"] = number


def empty_first_bucket(root):
    for key in list(root["wide"])[:70]:
        del root["wide"][key]


def empty_middle_buckets(root):
    for key in list(root["wide"])[100:230]:
        root["wide"].delete_node(key)


CHANGES = {
    "set an attribute": lambda r: r["a/x"].attrs.update(v=10, w=11),
    "set an attribute of a branch": lambda r: r["a"].set_attribute("v", 1),
    "set a large attribute": lambda r: r["a/z"].set_attribute("v", "large" * 200),
    "set a boxed attribute": lambda r: r["b/y"].set_attribute("boxed", "other" * 200),
    "delete an attribute": lambda r: r["a/x"].delete_attribute("v"),
    "clear attributes": lambda r: r["b/x"].attrs.clear(),
    "create a node": lambda r: r["a"].get_node("new"),
    "create a first child": lambda r: r["a/z"].get_node("new"),
    "create a path": lambda r: r.get_node_path("a/n1/n2/n3"),
    "create a data node": lambda r: r.get_data_node("a/n1/n2", samplerate_hz=5),
    "make a node a data node": lambda r: r.get_data_node("a/x", samplerate_hz=5, data_attribute="imu"),
    "delete a leaf": lambda r: r.__delitem__("b/x"),
    "delete a branch": lambda r: r["a"].delete_node("x"),
    "delete only a node": lambda r: r["a"].delete_node("x", only_node=True),
    "delete only a shared node": lambda r: r["copied"].delete_node("one", only_node=True),
    "delete all": lambda r: r.delete_tree(),
    "move": lambda r: r["a/z"].move(r["b"]),
    "move a branch": lambda r: r["deep/one"].move(r["b"], "elsewhere"),
    "move over another": lambda r: r["b"].add_tree(r["a/x"], if_exists="replace"),
    "move out of a copy": lambda r: r["copied/one/two"].move(r["a"]),
    "rename": lambda r: r["a/x"].rename("renamed"),
    "branch": lambda r: r["a"].branch("a2"),
    "branch over another": lambda r: r.add_tree(r["a"], key="b", copy=True, if_exists="replace"),
    "write in a copy": lambda r: r["copied/one/two/leaf1"].set_attribute("v", 100),
    "write in an original": lambda r: r["deep/one/two"].get_node("new"),
    "add a tree from memory": lambda r: r["a"].add_tree(memory_tree()),
    "add a tree from memory over another": lambda r: r["a"].add_tree(
        memory_tree(), key="x", if_exists="replace"
    ),
    "add a copy from memory": lambda r: r["a"].add_tree(memory_tree(), copy=True),
    "merge": merge,
    "write data": lambda r: r["data/set"].write_data(np.arange(30)),
    "write large data": lambda r: r["data/set"].write_data(np.zeros(1 << 17)),
    "append data": lambda r: r["data/set"].append_data(np.arange(3.0)),
    "compact data": lambda r: r["data/set"].compact_data(),
    "compact all": lambda r: r.compact_tree(),
    "delete data": lambda r: r["data/set"].delete_data(),
}
WIDE_CHANGES = {
    "build": build,
    "empty the first bucket": empty_first_bucket,
    "empty buckets in the middle": empty_middle_buckets,
    "lift many": lambda r: r.delete_node("wide", only_node=True),
    "add to many": lambda r: [r["wide"].get_node(f"100-{n}") for n in range(70)],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("interrupts")


@pytest.fixture(scope="module")
def db(folder):
    with LOTDB(folder / "db", durability="process") as db:
        root = db.open_connection()
        fill(root)
        db.commit()
        yield db


@pytest.fixture(scope="module")
def wide_db(folder):
    with LOTDB(folder / "wide", durability="process") as db:
        root = db.open_connection()
        fill(root)
        fill_wide(root)
        db.commit()
        yield db


def interrupted(nth, change, *args, kind="signal"):
    """Whether the function came to its end without reaching moment *nth*."""
    interrupt = Interrupt(nth, kind)
    try:
        interrupt(change, *args)
    except (KeyboardInterrupt, MemoryError):
        assert interrupt.hit
    return not interrupt.hit


def check_abort(db, name, change, step, *, kind="signal", is_one=True):
    root = db.open_connection()
    before = state(root)
    change(root)
    after = state(root)
    db.abort()
    assert state(root) == before
    for nth in moments(step, name):
        try:
            done = interrupted(nth, change, root, kind=kind)
            if is_one:
                assert state(root) in (before, after), f"half of {name!r} is there, interrupted at {nth}"
        finally:
            db.abort()
        assert state(root) == before, f"{name!r} is there after an abort, interrupted at {nth}"
        root["count"].attrs["n"] = nth  # what was left behind would come with this
        db.commit()
        for expected in (before, after):
            if "count" in expected:
                expected["count"][1]["n"] = nth
        if done:
            break
    with db.connection() as other:
        assert state(other) == before
    assert db.verify() == []


@pytest.mark.sampled
@pytest.mark.parametrize("name", CHANGES)
def test_an_interrupted_change_is_whole_or_not_there_and_an_abort_forgets_it(db, name):
    check_abort(db, name, CHANGES[name], 71)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", WIDE_CHANGES)
def test_so_it_is_with_many_children(wide_db, name):
    check_abort(wide_db, name, WIDE_CHANGES[name], 4003, is_one=name == "lift many")


@pytest.mark.sampled
@pytest.mark.parametrize("name", [name for name in CHANGES if "data" not in name or "node" in name])
def test_a_change_in_memory_is_whole_or_not_there(name):
    change = CHANGES[name]

    def fresh():
        root = BaseNode("root")
        fill(root)
        return root

    before, changed = state(fresh()), fresh()
    change(changed)
    after = state(changed)
    for nth in moments(151, name):
        root = fresh()
        handles = [root[path] for path in before if path]
        done = interrupted(nth, change, root)
        left = state(root)
        assert left in (before, after), f"half of {name!r} is there, interrupted at {nth}"
        assert {each.path for each in handles if "gone" not in repr(each)} <= set(left)
        root.get_node_path("count/more").attrs["n"] = nth  # and it can be worked with
        assert state(root) == {
            **left,
            "": (*left[""][:2], sorted({*left[""][2], "count"})),
            "count": ("", left.get("count", ("", {}))[1], ["more"]),
            "count/more": ("", {"n": nth}, []),
        }
        if done:
            break


def test_the_root_of_a_tree_in_memory_is_renamed_whole_or_not():
    for nth in moments(1, "rename root"):
        root = memory_tree()
        before = state(root)
        done = interrupted(nth, root.rename, "other")
        assert root.key in ("memory", "other")
        assert state(root) == before
        if done:
            break


def test_a_tree_from_memory_is_in_memory_or_in_the_database_and_back_after_an_abort(db):
    root = db.open_connection()
    for nth in moments(31, "take over"):
        tree = memory_tree()
        before = state(tree)
        done = interrupted(nth, root["a"].add_tree, tree)
        assert len(state(tree)) == len(before)
        assert (tree.path == "a/memory") == ("memory" in root["a"])
        db.abort()
        assert state(tree) == before
        assert tree.path == ""
        tree.attrs["v"] = 1
        if done:
            break


def with_savepoint(root, db):
    root["a/x"].attrs["v"] = "kept"
    savepoint = db.savepoint()
    root["a"].delete_node("x")
    root["b"].get_node("new").attrs["v"] = 1
    root["data/set"].append_data(np.arange(3.0))
    savepoint.rollback()
    root["b"].get_node("after").attrs["v"] = 1


def test_an_abort_forgets_what_savepoints_and_rollbacks_that_were_interrupted_left(db):
    root = db.open_connection()
    before = state(root)
    for nth in moments(97, "savepoint"):
        done = interrupted(nth, with_savepoint, root, db)
        db.abort()
        assert state(root) == before
        root["count"].attrs["n"] = nth
        db.commit()
        before["count"][1]["n"] = nth
        if done:
            break
    with db.connection() as other:
        assert state(other) == before
    assert db.verify() == []


def test_who_catches_the_interrupt_and_commits_commits_whole_changes(folder):
    names = ["move over another", "delete only a node", "delete all", "write in a copy"]
    for number, name in enumerate(names):
        change = CHANGES[name]
        for nth in moments(211, f"commit {name}"):
            with LOTDB(folder / f"commit-{number}-{nth}", durability="process") as db:
                root = db.open_connection()
                fill(root)
                db.commit()
                before = state(root)
                done = interrupted(nth, change, root)
                left = state(root)
                db.commit()
                with db.connection() as other:
                    assert state(other) == left
                assert db.verify() == []
                assert left == before or set(before) != set(left) or name == "write in a copy"
            if done:
                break


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", WIDE_CHANGES)
def test_so_it_is_with_a_lack_of_memory_and_many_children(wide_db, name):
    check_abort(wide_db, name, WIDE_CHANGES[name], 6007, kind="memory", is_one=False)


@pytest.mark.parametrize("name", ["move over another", "delete only a node", "write in a copy", "merge"])
def test_so_it_is_with_a_lack_of_memory(db, name):
    check_abort(db, name, CHANGES[name], 67, kind="memory", is_one=False)


def test_a_change_that_can_not_be_taken_back_is_not_committed(db, monkeypatch):
    root = db.open_connection()
    before = state(root)

    def fail(*args):
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("lotdb.tree.edit.put", fail)
        patch.setattr("lotdb.tree.whole._restore", fail)
        with pytest.raises(OSError, match="the disk is gone"):
            root["a/z"].move(root["b"])
    with pytest.raises(ClosedError, match=r"failed half-way \(OSError.*abort it"):
        db.commit()
    db.abort()
    assert state(root) == before
    root["a/z"].move(root["b"])
    db.commit()
    root["b/z"].move(root["a"])
    db.commit()
    assert state(root) == before


class Failing:
    """Listens, and fails when it hears something for the second time."""

    def __init__(self):
        self.heard = 0

    def _fail(self):
        self.heard += 1
        if self.heard == 2:
            raise RuntimeError("a listener fails")

    @hookimpl
    def lotdb_node_created(self, node):
        self._fail()

    @hookimpl
    def lotdb_node_moved(self, node, old_path):
        self._fail()

    @hookimpl
    def lotdb_node_deleted(self, parent, key):
        self._fail()

    @hookimpl
    def lotdb_payload_written(self, node, name):
        self._fail()


@pytest.mark.sampled
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_failing_listener_stopped_is_forgotten_by_an_abort(folder, name):
    plugins, listener = Plugins(), Failing()
    plugins.register(listener)
    where = folder / "listener"
    with LOTDB(where, durability="process", plugins=plugins) as db:
        root = db.open_connection()
        listener.heard = 10
        if "a" not in root:
            fill(root)
            db.commit()
        before = state(root)
        for heard in (0, 1):
            listener.heard = heard
            with contextlib.suppress(RuntimeError):
                CHANGES[name](root)
            db.abort()
            assert state(root) == before
        listener.heard = 10
        db.commit()
        assert db.verify() == []


# -- reading, opening and closing -----------------------------------------------------------------


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr("lotdb.storage.waiting.WAIT_S", 5.0)


def read_cold(db, root):
    db._sessions["standard"].connection.cacheMinimize()
    state(root)


def test_a_read_that_was_interrupted_keeps_nobody_from_committing(db, short_waits):
    root = db.open_connection()
    expected = state(root)
    for nth in moments(83, "read"):
        done = interrupted(nth, read_cold, db, root)
        root["count"].attrs["n"] = nth
        db.commit()
        if done:
            break
    expected["count"][1]["n"] = nth
    assert state(root) == expected


def test_what_was_being_opened_when_the_interrupt_came_is_not_locked(tmp_path):
    LOTDB(tmp_path / "db").close()
    kept = []
    for nth in moments(67, "open"):
        interrupt = Interrupt(nth)
        try:
            interrupt(LOTDB, tmp_path / "db").close()
        except KeyboardInterrupt as error:
            kept.append(error)  # as an interactive prompt does, with all that was in use
        LOTDB(tmp_path / "db").close()
        if not interrupt.hit:
            break
    assert kept


def test_what_was_being_closed_when_the_interrupt_came_can_be_closed_and_says_that_it_is(tmp_path):
    for nth in moments(31, "close"):
        db = LOTDB(tmp_path / "db")
        root = db.open_connection()
        root.attrs["n"] = nth
        done = interrupted(nth, db.close)
        db.close()
        for use in (db.open_connection, db.verify, db.pack, db.commit, root.get_attribute):
            with pytest.raises(ClosedError):
                use(*["n"] * (use == root.get_attribute))
        with pytest.raises(ClosedError):
            db.run(len)
        with LOTDB(tmp_path / "db") as again, again.connection() as root:
            assert "n" not in root.attrs
        if done:
            break


def test_a_block_that_was_interrupted_behind_its_commit_does_not_keep_the_database_from_closing(tmp_path):
    def block(db):
        with db.connection() as root:
            root.attrs["v"] = root.attrs.get("v", 0) + 1

    def interrupted(nth):
        with LOTDB(tmp_path, durability="process") as db:
            block(db)
            gc.collect()  # what is open by now is looked at last
            interrupt = Interrupt(nth)
            with contextlib.suppress(KeyboardInterrupt):
                interrupt(block, db)
            gc.collect(0)  # and what the block has made, first
        return interrupt

    everything = 10**6
    moments = everything - interrupted(everything).left
    assert all(interrupted(moments - back).hit for back in range(150))
    with LOTDB(tmp_path) as db, db.connection() as root:
        assert root.attrs["v"] >= 152


def test_a_refresh_that_was_interrupted_or_failed_leaves_a_database_that_reads(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.attrs["n"] = 1
    reader = LOTDB(tmp_path / "db", read_only=True)
    for nth in moments(97, "refresh"):
        done = interrupted(nth, reader.refresh)
        with reader.connection() as root:
            assert root.attrs["n"] == 1
        if done:
            break
    root = reader.open_connection()
    (tmp_path / "db/lotdb.fs").rename(tmp_path / "db/away")
    for use in (reader.refresh, reader.abort):
        with pytest.raises(FileSystemError, match="the newest commits cannot be read"):
            use()
        assert root.attrs["n"] == 1
    with pytest.raises(FileSystemError), reader.connection():
        pass
    (tmp_path / "db/away").rename(tmp_path / "db/lotdb.fs")
    with reader.connection() as other:
        assert other.attrs["n"] == root.attrs["n"] == 1
    reader.close()


def test_a_wait_for_another_process_can_be_ended(tmp_path):
    with LOTDB(tmp_path / "db"):
        script = "import sys; from lotdb import LOTDB; print('waits', flush=True); "
        script += "LOTDB(sys.argv[1], timeout=600)"
        waiting = forked.Popen(
            ["-c", script, tmp_path / "db"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waiting.stdout.readline() == "waits\n"
        deadline = time.monotonic() + 120
        while waiting.poll() is None and time.monotonic() < deadline:
            waiting.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert "KeyboardInterrupt" in waiting.communicate(timeout=120)[1]


def test_a_commit_that_another_thread_holds_up_is_an_error_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("lotdb.storage.waiting.WAIT_S", 0.1)
    with LOTDB(tmp_path / "db") as db:
        root = db.open_connection()
        db._zodb.storage._commit_lock.acquire()
        root.attrs["n"] = 1
        with pytest.raises(WaitTimeoutError, match="another thread to finish its commit") as caught:
            db.commit()
        assert isinstance(caught.value, TimeoutError)
        assert "n" not in root.attrs
        with pytest.raises(WaitTimeoutError):
            db.pack()
        db._zodb.storage._commit_lock.release()
        root.attrs["n"] = 2
        db.commit()
        with db.connection() as other:
            assert other.attrs["n"] == 2


@pytest.mark.slow
def test_who_reads_while_another_thread_packs_and_commits_reads_right(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as db:
        with db.connection() as root:
            for number in range(300):
                root.get_node(str(number)).attrs["v"] = 0
        stop, failures = threading.Event(), []

        def read():
            try:
                while not stop.is_set():
                    with db.connection() as root:
                        db._connections  # noqa: B018 - as another thread may
                        values = {root[str(number)].attrs["v"] for number in range(0, 300, 7)}
                        assert len(values) == 1, values
            except BaseException as error:
                failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for value in range(1, 9):
            with db.connection() as root:
                for number in range(300):
                    root[str(number)].attrs["v"] = value
            db.pack()
        stop.set()
        for reader in readers:
            reader.join(120)
        assert not failures


def test_a_record_whose_making_is_interrupted_is_made_when_it_is_asked_for_again(tmp_path, monkeypatch):
    with LOTDB(tmp_path / "db", new=True) as db, db.connection() as root:
        root.get_node("a").get_node("b")
        db.commit(root)
        oid = root["a"]._children()._p_oid

    def interrupted(cache, oid, record):
        raise KeyboardInterrupt

    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        connection = root._tree._session.connection
        with monkeypatch.context() as patched:
            patched.setattr("lotdb.storage.kept_records._new_ghost", interrupted)
            with pytest.raises(KeyboardInterrupt):
                connection.get(oid)
        assert connection.get(oid)._p_jar is connection


def test_a_storm_of_interrupts_leaves_the_old_or_the_new(tmp_path):
    done = forked.run(
        [storm.__file__, tmp_path / "db", STORM, SEED],
        capture_output=True,
        text=True,
        timeout=60 + STORM / 10,  # a hang is a failure
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(f"{STORM} interrupts")
