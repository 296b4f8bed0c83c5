"""A backup that is killed, or that the disk fails, leaves the one before, and the next one goes on."""

import contextlib
import errno
import os
import shutil
import signal

import numpy as np
import pytest
from tests.core.backups.conftest import fill, state, state_of

import lotdb_backend_blob.backend
from lotdb import LOTDB, DamagedError, FileSystemError, restore
from lotdb.storage import syncing
from lotdb.testing.faults import Countdown

NAME = "lotdb.fs"
# How many of the moments of a backup are tried; 0 for all.
MOST = int(os.environ.get("LOTDB_KILLS", "6"))


def in_child(work):
    """Do *work* in a forked child, which ends without cleaning up; its signal, or how it exited."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def moments(work):
    """The numbers of the writes and syncs that *work* makes, or some of them."""
    reading, writing = os.pipe()

    def count():
        countdown = Countdown()
        countdown.watch(lotdb_backend_blob.backend.BlobBackend)
        countdown.start(0)
        work()
        countdown.stop()
        os.write(writing, b"%d" % countdown.counted)

    assert in_child(count) == 0
    counted = int(os.read(reading, 20))
    os.close(reading)
    os.close(writing)
    assert counted > 10
    if MOST == 0 or counted <= MOST:
        return list(range(1, counted + 1))
    # The last ones are those in which the copy becomes another one.
    return sorted({*np.linspace(1, counted, MOST // 2, dtype=int), *range(counted - MOST // 2, counted + 1)})


def killed(work, moment):
    def die():
        countdown = Countdown()
        countdown.watch(lotdb_backend_blob.backend.BlobBackend)
        countdown.start(moment)
        work()

    assert in_child(die) == signal.SIGKILL


@pytest.fixture
def folder(tmp_path):
    with LOTDB(tmp_path / "source", durability="process") as db:
        fill(db, range(4))
    return tmp_path / "source"


def back_up(folder, copy):
    with LOTDB(folder, read_only=True) as db:
        db.backup(copy)


def each_kill(folder, copy, before):
    """Kill a backup at each moment; the copy is what it was before, or the new one, and the next is right."""
    after = state_of(folder)
    saved = copy.parent / "saved"
    if copy.exists():
        shutil.copytree(copy, saved)
    else:
        saved.mkdir()

    def again():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(saved, copy)

    again()
    for moment in moments(lambda: back_up(folder, copy)):
        again()
        killed(lambda: back_up(folder, copy), moment)
        for read_only in (True, False):
            shutil.rmtree(copy.parent / "looked at", ignore_errors=True)
            looked_at = shutil.copytree(copy, copy.parent / "looked at")
            if before is None and not (looked_at / f"{NAME}.backup").exists():
                continue
            try:
                with LOTDB(looked_at, read_only=read_only) as db:
                    found = state(db)
                    assert db.verify() == []
            except DamagedError as error:
                if before is not None or "not finished" not in str(error):
                    raise
                continue
            assert found in (before, after), moment
        back_up(folder, copy)
        assert state_of(copy) == after, moment


def test_a_first_backup_that_is_killed_is_none_and_the_next_one_goes_on(folder, tmp_path):
    each_kill(folder, tmp_path / "copy", None)


@pytest.mark.slow
def test_a_backup_of_new_commits_that_is_killed_leaves_the_one_before(folder, tmp_path):
    back_up(folder, tmp_path / "copy")
    before = state_of(tmp_path / "copy")
    with LOTDB(folder, durability="process") as db, db.connection() as root:
        for key in "ab":
            root.get_data_node(key).write_data(np.arange(9.0))
        root.get_data_node("c").write_data(np.arange(900.0), backend="zarr")
    each_kill(folder, tmp_path / "copy", before)


@pytest.mark.slow
def test_a_backup_after_a_pack_that_is_killed_leaves_the_one_before(folder, tmp_path):
    back_up(folder, tmp_path / "copy")
    before = state_of(tmp_path / "copy")
    with LOTDB(folder, durability="process") as db:
        with db.connection() as root:
            del root["group0"]
        db.pack()
        fill(db, [7])
    each_kill(folder, tmp_path / "copy", before)


def test_a_restore_that_is_killed_leaves_no_folder_and_the_next_one_is_right(folder, tmp_path):
    back_up(folder, tmp_path / "copy")
    target = tmp_path / "restored"

    def work():
        restore(tmp_path / "copy", target)

    steps = moments(work)
    shutil.rmtree(target)
    for moment in steps:
        killed(work, moment)
        if target.exists():
            assert state_of(target) == state_of(folder), moment
            shutil.rmtree(target)
        work()
        assert state_of(target) == state_of(folder), moment
        assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "restored", "source"]
        shutil.rmtree(target)


@pytest.mark.crossed
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("packed", [False, True])
def test_a_disk_that_fails_at_any_write_or_sync_leaves_the_backup_before(
    folder, tmp_path, monkeypatch, number, packed
):
    copy = tmp_path / "copy"
    back_up(folder, copy)
    before = state_of(copy)
    with LOTDB(folder, durability="process") as db:
        fill(db, [6])
        if packed:
            with db.connection() as root:
                del root["group0"]
            db.pack()
    after, left = state_of(folder), [0]

    def failing(real):
        def call(*arguments):
            left[0] -= 1
            if left[0] == 0:
                raise OSError(number, os.strerror(number))
            return real(*arguments)

        return call

    for module, name in (
        (os, "copy_file_range"),
        (os, "write"),
        (os, "fsync"),
        (os, "replace"),
        (os, "mkdir"),
    ):
        monkeypatch.setattr(module, name, failing(getattr(module, name)))
    monkeypatch.setattr(syncing, "sync_descriptor", failing(syncing.sync_descriptor))
    seen = set()
    for moment in range(1, 1000):
        with LOTDB(folder, read_only=True) as db:
            left[0] = moment
            with contextlib.suppress(FileSystemError):
                seen.add(db.backup(copy).commit)
            was_hit, left[0] = left[0] <= 0, 0
        found = state_of(copy)
        assert found in (before, after), moment
        if not was_hit or found == after:
            break
    assert was_hit or seen
    assert moment > 5
    back_up(folder, copy)
    assert state_of(copy) == after
