"""verify(history=True) reads the payloads that only earlier moments have, and names the commit."""

from pathlib import Path

import numpy as np
import pytest

from lotdb import LOTDB, DamagedError
from lotdb.database import earlier_payloads


def file_of(db, when, path):
    """The largest file of a payload at a moment: of the backend zarr that with the rows."""
    with db.at(when) as root:
        files = [file for segment in root[path].payloads["data"].segments() for file, _ in segment.files]
    return max((Path(db.path) / file for file in files), key=lambda file: file.stat().st_size)


def flip(file):
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.fixture(params=["blob", "zarr"])
def backend(request):
    return request.param


@pytest.fixture
def folder(tmp_path, backend):
    """Five commits with a payload of one row more each; in the one before and the one after there is none."""
    files = {"blob": {"record_bytes": 0}}
    with LOTDB(tmp_path / "db", default_backend=backend, durability="process", backends=files) as db:
        with db.connection() as root:
            for number in range(200):  # so that its record is one of several
                root.get_node(f"n{number}")
        for rows in range(1, 6):
            with db.connection() as root:
                root.get_data_node("n50/kept").write_data(np.full(rows, rows))
                root.get_data_node("a/large").write_data(np.arange(40_000.0) + rows)
        with db.connection() as root:
            del root["a"], root["n50/kept"]
    return tmp_path / "db"


def test_nothing_is_damaged_if_nothing_was_altered(folder):
    with LOTDB(folder, read_only=True) as db:
        assert db.verify(history=True) == []


@pytest.mark.sampled(4)
@pytest.mark.parametrize("path", ["a/large", "n50/kept"])
@pytest.mark.parametrize("commit", [1, 3, 5])
def test_a_flip_in_a_payload_that_is_gone_is_found_and_named(folder, path, commit):
    with LOTDB(folder, read_only=True) as db:
        ids = [each.id for each in db.history()][::-1]
        at = ids[-7:][commit]
        file = file_of(db, at, path)
    flip(file)
    with LOTDB(folder, read_only=True) as db:
        assert db.verify() == []
        (found,) = db.verify(history=True)
        assert (found.path, found.name) == (path, "data")
        assert found.reason.startswith(f"at commit {at}: ")
        assert file.name in found.reason or "checksum" in found.reason


def test_what_the_current_tree_shares_is_told_once(folder):
    with LOTDB(folder) as db:
        with db.connection() as root:
            root.get_data_node("there").write_data(np.arange(50_000.0))
        with db.connection() as root:
            root["there"].branch("again")
        file = file_of(db, db.last_commit, "there")
    flip(file)
    with LOTDB(folder, read_only=True) as db:
        assert [each.path for each in db.verify(history=True)] in (["there"], ["again"], ["again", "there"])
        assert db.verify(history=True) == db.verify()


def test_after_a_pack_the_oldest_moment_is_looked_at_whole(folder):
    with LOTDB(folder) as db:
        ids = [each.id for each in db.history()][::-1]
        at = ids[-7:][3]
        db.pack(keep=at)
        first = next(reversed(list(db.history()))).id
        file = file_of(db, at, "a/large")
    flip(file)
    with LOTDB(folder, read_only=True) as db:
        assert [each.path for each in db.verify(history=True)] == ["a/large"]
        assert first <= at


def test_a_missing_file_of_an_earlier_moment_is_found(folder):
    with LOTDB(folder, read_only=True) as db:
        at = [each.id for each in db.history()][2]
        file = file_of(db, at, "a/large")
    file.unlink()
    with LOTDB(folder, read_only=True) as db:
        assert db.verify() == []
        assert "missing" in db.verify(history=True)[0].reason


def test_a_backup_that_is_verified_reads_the_payloads_of_all_moments(folder, tmp_path):
    with LOTDB(folder, read_only=True) as db:
        at = [each.id for each in db.history()][2]
        file = file_of(db, at, "a/large")
        flip(file)
        db.backup(tmp_path / "copy")
        with pytest.raises(DamagedError, match=r"the copy in .* has 1 damages.*at commit"):
            db.backup(tmp_path / "copy", verify=True)


def test_what_was_read_is_not_read_again(folder, monkeypatch):
    read = []
    real = earlier_payloads.verify_segment

    def counted(stage, layout, segment):
        read.append((str(segment.locator), segment.first))
        real(stage, layout, segment)

    monkeypatch.setattr(earlier_payloads, "verify_segment", counted)
    with LOTDB(folder) as db:
        for number in range(3):  # which store the records anew that name the same rows
            with db.connection() as root:
                root["n50"].attrs["number"] = number
        assert db.verify(history=True) == []
    assert len(read) == len(set(read)) == 10
