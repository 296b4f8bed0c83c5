"""if_exists: replace, append or error."""

import numpy as np
import pytest
from tests.core.payloads.stored import settle

from lotdb import LotdbError, PayloadExistsError


def test_writing_again_replaces(node):
    node.write_data(np.arange(5), samplerate_hz=10, metadata={"a": 1})
    node.write_data("text")
    settle(node)
    assert node.read_data() == "text"
    assert node.get_data().metadata == {}


def test_writing_again_is_an_error_if_asked_to_be(node):
    node.write_data(np.arange(5))
    with pytest.raises(PayloadExistsError, match="has a payload 'data' already"):
        node.write_data([1], if_exists="error")
    settle(node)
    assert node.read_data().tolist() == [0, 1, 2, 3, 4]


def test_writing_the_first_time_is_no_error(node):
    node.write_data([1], if_exists="error")
    assert node.read_data().tolist() == [1]


def test_writing_again_appends_if_asked_to(node):
    node.write_data(np.arange(3))
    node.write_data(np.arange(3, 5), if_exists="append")
    settle(node)
    assert node.read_data().tolist() == [0, 1, 2, 3, 4]


def test_a_payload_cannot_take_the_place_of_an_attribute(node):
    node.set_attribute("data", 5)
    for if_exists in ("replace", "error", "append"):
        with pytest.raises(PayloadExistsError, match=r"'data' of .* is a value and no payload"):
            node.write_data([1], if_exists=if_exists)
    assert node.get_attribute("data") == 5
    assert not node.has_data()


@pytest.mark.parametrize("name", ["_samplerate_hz", "_backend", "_data_attribute"])
def test_a_payload_cannot_take_the_place_of_a_default_of_the_node(node, name):
    with pytest.raises(LotdbError):
        node.write_data([1.0], data_attribute=name)
    node.write_data([1.0, 2.0])
    assert node.read_data().tolist() == [1, 2]
