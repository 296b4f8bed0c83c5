"""cat, export and ingest: data out, and in."""

import json
from dataclasses import fields

import numpy as np
import pytest

from lotdb import LOTDB, IngestReport


def test_cat_prints_the_rows_of_a_window(database, printed):
    assert printed("cat", database, "sensor/capture_0", "--rows", "1:3") == "3.0,4.0,5.0\n6.0,7.0,8.0\n"
    assert printed("cat", database, "sensor/capture_0", "imu", "--rows", "-1:") == "5997.0,5998.0,5999.0\n"
    assert printed("cat", database, "sensor/capture_0", "--seconds", "1.5:1.501") == "4500.0,4501.0,4502.0\n"


def test_cat_prints_all_rows_in_their_order(database, printed):
    lines = printed("cat", database, "sensor/capture_0").splitlines()
    assert np.array_equal(np.loadtxt(lines, delimiter=","), np.arange(6000.0).reshape(2000, 3))


def test_cat_as_json_prints_a_row_a_line(database, printed):
    out = printed("cat", database, "kinds", "fields", "--json")
    assert [json.loads(line) for line in out.splitlines()] == [{"n": 1, "x": 0.5}, {"n": 2, "x": 1.5}]
    assert printed("cat", database, "kinds", "small", "--json") == "[1, 2]\n[3, 4]\n"


def test_cat_prints_each_kind_of_payload(database, printed):
    assert printed("cat", database, "kinds", "text") == "first\nsecond"
    assert printed("cat", database, "kinds", "fields") == "n,x\n1,0.5\n2,1.5\n"
    assert printed("cat", database, "kinds", "number") == "2.5\n"
    assert printed("cat", database, "kinds", "bytes") == "\x00\x1b[31m"


def test_cat_prints_missing_cells_and_short_numbers(tmp_path, printed):
    with LOTDB(tmp_path / "t") as db, db.connection() as root:
        node = root.get_data_node("t")
        node.write_data(np.array([0.1, np.nan], "f4"), data_attribute="f")
        node.write_data(np.array(["2026-03-01T09", "NaT"], "M8[h]"), data_attribute="m")
        node.write_data(np.array([1 + 2j]), data_attribute="c")
        node.write_data(np.arange(8).reshape(1, 2, 4), data_attribute="cube")
    folder = tmp_path / "t"
    assert printed("cat", folder, "t", "f") == "0.1\nnan\n"
    assert printed("cat", folder, "t", "m") == "2026-03-01T09\nNaT\n"
    assert printed("cat", folder, "t", "c", "--json") == "[1.0, 2.0]\n"
    assert printed("cat", folder, "t", "cube") == "0,1,2,3,4,5,6,7\n"
    assert printed("cat", folder, "t", "cube", "--json") == "[[0, 1, 2, 3], [4, 5, 6, 7]]\n"
    assert printed("cat", folder, "t", "f", "--json").splitlines()[1] == '"nan"'


def test_cat_prints_the_cells_of_a_table(tmp_path, printed):
    (tmp_path / "t.csv").write_text("n,name\n1,a\n,b\n")
    (tmp_path / "files").mkdir()
    (tmp_path / "t.csv").rename(tmp_path / "files/t.csv")
    printed("ingest", tmp_path / "db", tmp_path / "files")
    assert printed("cat", tmp_path / "db", "t.csv") == "n,name\n1,a\n,b\n"
    lines = printed("cat", tmp_path / "db", "t.csv", "--json").splitlines()
    assert [json.loads(line) for line in lines] == [{"n": 1, "name": "a"}, {"n": None, "name": "b"}]


@pytest.mark.parametrize("payload", ["text", "number"])
def test_cat_of_what_has_no_rows_refuses_a_window(database, lotdb, payload):
    code, _, err = lotdb("cat", database, "kinds", payload, "--rows", "0:1")
    assert code == 2
    assert "printed whole" in err


def test_export_writes_a_file_that_ingest_reads(database, printed, tmp_path):
    printed("export", database, "sensor/capture_0", tmp_path / "imu.npy")
    printed("export", database, "kinds", "small", tmp_path / "small.csv")
    assert np.load(tmp_path / "imu.npy").shape == (2000, 3)
    assert "3,4" in (tmp_path / "small.csv").read_text()


def test_export_replaces_a_file_only_if_it_is_told_to(database, lotdb, printed, tmp_path):
    target = tmp_path / "imu.npy"
    target.write_text("mine")
    code, _, err = lotdb("export", database, "sensor/capture_0", target)
    assert code == 1
    assert "imu.npy" in err
    assert target.read_text() == "mine"
    printed("export", database, "sensor/capture_0", target, "--replace")
    assert np.load(target).shape == (2000, 3)


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    for name in ("anna/morning_1", "anna/morning_2", "ben/evening_1"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", np.arange(10.0))
    return folder


def test_ingest_takes_a_folder_in_and_skips_what_is_there(recordings, printed, tmp_path):
    arguments = ("ingest", tmp_path / "db", recordings, "{speaker}/{session}_{take}.npy")
    how = ("--attribute", "speaker", "--at", "in/put", "--samplerate-hz", "10", "--data-attribute", "x")
    first = json.loads(printed(*arguments, *how, "--json"))
    assert len(first["added"]) == 3
    again = json.loads(printed(*arguments, *how, "--json"))
    assert again["unchanged"] == first["added"]
    assert set(again) == {field.name for field in fields(IngestReport) if field.init}
    assert "3 unchanged" in printed(*arguments, *how)
    assert printed("get", tmp_path / "db", "in/put/ben/evening/1", "speaker") == "ben\n"
    assert (
        printed("cat", tmp_path / "db", "in/put/ben/evening/1", "x", "--seconds", "0.5:0.7") == "5.0\n6.0\n"
    )


def test_ingest_fails_if_a_file_does_and_says_which(recordings, lotdb, tmp_path):
    (recordings / "ben/evening_1.npy").write_bytes(b"\x93NUMPY")
    code, out, _ = lotdb("ingest", tmp_path / "db", recordings)
    assert code == 1
    assert "ben/evening_1.npy: " in out
    assert "2 added" in out


def test_ingest_says_that_nothing_fits_the_pattern(recordings, lotdb, tmp_path):
    code, _, err = lotdb("ingest", tmp_path / "db", recordings, "{speaker}.wav")
    assert code == 1
    assert "paths look like 'anna/morning_1.npy'" in err


def test_ingest_of_no_folder_creates_no_database(lotdb, tmp_path):
    code, _, err = lotdb("ingest", tmp_path / "db", tmp_path / "nothing")
    assert code == 2
    assert "there is no '" in err
    assert "the folder of the files comes after the database" in err
    assert not (tmp_path / "db").exists()
