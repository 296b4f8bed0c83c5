"""The command line of lotdb_ingest."""

import hashlib

import numpy as np
import pytest
from tests.core.folders.recordings import PATTERN, settled
from tests.services import forked

from lotdb import LOTDB
from lotdb_ingest.__main__ import _Bar, main


def test_the_command_takes_a_folder_in_and_reports(folder, tmp_path, capsys):
    (folder / "ben" / "s2_take1.npy").write_bytes(b"")
    arguments = [str(tmp_path / "db"), str(folder), PATTERN, "--at", "speakers", "--data-attribute", "audio"]
    assert main(arguments) == 1
    told = capsys.readouterr().out
    assert "3 added, 0 unchanged, 1 failed, 1 not matched" in told
    assert "ben/s2_take1.npy: " in told
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        notes = root["speakers/anna/s1/take1"].get_data("audio").metadata
    assert (
        notes["_source_sha256"] == hashlib.sha256((folder / "anna" / "s1_take1.npy").read_bytes()).hexdigest()
    )
    (folder / "ben" / "s2_take1.npy").unlink()
    assert main(arguments) == 0
    assert "0 added, 3 unchanged" in capsys.readouterr().out


def test_the_command_says_if_nothing_fits_the_pattern(folder, tmp_path, capsys):
    assert main([str(tmp_path / "db"), str(folder), "{speaker}/{take}.wav"]) == 1
    told = capsys.readouterr()
    assert "0 added" in told.out
    assert told.err.endswith(
        "no file matches the pattern '{speaker}/{take}.wav'; paths look like 'readme.txt'\n"
    )
    (tmp_path / "nothing").mkdir()
    assert main([str(tmp_path / "db"), str(tmp_path / "nothing")]) == 1


def test_the_command_keeps_fields_and_sidecars(folder, tmp_path, capsys):
    settled(folder)
    (folder / "about.csv").write_text("speaker,age\nanna,31\n")
    arguments = [str(tmp_path / "db"), str(folder), PATTERN, "--sidecar", "about.csv"]
    assert main([*arguments, "--attribute", "speaker", "--attribute", "take"]) == 0
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        node = root["anna/s1/take1"]
        assert (node.attrs["speaker"], node.attrs["take"], node.get_attribute("session")) == (
            "anna",
            "take1",
            None,
        )
        assert node.get_data().metadata["age"] == 31
    assert main([*arguments, "--attributes", "--always-hash"]) == 0
    assert "0 added, 4 unchanged" in capsys.readouterr().out
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        assert root["anna/s1/take1"].attrs["session"] == "s1"


def test_the_command_makes_no_database_if_there_is_no_folder(folder, tmp_path, capsys):
    assert main([str(folder), str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.endswith(
        "is not a folder; the folder of the files comes after the database\n"
    )
    assert sorted(path.name for path in folder.iterdir()) == [".hidden", "anna", "ben", "readme.txt"]


@pytest.mark.parametrize(
    ("database", "more", "message"),
    [
        ("db", ["--backend", "zar"], "did you mean 'zarr'"),
        ("db", ["--batch-size", "0"], "batch_size is 0"),
        ("/proc/db", [], "No such file or directory"),
        ("db", ["--timeout", "nan"], "timeout"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(folder, tmp_path, capsys, database, more, message):
    assert main([str(tmp_path / database), str(folder), *more]) == 2
    told = capsys.readouterr().err
    assert told.startswith("lotdb-ingest: ")
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.sampled(1)
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_a_killed_run_goes_on_after_its_last_batch(tmp_path, backend):
    (tmp_path / "in").mkdir()
    for number in range(40):
        np.save(tmp_path / "in" / f"{number:02}.npy", np.full(1000, number))
    code = (
        "import os, sys; from lotdb_ingest import __main__ as command\n"
        "command._Bar.show = lambda bar, done, total, path: done == 25 and os.kill(os.getpid(), 9)\n"
        "command.main()"
    )
    arguments = ["db", "in", "{n}.npy", "--batch-size", "10", "--backend", backend]
    killed = forked.run(["-c", code, *arguments], cwd=tmp_path, needs=[f"lotdb_backend_{backend}.backend"])
    assert killed.returncode == -9
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            assert len(root) == 20
            report = root.ingest_tree(tmp_path / "in", "{n}.npy", backend=backend)
        assert (len(report.added), len(report.unchanged)) == (20, 20)
        with db.connection() as root:
            assert [int(root[key].read_data()[-1]) for key in root] == list(range(40))
        assert db.verify() == []


def test_the_bar_fits_its_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    bar = _Bar()
    bar.show(1, 2, "folder/" * 20 + "\x1b\udcff.wav")
    bar.end()
    line = capsys.readouterr().err.removeprefix("\r\x1b[K").removesuffix("\n")
    assert len(line) < 60
    assert line.endswith("1/2 der/folder/folder/??.wav")
