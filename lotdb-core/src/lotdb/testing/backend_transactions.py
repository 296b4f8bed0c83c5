"""All or nothing: what transactions that end in every way leave in a backend."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lotdb import Backend, Blocks, ConflictError, DataNode
from lotdb.testing import another_process
from lotdb.testing.arrays import filled
from lotdb.testing.backend_fixtures import BackendFixtures
from lotdb.testing.bench import Bench, synced_inodes
from lotdb.testing.limits import at_once
from lotdb.testing.promises import CLASS, promise
from lotdb.testing.seen import check_same, picture

__all__ = ["TransactionTests"]

LARGE = (200_000, 2)  # float64: over 1 MiB, so it is written at once; smaller ones wait for the commit
LEFT = "Backend.delete: what an undone transaction wrote is removed"

BY_LIBRARY = (
    "call context.sync, context.sync_file and context.sync_folder, or, if a library syncs by itself, set "
    "syncs_with_os_fsync = False in the class of the tests"
)


class TransactionTests(BackendFixtures):
    """Commit, abort, exceptions, savepoints, conflicts, full disks and killed processes."""

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_a_commit_is_on_the_disk(
        self, bench: Bench, backend_class: type[Backend], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """write() and write_blocks() put the bytes, and the folders that lead to them, on the disk, if
        context.durable: call context.sync and context.sync_folder. A power cut loses the rest.
        """
        bench.needs_a_database()
        if not self.syncs_with_os_fsync:
            pytest.skip("it makes files durable by other means than os.fsync")
        # Otherwise the core syncs as well, and nobody would see whether the backend does.
        monkeypatch.setattr(backend_class, "syncs", True)
        with synced_inodes(monkeypatch) as synced:
            bench.node("small").write_data(filled("float64", (10,)))
            bench.node("large").write_data(filled("float64", LARGE))
            array = filled("float64", LARGE, 1)  # by write_blocks()
            blocks = Blocks([array[:150_000], array[150_000:]], array.dtype, (2,), len(array))
            bench.node("blocks").write_data(blocks)
            bench.commit()
        for key in ("small", "large", "blocks"):
            for file in bench.files_of(bench.node(key).get_data()):
                status = file.stat()
                assert (status.st_dev, status.st_ino) in synced, (
                    f"BackendContext.durable: {file} was not fsynced before the commit; a power cut loses it"
                    f"; {BY_LIBRARY}"
                )
                at_sync = synced[status.st_dev, status.st_ino]
                assert at_sync >= status.st_size, (
                    f"BackendContext.durable: {file} had {at_sync} bytes when it was fsynced, and has "
                    f"{status.st_size}; a power cut loses the rest: flush the file before it is synced"
                )
                for folder in _folders_of(file, bench):
                    status = folder.stat()
                    assert os.name == "nt" or (status.st_dev, status.st_ino) in synced, (
                        f"BackendContext.durable: {folder}, the way to {file}, was not fsynced; "
                        f"a power cut loses it; {BY_LIBRARY}"
                    )

    @promise(CLASS, "a_committed_payload_is_read_back", "deleting_gives_the_space_back")
    def test_an_abort_removes_what_was_written(self, bench: Bench) -> None:
        """delete() removes what a transaction wrote that was aborted."""
        bench.needs_a_database()
        before = _with_something_kept(bench)
        _change_everything(bench)
        bench.db.savepoint()
        bench.db.abort()
        _check_as_before(bench, before)

    @promise(CLASS, "an_abort_removes_what_was_written")
    def test_an_exception_removes_what_was_written(self, bench: Bench) -> None:
        """delete() removes what a transaction wrote that an exception ended."""
        bench.needs_a_database()
        before = _with_something_kept(bench)
        with pytest.raises(ZeroDivisionError), bench.db.connection() as root:
            root.get_data_node("new").write_data(filled("float64", LARGE))
            root.get_data_node("kept/small").replace_data(filled("float64", LARGE))
            raise ZeroDivisionError
        _check_as_before(bench, before)

    @promise(CLASS, "an_abort_removes_what_was_written")
    def test_closing_without_a_commit_removes_what_was_written(self, bench: Bench) -> None:
        """delete() removes what a transaction wrote that was never committed."""
        bench.needs_a_database()
        before = _with_something_kept(bench)
        _change_everything(bench)
        bench.close()
        _check_as_before(bench, before)

    @promise(CLASS, "an_abort_removes_what_was_written")
    def test_a_rollback_returns_to_the_savepoint(self, bench: Bench) -> None:
        """A rollback to a savepoint brings back what was there, and delete() removes the rest."""
        bench.needs_a_database()
        _with_something_kept(bench)
        bench.node("first/large").write_data(filled("float64", LARGE, 1))
        bench.node("first/small").write_data(filled("float64", (10,), 1))
        savepoint = bench.db.savepoint()
        at_savepoint, stored = picture(bench.root()), len(bench.stored())
        for _ in range(2):  # it can be returned to again
            _change_everything(bench)
            bench.db.savepoint()
            savepoint.rollback()
            assert picture(bench.root()) == at_savepoint, "a rollback brings back what was there"
        bench.settle()
        assert len(bench.stored()) <= stored, f"{LEFT}; there is {sorted(bench.stored())}"
        assert picture(bench.root()) == at_savepoint, "what a rollback left is what is committed"

    @promise(CLASS, "an_abort_removes_what_was_written")
    def test_a_failed_write_leaves_nothing(
        self, bench: Bench, backend_class: type[Backend], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """delete() removes what a failed write() has left."""
        bench.needs_a_database()
        before = _with_something_kept(bench)
        write = backend_class.write

        def write_and_fail(
            self: Backend,
            locator: Any,
            array: np.ndarray[Any, Any],
            options: Mapping[str, Any],
            **notes: Any,
        ) -> None:
            write(self, locator, array, options, **notes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patched:
            patched.setattr(backend_class, "write", write_and_fail)
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                bench.node("kept/large").replace_data(filled("float64", LARGE))
            bench.node("kept/small").replace_data(filled("float64", (10,), 3))
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                bench.commit()
        _check_as_before(bench, before)

    @pytest.mark.parametrize("how", ["replace", "append"])
    @promise(CLASS, "an_abort_removes_what_was_written")
    def test_the_loser_of_a_conflict_leaves_the_winner_alone(self, bench: Bench, how: str) -> None:
        """The loser of a conflict leaves the winner's data alone, and nothing of its own."""
        bench.needs_a_database()
        first = filled("float64", LARGE, 1)
        bench.node("both").write_data(first)
        bench.commit()
        winner, loser = (bench.db.open_connection(name) for name in ("winner", "loser"))
        for seed, root in ((2, loser), (3, winner)):
            node = root["both"]
            assert isinstance(node, DataNode)
            node.write_data(filled("float64", LARGE, seed), if_exists=how)  # type: ignore[arg-type]
            root.get_data_node("small").write_data(filled("int8", (5,), seed))
        bench.db.commit("winner")
        stored = bench.stored()
        with pytest.raises(ConflictError):
            bench.db.commit("loser")
        won = filled("float64", LARGE, 3)
        expected = won if how == "replace" else np.concatenate([first, won])
        bench.db.abort()
        check_same(bench.node("both").read_data(), expected, "the winner's data are not the loser's to touch")
        bench.close()
        bench.pack()
        left = bench.stored() - stored
        assert not left, f"{LEFT}, at the latest by pack(); there is {sorted(left)}"
        check_same(bench.node("both").read_data(), expected, "the winner's data are not the loser's to touch")
        check_same(bench.node("small").read_data(), filled("int8", (5,), 3), "the winner's data stay")

    @promise(
        CLASS,
        "a_committed_payload_is_read_back",
        "locators_lists_what_is_stored",
        "deleting_gives_the_space_back",
    )
    def test_a_killed_process_leaves_the_last_commit(self, bench: Bench) -> None:
        """locators() lists what a killed process has left, so that pack() can delete() it, and nothing that
        was committed is lost.
        """
        bench.needs_a_database()
        seen, stored = _with_something_kept(bench)
        bench.close()
        with another_process.started("stage_and_die", bench) as process:
            process.wait()
        _check_killed(process)
        assert picture(bench.root()) == seen, "kill -9 before the commit leaves the last commit as it was"
        assert bench.db.verify() == []
        bench.close()
        bench.pack()
        left = bench.stored() - stored
        assert not left, (
            f"Backend.locators: pack() removes what a killed process left; there is {sorted(left)}"
        )
        assert picture(bench.root()) == seen, "pack() took away what is in use"

    @pytest.mark.parametrize("commits", [1, 4])
    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_a_process_killed_among_commits_loses_none(self, bench: Bench, commits: int) -> None:
        """What was committed outlives a kill at any moment."""
        bench.needs_a_database()
        with another_process.started("commit_until_killed", bench) as process:
            assert process.stdout is not None
            acknowledged = [int(process.stdout.readline() or 0) for _ in range(commits)][-1]
            time.sleep(0.007 * commits)  # into the middle of the next
            process.kill()
            process.wait()
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        assert acknowledged >= commits, "the other process failed"
        number = bench.root().attrs["number"]
        assert number >= acknowledged, f"{acknowledged} commits were acknowledged, {number} are there"
        grown = np.repeat(np.arange(1, number + 1), 200)[:, np.newaxis].repeat(2, axis=1)
        check_same(bench.node("grows").read_data(), grown, "what is committed together is there together")
        replaced = np.full((150_000,), number)
        check_same(
            bench.node("replaced").read_data(), replaced, "what is committed together is there together"
        )
        assert bench.db.verify() == []
        bench.close()
        bench.pack()
        check_same(bench.node("grows").read_data(), grown, "pack() spares what is in use")
        assert bench.db.verify() == []

    @promise(CLASS, "a_committed_payload_is_read_back")
    def test_a_reader_keeps_its_snapshot(self, bench: Bench) -> None:
        """delete() is called for what nobody uses, and what others still read stays readable."""
        bench.needs_a_database()
        before = {key: filled("float64", shape, 1) for key, shape in (("small", (10,)), ("large", LARGE))}
        for key, array in before.items():
            bench.node(key).write_data(array)
        bench.commit()
        reader = bench.db.open_connection("reader")
        with bench.db.connection() as root:
            root.get_data_node("small").replace_data(filled("float64", (10,), 2))
            root.get_data_node("large").delete_data()
        bench.pack()
        for key, array in before.items():
            got = reader.get_data_node(key, create=False).read_data()
            check_same(got, array, "a reader sees one moment, whatever others commit and pack")
        bench.db.abort("reader")
        got = reader.get_data_node("small", create=False).read_data()
        check_same(got, filled("float64", (10,), 2), "its next transaction sees what was committed")
        assert not reader.get_data_node("large", create=False).has_data()

    @promise(
        CLASS, "a_committed_payload_is_read_back", "threads_may_read_at_once", "threads_may_write_at_once"
    )
    def test_threads_read_in_connections_of_their_own(self, bench: Bench) -> None:
        """Several threads may read and write at once."""
        bench.needs_a_database()
        arrays = {f"{seed}": filled("int32", (20_000 * seed, 4), seed) for seed in range(1, 5)}
        for key, array in arrays.items():
            bench.node(key).write_data(array)
        bench.commit()

        def read() -> None:
            with bench.db.connection() as root:
                for number in range(30):
                    for key, array in arrays.items():
                        first = (number * 7919) % (len(array) - 500)
                        payload = root.get_data_node(key, create=False).get_data()
                        got = payload[first : first + 500]
                        check_same(got, array[first : first + 500], "threads read at once")

        def write() -> None:
            for seed in range(5):
                with bench.db.connection() as root:
                    root.get_data_node("written meanwhile").write_data(filled("float64", LARGE, seed))

        at_once([read, read, read, write])


