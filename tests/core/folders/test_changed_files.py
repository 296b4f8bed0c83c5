"""What is new, what was there, and what is gone."""

import os

import numpy as np
import pytest
from tests.core.folders.recordings import PATTERN, settled

from lotdb import BaseNode


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
