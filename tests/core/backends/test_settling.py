"""What a backend may finish while the next array is made is waited for before the commit."""

import signal

import numpy as np
import pytest
from tests.core.npy_backend import NpyBackend, plugins_with

from lotdb import LOTDB, FileSystemError

LARGE = np.arange(1 << 18, dtype="f8")  # 2 MiB: an array of its own


class LateBackend(NpyBackend):
    """It syncs by itself, later; `story` has what it does."""

    syncs = True
    story: list[str]
    failing = interrupted = ""

    def write(self, locator, array, options):
        super().write(locator, array, options)
        self.story.append(f"write {int(array[0])}")

    def settle(self, locator):
        array = np.load(self.path(locator))
        self.story.append(f"settle {int(array[0])}")
        if self.story[-1] == self.failing:
            raise OSError(5, "Input/output error")
        if self.story[-1] == self.interrupted:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def late():
    class Late(LateBackend):
        story: list[str] = []  # noqa: RUF012 - of this test alone

    return Late


@pytest.fixture
def db(tmp_path, late):
    with LOTDB(tmp_path / "db", new=True, plugins=plugins_with(late)) as opened:
        yield opened


def put(root, number):
    return root.get_data_node(f"n{number}", backend="npy").write_data(LARGE + number)


def test_an_array_is_waited_for_when_the_next_one_is_written_and_the_last_before_the_commit(db, late):
    root = db.open_connection()
    for number in range(3):
        put(root, number)
    assert late.story == ["write 0", "write 1", "settle 0", "write 2", "settle 1"]
    db.commit()
    assert late.story[5:] == ["settle 2"]


def test_a_savepoint_waits_as_a_commit_does(db, late):
    root = db.open_connection()
    put(root, 0)
    db.savepoint()
    assert late.story == ["write 0", "settle 0"]


def test_what_is_undone_is_not_waited_for(db, late):
    root = db.open_connection()
    put(root, 0)
    db.abort()
    db.commit()
    assert late.story == ["write 0"]


def test_what_could_not_be_put_on_the_disk_is_never_committed(db, late):
    late.failing = "settle 0"
    root = db.open_connection()
    put(root, 0)
    with pytest.raises(FileSystemError, match="Input/output"):
        put(root, 1)
    late.failing = ""
    for _ in range(2):  # a second try of the sync might succeed, and mean nothing
        with pytest.raises(FileSystemError, match="Input/output"):
            db.savepoint()
    assert late.story.count("settle 0") == 1
    db.abort()
    put(root, 2)
    db.commit()
    assert list(root) == ["n2"]
    assert (root["n2"].read_data() == LARGE + 2).all()


def test_a_rolled_back_savepoint_leaves_nothing_to_wait_for(db, late):
    root = db.open_connection()
    savepoint = db.savepoint()
    put(root, 0)
    savepoint.rollback()
    db.commit()
    assert late.story == ["write 0"]


def test_an_interrupt_waits_and_is_no_failure(db, late):
    late.interrupted = "settle 0"
    root = db.open_connection()
    put(root, 0)
    with pytest.raises(KeyboardInterrupt):
        put(root, 1)
    db.commit()
    assert late.story == ["write 0", "write 1", "settle 0"]
    assert (root["n0"].read_data() == LARGE).all()
