"""The payload that is meant if none is named: remembered for leaves, and never one that is gone."""

import numpy as np
import pytest

from lotdb import LOTDB, PayloadNotFoundError


@pytest.fixture
def root(tmp_path):
    with LOTDB(tmp_path / "db", new=True, durability="process") as db:
        root = db.open_connection()
        for number in range(3):
            node = root.get_data_node(f"g/{number}", samplerate_hz=10)
            node.write_data(np.arange(50) + number)
            node.write_data(np.arange(50) + 100 + number, data_attribute="other")
        db.commit()
        yield root


def first(root, number=0):
    return int(root[f"g/{number}"].read_data(0, 1)[0])


def test_each_node_has_its_own(root):
    assert [first(root, number) for number in (0, 1, 2, 0, 1, 2)] == [0, 1, 2, 0, 1, 2]
    assert root["g/1"].read_data(0, 1, data_attribute="other")[0] == 101
    assert root["g/1"].get_data()._node._path() == "g/1"


def test_what_is_replaced_is_read_anew(root):
    for value in (5, 6):
        first(root)
        root["g/0"].write_data(np.full(50, value))
        assert first(root) == value
    root["g/0"].append_data(np.full(3, 9))
    assert root["g/0"].read_data(50, 53).tolist() == [9, 9, 9]


def test_another_default_is_another_payload(root):
    assert first(root) == 0
    root["g/0"].configure_data(data_attribute="other")
    assert first(root) == 100
    root["g/0"].configure_data(unset="data_attribute")
    assert first(root) == 0


def test_what_is_deleted_moved_or_undone_is_gone(root):
    assert first(root) == 0
    root["g/0"].delete_data()
    with pytest.raises(PayloadNotFoundError):
        first(root)
    root["g/1"].move(root.get_node("h"))
    assert int(root["h/1"].read_data(0, 1)[0]) == 1
    assert "h/1" in str(root["h/1"].get_data())


def test_a_branch_and_what_it_came_from_differ_once_one_is_written(root):
    assert first(root) == 0
    branch = root["g"].branch("b")
    assert int(branch["0"].read_data(0, 1)[0]) == 0
    branch["0"].write_data(np.full(50, 77))
    assert (first(root), int(branch["0"].read_data(0, 1)[0])) == (0, 77)


def test_of_more_leaves_than_are_remembered_each_has_its_own(root, monkeypatch):
    monkeypatch.setattr("lotdb.content.payload.DECODED", 2)
    for _ in range(3):
        assert [first(root, number) for number in (0, 1, 2)] == [0, 1, 2]
        assert len(root._tree.defaults) <= 2
