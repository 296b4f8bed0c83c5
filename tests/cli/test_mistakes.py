"""What a user gets wrong is one line that says what to type."""

import re

import pytest

from lotdb import LOTDB

MISTAKES = [
    (["tre", "DB"], 2, "did you mean: lotdb tree"),
    (["wxyz", "DB"], 2, "lotdb --help"),
    (["tree"], 2, "missing argument 'DATABASE'"),
    (["tree", "DB", "--dept", "2"], 2, "--depth"),
    (["tree", "DB", "--depth", "two"], 2, "'--depth': 'two'; use a number of levels from 0 on"),
    (["tree", "DB", "--depth", "-1"], 2, "'--depth': '-1'; use a number of levels from 0 on"),
    (["tree", "DB", "--depth", "1.5"], 2, "use a number of levels"),
    (["tree", "DB", "--max-children", "x"], 2, "use a number of children from 0 on"),
    (["find", "DB", "--limit", "0"], 2, "use a number of nodes from 1 on"),
    (["history", "DB", "--limit", "x"], 2, "use a number of commits from 1 on"),
    (["pack", "DB", "--timeout", "nan"], 2, "use a number of seconds from 0 on"),
    (["ingest", "DB", "FILES", "{a}.wav", "--batch-size", "0"], 2, "use a number of files from 1 on"),
    (["tree", "DB", "--depth"], 2, "option '--depth' requires an argument (see: lotdb tree --help)"),
    (["tree", "DB", "sensr"], 1, "did you mean 'sensor'?"),
    (["show", "DB", "sensor/captur_1"], 1, "did you mean 'sensor/capture_1'?"),
    (["show", "DB", "sensor/zzz"], 1, "'sensor' has: capture_0, capture_1, capture_2"),
    (["show", "DB", "zzz"], 1, "the root has: kinds, sensor, variant"),
    (["show", "DB", "kinds/a/b"], 1, "'kinds' has no children"),
    (["show", "DB", "sensor//x"], 2, "sensor//x"),
    (["get", "DB", "sensor/capture_0", "lable"], 1, "did you mean 'label'?"),
    (["get", "DB", "sensor/capture_0", "imu"], 1, "lotdb cat"),
    (["cat", "DB", "sensor/capture_0", "ium"], 1, "did you mean 'imu'?"),
    (["cat", "DB", "sensor"], 1, "'sensor' has no payload"),
    (["cat", "DB", "kinds"], 1, "name one: text, bytes"),
    (["cat", "DB", "sensor/capture_0", "--rows", "5"], 2, "START:STOP"),
    (["cat", "DB", "sensor/capture_0", "--rows", "9:3"], 2, "capture_0"),
    (["cat", "DB", "sensor/capture_0", "--seconds", "-3:1"], 2, "capture_0"),
    (["cat", "DB", "kinds", "small", "--seconds", "0:1"], 2, "rate"),
    (["cat", "DB", "kinds", "small", "--seconds", "0:1", "--rows", "0:1"], 2, "not both"),
    (["set", "DB", "sensor"], 2, "NAME=VALUE"),
    (["set", "DB", "sensor", "label"], 2, "NAME=VALUE"),
    (["set", "DB", "sensor", "n=x", "--type", "int"], 2, "'x' is no int"),
    (["set", "DB", "sensor", "n={", "--type", "json"], 2, "is no json"),
    (["set", "DB", "sensor/capture_0", "imu=1"], 1, "payload"),
    (["set", "DB", "sensor/capture_0", "imu=1"], 1, "lotdb rm --payload removes it"),
    (["set", "DB", "sensor", "_backend=x"], 2, "keeps a default of data nodes; choose another name"),
    (["set", "DB", "senser", "n=1"], 1, "did you mean 'sensor'?"),
    (["set", "DB", "sensor", "n=1", "n=2"], 2, "'n' is named twice"),
    (["set", "DB", "sensor", "n=1", "--delete", "n"], 2, "'n' is named twice"),
    (["rm", "DB", "sensor/capture_0", "sensor/zzz"], 1, "'sensor' has: capture_0, capture_1, capture_2"),
    (["backup", "DB", "EMPTY/copy", "--to", "zarr.store"], 2, "value for --to: 'zarr.store'"),
    (["salvage", "DB/lotdb.fs.end", "EMPTY/x"], 2, "is not a folder; a database is a folder"),
    (["restore", "DB/lotdb.fs.end", "EMPTY/x"], 2, "is not a folder; a database is a folder"),
    (["convert", "DB/lotdb.fs.end", "EMPTY/x"], 2, "is not a folder; a database is a folder"),
    (["backup", "DB", "DB/lotdb.fs.end"], 2, "is not a folder; use the path of one"),
    (["export", "DB", "sensor/capture_0", "/tmp/nothing.xyz"], 1, "xyz"),
    (["export", "DB", "sensor/capture_0", "a", "b", "c"], 2, "one payload and one file"),
    (["branch", "DB", "sensor", "variant"], 1, "variant"),
    (["branch", "DB", "sensor", "a/b"], 2, "such as 'b'; lotdb move puts it elsewhere"),
    (["branch", "DB", "/", "copy"], 2, "name a node below it"),
    (["branch", "DB", "sensor", ".."], 2, "are places"),
    (["branch", "DB", "sensor", ""], 2, "empty"),
    (["move", "DB", "/", "x"], 2, "name a node below it"),
    (["move", "DB", "sensor", "/"], 2, "such as archive/sensor_01"),
    (["move", "DB", "sensor", "variant"], 1, "'variant' already; choose another key"),
    (["export", "DB", "sensor/capture_0", "out"], 2, "pass --format"),
    (["ingest", "DB", "EMPTY"], 1, "there are no files in"),
    (["ingest", "EMPTY", "DB", "{a}.npy"], 2, "is a database; the folder of the files comes after"),
    (["ingest", "DB", "EMPTY/nothing"], 2, "there is no"),
    (["ingest", "DB", "FILES", "{a}.flac"], 1, "no file matches the pattern '{a}.flac'; paths look like"),
    (["ingest", "DB", "FILES", "{a"], 2, "pattern is '{a'"),
    (["ingest", "DB", "FILES", "{a}.wav", "--to", "{b}"], 2, "there: {a}"),
    (["ingest", "DB", "FILES", "{a}.wav", "--stop-on-error"], 1, "--format raw keeps its bytes"),
    (["ingest", "DB", "FILES", "{a}.wav", "--backend", "zar"], 1, "did you mean 'zarr'?"),
    (["ingest", "DB", "FILES", "{a}.wav", "--at", "a//b"], 2, "leave out the extra"),
    (["move", "DB", "sensor", "sensor/capture_0/x"], 2, "below itself"),
    (["stats", "DB", "--file", "nothing"], 1, "there is no file 'nothing'"),
    (["show", "DB", "--at", "yesterday"], 1, "tag 'yesterday' (tags: none); a time is as 2026-11-28T12:00"),
    (["pack", "DB", "--keep", "30"], 1, "spans, as 30d"),
    (["tree", "DB", "--setting", "zarr"], 2, "BACKEND.NAME=VALUE"),
    (["tree", "DB", "--setting", "zar.store=x"], 1, "zar"),
    (["tree", "DB", "--name", "other.fs"], 1, "use --name lotdb.fs"),
    (["tree", "DB/lotdb.fs.end"], 2, "is not a folder"),
    (["tree", "DBX"], 1, "did you mean"),
    (["tree", "EMPTY"], 1, "there is no database 'lotdb.fs' in"),
]


