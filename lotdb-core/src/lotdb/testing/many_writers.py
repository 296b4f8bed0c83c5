"""ManyWritersTests: what a database promises that several processes write at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from lotdb import LOTDB
from lotdb.testing import another_process
from lotdb.testing.limits import at_once
from lotdb.testing.promises import STORAGE, promise
from lotdb.testing.seen import check_same
from lotdb.testing.storages import FIRST, Open, StorageTests

__all__ = ["ManyWritersTests"]

WRITERS = 4
#: How many writers are killed.
WRITER_KILLS = 24


class ManyWritersTests(StorageTests):
    """The tests of :class:`StorageTests`, and of several processes that write one database.

    Subclass it in place of that one for a storage with ``many_writers``.

    Fixtures to override
    --------------------
    open_database
        As for :class:`StorageTests`.
    """

    @pytest.fixture
    def open_database(self) -> Open:
        """How the database is opened."""
        raise NotImplementedError(
            "a subclass of ManyWritersTests has a fixture open_database: a function that opens the database"
        )

    @promise(STORAGE, FIRST, "changes_of_different_nodes_merge")
    def test_processes_that_commit_at_once_lose_nothing(self, open_database: Open) -> None:
        """Of several processes that commit at once, each sees all of its commits, and those of the others."""
        open_database = _quickly(open_database)
        open_database().close()
        with _writers(open_database, 2) as writers:
            done = [_commit(writer, name, 8) for name, writer in enumerate(writers)]
            said = [_read(writer) for writer in writers]
        assert said == [*map(len, done)], "each process has committed all that it was told to"
        with open_database() as db, db.connection() as root:
            assert root.attrs["count"] == sum(said), "each commit has counted"
            for name, number in enumerate(said):
                node = root[f"writer {name}"]
                assert len(node) == number, "the nodes of each process are there"
                check_same(node[f"{number - 1}"].read_data(), np.full(2000, number - 1), "so are their data")
            assert db.verify() == [], "verify() finds damage"

    @promise(STORAGE, "processes_that_commit_at_once_lose_nothing")
    def test_killed_writers_lose_nothing_and_keep_nobody_waiting(self, open_database: Open) -> None:
        """Of a process that is killed all acknowledged commits are there, and the others go on."""
        open_database = _quickly(open_database)
        open_database().close()
        kill_writers(open_database, self.amount(WRITER_KILLS, 2))

    @promise(STORAGE, "pack_keeps_what_is_there")
    def test_what_another_process_sees_outlives_a_pack(self, open_database: Open) -> None:
        """A pack keeps what a connection of another process sees, and goes on beside it."""
        open_database = _quickly(open_database)
        with open_database() as db, db.connection() as root:
            root.attrs["number"] = 0
            root.get_data_node("data").write_data(np.arange(3000.0))
            root.get_node("gone").attrs["value"] = 7
        with another_process.started_with("look_on", open_database) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"0 7 3000\n"
            with open_database() as db:
                for number in range(1, 4):
                    with db.connection() as root:
                        root.attrs["number"] = number
                        root.get_data_node("data").replace_data(np.ones(number))
                        if number == 1:
                            root["gone"].delete_tree()
                    db.pack()
                process.stdin.write(b"again\n")
                process.stdin.flush()
                assert process.stdout.readline() == b"0 7 3000\n", "it sees what it saw before"
                process.stdin.write(b"move on\n")
                process.stdin.flush()
                assert process.stdout.readline() == b"3 None 3\n", "its next transaction shows more"
                db.pack()
                assert db.verify() == [], "verify() finds damage"

    @promise(STORAGE, "processes_that_commit_at_once_lose_nothing", "pack_keeps_what_is_there")
    def test_a_pack_beside_writers_takes_nothing_of_theirs(self, open_database: Open) -> None:
        """While others commit, packs take away nothing that they have committed."""
        open_database = _quickly(open_database)
        with open_database() as db:
            with _writers(open_database, 2) as writers:
                for name, writer in enumerate(writers):
                    _commit(writer, name, 8)
                jobs: list[Callable[[], object]] = [partial(_pack_often, db)]
                jobs += [partial(_read, writer) for writer in writers]
                at_once(jobs)
            with db.connection() as root:
                assert root.attrs["count"] == 16, "each commit has counted"
                for name in range(2):
                    for number, node in enumerate(root[f"writer {name}"].values()):
                        assert node.read_data().shape == (2000,), f"data of commit {number} are there"
            assert db.verify() == [], "verify() finds damage"

    @promise(STORAGE, FIRST)
    def test_a_reader_sees_new_commits_of_others(self, open_database: Open) -> None:
        """Opened for reading, or for writing, a database shows others' commits at the next transaction."""
        open_database = _quickly(open_database)
        with open_database() as writer, open_database(read_only=True) as reader, open_database() as third:
            for number in range(5):
                with writer.connection() as root:
                    root.attrs["number"] = number
                for db in (reader, third):
                    with db.connection() as root:
                        assert root.attrs["number"] == number, "the next transaction shows the commit"
                    assert db.last_commit == writer.last_commit, "all know of the same last commit"
            seen = reader.open_connection()
            with writer.connection() as root:
                root.attrs["number"] = 5
            assert seen.attrs["number"] == 4, "a transaction goes on showing what it began with"
            reader.refresh()
            assert seen.attrs["number"] == 5, "after refresh() it shows the newest commit"


