"""The commands that copy a database, and bring it back."""

import json
import warnings

import numpy as np

from lotdb import LOTDB


def test_backup_copies_what_is_new_and_restore_brings_it_back(database, printed, tmp_path):
    copy, again = tmp_path / "copy", tmp_path / "again"
    assert "all records and" in printed("backup", database, copy)
    assert printed("backup", database, copy, "--verify") == "nothing is new\n"
    with LOTDB(database) as db, db.connection() as root:
        root.attrs["new"] = 1
        commit = db.last_commit
    report = json.loads(printed("backup", database, copy, "--json"))
    assert (report["commits"], report["anew"], report["payload_files"]) == (1, False, 0)
    assert report["commit"] > commit
    assert str(again) in printed("restore", copy, again)
    assert printed("get", again, "", "new") == "1\n"


def test_a_backup_that_lacks_a_file_exits_with_1(database, lotdb, tmp_path):
    blob = sorted((tmp_path / "results").rglob("*.blob"))[0]
    blob.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, out, err = lotdb("backup", database, tmp_path / "copy")
    assert code == 1
    assert "records" in out
    assert blob.name in err


def test_restore_refuses_a_folder_that_exists(database, lotdb, tmp_path):
    (tmp_path / "there").mkdir()
    code, _, err = lotdb("restore", database, tmp_path / "there")
    assert code == 1
    assert "exists" in err


def test_arrays_outside_go_where_the_command_says(database, printed, lotdb, tmp_path):
    here, there = (f"zarr.store={tmp_path / name}" for name in ("one", "two"))
    outside = {"zarr": {"store": str(tmp_path / "one")}}
    with LOTDB(database, backends=outside) as db, db.connection() as root:
        root.get_data_node("far").write_data(np.arange(5), backend="zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = lotdb("backup", database, tmp_path / "copy", "--setting", here)
    assert code == 0
    assert "lie in a store outside" in err
    printed("backup", database, tmp_path / "other", "--setting", here, "--to", there)
    assert "4" in printed("cat", tmp_path / "other", "far", "--setting", there)


def test_salvage_lists_what_is_lost(database, lotdb, printed, tmp_path):
    assert "0 losses" in printed("salvage", database, tmp_path / "whole")
    blob = max((tmp_path / "results").rglob("*.blob"), key=lambda path: path.stat().st_size)
    blob.unlink()
    code, out, err = lotdb("salvage", database, tmp_path / "new")
    assert (code, err) == (1, "")
    assert "lost: sensor/capture_0 'imu'" in out
    code, out, _ = lotdb("salvage", database, tmp_path / "other", "--json")
    assert code == 1
    assert {note["name"] for note in json.loads(out)["lost"]} >= {"imu"}
