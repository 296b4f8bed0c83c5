"""Metadata, and several payloads on a node."""

import numpy as np
import pytest
from tests.core.payloads.stored import settle

from lotdb import ClosedError, DamagedError, LotdbError, PayloadNotFoundError


def test_metadata_comes_back_with_its_types_and_as_a_copy_of_ones_own(node):
    given_ = {"unit": "g", "axes": ["x", "y"], "scale": np.float32(0.5), "calibration": np.eye(2)}
    payload = node.write_data(np.zeros(3), metadata=given_, content_type="application/x-imu")
    given_["axes"].append("z")
    payload.metadata["axes"].append("w")
    settle(node)
    got = node.get_data().metadata
    assert got["axes"] == ["x", "y"]
    assert type(got["scale"]) is np.float32
    assert got["calibration"].tolist() == [[1, 0], [0, 1]]
    assert node.get_data().content_type == "application/x-imu"


def test_a_node_holds_several_payloads(node):
    node.write_data(np.arange(3), data_attribute="audio")
    node.write_data("note", data_attribute="text")
    settle(node)
    assert node.has_data("audio")
    assert node.has_data("text")
    assert not node.has_data()
    assert node.read_data(data_attribute="audio").tolist() == [0, 1, 2]
    assert node.read_data(data_attribute="text") == "note"


def test_a_second_payload_does_not_change_the_nodes_defaults(node):
    node.configure_data(samplerate_hz=10, data_attribute="imu")
    defaults = (node.samplerate_hz, node.data_attribute, node.backend)
    node.write_data(np.arange(20))
    node.write_data(np.arange(20), data_attribute="control", samplerate_hz=99, backend="blob")
    settle(node)
    assert (node.samplerate_hz, node.data_attribute, node.backend) == defaults
    assert node.get_data().samplerate_hz == 10
    assert node.get_data("control").samplerate_hz == 99
    node.write_data(np.arange(5))
    assert node.get_data("imu").samplerate_hz == 10


def test_delete_data_removes_one_payload(node):
    node.write_data([1])
    node.write_data([2], data_attribute="other")
    settle(node)
    node.delete_data()
    settle(node)
    assert not node.has_data()
    assert node.read_data(data_attribute="other").tolist() == [2]


@pytest.mark.parametrize("method", ["delete_data", "get_data"])
def test_a_missing_payload_is_a_key_error_that_says_what_is_there(node, method):
    node.write_data([1], data_attribute="imu")
    with pytest.raises(PayloadNotFoundError, match=r"has no payload 'data' \(there: 'imu'\)"):
        getattr(node, method)()
    with pytest.raises(KeyError):
        node.read_data()


def test_a_payload_keeps_reading_the_old_rows_after_a_replace(node):
    node.write_data(np.arange(5))
    settle(node)
    old = node.get_data()
    node.replace_data(np.zeros(2))
    settle(node)
    assert old.read().tolist() == [0, 1, 2, 3, 4]
    node.delete_data()
    settle(node)
    assert old[1:3].tolist() == [1, 2]


def test_a_payload_keeps_reading_the_old_rows_after_an_append(node):
    old = node.write_data(np.arange(5))
    node.append_data(np.arange(5, 9))
    assert old.read().tolist() == [0, 1, 2, 3, 4]
    settle(node)
    assert old.read().tolist() == [0, 1, 2, 3, 4]


def test_a_payload_of_a_closed_connection_says_so(db):
    with db.connection() as root:
        payload = root.get_data_node("a").write_data(np.arange(5))
    assert payload.shape == (5,)
    with pytest.raises(ClosedError, match="closed"):
        payload.read()


def test_a_payload_of_an_aborted_transaction_is_not_called_damaged(db):
    node = db.open_connection().get_data_node("a")
    payload = node.write_data(np.arange(5))
    db.abort()
    with pytest.raises(LotdbError) as info:
        payload.read()
    assert not isinstance(info.value, DamagedError)