def _folders_of(file: Path, bench: Bench) -> list[Path]:
    """The folders that lead to *file*: up to the database's, or its own if it lies elsewhere."""
    if bench.folder not in file.parents:
        return [file.parent]
    return [folder for folder in file.parents if folder == bench.folder or bench.folder in folder.parents]


def _with_something_kept(bench: Bench) -> tuple[dict[str, Any], set[str]]:
    """Commit some payloads; what is there then, in the tree and in the folder."""
    bench.node("kept/small").write_data(filled("float64", (10,)))
    bench.node("kept/large").write_data(filled("float64", LARGE))
    bench.node("kept/other").write_data("a text")
    bench.commit()
    return picture(bench.root()), bench.stored()


def _change_everything(bench: Bench) -> None:
    bench.node("new/large").write_data(filled("float64", LARGE, 5))
    bench.node("new/small").write_data(filled("U3", (10,), 5))
    bench.node("kept/small").replace_data(filled("float64", (10,), 6))
    bench.node("kept/large").append_data(filled("float64", LARGE, 7))
    bench.node("kept/other").delete_data()


def _check_as_before(bench: Bench, before: tuple[dict[str, Any], set[str]]) -> None:
    seen, stored = before
    left = bench.stored() - stored
    assert not left, f"{LEFT}; there is {sorted(left)}"
    assert picture(bench.root()) == seen, "what was there before is there again"
    bench.close()
    assert picture(bench.root()) == seen, "what was there before is on the disk"


def _check_killed(process: subprocess.Popen[bytes]) -> None:
    if sys.platform != "win32":
        assert process.returncode == -9, f"the other process failed with {process.returncode}"
