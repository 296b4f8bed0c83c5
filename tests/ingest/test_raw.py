"""Taking in files of no known format, which are their bytes, and writing bytes."""

import numpy as np
import pytest

from lotdb import LOTDB, DataNode, ExportError, IngestError, InvalidOptionError
from lotdb_ingest import raw


@pytest.fixture
def node():
    return DataNode("node")


CONTENTS = [b"", b"\0\xff" * 1000, b"text"]


@pytest.mark.parametrize("content", CONTENTS)
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


@pytest.mark.parametrize("size", [999, 1000, 1001])
def test_a_large_file_comes_in_and_goes_out_block_by_block(node, tmp_path, monkeypatch, size):
    monkeypatch.setattr(raw, "PIECE", 100)
    content = bytes(number % 251 for number in range(size))
    (tmp_path / "x.bin").write_bytes(content)
    payload = node.attach_file(tmp_path / "x.bin")
    assert payload.shape == (size,)
    assert payload.read() == content
    payload.export(tmp_path / "y.bin")
    assert (tmp_path / "y.bin").read_bytes() == content


@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_a_file_of_some_megabytes_is_one_segment(tmp_path, backend):
    content = bytes(range(256)) * 40_000
    (tmp_path / "x.bin").write_bytes(content)
    with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
        payload = root.get_data_node("a", backend=backend).attach_file(tmp_path / "x.bin")
        assert payload.kind == "bytes"
        assert len(payload.segments()) == 1
        assert payload.read() == content


def test_a_file_larger_than_max_bytes_is_refused(node, tmp_path):
    (tmp_path / "x.bin").write_bytes(bytes(1000))
    with pytest.raises(IngestError, match="it has 1000 bytes, the limit is 999"):
        node.attach_file(tmp_path / "x.bin", max_bytes=999)
    assert node.attach_file(tmp_path / "x.bin", max_bytes=1000).read() == bytes(1000)


# -- what goes out --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", ["x.unheard-of", "x.bin", "x.dat", "x.raw", "x.npy", "x.npz", "x.txt"])
def test_bytes_go_out_as_they_are_whatever_the_file_is_called(node, tmp_path, content, name):
    node.write_data(content).export(tmp_path / name)
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("name", ["x.unheard-of", "x.bin", "x.dat"])
@pytest.mark.parametrize("data", [np.arange(3), "text"], ids=["array", "text"])
def test_what_is_no_bytes_is_not_written_as_bytes_unasked(node, tmp_path, name, data):
    node.write_data(data)
    with pytest.raises(ExportError, match="no installed plugin writes"):
        node.get_data().export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


ARRAYS = {
    "rows": np.arange(600, dtype=">i2").reshape(100, 6),
    "Fortran order": np.asfortranarray(np.arange(600, dtype="f8").reshape(100, 6)),
    "no axis": np.array(1.5),
    "no rows": np.zeros((0, 3)),
    "rows of nothing": np.zeros((3, 0)),
    "structures": np.array([(1, 2.5)], [("a", "u1"), ("b", ">f8")]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_the_elements_of_an_array_go_out_as_raw_if_asked(node, tmp_path, monkeypatch, name):
    monkeypatch.setattr(raw, "PIECE", 100)
    node.write_data(ARRAYS[name]).export(tmp_path / "x.dat", format="raw")
    assert (tmp_path / "x.dat").read_bytes() == ARRAYS[name].tobytes()


def test_a_text_goes_out_as_raw_as_it_came_in(node, tmp_path):
    content = "Größe\r\n".encode("utf-16")
    (tmp_path / "x.txt").write_bytes(content)
    node.attach_file(tmp_path / "x.txt").export(tmp_path / "y.dat", format="raw")
    assert (tmp_path / "y.dat").read_bytes() == content


def test_a_table_has_no_bytes_of_its_own(node, tmp_path):
    node.write_data(np.ma.MaskedArray(np.zeros(3, [("a", "i4")]), mask=[(True,), (False,), (False,)]))
    with pytest.raises(ExportError, match="no installed plugin writes table data as 'raw'"):
        node.get_data().export(tmp_path / "x.raw")


def test_writing_takes_no_options(node, tmp_path):
    for data in (b"abc", np.arange(3), "text"):
        with pytest.raises(InvalidOptionError, match="level"):
            node.write_data(data).export(tmp_path / "x.raw", level=3)
    assert list(tmp_path.iterdir()) == []
