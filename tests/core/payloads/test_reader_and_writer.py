"""DataReader and DataWriter."""

import numpy as np
import pytest

from lotdb import BaseNode, DataReader, DataWriter, InvalidDataError


@pytest.fixture(params=["memory", "database"])
def plain(request):
    if request.param == "memory":
        return BaseNode("plain")
    return request.getfixturevalue("db").open_connection().get_node("plain")


def test_any_node_can_hold_arrays(plain):
    DataWriter.write_array(plain, np.arange(100), 10, data_attribute="signal")
    assert type(plain) is BaseNode
    assert DataReader.read(plain, "signal").tolist() == list(range(100))
    assert DataReader.read_interval(plain, "signal", 10, 12).tolist() == [10, 11]
    assert DataReader.read_interval(plain, "signal", 1, 1.2, "seconds").tolist() == [10, 11]
    assert DataReader.read_seconds(plain, "signal", 1, 1.2).tolist() == [10, 11]
    assert [len(block) for block in DataReader.iter_blocks(plain, "signal", 40)] == [40, 40, 20]
    assert DataReader.open(plain, "signal").shape == (100,)


def test_arrays_of_any_node_can_be_appended_to_and_deleted(plain):
    DataWriter.append_array(plain, np.arange(3))
    DataWriter.append_array(plain, np.arange(2))
    assert DataReader.read(plain).tolist() == [0, 1, 2, 0, 1]
    assert DataWriter.has_data(plain)
    DataWriter.delete_data(plain)
    assert not DataWriter.has_data(plain)


def test_any_node_can_hold_texts_and_bytes(plain):
    DataWriter.write_text(plain, "hello", data_attribute="text")
    DataWriter.write_bytes(plain, b"hello", data_attribute="bytes")
    assert DataReader.read(plain, "text") == "hello"
    assert DataReader.read(plain, "bytes") == b"hello"


@pytest.mark.parametrize(
    ("write", "data"),
    [("write_array", "text"), ("write_array", b"bytes"), ("write_text", b"bytes"), ("write_bytes", "text")],
)
def test_each_writer_takes_its_own_kind_only(plain, write, data):
    with pytest.raises(InvalidDataError):
        getattr(DataWriter, write)(plain, data)
    assert not DataWriter.has_data(plain)
