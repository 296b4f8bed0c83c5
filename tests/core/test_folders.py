"""Taking in whole folders: which file goes where, one commit a batch, and what is told at the end."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from lotdb import (
    LOTDB,
    BaseNode,
    DataMismatchError,
    DataNode,
    Ingested,
    IngestError,
    InvalidOptionError,
    Plugins,
    ReadOnlyError,
    hookimpl,
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
    assert str(report).endswith("1 not matched by the pattern\n  a/b_1.txt: does not fit the pattern")


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
    assert report.replaced == ["anna/s1_take1.npy"]
    assert not report.added
    assert len(report.unchanged) == 3
    assert "0 added, 1 replaced, 3 unchanged" in str(report)
    assert root["anna/s1/take1"].read_data().tolist() == list(range(9))
    assert len(root.ingest_tree(folder, PATTERN, skip_unchanged=False).replaced) == 4
    assert len(root.ingest_tree(folder, PATTERN, to="other/{speaker}/{session}").added) == 4


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
            with pytest.raises(InvalidOptionError, match=r"uncommitted changes.*batch_size=None"):
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


# -- what is new, what was there, what is gone ------------------------------------------------------


def settled(folder):
    """Gives all files a time that lies some while back, so that another one would be told."""
    for path in folder.rglob("*"):
        os.utime(path, (1e9, 1e9))


def counting_reads(monkeypatch):
    reads = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *more: [reads.append(str(path)), real(path, *more)][1])
    return reads


def test_files_that_are_known_are_not_read_again(folder, monkeypatch):
    np.savez(folder / "anna" / "s1_take2.npz", a=np.arange(3), b=np.arange(4))
    settled(folder)
    root = BaseNode("root")
    root.ingest_tree(folder)
    reads = counting_reads(monkeypatch)
    report = root.ingest_tree(folder)
    assert len(report.unchanged) == 6
    assert reads == []
    assert len(root.ingest_tree(folder, always_hash=True).unchanged) == 6
    assert len(reads) == 6
    root["anna/s1_take2.npz"].delete_data("data.b")
    assert root.ingest_tree(folder).replaced == ["anna/s1_take2.npz"]
    assert root["anna/s1_take2.npz"].read_data(data_attribute="data.b").tolist() == [0, 1, 2, 3]


def test_what_a_replaced_file_has_no_more_is_gone_and_the_report_says_it(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.arange(3), b=np.arange(4))
    root = BaseNode("root")
    root.ingest_tree(tmp_path)
    node = root["x.npz"]
    np.savez(tmp_path / "x.npz", c=np.arange(5))
    report = root.ingest_tree(tmp_path)
    assert report.replaced == ["x.npz"]
    assert report.notes["x.npz"] == [
        "payload 'data.a' is gone: the file does not have it any more",
        "payload 'data.b' is gone: the file does not have it any more",
    ]
    assert [node.has_data(f"data.{name}") for name in "abc"] == [False, False, True]


def test_a_file_that_has_just_been_written_is_read_again(tmp_path, monkeypatch):
    """Another one of the same size may be written in the same step of the clock."""
    monkeypatch.setattr("lotdb.files.asking.SETTLED_NS", 3600 * 10**9)  # however long this test takes
    path = tmp_path / "a.txt"
    path.write_text("one")
    root = BaseNode("root")
    root.ingest_tree(tmp_path)
    about = path.stat()
    path.write_text("two")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert root.ingest_tree(tmp_path).replaced == [path.name]
    assert root[path.name].read_data() == "two"


def test_a_file_in_the_place_of_another_of_the_same_size_and_time_is_read(tmp_path):
    for name, text in (("a", "one"), ("b", "two")):
        (tmp_path / name).write_text(text)
    settled(tmp_path)
    root = BaseNode("root")
    root.ingest_tree(tmp_path)
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    (tmp_path / "c").rename(tmp_path / "b")
    assert root.ingest_tree(tmp_path).replaced == ["a", "b"]
    assert root["a"].read_data() == b"two"


def test_a_file_of_another_time_with_the_same_content_is_unchanged(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    settled(tmp_path)
    root = BaseNode("root")
    root.ingest_tree(tmp_path)
    os.utime(tmp_path / "a.txt", (2e9, 2e9))
    assert root.ingest_tree(tmp_path).unchanged == ["a.txt"]


def test_files_that_were_appended_are_known_as_well(tmp_path, monkeypatch):
    for number in range(3):
        np.save(tmp_path / f"s1_{number}.npy", np.full(2, number))
    settled(tmp_path)
    root = BaseNode("root")
    how = {"to": "{session}", "data_attribute": "{take}", "if_exists": "append"}
    root.ingest_tree(tmp_path, "{session}_{take}.npy", **how)
    for file in tmp_path.iterdir():  # one after another into one payload
        root.get_data_node("all").attach_file(file, if_exists="append", skip_unchanged=True)
    reads = counting_reads(monkeypatch)
    report = root.ingest_tree(tmp_path, "{session}_{take}.npy", **how)
    assert (len(report.unchanged), reads) == (3, [])
    assert root["all"].read_data().shape == (6,)


def test_files_that_have_vanished_are_listed_and_what_they_became_stays(folder, tmp_path, monkeypatch):
    root = BaseNode("root")
    root.get_data_node("anna").write_data("from no file")
    root.ingest_tree(folder, PATTERN)
    (folder / "anna" / "s1_take1.npy").unlink()
    monkeypatch.chdir(tmp_path)
    report = root.ingest_tree(folder.name, PATTERN)
    assert report.vanished == ["anna/s1_take1.npy"]
    assert "1 vanished" in str(report)
    assert "anna/s1_take1.npy: has vanished" in str(report)
    assert root["anna/s1/take1"].has_data()
    assert root["anna"].ingest_tree(folder / "ben").vanished == []
    (folder / "ben").rename(folder / "carl")
    report = root.ingest_tree(folder, "anna/{take}.npy")
    assert [path.partition("/")[0] for path in report.vanished] == ["anna", "ben", "ben"]


def test_what_does_not_fit_any_more_has_not_vanished(folder):
    root = BaseNode("root")
    root.ingest_tree(folder, PATTERN)
    report = root.ingest_tree(folder, "anna/{take}.npy")
    assert report.vanished == []
    assert len(report.unmatched) == 3
    assert all(f"  {path}: does not fit the pattern" in str(report) for path in report.unmatched)


@pytest.mark.parametrize("pattern", ["{name}.wav", "*.wav", "{name}.tar.gz", "IMG_{name}.jpg"])
def test_suffixes_fit_in_capitals_too(tmp_path, pattern):
    for name in ("one.WAV", "one.Tar.GZ", "IMG_one.JPG", "img_one.jpg"):
        (tmp_path / name).write_bytes(b"abc")
    report = BaseNode("root").ingest_tree(tmp_path, pattern, format="raw")
    assert len(report.added) == 1
    assert len(report.unmatched) == 3


# -- fields as attributes, and metadata beside the files ---------------------------------------------


def test_fields_become_attributes_if_asked(folder):
    root = BaseNode("root")
    root.ingest_tree(folder, PATTERN, attributes=["speaker"])
    assert root["ben/s1/take1"].attrs["speaker"] == "ben"
    assert "session" not in root["ben/s1/take1"].attrs
    report = root.ingest_tree(folder, PATTERN, attributes=True)
    assert len(report.unchanged) == 4
    attrs = root["ben/s2/take1"].attrs
    assert {name: attrs[name] for name in ("speaker", "session", "take")} == {
        "speaker": "ben",
        "session": "s2",
        "take": "take1",
    }


@pytest.mark.parametrize("metadata", [5, [], "unit"])
def test_metadata_that_are_none_fail_for_each_file(folder, metadata):
    report = BaseNode("root").ingest_tree(folder, PATTERN, metadata=metadata)
    assert len(report.failed) == 4
    assert "metadata is" in str(report)


def test_attributes_that_are_there_are_not_stored_again(folder, tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.ingest_tree(folder, PATTERN, attributes=True)
        size = (tmp_path / "db" / "lotdb.fs").stat().st_size
        root.ingest_tree(folder, PATTERN, attributes=True)
        assert (tmp_path / "db" / "lotdb.fs").stat().st_size == size


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"attributes": ["who"]}, "attributes has 'who', which is no field"),
        ({"attributes": "speaker"}, "attributes is 'speaker'; use True, or names"),
        ({"attributes": True, "to": "{speaker}", "data_attribute": "{session}"}, "different values"),
        ({"pattern": "{_samplerate_hz}/{take}.npy", "attributes": True}, "names that begin with _"),
        ({"sidecar": "x.xlsx"}, "use the path of a csv, tsv or json file"),
        ({"sidecar": 5}, "sidecar is 5"),
        ({"sidecar": "{who}.json"}, r"sidecar has the field \{who\}, which the pattern has not"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_taken_in(folder, how, message):
    root = BaseNode("root")
    with pytest.raises(InvalidOptionError, match=message):
        root.ingest_tree(folder, **{"pattern": PATTERN, **how})
    assert not list(root)


def test_an_attribute_in_the_place_of_a_payload_fails_and_leaves_nothing(folder):
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN, attributes=True, data_attribute="take")
    assert len(report.failed) == 4
    assert "it is a payload" in str(report)
    assert not list(root)


SIDECARS = {
    "paths.csv": "file,age,left\nanna/s1_take1.npy,31,true\nben/s2_take1.npy,,false\n",
    "fields.csv": "speaker,session,age,left\nanna,s1,31,true\nben,s2,,false\n",
    "paths.tsv": "path\tage\tleft\nanna/s1_take1.npy\t31\ttrue\nben/s2_take1.npy\t\tfalse\n",
    "object.json": '{"anna/s1_take1.npy": {"age": 31, "left": true}, "ben/s2_take1.npy": {"left": false}}',
    "list.json": '[{"session": "s1", "speaker": "anna", "age": 31, "left": true},'
    ' {"speaker": "ben", "session": "s2", "left": false}]',
}


@pytest.mark.parametrize("name", SIDECARS)
def test_a_sidecar_says_more_of_the_files(folder, name):
    (folder / name).write_text(SIDECARS[name])
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN, sidecar=name, metadata={"study": 1})
    assert report.unmatched == ["readme.txt"]
    first, last = (root[path].get_data().metadata for path in ("anna/s1/take1", "ben/s2/take1"))
    assert (first["age"], first["left"], first["study"]) == (31, True, 1)
    assert ("age" in last, last["left"]) == (False, False)
    assert report.notes == {
        "anna/s2_take1.npy": ["nothing is said of it in a sidecar"],
        "ben/s1_take1.npy": ["nothing is said of it in a sidecar"],
    }
    assert "anna/s2_take1.npy and 1 more: nothing is said" in str(report)


def test_what_is_said_otherwise_later_is_taken_over(folder):
    settled(folder)
    root = BaseNode("root")
    (folder / "about.csv").write_text("speaker,gain\nanna,0.5\nben,1.5\n")
    root.ingest_tree(folder, PATTERN, sidecar="about.csv")
    assert len(root.ingest_tree(folder, PATTERN, sidecar="about.csv").unchanged) == 4
    (folder / "about.csv").write_text("speaker,gain\nanna,0.5\nben,2.5\n")
    report = root.ingest_tree(folder, PATTERN, sidecar="about.csv")
    assert report.replaced == ["ben/s1_take1.npy", "ben/s2_take1.npy"]
    assert root["ben/s1/take1"].get_data().metadata["gain"] == 2.5


def test_files_are_named_by_their_names_where_that_is_enough(tmp_path):
    for name in ("x/a.txt", "y/b.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    (tmp_path / "about.csv").write_text("file_name,n\na.txt,1\nb.txt,2\nc.txt,3\n")
    root = BaseNode("root")
    report = root.ingest_tree(tmp_path, "{where}/{name}.txt", sidecar=tmp_path / "about.csv")
    assert root["y/b"].get_data().metadata["n"] == 2
    assert list(report.notes.values()) == [["it says something of 'c.txt', which is not there"]]
    (tmp_path / "y" / "a.txt").write_text("another")
    report = BaseNode("root").ingest_tree(tmp_path, "{where}/{name}.txt", sidecar="about.csv")
    assert "name files by their paths" in str(report.failed["y/a.txt"])


def test_each_file_may_have_a_sidecar_of_its_own(folder):
    (folder / "anna" / "s1_take1.json").write_text('\ufeff{"hand": {"left": true}}', encoding="utf-8")
    (folder / "anna" / "s2_take1.json").write_text("{cut")
    (folder / "ben" / "s1_take1.json").write_text('{"_source_format": "mine"}')
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN, sidecar="{speaker}/{session}_{take}.json")
    assert root["anna/s1/take1"].get_data().metadata["hand"] == {"left": True}
    assert report.unmatched == ["readme.txt"]
    assert "anna/s2_take1.json" in str(report.failed["anna/s2_take1.npy"])
    assert "LOTDB uses the names that begin with _" in str(report.failed["ben/s1_take1.npy"])
    assert report.notes == {"ben/s2_take1.npy": ["nothing is said of it in a sidecar"]}
    assert "anna/s2" not in root


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "age\n31\n", "no column says which file a row is about"),
        ("a.csv", "file,file\n1,2\n", "both called"),
        ("a.csv", "", "it is empty"),
        ("a.csv", "file,age\n,1\n", "row 1 has no text as 'file'"),
        ("a.csv", "speaker,age\nanna,1\nanna,2\n", "two rows are about anna"),
        ("a.json", "{", "Expecting"),
        ("a.json", "5", "it holds no object"),
        ("a.json", "[5]", "5 stands where an object"),
        ("a.json", '{"x": {"a": 1, "a": 2}}', "'a' twice"),
        ("nowhere.csv", None, "there is no sidecar 'nowhere.csv'"),
    ],
)
def test_a_sidecar_that_makes_no_sense_is_told_before_anything_is_taken_in(folder, name, content, message):
    if content is not None:
        (folder / name).write_text(content)
    root = BaseNode("root")
    with pytest.raises(IngestError, match=message):
        root.ingest_tree(folder, PATTERN, sidecar=name)
    assert not list(root)


# -- what there is to know of files ------------------------------------------------------------------


def test_what_is_kept_as_bytes_and_what_is_empty_is_told(tmp_path):
    contents = {
        "table.parquet": b"PAR1....",
        "cells.bin": b"PAR1....",
        "other.dta": b"abc",
        "strange.odd": b"abc",
        "wrongly.called": b"\x89PNG\r\n\x1a\n....",
        "no-suffix": b"abc",
        "music": b"wvpk....",
        "photo.odd": b"....ftypheic",
        "empty.odd": b"",
        "empty.txt": b"",
        "empty.npy": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    report = BaseNode("root").ingest_tree(tmp_path)
    notes = {name: " ".join(said) for name, said in report.notes.items()}
    assert "a Parquet file, which no installed plugin reads" in notes["table.parquet"]
    assert "a Stata file, which no installed plugin reads" in notes["other.dta"]
    assert "a file called .odd" in notes["strange.odd"]
    assert "a PNG image, and format='auto' reads it" in notes["wrongly.called"]
    assert "no suffix" in notes["no-suffix"]
    assert notes["music"].endswith("reads it: it is a WavPack file, which ffmpeg converts to wav or flac")
    assert notes["photo.odd"].endswith("reads it: it is a HEIF or AVIF image")
    assert notes["empty.odd"] == notes["empty.txt"] == "it is empty"
    assert "cells.bin" not in notes
    assert "the file is empty (0 bytes): it does not begin as an .npy file" in str(report.failed["empty.npy"])
    assert "empty.odd and 1 more: it is empty" in str(report)


def test_what_an_ingester_could_not_keep_is_told(tmp_path):
    class Loses:
        @hookimpl
        def lotdb_ingest_file(self, source):
            about = {"not_kept": ["a thumbnail", "private tags"]}
            return {"": Ingested(b"", format="t", metadata=about), "more": Ingested(b"", format="t")}

    plugins = Plugins()
    plugins.register(Loses())
    (tmp_path / "a.t").write_bytes(b"1")
    report = BaseNode("root", plugins=plugins).ingest_tree(tmp_path)
    assert report.notes == {"a.t": ["not kept: a thumbnail", "not kept: private tags"]}
    assert "a.t: not kept: a thumbnail" in str(report)


def test_what_was_not_kept_of_sound_and_images_is_told(tmp_path):
    form, sound = b"fmt \x10\0\0\0\1\0\1\0@\x1f\0\0\x80>\0\0\2\0\x10\0", b"data\4\0\0\0\1\0\2\0"
    wav = b"WAVE" + form + sound + b"PEAK\x10\0\0\0" + bytes(16)
    (tmp_path / "a.wav").write_bytes(b"RIFF" + len(wav).to_bytes(4, "little") + wav)
    picture = PngImagePlugin.PngInfo()
    picture.add(b"abCd", bytes(300_000))
    Image.new("L", (2, 2)).save(tmp_path / "b.png", pnginfo=picture)
    picture = PngImagePlugin.PngInfo()
    picture.add(b"abCd", bytes(300))
    Image.new("L", (2, 2)).save(tmp_path / "c.png", pnginfo=picture)
    report = BaseNode("root").ingest_tree(tmp_path)
    assert not report.failed
    assert report.notes == {
        "a.wav": ["not kept: wav chunk 'PEAK'"],
        "b.png": ["not kept: PNG chunk abCd"],
    }


def test_notes_are_those_of_the_file_that_was_appended(tmp_path):
    class Loses:
        @hookimpl
        def lotdb_ingest_file(self, source):
            text = source.file.read().decode()
            return Ingested(text, format="t", metadata={"not_kept": [text]} if len(text) > 1 else {})

    plugins = Plugins()
    plugins.register(Loses())
    for name, text in (("1", "one"), ("2", "two"), ("3", "3")):
        (tmp_path / f"a_{name}.t").write_text(text)
    root = BaseNode("root", plugins=plugins)
    notes = {}
    for name in "123":
        how = {"to": "{who}", "data_attribute": "all", "if_exists": "append"}
        notes |= root.ingest_tree(tmp_path, "{who}_" + name + ".t", **how).notes
    assert root["a"].read_data(data_attribute="all") == "onetwo3"
    assert notes == {"a_1.t": ["not kept: one"], "a_2.t": ["not kept: two"]}


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