@pytest.mark.sampled(20)
@pytest.mark.parametrize(("arguments", "expected", "words"), MISTAKES, ids=lambda each: str(each)[:60])
def test_a_mistake_is_one_line_that_says_what_to_type(arguments, expected, words, database, lotdb, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.wav").write_text("not a wav")
    places = {"DB": database, "EMPTY": str(tmp_path / "empty"), "FILES": str(tmp_path / "files")}
    for place in places:
        arguments = [each.replace(place, places[place]) for each in arguments]
    code, out, err = lotdb(*arguments)
    assert (code, out) == (expected, "")
    assert err.startswith("lotdb")
    assert err.count("\n") == 1
    assert words in err
    assert "Traceback" not in err
    assert not re.search(
        r"\w=$|get_node|add_tree|ingest_tree|read_only=|if_exists=|format=|path=|name=|configure_data|read\(\)",
        err,
    )
    assert not list((tmp_path / "empty").iterdir())


def test_without_a_command_the_help_is_shown(lotdb):
    code, out, err = lotdb()
    assert (code, out) == (2, "")
    assert "Commands:\n" in err


def test_a_mistake_changes_nothing(database, lotdb, printed):
    before = printed("tree", database, "--json")
    for arguments, _, _ in MISTAKES:
        lotdb(*(each.replace("DB", database) for each in arguments))
    assert printed("tree", database, "--json") == before


def test_a_database_in_use_is_said_to_be(database, lotdb):
    with LOTDB(database):
        code, _, err = lotdb("set", database, "sensor", "a=1")
    assert code == 1
    assert err.count("\n") == 1
    assert "lotdb.fs" in err


@pytest.mark.parametrize("place", ["lotdb.fs", "./lotdb.fs"])
def test_the_data_file_stands_for_its_folder(database, printed, monkeypatch, place):
    monkeypatch.chdir(database)
    assert printed("ls", place) == "kinds\nsensor\nvariant\n"
