"""StorageTests: what a database promises, whatever it is stored in."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lotdb import LOTDB, BaseNode, ConflictError, ReadOnlyError
from lotdb.testing import another_process
from lotdb.testing.backend_script import START, STEPS, Step, run_script
from lotdb.testing.limits import at_once
from lotdb.testing.promises import STORAGE, Kit, promise
from lotdb.testing.seen import check_same, picture

__all__ = ["StorageTests"]

#: Opens the database, with further arguments of ``LOTDB``.
Open = Callable[..., LOTDB]

FIRST = "a_commit_is_there_again"
KILLS = 24


class StorageTests(Kit):
    """The tests of a database in some storage; subclass it, and say how the database is opened::

        class TestFileStorage(StorageTests):
            @pytest.fixture
            def open_database(self, tmp_path):
                return functools.partial(LOTDB, tmp_path / "database")

    Fixtures to override
    --------------------
    open_database
        A function that opens one and the same database each time it is called, new at the first, and passes
        ``read_only=`` and ``durability=`` on. It can be pickled, for it is called in other processes, too: a
        function of a module, or a ``functools.partial`` of one.
    """

    @pytest.fixture
    def open_database(self) -> Open:
        """How the database is opened."""
        raise NotImplementedError(
            "a subclass of StorageTests has a fixture open_database: a function that opens the database"
        )

    @pytest.fixture
    def db(self, open_database: Open) -> Iterator[LOTDB]:
        """The database, new and open."""
        db = open_database()
        yield db
        with self.closing("LOTDB.close"):
            db.close()

    # -- one connection ----------------------------------------------------------------------------

    @promise(STORAGE)
    def test_a_commit_is_there_again(self, open_database: Open) -> None:
        """What was committed is there when the database is opened again."""
        with open_database() as db, db.connection() as root:
            root.get_node_path("a/b").attrs["value"] = 1
        for read_only in (False, True):
            with open_database(read_only=read_only) as db, db.connection() as root:
                assert root["a/b"].attrs["value"] == 1, "what was committed is there"

    @promise(STORAGE, FIRST)
    def test_an_abort_leaves_nothing(self, open_database: Open, db: LOTDB) -> None:
        """What was aborted, or ended by an exception or by closing, was never there."""
        before = _something(db)
        root = db.open_connection()
        _change(root)
        db.abort()
        assert picture(root) == before, "an abort brings back what was there"
        with pytest.raises(ZeroDivisionError), db.connection() as root:
            _change(root)
            raise ZeroDivisionError
        _change(db.open_connection())
        db.close()
        with open_database() as again, again.connection() as root:
            assert picture(root) == before, "what was not committed is there"

    @promise(STORAGE, FIRST)
    def test_a_rollback_returns_to_the_savepoint(self, open_database: Open, db: LOTDB) -> None:
        """A rollback brings back what was there at the savepoint, as often as is wanted."""
        _something(db)
        root = db.open_connection()
        root.get_node("before the savepoint")
        at_savepoint = picture(root)
        savepoint = db.savepoint()
        for _ in range(2):
            _change(root)
            db.savepoint()
            savepoint.rollback()
            assert picture(root) == at_savepoint, "a rollback brings back what was there"
        db.commit()
        db.close()
        with open_database() as again, again.connection() as root:
            assert picture(root) == at_savepoint, "what a rollback left is what is committed"

    @promise(STORAGE, FIRST)
    def test_trees_of_any_form_are_stored(self, open_database: Open, db: LOTDB) -> None:
        """Wide and deep trees, and large attributes, come back as they went in."""
        with db.connection() as root:
            for number in range(1500):
                root.get_node(f"wide {number}").attrs["number"] = number
            root.get_node_path("/".join(["deep"] * 100)).attrs["level"] = 100
            root.attrs["large"] = "x" * 900_000
            root["wide 7"].attrs.update({f"attribute {number}": number for number in range(200)})
            before = _numbers(root)
        db.close()
        with open_database() as again, again.connection() as root:
            assert _numbers(root) == before, "a wide tree comes back"
            assert root["/".join(["deep"] * 100)].attrs["level"] == 100, "a deep tree comes back"
            assert root.attrs["large"] == "x" * 900_000, "a large attribute comes back"

    @promise(STORAGE, FIRST)
    def test_a_branch_is_on_its_own(self, db: LOTDB) -> None:
        """A branch and its original are changed independently of each other, over many commits."""
        _something(db)
        with db.connection() as root:
            root["kept"].branch("branch")
        for number in range(5):
            with db.connection() as root:
                root["branch"].attrs["number"] = number
                root["kept"].get_node(f"{number}")
        with db.connection() as root:
            assert "number" not in root["kept"].attrs, "a change of a branch is in the original"
            assert not [key for key in root["branch"] if key.isdigit()], (
                "a change of the original is in a branch"
            )
        assert db.verify() == [], "verify() finds damage"

    # -- several connections -----------------------------------------------------------------------

    @promise(STORAGE, FIRST)
    def test_changes_of_one_node_conflict(self, db: LOTDB) -> None:
        """Of two transactions that change one node, the later one fails with ConflictError, and is undone."""
        _something(db)
        winner, loser = (db.open_connection(name) for name in ("winner", "loser"))
        for number, root in enumerate((winner, loser)):
            root["kept"].attrs["value"] = number
            root.get_node_path(f"only of {number}")
        db.commit("winner")
        with pytest.raises(ConflictError):
            db.commit("loser")
            pytest.fail("both commits changed one attribute, and both succeeded")
        db.abort("loser")
        with db.connection() as root:
            assert root["kept"].attrs["value"] == 0, "the winner's value is there"
            assert "only of 1" not in root, "nothing of the loser's is there"

    @promise(STORAGE, FIRST)
    def test_what_is_deleted_meanwhile_conflicts(self, db: LOTDB) -> None:
        """A write below a node that another transaction has deleted fails with ConflictError."""
        with db.connection() as root:
            root.get_node_path("a/b/c")
        winner, loser = (db.open_connection(name) for name in ("winner", "loser"))
        winner["a"].delete_tree()
        loser["a/b/c"].attrs["value"] = 1
        db.commit("winner")
        with pytest.raises(ConflictError):
            db.commit("loser")
            pytest.fail("what was written would be lost, although its commit succeeded")

    @promise(STORAGE, FIRST)
    def test_what_must_not_merge_conflicts(self, db: LOTDB) -> None:
        """A deletion of a node to which another transaction has added a child fails with ConflictError.

        Also if its transaction has changed the node before: ``check_merge`` refuses to merge that.
        """
        with db.connection() as root:
            root.get_node_path("a/b")
        winner, loser = (db.open_connection(name) for name in ("winner", "loser"))
        winner["a"].get_node("unseen")
        loser["a"].attrs["value"] = 1
        loser.delete_node("a")
        db.commit("winner")
        with pytest.raises(ConflictError):
            db.commit("loser")
            pytest.fail("a child was deleted that the transaction had not seen; does it call check_merge?")
        with db.connection() as root:
            assert "unseen" in root["a"], "what was committed first is there"

    @promise(STORAGE, FIRST)
    def test_changes_of_different_nodes_merge(self, db: LOTDB) -> None:
        """Transactions that change or add different children of one node both commit."""
        with db.connection() as root:
            for number in range(10):
                root.get_node(f"{number}").attrs["value"] = 0
        one, two = (db.open_connection(name) for name in ("one", "two"))
        one["3"].attrs["value"] = 1
        two["4"].attrs["value"] = 1
        one.get_node("of one")
        two.get_node("of two")
        db.commit("one")
        db.commit("two")
        with db.connection() as root:
            assert {"of one", "of two"} <= {*root}, "both children are there"
            assert root["3"].attrs["value"] == root["4"].attrs["value"] == 1, "both changes are there"

    @promise(STORAGE, FIRST)
    def test_a_reader_sees_one_moment(self, db: LOTDB) -> None:
        """A connection sees the state at which its transaction began, whatever others commit and pack."""
        before = _something(db)
        reader = db.open_connection("reader")
        assert reader["kept"].attrs["label"] == "as before"
        with db.connection() as root:
            _change(root)
        db.pack()
        assert picture(reader) == before, "a reader sees what was committed after it had begun"
        db.abort("reader")
        assert "new" in reader, "its next transaction sees what was committed"

    @promise(STORAGE, "changes_of_one_node_conflict", "changes_of_different_nodes_merge")
    def test_threads_lose_nothing(self, db: LOTDB) -> None:
        """Threads that commit at once lose none of what they commit."""

        def count(root: BaseNode, number: int) -> None:
            root.attrs["count"] = root.get_attribute("count", 0) + 1
            root.get_node(f"thread {number}").get_node(f"{root.attrs['count']}")

        def work(number: int) -> None:
            for _ in range(5):
                db.run(partial(count, number=number), attempts=100)

        at_once([partial(work, number) for number in range(4)])
        with db.connection() as root:
            assert root.attrs["count"] == 20, "20 commits have counted"
            assert sum(len(root[f"thread {number}"]) for number in range(4)) == 20, "each has made its node"

    # -- other openings ----------------------------------------------------------------------------

    @promise(STORAGE, FIRST)
    def test_reading_only_refuses_changes(self, open_database: Open, db: LOTDB) -> None:
        """With read_only=True every change is a ReadOnlyError, and nothing is changed."""
        before = _something(db)
        db.close()
        with open_database(read_only=True) as reader:
            root = reader.open_connection()
            for change in (
                lambda: root.get_node("new"),
                lambda: root.attrs.update({"value": 1}),
                lambda: root["kept"].delete_tree(),
                lambda: root["kept"].rename("other"),
            ):
                with pytest.raises(ReadOnlyError):
                    change()
                    reader.commit()
                    pytest.fail("a change with read_only=True raised nothing")
                reader.abort()
            assert reader.verify() == [], "verify() finds damage"
        with open_database() as again, again.connection() as root:
            assert picture(root) == before, "read_only=True changes nothing"

    @promise(STORAGE, "a_branch_is_on_its_own")
    def test_pack_keeps_what_is_there(self, open_database: Open, db: LOTDB) -> None:
        """pack() takes away what nobody can reach, and nothing else."""
        for number in range(20):
            with db.connection() as root:
                root.get_node("changes").attrs["text"] = f"{number}" * 20_000
                root.get_node(f"{number}").attrs["number"] = number
                if number % 3 == 0:
                    root[f"{number}"].branch(f"branch of {number}")
                if number % 4 == 3:
                    root[f"{number - 1}"].delete_tree()
        with db.connection() as root:
            before = picture(root)
        for _ in range(2):
            db.pack()
            with db.connection() as root:
                assert picture(root) == before, "pack() takes away what is in use"
        assert db.verify() == [], "verify() finds damage after a pack()"
        db.close()
        with open_database() as again, again.connection() as root:
            assert picture(root) == before, "after a pack() and an opening the tree is another one"

    # -- kills -------------------------------------------------------------------------------------

    @promise(STORAGE, FIRST)
    def test_a_process_killed_among_commits_loses_none(self, open_database: Open) -> None:
        """What was committed outlives a kill at any moment."""
        open_database().close()
        with another_process.started_with("commit_until_killed", open_database) as process:
            assert process.stdout is not None
            acknowledged = [int(process.stdout.readline() or 0) for _ in range(3)][-1]
            time.sleep(0.01)
            process.kill()
            process.wait()
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        assert acknowledged >= 3, "the other process failed"
        with open_database() as db, db.connection() as root:
            number = root.attrs["number"]
            assert number >= acknowledged, f"{acknowledged} commits were acknowledged, {number} are there"
            got = root.get_data_node("replaced", create=False).read_data()
            check_same(got, np.full((150_000,), number), "what is committed together is there together")
            assert db.verify() == [], "verify() finds damage"

    @promise(STORAGE, "a_process_killed_among_commits_loses_none", "pack_keeps_what_is_there")
    def test_a_kill_at_any_write_or_sync_loses_nothing(self, open_database: Open) -> None:
        """A process that is killed at any write or sync, in a commit or a pack, loses no commit."""
        from lotdb.testing.killing import die_at_each_write

        open_database().close()
        with another_process.started_with("die_at", open_database) as process:
            die_at_each_write(process, open_database, self.amount(KILLS, 4))

    # -- everything together -----------------------------------------------------------------------

    @promise(
        STORAGE, "an_abort_leaves_nothing", "a_rollback_returns_to_the_savepoint", "pack_keeps_what_is_there"
    )
    def test_a_script_gives_the_tree_that_it_gives_in_memory(self, open_database: Open) -> None:
        """Whatever is done, a database holds what a tree in memory would hold."""

        @settings(
            max_examples=self.amount(40, 4),
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(STEPS, min_size=5, max_size=30))
        def check(steps: list[Step]) -> None:
            tried = Reopened(partial(open_database, durability="process"))
            with contextlib.closing(tried):
                tried.root().delete_tree()
                tried.root().attrs.clear()
                tried.commit()
                run_script([*START, *steps, ("reopen",)], tried)

        check()


class Reopened:
    """A database that is opened as often as need be."""

    def __init__(self, opening: Open) -> None:
        self._opening = opening
        self._db: LOTDB | None = None

    @property
    def db(self) -> LOTDB:
        """The database, opened unless it is open."""
        if self._db is None:
            self._db = self._opening()
        return self._db

    def root(self) -> BaseNode:
        """The root, in the connection that :meth:`commit` commits."""
        return self.db.open_connection()

    def commit(self) -> None:
        """Commit."""
        self.db.commit()

    def settle(self) -> None:
        """Commit, and close the database."""
        self.commit()
        self.close()

    def close(self) -> None:
        """Close the database, if it is open."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _something(db: LOTDB) -> dict[str, Any]:
    """Commit some nodes; all that is there then."""
    with db.connection() as root:
        root.get_node_path("kept/child").attrs["value"] = [1, 2]
        root["kept"].attrs["label"] = "as before"
        root.get_data_node("data").write_data(np.arange(10.0))
    with db.connection() as root:
        return picture(root)


def _change(root: BaseNode) -> None:
    root.get_node_path("new/node")
    root["kept"].attrs["label"] = "changed"
    root["kept/child"].delete_tree()
    root.get_data_node("data").append_data(np.ones(200_000))


def _numbers(root: BaseNode) -> list[int]:
    return [node.attrs["number"] for node in map(root.__getitem__, root) if "number" in node.attrs]
