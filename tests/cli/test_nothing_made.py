"""A command line with a mistake in it makes no empty database."""

import os

import numpy as np
import pytest

from lotdb import LOTDB
from lotdb_ingest.__main__ import main as lotdb_ingest

NPY = "{who}/{take}.npy"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recordings/anna").mkdir(parents=True)
    np.save("recordings/anna/walk.npy", np.arange(5.0))
    (tmp_path / "recordings/anna/empty.npy").touch()
    return tmp_path


MISTAKES = {
    "format": ["--format", "wvv"],
    "backend": ["--backend", "zrr"],
    "rate of zero": ["--samplerate-hz", "0"],
    "rate without an end": ["--samplerate-hz", "inf"],
    "no rate": ["--samplerate-hz", "nan"],
    "open bracket": ["{who}/{take"],
    "no file": ["{who}.npy"],
    "field of a node": [NPY, "--to", "{speaker}"],
    "field to store": [NPY, "--attribute", "speaker"],
    "sidecar": [NPY, "--sidecar", "notes.csv"],
    "name of a payload": [NPY, "--data-attribute", ""],
    "path of a node": [NPY, "--at", "a//b"],
}


@pytest.mark.parametrize("arguments", MISTAKES.values(), ids=MISTAKES)
def test_files_that_cannot_be_taken_in(folder, lotdb, arguments):
    code, out, err = lotdb("ingest", "new", "recordings", *arguments)
    assert code != 0
    assert out == ""
    assert err.startswith("lotdb")
    assert os.listdir(folder) == ["recordings"]


@pytest.mark.parametrize("arguments", MISTAKES.values(), ids=MISTAKES)
def test_with_the_small_command(folder, capsys, arguments):
    code = lotdb_ingest(["new", "recordings", *arguments])
    assert code != 0
    assert "lotdb-ingest: " in capsys.readouterr().err
    assert os.listdir(folder) == ["recordings"]


def test_a_node_in_a_backend_that_is_not_there(folder, lotdb):
    with LOTDB("results") as db, db.connection() as root:
        root.get_data_node("a").write_data([1.0])
        root.export("exported")
    for arguments in (["--backend", "zrr"], ["--at", "a//b"]):
        code, _, err = lotdb("ingest", "new", "exported", *arguments)
        assert code != 0
        assert "zrr" in err or "a//b" in err
        assert not os.path.lexists("new")
    assert lotdb("ingest", "new", "exported", "--backend", "blob")[0] == 0
    with LOTDB("new", read_only=True) as db, db.connection() as root:
        assert root["a"].read_data().tolist() == [1.0]


@pytest.mark.parametrize("command", ["lotdb", "lotdb-ingest"])
def test_without_a_mistake_all_files_come_in(folder, lotdb, capsys, command):
    os.remove("recordings/anna/empty.npy")
    arguments = ["new", "recordings", NPY, "--samplerate-hz", "100", "--at", "all"]
    for said in ("1 added", "1 unchanged"):
        if command == "lotdb":
            code, out, _ = lotdb("ingest", *arguments)
        else:
            code, out = lotdb_ingest(arguments), capsys.readouterr().out
        assert code == 0
        assert said in out
    with LOTDB("new", read_only=True) as db, db.connection() as root:
        assert root["all/anna/walk"].get_data().samplerate_hz == 100


def test_a_file_that_fails_does_not_keep_the_others_off(folder, lotdb):
    code, out, _ = lotdb("ingest", "new", "recordings", NPY)
    assert code == 1
    assert "1 added, 0 unchanged, 1 failed" in out


def test_what_is_not_there_is_not_to_be_created(folder, lotdb):
    for command in ("restore", "convert"):
        code, _, err = lotdb(command, "nothing", "new")
        assert code == 1
        assert "there is no database" in err
        assert "read_only" not in err
    assert os.listdir(folder) == ["recordings"]


@pytest.mark.parametrize(("setting", "named"), [("zrr.store=x", "zrr"), ("zarr.stoer=x", "stoer")])
def test_a_salvage_with_a_mistyped_setting(folder, lotdb, database, setting, named):
    before = os.listdir(folder)
    code, _, err = lotdb("salvage", database, "new", "--setting", setting)
    assert code != 0
    assert named in err
    assert os.listdir(folder) == before


def test_an_attribute_without_a_node(database, lotdb):
    code, _, err = lotdb("set", database, "label=walk")
    assert code == 2
    assert f"lotdb set {database} . label=walk" in err


@pytest.mark.parametrize("when", ["0001-01-01", "9999-12-31T23:59:59.999999", "0001-01-01T00:00+14:00"])
def test_times_at_the_ends_of_the_calendar(database, lotdb, when):
    lists = "sensor" if when.startswith("0001") else ""
    code, out, err = lotdb("history", database, "--since", when)
    assert (code, err) == (0, "")
    assert bool(out) == bool(lists)
    code, _, err = lotdb("show", database, "sensor", "--at", when)
    assert code == (1 if lists else 0)
    assert "Error" not in err


@pytest.mark.parametrize("span", ["99999999999999999d", "9" * 400 + "w"])
def test_a_span_longer_than_the_calendar_keeps_all(database, lotdb, span):
    assert lotdb("pack", database, "--keep", span)[0] == 0
    assert lotdb("history", database)[1].count("\n") >= 1
