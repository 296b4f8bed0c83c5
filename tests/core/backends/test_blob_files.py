"""The files that the blob backend keeps open: threads read the right one, and none is left open."""

import gc
import os
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lotdb import LOTDB, DamagedError
from lotdb_backend_blob import backend as blob_backend
from lotdb_backend_blob import npy_reading

FILES = 12
ROWS = 30_000  # more than a pack takes
OPEN = Path("/proc/self/fd")


def rows_of(number):
    return np.arange(ROWS, dtype="f8") + number * ROWS


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            for number in range(FILES):
                root.get_data_node(f"n{number}").write_data(rows_of(number), backend="blob")
        yield db


@pytest.fixture
def payloads(db):
    with db.connection() as root:
        yield [root[f"n{number}"].get_data().for_threads() for number in range(FILES)]


def opened(folder):
    """How often each file below *folder* is open in this process."""
    paths = (os.readlink(each) for each in OPEN.iterdir() if os.path.lexists(each))
    return Counter(path for path in paths if path.startswith(str(folder)) and ".blob" in path)


def run(*functions):
    """Call all of *functions*, each in a thread; the errors that they raised."""
    errors = []

    def call(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=[each], daemon=True) for each in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return errors


@pytest.fixture(params=["pread", "seek and read"])
def any_system(request, monkeypatch):
    if request.param == "seek and read":  # as on Windows
        monkeypatch.setattr(blob_backend, "read_at", npy_reading._seek_and_read)
        monkeypatch.setattr(npy_reading, "read_at", npy_reading._seek_and_read)


@pytest.mark.sampled(1)
@pytest.mark.usefixtures("any_system")
def test_threads_read_what_is_right_while_files_are_closed(tmp_path, db, payloads, monkeypatch):
    monkeypatch.setattr(blob_backend, "OPEN_FILES", 2)
    backend = db._backends("blob")
    done = threading.Event()

    def reader(seed):
        def read():
            chosen = np.random.default_rng(seed)
            for _ in range(150):
                number, first = int(chosen.integers(FILES)), int(chosen.integers(ROWS - 700))
                got = payloads[number].read(first, first + 700)
                assert np.array_equal(got, rows_of(number)[first : first + 700])

        return read

    def close():
        while not done.wait(0.001):
            backend.close()

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    try:
        assert run(*map(reader, range(6))) == []
    finally:
        done.set()
        closing.join(60)
    if OPEN.exists():
        gc.collect()
        assert opened(tmp_path).total() <= 2
        backend.close()
        gc.collect()
        assert opened(tmp_path).total() == 0


def test_two_threads_are_in_a_read_at_once(payloads, monkeypatch):
    real, both = blob_backend.read_at, threading.Barrier(2)

    def read_at(*about):
        both.wait(30)  # which fails if the other one has to wait for this one
        return real(*about)

    for payload in payloads[:2]:
        payload.read(0, 9)
    monkeypatch.setattr(blob_backend, "read_at", read_at)
    assert run(*(lambda each=each: each.read(0, 9) for each in payloads[:2])) == []


@pytest.mark.sampled(1)
@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_a_file_stays_open_until_the_last_read_of_it_has_ended(tmp_path, db, payloads, monkeypatch, how):
    backend = db._backends("blob")
    real, within, go_on, found = blob_backend.read_at, threading.Event(), threading.Event(), []
    slow = threading.Thread(target=lambda: found.append(payloads[0].read(5, 700)), daemon=True)

    def read_at(*about):
        if threading.current_thread() is slow and not within.is_set():
            within.set()
            assert go_on.wait(30)
        return real(*about)

    monkeypatch.setattr(blob_backend, "read_at", read_at)
    slow.start()
    assert within.wait(30)
    if how == "closed":
        backend.close()
    else:
        monkeypatch.setattr(blob_backend, "OPEN_FILES", 1)
    # These get the numbers of descriptors that were closed.
    for number in range(1, FILES):
        assert np.array_equal(payloads[number].read(0, 9), rows_of(number)[:9])
    go_on.set()
    slow.join(60)
    assert np.array_equal(found[0], rows_of(0)[5:700])
    if OPEN.exists():
        backend.close()
        gc.collect()
        assert opened(tmp_path).total() == 0


@pytest.mark.sampled(1)
@pytest.mark.parametrize("content", [b"", b"\x93NUM", b"no numpy file at all"])
def test_a_file_that_is_none_of_ours_is_not_left_open(tmp_path, db, payloads, content):
    db._backends("blob").close()
    with db.connection() as root:
        ((path, _),) = root["n3"].get_data().segments()[0].files
    Path(path).chmod(0o644)
    Path(path).write_bytes(content)
    for _ in range(3):
        with pytest.raises(DamagedError, match="payload 'data' of node 'n3'"):
            payloads[3].read(0, 9)
    Path(path).unlink()
    with pytest.raises(DamagedError, match="is missing"):
        payloads[3].read(0, 9)
    if OPEN.exists():
        gc.collect()
        assert opened(tmp_path).total() == 0
