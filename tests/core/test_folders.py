"""Taking in whole folders: which file goes where, one commit a batch, and what is told at the end."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    DataMismatchError,
    DataNode,
    IngestError,
    InvalidOptionError,
    ReadOnlyError,
)
from lotdb_ingest.__main__ import _Bar, main


@pytest.fixture
def folder(tmp_path):
    """Two speakers with two sessions each, and a file that is none of theirs."""
    for speaker in ("anna", "ben"):
        (tmp_path / "in" / speaker).mkdir(parents=True)
        for session in ("s1", "s2"):
            name = tmp_path / "in" / speaker / f"{session}_take1.npy"
            np.save(name, np.arange(len(speaker) * int(session[1])))
    (tmp_path / "in" / "readme.txt").write_text("about these")
    (tmp_path / "in" / ".hidden").mkdir()
    (tmp_path / "in" / ".hidden" / "s1_take1.npy").write_bytes(b"not for us")
    return tmp_path / "in"


PATTERN = "{speaker}/{session}_{take}.npy"


def leaves(root):
    return [leaf.path for leaf in root.iterate_tree_leaves()]


def test_each_field_is_a_level_of_the_tree(folder):
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN)
    assert leaves(root) == [
        f"{speaker}/{session}/take1" for speaker in ("anna", "ben") for session in ("s1", "s2")
    ]
    assert root["ben/s2/take1"].read_data().tolist() == [0, 1, 2, 3, 4, 5]
    assert report.added == [
        f"{speaker}/{session}_take1.npy" for speaker in ("anna", "ben") for session in ("s1", "s2")
    ]
    assert report.unmatched == ["readme.txt"]
    assert not report.failed


def test_without_a_pattern_each_file_gets_a_node_at_its_own_path(folder):
    root = BaseNode("root")
    root.ingest_tree(folder)
    assert "anna/s1_take1.npy" in root
    assert root["readme.txt"].read_data() == "about these"
    assert ".hidden" not in root


def test_the_node_and_the_payload_may_be_said_with_fields(folder):
    root = BaseNode("root")
    root.ingest_tree(folder, PATTERN, to="all/{speaker}", data_attribute="{session}-{take}")
    assert leaves(root) == ["all/anna", "all/ben"]
    assert root["all/anna"].has_data("s1-take1")
    assert root["all/anna"].has_data("s2-take1")


def test_wildcards_stand_for_parts_of_a_path(folder):
    root = BaseNode("root")
    root.ingest_tree(folder, "*/s2_*.npy")
    assert leaves(root) == ["anna/s2_take1.npy", "ben/s2_take1.npy"]
    other = BaseNode("root")
    other.ingest_tree(folder, "**/{name}.txt")
    assert leaves(other) == ["readme"]


def test_a_field_that_stands_twice_must_be_the_same_twice(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a_1.txt").write_text("fits")
    (tmp_path / "a" / "b_1.txt").write_text("does not")
    root = BaseNode("root")
    report = root.ingest_tree(tmp_path, "{who}/{who}_{number}.txt")
    assert leaves(root) == ["a/1"]
    assert report.unmatched == ["a/b_1.txt"]
    assert str(report).endswith("1 not matched by the pattern, such as a/b_1.txt")


def test_two_files_for_one_payload_are_refused_before_anything_is_taken_in(folder):
    root = BaseNode("root")
    with pytest.raises(
        InvalidOptionError, match=r"'anna/s1_take1.npy' and 'anna/s2_take1.npy' .* node 'anna'"
    ):
        root.ingest_tree(folder, PATTERN, to="{speaker}")
    assert not list(root)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pattern": "{a"}, "pattern is '{a'"),
        ({"pattern": "{0}.npy"}, "no field"),
        ({"pattern": "{}.npy"}, "no field"),
        ({"pattern": "{take:d}.npy"}, "fields are taken as they are; use {take} without more"),
        ({"pattern": PATTERN, "to": "{take!r}"}, "use {take} without more"),
        ({"pattern": 5}, "pattern is 5"),
        ({"pattern": PATTERN, "to": "{who}"}, r"\{who\}, which the pattern has not"),
        ({"pattern": PATTERN, "data_attribute": "{who}"}, "which the pattern has not"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": "10"}, "batch_size is '10'"),
    ],
)
def test_a_wrong_argument_is_told_at_the_call(folder, wrong, message):
    root = BaseNode("root")
    with pytest.raises(InvalidOptionError, match=message):
        root.ingest_tree(folder, **wrong)
    assert not list(root)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(IngestError, match="not a folder"):
        BaseNode("root").ingest_tree(tmp_path / "nowhere")
    with pytest.raises(InvalidOptionError, match="folder is 5"):
        BaseNode("root").ingest_tree(5)


def test_two_ways_to_write_one_name_are_not_taken_for_two_nodes(tmp_path):
    for name in ("\u00e9", "e\u0301"):
        (tmp_path / f"{name}.txt").write_text(name)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes them for one")
    with pytest.raises(InvalidOptionError, match="would be the same payload"):
        BaseNode("root").ingest_tree(tmp_path)


def test_what_is_left_out_is_told(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "s9_take1.npy").write_bytes(b"")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder)
    report = BaseNode("root").ingest_tree(folder, PATTERN)
    assert report.unmatched == ["linked", "loop", "readme.txt"]
    assert not report.failed


def test_a_database_in_the_folder_does_not_take_itself_in(folder):
    with LOTDB(folder / "db") as db, db.connection() as root:
        for _ in range(2):
            report = root.ingest_tree(folder)
            assert len(report.added) + len(report.unchanged) == 5
        assert "db/lotdb.fs" in report.unmatched
        assert list(root) == ["anna", "ben", "readme.txt"]


def test_a_folder_that_cannot_be_listed_is_reported(folder, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("anna"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN)
    assert isinstance(report.failed["anna"], IngestError)
    assert "anna: cannot list the folder" in str(report)
    assert len(report.added) == 2
    with pytest.raises(IngestError, match="Permission denied"):
        BaseNode("root").ingest_tree(folder, PATTERN, on_error="raise")


def test_names_that_would_spoil_a_terminal_are_printed_harmless(tmp_path):
    for name in (b"line\nbreak.txt", b"\x1b[31m.txt", b"\xff.txt"):
        with open(os.path.join(os.fsencode(tmp_path), name), "w"):
            pass
    report = BaseNode("root").ingest_tree(tmp_path)
    assert len(report.failed) == 3
    assert len(str(report).splitlines()) == 4
    assert "\x1b" not in str(report)
    str(report).encode()


# -- files that fail ------------------------------------------------------------------------------


def test_a_file_that_fails_is_reported_and_leaves_nothing(folder):
    (folder / "ben" / "s1_take1.npy").write_bytes(b"\x93NUMPY and then nothing")
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN)
    assert list(report.failed) == ["ben/s1_take1.npy"]
    assert isinstance(report.failed["ben/s1_take1.npy"], IngestError)
    assert len(report.added) == 3
    assert "ben/s1" not in root
    assert "1 failed" in str(report)
    assert "ben/s1_take1.npy: cannot ingest" in str(report)


def test_the_first_file_that_fails_stops_the_run_if_asked(folder):
    (folder / "anna" / "s2_take1.npy").write_bytes(b"")
    root = BaseNode("root")
    with pytest.raises(IngestError, match=r"s2_take1\.npy"):
        root.ingest_tree(folder, PATTERN, on_error="raise")
    assert leaves(root) == ["anna/s1/take1"]


def test_a_failed_file_does_not_change_the_node_that_was_there(folder):
    root = BaseNode("root")
    root.get_node_path("anna/s1/take1").set_attribute("label", "mine")
    (folder / "anna" / "s1_take1.npy").write_bytes(b"")
    root.ingest_tree(folder, PATTERN)
    node = root["anna/s1/take1"]
    assert not isinstance(node, DataNode)
    assert dict(node.attrs) == {"label": "mine"}


def test_a_rate_that_contradicts_the_node_is_reported(tmp_path, folder):
    soundfile = pytest.importorskip("soundfile")
    (tmp_path / "wav").mkdir()
    soundfile.write(tmp_path / "wav" / "a.wav", np.zeros(10, "int16"), 8000)
    root = BaseNode("root")
    root.get_data_node("a", samplerate_hz=16000)
    report = root.ingest_tree(tmp_path / "wav", "{name}.wav")
    assert isinstance(report.failed["a.wav"], DataMismatchError)
    assert not root["a"].has_data()


# -- again, and in a database ---------------------------------------------------------------------


def test_a_second_run_takes_in_only_what_has_changed(folder):
    root = BaseNode("root")
    root.ingest_tree(folder, PATTERN)
    np.save(folder / "anna" / "s1_take1.npy", np.arange(9))
    report = root.ingest_tree(folder, PATTERN)
    assert report.added == ["anna/s1_take1.npy"]
    assert len(report.unchanged) == 3
    assert root["anna/s1/take1"].read_data().tolist() == list(range(9))
    assert len(root.ingest_tree(folder, PATTERN, skip_unchanged=False).added) == 4


def test_an_interrupted_run_goes_on_after_its_last_batch(folder, tmp_path):
    def interrupt(done, total, path):
        if done == 3:
            raise KeyboardInterrupt

    with LOTDB(tmp_path / "db") as db:
        with pytest.raises(KeyboardInterrupt), db.connection() as root:
            root.ingest_tree(folder, PATTERN, batch_size=2, progress=interrupt)
        with db.connection() as root:
            assert leaves(root) == ["anna/s1/take1", "anna/s2/take1"]
            report = root.ingest_tree(folder, PATTERN, batch_size=2)
    assert report.unchanged == ["anna/s1_take1.npy", "anna/s2_take1.npy"]
    assert report.added == ["ben/s1_take1.npy", "ben/s2_take1.npy"]
    with LOTDB(tmp_path / "db", read_only=True) as db, db.connection() as root:
        assert len(leaves(root)) == 4


def test_progress_is_told_after_each_file(folder):
    calls = []
    BaseNode("root").ingest_tree(folder, PATTERN, progress=lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert calls[0][2] == "anna/s1_take1.npy"


def test_small_files_of_a_batch_share_a_pack(folder, tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.ingest_tree(folder, PATTERN)
        files = {
            file
            for leaf in root.iterate_tree_leaves()
            for part in leaf.get_data().segments()
            for file in part.files
        }
    assert len(files) == 1


def test_a_read_only_database_takes_nothing_in(folder, tmp_path):
    LOTDB(tmp_path / "db").close()
    with LOTDB(tmp_path / "db", read_only=True) as db, db.connection() as root, pytest.raises(ReadOnlyError):
        root.ingest_tree(folder, PATTERN)


def test_what_a_block_changed_before_is_forgotten_if_it_fails(folder, tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with pytest.raises(RuntimeError), db.connection() as root:
            root.attrs["before"] = 1
            with pytest.raises(InvalidOptionError, match=r"changes that are not committed.*batch_size=None"):
                root.ingest_tree(folder, PATTERN, batch_size=1)
            assert list(root) == []
            raise RuntimeError
        with db.connection() as root:
            assert "before" not in root.attrs
            root.attrs["before"] = 2
            db.savepoint(root)
            with pytest.raises(InvalidOptionError):
                root.ingest_tree(folder, PATTERN)
            db.commit(root)
            assert len(root.ingest_tree(folder, PATTERN, batch_size=1).added) == 4


def test_a_folder_is_taken_in_as_a_part_of_the_transaction(folder, tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with pytest.raises(RuntimeError), db.connection() as root:
            root.attrs["before"] = 1
            assert len(root.ingest_tree(folder, PATTERN, batch_size=None).added) == 4
            raise RuntimeError
        with db.connection() as root:
            assert list(root) == []
            assert "before" not in root.attrs
            root.attrs["before"] = 1
            root.ingest_tree(folder, PATTERN, batch_size=None)
        with db.connection() as root:
            assert sorted(root) == ["anna", "ben"]
            assert root.attrs["before"] == 1


# -- the command ----------------------------------------------------------------------------------


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
    killed = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path)
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
