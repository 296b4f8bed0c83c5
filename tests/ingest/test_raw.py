"""Taking in files of no known format: their bytes."""

import numpy as np
import pytest

from lotdb import DataNode


@pytest.fixture
def node():
    return DataNode("node")


@pytest.mark.parametrize("content", [b"", b"\0\xff" * 1000, b"text"])
@pytest.mark.parametrize("name", ["x.unheard-of", "no suffix", ".hidden", "x.tar.gz", "x."])
def test_the_bytes_of_any_file_come_in_exactly(node, tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    payload = node.attach_file(tmp_path / name)
    assert payload.kind == "bytes"
    assert payload.content_type == "application/octet-stream"
    assert node.read_data() == content


@pytest.mark.parametrize(("name", "format"), [("x.BIN", "bin"), ("no suffix", "raw"), ("x.tar.gz", "gz")])
def test_the_source_is_noted_on_the_node(node, tmp_path, name, format):
    (tmp_path / name).write_bytes(b"abc")
    node.attach_file(tmp_path / name)
    assert node.get_attribute("_source_filename") == name
    assert node.get_attribute("_source_format") == format


def test_a_file_of_a_known_format_can_be_kept_as_its_bytes(node, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    assert node.attach_file(tmp_path / "x.npy", format="raw").read() == (tmp_path / "x.npy").read_bytes()


def test_a_window_of_a_file_can_be_read(node, tmp_path):
    (tmp_path / "x.bin").write_bytes(bytes(range(200)))
    node.attach_file(tmp_path / "x.bin")
    assert node.read_data(100, 103) == bytes([100, 101, 102])


def test_a_file_can_be_appended(node, tmp_path):
    (tmp_path / "x.bin").write_bytes(b"abc")
    node.attach_file(tmp_path / "x.bin")
    node.attach_file(tmp_path / "x.bin", if_exists="append")
    assert node.read_data() == b"abcabc"


def test_an_option_that_raw_does_not_know_is_refused(node, tmp_path):
    (tmp_path / "x.bin").write_bytes(b"abc")
    with pytest.raises(ValueError, match="chunks"):
        node.attach_file(tmp_path / "x.bin", chunks=10)
    assert not node.has_data()
