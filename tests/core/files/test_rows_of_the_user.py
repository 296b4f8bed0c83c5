"""Rows that were appended to what came from a file are not deleted by taking the file in again."""

import numpy as np
import pytest

from lotdb import LOTDB, DataNode, DataWriter, PayloadExistsError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "files" / "a.npy"
    path.parent.mkdir()
    np.save(path, np.arange(3))
    return path


WAYS = [
    lambda node, file: node.attach_file(file),
    lambda node, file: node.attach_file(file, skip_unchanged=True),
    lambda node, file: DataWriter.attach_file(node, file),
]


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_file_does_not_replace_rows_that_were_appended(file, way):
    node = DataNode("n")
    node.attach_file(file)
    node.append_data(np.array([70, 71]))
    np.save(file, np.arange(4))
    message = r"payload 'data' of the root, to which rows were appended .* \(2\); pass if_exists='replace'"
    with pytest.raises(PayloadExistsError, match=message):
        way(node, file)
    assert node.read_data().tolist() == [0, 1, 2, 70, 71]
    node.attach_file(file, if_exists="replace")
    assert node.read_data().tolist() == [0, 1, 2, 3]
    np.save(file, np.arange(5))
    way(node, file)
    assert node.read_data().tolist() == [0, 1, 2, 3, 4]


def test_a_file_that_did_not_change_is_skipped(file):
    node = DataNode("n")
    node.attach_file(file)
    node.append_data(np.array([70]))
    node.attach_file(file, skip_unchanged=True)
    assert node.read_data().tolist() == [0, 1, 2, 70]


def test_rows_of_files_that_were_appended_are_not_the_users(file):
    node = DataNode("n")
    node.attach_file(file)
    node.attach_file(file, if_exists="append")
    node.append_data(np.array([70]))
    node.attach_file(file, if_exists="append")
    assert node.get_data().metadata["_source_appended"][-1]["_source_rows"] == 9
    with pytest.raises(PayloadExistsError, match=r"rows were appended that are in no file \(1\)"):
        node.attach_file(file)
    node = DataNode("n")
    node.attach_file(file)
    node.attach_file(file, if_exists="append")
    node.attach_file(file)
    assert node.read_data().tolist() == [0, 1, 2]


def test_one_of_several_payloads_is_named_and_nothing_is_changed(tmp_path):
    path = tmp_path / "several.npz"
    np.savez(path, a=np.arange(2), b=np.arange(3))
    node = DataNode("n")
    node.attach_file(path)
    node.append_data(np.array([9]), data_attribute="data.b")
    np.savez(path, a=np.arange(5))  # which has no b any more
    with pytest.raises(PayloadExistsError, match=r"payload 'data\.b'"):
        node.attach_file(path)
    assert len(node.get_data("data.a")) == 2
    assert node.read_data(data_attribute="data.b").tolist() == [0, 1, 2, 9]


def test_a_folder_reports_the_file_and_takes_in_the_others(file, tmp_path):
    np.save(file.with_name("b.npy"), np.arange(2))
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.ingest_tree(file.parent, "{name}.npy", batch_size=None)
        root["a"].append_data(np.array([70]))
        for path in (file, file.with_name("b.npy")):
            np.save(path, np.arange(6))
        report = root.ingest_tree(file.parent, "{name}.npy", batch_size=None)
        assert (list(report.failed), report.replaced) == (["a.npy"], ["b.npy"])
        assert isinstance(report.failed["a.npy"], PayloadExistsError)
        assert root["a"].read_data().tolist() == [0, 1, 2, 70]
        report = root.ingest_tree(file.parent, "{name}.npy", batch_size=None, if_exists="replace")
        assert report.replaced == ["a.npy"]
        assert len(root["a"].get_data()) == 6
