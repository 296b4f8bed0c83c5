"""A restored backup is the database; nothing is overwritten, and nothing appears that is not whole."""

import os

import pytest
from tests.core.backups.conftest import files_of, fill, state, state_of

from lotdb import LOTDB, DamagedError, DatabaseExistsError, DatabaseNotFoundError, InvalidOptionError, restore

NAME = "lotdb.fs"


@pytest.fixture
def copy(source, tmp_path):
    source.backup(tmp_path / "copy")
    return tmp_path / "copy"


def test_a_restored_backup_is_the_database_and_can_be_written(source, copy, tmp_path):
    before = files_of(copy)
    report = restore(copy, tmp_path / "again")
    assert report.commit == source.last_commit
    assert state_of(tmp_path / "again") == state(source)
    assert not (tmp_path / "again" / f"{NAME}.backup").exists()
    assert files_of(copy) == before
    with LOTDB(tmp_path / "again") as db:
        fill(db, [9])
        db.backup(copy)
        assert state_of(copy) == state(db)


def test_the_backup_itself_is_no_place_for_it(copy):
    before = files_of(copy)
    with pytest.raises(InvalidOptionError, match=f"{copy}/inside lies in the database's own folder"):
        restore(copy, copy / "inside")
    assert files_of(copy) == before


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_what_exists_is_not_overwritten(copy, tmp_path, what):
    place = tmp_path / "there"
    {"folder": place.mkdir, "file": place.touch, "link": lambda: place.symlink_to("nowhere")}[what]()
    with pytest.raises(DatabaseExistsError, match="there exists"):
        restore(copy, place)
    assert os.path.lexists(place)


def test_no_backup_is_not_found_and_leaves_nothing(tmp_path):
    with pytest.raises(DatabaseNotFoundError):
        restore(tmp_path / "none", tmp_path / "again")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_backup_does_not_appear_unless_that_is_wanted(source, copy, tmp_path):
    blob = sorted(copy.rglob("*.blob"))[0]
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    with pytest.raises(DamagedError, match="group0/node0"):
        restore(copy, tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "source"]
    restore(copy, tmp_path / "again", verify=False)
    with LOTDB(tmp_path / "again", read_only=True) as db:
        assert len(db.verify()) == 1


def test_a_backup_on_a_medium_that_cannot_be_written_is_restored(source, copy, tmp_path):
    for folder, _, files in os.walk(copy):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o444)
        os.chmod(folder, 0o555)
    try:
        restore(copy, tmp_path / "again")
    finally:
        for folder, _, _ in os.walk(copy):
            os.chmod(folder, 0o755)
    assert state_of(tmp_path / "again") == state(source)
