"""Payloads go into an object store, and from one to another, and come back."""

import pickle

import pytest
from tests.converting.test_convert import differences, fill

from lotdb import LOTDB, convert
from lotdb.database import shared

pytest.importorskip("obstore", reason="the extra lotdb-backend-blob[s3] is not installed")


@pytest.mark.slow
def test_arrays_go_where_the_copy_has_them(tmp_path, s3):
    here, there = (f"s3://{s3.new_bucket()}/arrays" for _ in range(2))
    with LOTDB(tmp_path / "source", durability="process") as db:
        fill(db)
        last = bytes.fromhex(db.last_commit)
        report = convert(db, tmp_path / "stored", payloads=here)
        assert report.history
    convert(tmp_path / "stored", tmp_path / "elsewhere", payloads=there)
    convert(tmp_path / "stored", tmp_path / "shared", payloads=here)
    convert(tmp_path / "elsewhere", tmp_path / "back")
    with LOTDB(tmp_path / "source", read_only=True) as before:
        for name, place in {"stored": here, "elsewhere": there, "shared": here, "back": ""}.items():
            with LOTDB(tmp_path / name, read_only=True) as copy:
                assert differences(before, copy, last) == []
                store = copy._backends("zarr").context.store
                assert store == (f"{place}/lotdb.fs.zarr" if place else "")


@pytest.mark.slow
def test_a_reference_finds_the_store_that_the_database_notes(tmp_path, s3_bucket):
    with LOTDB(tmp_path / "db", new=True, payloads=s3_bucket) as db, db.connection() as root:
        root.get_data_node("n", backend="zarr").write_data([1, 2, 3])
        root.get_data_node("m").write_data([4, 5])
        db.commit(root)
        pickled = pickle.dumps([root["n"], root["m"].get_data()])
    node, payload = pickle.loads(pickled)
    assert node.read_data().tolist() == [1, 2, 3]
    assert payload[:].tolist() == [4, 5]
    shared._close_all()
    shared._warm.clear()