def _quickly(open_database: Open) -> Open:
    """Opens it without syncs: a killed process needs none, and there are many commits."""
    return partial(open_database, durability="process")


def kill_writers(open_database: Open, kills: int) -> None:
    """Kill one of four writers, and start another in its place, *kills* times; then look at all."""
    rng = np.random.default_rng(kills)
    with (
        another_process.started_with("count_for_ever", open_database) as process,
        contextlib.ExitStack() as stack,
    ):
        writers = stack.enter_context(contextlib.closing(_Counting(process)))
        for name in range(WRITERS):
            _tell(process, f"{name}")
        for name in range(WRITERS):
            writers.wait(name, more_than=0)
        for kill in range(kills):
            name = int(rng.integers(WRITERS))
            time.sleep(float(rng.uniform(0, 0.03)))
            writers.kill(name)
            acknowledged = writers.done[name]
            writers.start(name)
            assert writers.done[name] > acknowledged, (
                f"kill {kill}: {acknowledged} commits of a killed process were acknowledged, and the next "
                f"one goes on from {writers.done[name] - 1}"
            )
        for name in range(WRITERS):
            writers.wait(name, more_than=writers.done[name])  # whoever was not killed goes on
        for name in range(WRITERS):
            writers.kill(name)
    said = list(writers.done)
    with open_database() as db, db.connection() as root:
        counts = [root[f"writer {name}"].attrs["count"] for name in range(WRITERS)]
        for name, count in enumerate(counts):
            failure = f"writer {name}: {said[name]} commits acknowledged, {count} there"
            assert 0 <= count - said[name] <= 1, failure
            data = root[f"writer {name}"]["data"].read_data()
            check_same(data, np.full(2000, count), "what is committed together is there together")
        assert db.verify() == [], "verify() finds damage"


class _Counting:
    """The children of a process that does ``count_for_ever``, and what they have said."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._pids: dict[int, int] = {}
        self.done = [0] * WRITERS
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # closed at the end
            for line in self._process.stdout:
                kind, name, number = line.split()
                if kind == b"pid":
                    self._pids[int(name)] = int(number)
                else:
                    self.done[int(name)] = int(number)

    def close(self) -> None:
        """Kill those that are left, if a test has failed."""
        for pid in self._pids.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def start(self, name: int) -> None:
        """Start one, and wait for its first commit."""
        before = self.done[name]
        _tell(self._process, f"{name}")
        self.wait(name, more_than=before)

    def wait(self, name: int, *, more_than: int) -> None:
        """Wait for more commits of one."""
        until = time.monotonic() + 50
        while self.done[name] <= more_than:
            if time.monotonic() > until:
                pytest.fail(f"writer {name} does not go on, beside others that are killed")
            time.sleep(0.001)

    def kill(self, name: int) -> None:
        """Kill one, and take note of all that it has said."""
        pid = self._pids.pop(name)
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 2
        while _is_alive(pid) and time.monotonic() < until:  # it may not be reaped, and say nothing any more
            time.sleep(0.001)
        seen = -1
        while seen != self.done[name]:  # what it has said is in the pipe, and comes at once
            seen = self.done[name]
            time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def _writers(open_database: Open, number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    with contextlib.ExitStack() as stack:
        started = partial(another_process.started_with, "count_up_to", open_database)
        yield [stack.enter_context(started()) for _ in range(number)]


def _commit(writer: subprocess.Popen[bytes], name: int, number: int) -> range:
    _tell(writer, f"{name} {number}")
    return range(number)


def _tell(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    process.stdin.flush()


def _read(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        pytest.fail("another process failed, or its commits do not go on; it says why on its standard error")
    return int(line)


def _pack_often(db: LOTDB) -> None:
    for _ in range(4):
        db.pack()
        time.sleep(0.05)
