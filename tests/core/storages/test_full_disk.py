"""A full disk, below a storage and below payloads: it is said, nothing is lost, and all goes on with room."""

import errno
import tempfile
from pathlib import Path

import numpy as np
import pytest
from tests.services.postgresql import PASSWORD, PostgreSQL, programs
from torture.small_disk import fill_disk, give_back

from lotdb import LOTDB, CommitInDoubtError, DisconnectedError, FileSystemError, UnavailableError

pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")

ROWS = np.random.default_rng(0).random(4000)


def commit(db, number, backend="blob"):
    """A commit with an array, and some records. Their texts cannot be compressed or shared."""
    texts = np.random.default_rng(number)
    with db.connection() as root:
        node = root.get_data_node(f"{number}")
        node.write_data(ROWS + number, backend=backend)
        for each in range(40):
            node.get_node(f"{each}").attrs["text"] = texts.bytes(250).hex()
        root.attrs["last"] = number


def commit_until_it_fails(db, backend="blob", first=0):
    """Commit until an error comes; what was acknowledged, and the error."""
    for number in range(first, first + 500):
        try:
            commit(db, number, backend)
        except OSError as error:
            return list(range(first, number)), error
    pytest.fail("the disk is never full")


def check(db, numbers):
    """All that was acknowledged is there, and nothing else."""
    assert db.verify() == []
    with db.connection() as root:
        assert sorted(map(int, root)) == [*numbers]
        for number in numbers:
            assert np.array_equal(root[f"{number}"].read_data(), ROWS + number)
            assert len(root[f"{number}"]) == 40


@pytest.mark.parametrize("backend", ["blob", pytest.param("zarr", marks=pytest.mark.slow)])
def test_a_full_disk_below_sqlite(small_disk, backend):
    folder = small_disk("size=12m")
    done = []
    with LOTDB(folder / "db", storage="sqlite") as db, LOTDB(folder / "db") as other:
        for left in (300_000, 40_000, 4096):
            fill_disk(folder, left)
            numbers, error = commit_until_it_fails(db, backend, len(done))
            done += numbers
            assert isinstance(error, FileSystemError)
            assert not isinstance(error, CommitInDoubtError)  # it is known that it was not stored
            assert (error.errno, str(folder) in str(error.filename)) == (errno.ENOSPC, True)
            with pytest.raises(FileSystemError):
                commit(other, len(done), backend)
            check(db, done)  # it can be read meanwhile
            give_back(folder)
            commit(other, len(done), backend)  # handles go on
            done.append(len(done))
            commit(db, len(done), backend)
            done.append(len(done))
    with LOTDB(folder / "db") as db:
        check(db, done)


@pytest.mark.parametrize("backend", ["blob", pytest.param("zarr", marks=pytest.mark.slow)])
def test_a_full_disk_below_the_payloads_of_a_server(small_disk, postgresql_url, backend):
    pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")
    folder = small_disk("size=3m")
    with LOTDB(postgresql_url, payloads=folder / "payloads") as db:
        fill_disk(folder, 200_000)
        done, error = commit_until_it_fails(db, backend)
        assert isinstance(error, FileSystemError)
        assert (error.errno, str(folder) in str(error.filename)) == (errno.ENOSPC, True)
        db.run(lambda root: root.attrs.update(value=7))  # the tree is on another disk
        check(db, done)
        give_back(folder)
        commit(db, len(done), backend)
        check(db, range(len(done) + 1))


@pytest.fixture
def server_on_a_small_disk(small_disk, monkeypatch):
    place = Path(tempfile.mkdtemp(prefix="lotdb-disk-"))  # which the server's account can reach
    place.chmod(0o755)
    folder = small_disk("size=120m,mode=755", place)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    server = PostgreSQL(programs(), max_wal_size="32MB", min_wal_size="32MB", wal_recycle="off")
    yield folder, server
    server.close()
    monkeypatch.undo()


@pytest.mark.slow
def test_a_full_disk_below_a_server(server_on_a_small_disk, tmp_path):
    pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")
    folder, server = server_on_a_small_disk
    url = server.new_database()
    name = url.rpartition("/")[2]
    done, errors = [], []
    db = LOTDB(url, payloads=tmp_path / "payloads")
    for left in (2_000_000, 300_000):
        fill_disk(folder, left)
        numbers, error = commit_until_it_fails(db, "blob", len(done))
        done += numbers
        errors.append(error)
        assert isinstance(error, UnavailableError | DisconnectedError | CommitInDoubtError)
        assert name in str(error)
        assert PASSWORD not in str(error)
        give_back(folder)
        if server.is_gone():  # it stops where it cannot write its log
            server.start()
        if db.closed:
            db = LOTDB(url)
        with db.connection() as root:
            there = sorted(map(int, root))
        # What was in doubt may be there; all else is as it was said.
        assert there == done or (isinstance(error, CommitInDoubtError) and there == [*done, len(done)])
        done = there
        commit(db, len(done))
        done.append(len(done))
        check(db, done)
    db.close()
    with LOTDB(url) as db:
        check(db, done)
