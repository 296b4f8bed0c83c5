"""Backups of databases whose tree is not in one file, and whose payloads are where a user said."""

import numpy as np
import pytest
from tests.core.backups.conftest import fill, state, state_of

import lotdb
from lotdb import LOTDB, InvalidOptionError, restore


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def opening(request, tmp_path):
    """Creates a database of a storage; further arguments are those of LOTDB."""
    pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")
    if request.param == "sqlite":
        return lambda **options: LOTDB(tmp_path / "source", new=True, storage="sqlite", **options)
    pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")
    url = request.getfixturevalue("postgresql_url")
    return lambda **options: LOTDB(url, new=True, **{"payloads": tmp_path / "payloads", **options})


def change(db):
    """Replace, delete, pack, and add."""
    with db.connection() as root:
        root["group0/node0"].write_data(np.ones(3))
        del root["group1"]
    db.pack(grace_s=0)
    fill(db, [7, 8])


def test_payloads_in_a_folder_are_in_the_copy(opening, tmp_path):
    with opening() as db:
        fill(db, range(5))
        assert db.backup(tmp_path / "copy", verify=True).payload_files > 5
        assert state_of(tmp_path / "copy") == state(db)
        change(db)
        report = db.backup(tmp_path / "copy", verify=True)
        assert (report.anew, report.commits) == (False, 3)
        wanted = state(db)
    assert state_of(tmp_path / "copy") == wanted
    restore(tmp_path / "copy", tmp_path / "restored")
    assert state_of(tmp_path / "restored") == wanted


@pytest.mark.slow
def test_payloads_in_a_store_are_copied_where_one_is_named(opening, tmp_path, s3):
    pytest.importorskip("obstore", reason="the extra lotdb-backend-blob[s3] is not installed")
    here, there = (f"s3://{s3.new_bucket()}" for _ in range(2))
    stores = {"backends": {name: {"store": f"{there}/{name}"} for name in ("blob", "zarr")}}
    with opening(payloads=here) as db:
        fill(db, range(4))
        assert db.backup(tmp_path / "copy", verify=True, **stores).left_out == ()
        fill(db, [6])
        assert db.backup(tmp_path / "copy", verify=True, **stores).commits == 1
        wanted = state(db)
        with db.connection() as root:
            root.delete_tree()
        db.pack(grace_s=0, sweep_outside=True)
    assert state_of(tmp_path / "copy", **stores) == wanted
    with pytest.warns(RuntimeWarning, match="'blob'"), pytest.warns(RuntimeWarning, match="'zarr'"):
        restore(tmp_path / "copy", tmp_path / "restored", **stores)
    assert state_of(tmp_path / "restored", **stores) == wanted


def test_payloads_in_a_store_that_has_no_copy_are_named_and_stay_there(opening, tmp_path, s3_bucket):
    pytest.importorskip("obstore", reason="the extra lotdb-backend-blob[s3] is not installed")
    with opening(payloads=f"{s3_bucket}/arrays") as db:
        with db.connection() as root:
            root.get_data_node("a").write_data(np.arange(9.0))
        with pytest.warns(RuntimeWarning, match="'blob'.*as long as no pack of the database removes them"):
            report = db.backup(tmp_path / "copy", verify=True)
        assert report.left_out == ("blob",)
        assert state_of(tmp_path / "copy") == state(db)
        with LOTDB(tmp_path / "copy") as copy:
            copy.pack()  # takes nothing that is the database's
        assert state_of(tmp_path / "copy") == state(db)


def test_a_database_without_a_place_for_payloads_is_copied(postgresql_url, tmp_path, monkeypatch):
    pytest.importorskip("psycopg2", reason="the extra lotdb-core[postgresql] is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lotdb.fs.other").mkdir()
    (tmp_path / "lotdb.fs.other" / "file").write_text("of another database")
    with LOTDB(postgresql_url) as db:
        db.run(lambda root: root.attrs.update(value=7))
        db.backup("copy", verify=True)
        assert state_of("copy") == state(db)
    assert not (tmp_path / "copy" / "lotdb.fs.other").exists()


@pytest.mark.parametrize("url", ["postgresql://me:secret@host/results", "s3://bucket/copy"])
def test_a_url_is_no_folder(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    with LOTDB("source") as db, pytest.raises(InvalidOptionError, match=r"is a URL.*convert") as caught:
        db.backup(url)
    assert "secret" not in str(caught.value)
    for make in (lotdb.restore, lotdb.salvage, lotdb.upgrade):
        with pytest.raises(InvalidOptionError, match="is a URL"):
            make("source", url)
    assert [each.name for each in tmp_path.iterdir()] == ["source"]
