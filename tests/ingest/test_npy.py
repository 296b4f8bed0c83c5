"""Taking in ``.npy`` files, and writing them."""

import io
import os
import re
import time

import numpy as np
import pytest
from tests.services.disturbed import disturbed_parser

from lotdb import (
    LOTDB,
    BaseNode,
    DataNode,
    DataReader,
    DataWriter,
    ExportError,
    IngestError,
    InvalidOptionError,
    Plugins,
    SourceFile,
    hookimpl,
)
from lotdb.testing.seen import check_same, picture
from lotdb_ingest.npy import format as npy_format
from lotdb_ingest.npy import plugin as npy


@pytest.fixture
def node():
    node = DataNode("node")
    node.write_data(np.arange(3))
    node.set_attribute("label", "hello")
    return node


def refused(node, path, **how):
    """The message with which *path* is refused; the node must be left as it was."""
    before = picture(node)
    with pytest.raises(IngestError) as info:
        node.attach_file(path, **how)
    assert picture(node) == before
    return str(info.value)


# -- what comes in --------------------------------------------------------------------------------

ARRAYS = {
    "floats": np.arange(12.0).reshape(4, 3),
    "Fortran order": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "big-endian": np.arange(5, dtype=">i2"),
    "no axis": np.array(2.5),
    "empty": np.zeros((0, 3), "f4"),
    "booleans": np.array([True, False]),
    "text": np.array(["æ", "long text"]),
    "dates": np.array(["2020-01-01"], "M8[D]"),
    "structured": np.array([(1, 2.5)], [("a", "i2"), ("größe", "f8")]),
    "names beyond Latin-1": np.array([(1, "x")], [("データ", "i2"), ("größe", "U3")]),
    "aligned": np.zeros(3, np.dtype([("a", "u1"), ("b", "f8"), ("c", "u1")], align=True)),
    "arrays in a structure": np.ones(2, [("a", "<i2", (2, 3)), ("b", [("c", ">f4"), ("d", "S3")])]),
    "titles": np.ones(2, [(("a title", "a"), "<i2")]),
    "durations": np.arange(3).astype("m8[25s]"),
    "complex": np.arange(3) * (1 + 2j),
    "halves": np.arange(3, dtype="f2"),
    "longest floats": np.arange(3, dtype="g"),
    "bytes": np.array([b"ab", b"c\0"]),
    "void": np.array([b"ab", b"cd"], "V2"),
    "one structure": np.array((1, 2.5), [("a", "i2"), ("b", "f8")]),
    "rows of nothing": np.zeros((5, 0, 2)),
    "many axes": np.arange(64).reshape((1, 2) * 6),
    "many axes in Fortran order": np.asfortranarray(np.arange(120, dtype=">u2").reshape(2, 3, 4, 5)),
    "many fields": np.zeros(3, [(f"field_{i:04}", "f4") for i in range(600)]),
    "text of no length": np.array(["", ""], "U0"),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.filterwarnings("ignore:Stored array in format")
def test_an_array_comes_in_exactly(node, tmp_path, name):
    np.save(tmp_path / "x.npy", ARRAYS[name])
    expected = np.load(tmp_path / "x.npy", max_header_size=1 << 20)
    payload = node.attach_file(tmp_path / "x.npy", data_attribute="imu")
    check_same(payload.read(), expected, name)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_comes_in(node, tmp_path, version):
    with open(tmp_path / "x.npy", "wb") as file:
        np.lib.format.write_array(file, np.arange(5), version=version)
    assert node.attach_file(tmp_path / "x.npy").read().tolist() == [0, 1, 2, 3, 4]


def test_the_source_is_noted_on_the_node(node, tmp_path):
    np.save(tmp_path / "capture.npy", np.arange(3))
    node.attach_file(tmp_path / "capture.npy")
    assert node.get_attribute("_source_filepath") == str(tmp_path / "capture.npy")
    assert node.get_attribute("_source_filename") == "capture.npy"
    assert node.get_attribute("_source_format") == "npy"
    assert node.get_data().content_type == "application/x-npy"


def test_a_suffix_in_capitals_is_the_same_format(node, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4))
    (tmp_path / "x.npy").rename(tmp_path / "x.NPY")
    assert node.attach_file(tmp_path / "x.NPY").kind == "array"


def test_format_decides_over_the_suffix(node, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4))
    (tmp_path / "x.npy").rename(tmp_path / "x.dat")
    assert node.attach_file(tmp_path / "x.dat").kind == "bytes"
    assert node.attach_file(tmp_path / "x.dat", format="npy").read().tolist() == [0, 1, 2, 3]


def test_a_file_comes_in_once_and_is_not_needed_afterwards(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4))
    with LOTDB(tmp_path / "db", durability="process") as db:
        node = db.open_connection().get_data_node("a")
        node.attach_file(tmp_path / "x.npy")
        (tmp_path / "x.npy").unlink()
        db.commit()
        assert node.read_data().tolist() == [0, 1, 2, 3]


def test_a_file_can_be_appended(node, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3, 5))
    node.attach_file(tmp_path / "x.npy", if_exists="append", metadata={"unit": "g"})
    assert node.read_data().tolist() == [0, 1, 2, 3, 4]
    assert node.get_data().metadata["unit"] == "g"


def test_any_node_and_a_tree_in_memory_take_files(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    node = BaseNode("a")
    DataWriter.attach_file(node, str(tmp_path / "x.npy"), "imu", samplerate_hz=10)
    assert DataReader.open(node, "imu").samplerate_hz == 10


@pytest.mark.parametrize("name", ["café.npy", "データ.npy", "a b'c\".npy", "new\nline.npy"])
def test_a_file_of_any_name_comes_in(node, tmp_path, name):
    np.save(tmp_path / name, np.arange(3))
    node.attach_file(tmp_path / name)
    assert node.get_attribute("_source_filename") == name


# -- what is refused ------------------------------------------------------------------------------


def header(text, version=1):
    encoded = text.encode("latin-1") + b"\n"
    size = len(encoded).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + encoded


def announce(shape, descr="'<f8'"):
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")


MALFORMED = {
    "empty": (b"", "does not begin as an .npy file"),
    "another format": (b"PK\x03\x04 something", "does not begin as an .npy file"),
    "magic alone": (b"\x93NUMPY", "ends after 6 bytes, within its header; it is cut or damaged"),
    "half a version": (b"\x93NUMPY\x01", "ends after 7 bytes, within its header; it is cut or damaged"),
    "no header": (b"\x93NUMPY\x01\x00", "ends after 8 bytes, within its header"),
    "half a length": (b"\x93NUMPY\x02\x00\x76", "ends after 9 bytes, within its header"),
    "unknown version": (b"\x93NUMPY\x09\x00" + b" " * 100, "of version 9.0 of the format"),
    "header cut": (announce("(3,)")[:50], "announces a header of 58 bytes, it has 50 bytes in all"),
    "4 GB of header": (b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b"{}", "announces a header of 4294967295 bytes"),
    "large header": (header(" " * 200_000, 2), "a header of 200001 bytes"),
    "garbage header": (header("garbage"), "its header is invalid: "),
    "code in the header": (header("__import__('os').abort()"), "its header is invalid: "),
    "unbalanced header": (header("{'descr': (("), "its header is invalid: "),
    "header that is no UTF-8": (header("{'größe': 1}", 3), "its header is invalid: "),
    "formatted header": (header("f'" + "{1}" * 30_000 + "'", 2), "its header is invalid: "),
    "no dict": (header("[1, 2]"), "its header is invalid: .*not a dictionary"),
    "missing key": (header("{'descr': '<f8', 'shape': (3,)}"), ""),
    "no dtype": (announce("(3,)", "'nonsense'") + b"\0" * 24, ""),
    "truncated": (announce("(3,)") + b"\0" * 20, "announces 24 bytes of data .*, 20 are present"),
    "trailing": (announce("(3,)") + b"\0" * 25, "announces 24 bytes of data .*, 25 are present"),
    "10**12 items": (announce("(10**12,)".replace("10**12", str(10**12))), f"announces {8 * 10**12} bytes"),
    "items of no size": (announce("(10,)", "'|V0'"), "elements of type"),
    "more items than can be counted": (announce(f"({10**30}, {10**30})"), "announces"),
    "negative shape": (announce("(-1, -3)") + b"\0" * 24, ""),
    "shape of text": (announce("('a',)"), ""),
    "shape of floats": (announce("(3.0,)") + b"\0" * 24, ""),
    "no elements of huge rows": (announce(f"(0, {10**30})"), ""),
    "an axis too many": (announce(str((1,) * 100)) + b"\0" * 8, "no array can be of shape"),
    "elements that are arrays": (announce("(1,)", "('<i2', (3,))") + b"\0" * 6, "which no array can have"),
    "deep structure": (
        announce("(1,)", "[('a', " * 20 + "'u1'" + ")]" * 20) + b"\0",
        "structures within structures",
    ),
    "title of a number": (announce("(1,)", "[((5, 'a'), 'u1')]") + b"\0", "title that is not a text"),
    "objects": (announce("(1,)", "'|O'") + b"cos\nsystem\n.", "holds Python objects"),
    "objects in a structure": (announce("(1,)", "[('a', '|O')]") + b"\0" * 8, "holds Python objects"),
    "deep header": (header("(" * 5000), ""),
}


def test_a_header_that_takes_minutes_to_take_apart(node, tmp_path):
    text = "{'descr': '<i2', 'fortran_order': False, 'shape': (3L," + " " * 100_000 + "\x01"
    (tmp_path / "x.npy").write_bytes(header(text, version=2))
    began = time.thread_time()
    assert "its header is invalid" in refused(node, tmp_path / "x.npy")
    assert time.thread_time() - began < 5


def test_a_header_is_read_while_other_threads_parse(node, tmp_path):
    array = np.zeros(3, [("time", "<f8"), ("place", "<f4", (2,))])
    np.save(tmp_path / "a.npy", array)
    with disturbed_parser():
        payload = node.attach_file(tmp_path / "a.npy")
    check_same(payload.read(), array, "It comes in.")


def test_long_numbers_of_python_2_are_numbers_and_texts_are_left_alone(node, tmp_path):
    text = """{'descr': [('1L', "<i2"), ("it's 2L", '<i2')], 'fortran_order': False, 'shape': (3L,)}"""
    (tmp_path / "x.npy").write_bytes(header(text) + bytes(12))
    payload = node.attach_file(tmp_path / "x.npy")
    assert payload.dtype.names == ("1L", "it's 2L")
    assert payload.shape == (3,)


@pytest.mark.sampled(12)
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused_with_path_and_reason(node, tmp_path, name):
    content, why = MALFORMED[name]
    (tmp_path / "bad.npy").write_bytes(content)
    message = refused(node, tmp_path / "bad.npy")
    assert str(tmp_path / "bad.npy") in message
    assert "as npy: " in message
    reason = message.partition("as npy: ")[2]
    assert 10 < len(reason) < 520
    assert "plugin" not in reason
    assert re.search(why, message), message


def test_a_huge_sparse_file_is_no_reason_to_allocate(node, tmp_path):
    (tmp_path / "bad.npy").write_bytes(announce(f"({10**12},)"))
    os.truncate(tmp_path / "bad.npy", 1 << 40)
    assert "the limit is" in refused(node, tmp_path / "bad.npy")


CONTENTS = {
    "a PNG image": b"\x89PNG\r\n\x1a\n",
    "a WAV file": b"RIFF\x24\0\0\0WAVEfmt ",
    "a zip archive": b"PK\x03\x04" + b"\0" * 22 + b"\x05\0\0\0a.txt",
    "an .npz file": b"PK\x03\x04" + b"\0" * 22 + b"\x05\0\0\0a.npy",
}


@pytest.mark.parametrize("what", CONTENTS)
def test_what_only_is_called_npy_is_told(node, tmp_path, what):
    (tmp_path / "x.npy").write_bytes(CONTENTS[what])
    assert f"its content is {what}" in refused(node, tmp_path / "x.npy")


def test_content_decides_if_asked(node, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4))
    (tmp_path / "x.npy").rename(tmp_path / "x.png")
    assert node.attach_file(tmp_path / "x.png", format="auto").read().tolist() == [0, 1, 2, 3]
    assert node.get_attribute("_source_format") == "npy"


def test_an_option_that_npy_does_not_know_is_refused(node, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4))
    with pytest.raises(InvalidOptionError, match="encoding"):
        node.attach_file(tmp_path / "x.npy", encoding="utf-8")


# -- large files ----------------------------------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(npy, "BLOCK_BYTES", 100)
    monkeypatch.setattr(npy_format, "BLOCK_BYTES", 100)
    monkeypatch.setattr(npy_format, "SCATTERED_BYTES", 150)


LARGE = {
    "rows": np.arange(600, dtype="i4").reshape(-1, 3),
    "one axis": np.arange(600, dtype=">f8"),
    "rows larger than a block": np.arange(600, dtype="f8").reshape(4, 150),
    "one row": np.arange(600, dtype="f8").reshape(1, 600),
    "structures": np.arange(600).astype("i8").view([("a", "i4"), ("データ", "u2", (2,))]),
    "texts": np.array([str(number) for number in range(300)]).reshape(100, 3),
    "many axes": np.arange(1200, dtype="u2").reshape(10, 4, 3, 10),
}


@pytest.mark.parametrize("short_column", [0, 1 << 16])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.filterwarnings("ignore:Stored array in format")
def test_a_large_file_comes_in_block_by_block(tmp_path, monkeypatch, small_blocks, name, order, short_column):
    monkeypatch.setattr(npy_format, "SHORT_COLUMN", short_column)
    array = np.asarray(LARGE[name], order=order)
    file = io.BytesIO()
    np.save(file, array)
    file.seek(0)
    source = SourceFile(tmp_path / "x.npy", file, len(file.getvalue()), "npy")
    blocks = npy.lotdb_ingest_file(source).data
    assert blocks.rows == len(array)
    file.seek(0)
    taken = list(blocks.blocks)
    assert all(block.nbytes <= 150 or len(block) == 1 for block in taken)
    assert all(block.flags.c_contiguous for block in taken)
    whole = np.concatenate(taken, out=np.empty_like(array, order="C"))
    check_same(whole, np.ascontiguousarray(array), name)


@pytest.mark.crossed
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_a_file_of_some_megabytes_comes_in_exactly(tmp_path, order, backend):
    array = np.asarray(np.arange(3_000_000, dtype=">i4").reshape(-1, 3), order=order)
    np.save(tmp_path / "x.npy", array)
    with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
        payload = root.get_data_node("a", backend=backend).attach_file(tmp_path / "x.npy")
        assert len(payload.segments()) == 1
        check_same(payload.read(), np.ascontiguousarray(array), backend)
        payload.export(tmp_path / "y.npy")
    assert np.array_equal(np.load(tmp_path / "y.npy"), array)


def test_a_large_file_that_ends_while_it_is_read_leaves_no_trace(tmp_path, small_blocks):
    class Cut:
        @hookimpl(tryfirst=True)
        def lotdb_ingest_file(self, source):
            ingested = npy.lotdb_ingest_file(source)
            os.truncate(source.path, source.size - 300)
            return ingested

    plugins = Plugins()
    plugins.register(Cut())
    node = DataNode("node", plugins=plugins)
    for order in "CF":
        np.save(tmp_path / "x.npy", np.zeros((1000, 10), order=order))
        assert "x.npy" in refused(node, tmp_path / "x.npy")


# -- what goes out --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.filterwarnings("ignore:Stored array in format")
def test_an_array_goes_out_as_numpy_saves_it(node, tmp_path, name):
    np.save(tmp_path / "x.npy", ARRAYS[name])
    node.attach_file(tmp_path / "x.npy").export(tmp_path / "y.npy")
    expected = np.load(tmp_path / "x.npy", max_header_size=1 << 20)
    check_same(np.load(tmp_path / "y.npy", max_header_size=1 << 20), expected, name)
    if "Fortran" not in name and "Latin-1" not in name:
        assert (tmp_path / "y.npy").read_bytes() == (tmp_path / "x.npy").read_bytes()


def test_an_array_with_a_large_header_goes_out(node, tmp_path):
    array = np.zeros(2, [(f"field_{number:04}", "u1") for number in range(4000)])
    node.write_data(array).export(tmp_path / "y.npy")
    check_same(np.load(tmp_path / "y.npy", max_header_size=1 << 20), array, "4000 fields")
    check_same(node.attach_file(tmp_path / "y.npy").read(), array, "4000 fields")


def test_a_window_of_blocks_goes_out_whole(node, tmp_path, small_blocks):
    array = np.arange(700, dtype=">i2").reshape(100, 7)
    node.write_data(array).export(tmp_path / "y.npy")
    check_same(np.load(tmp_path / "y.npy"), array, "blocks")


def test_a_table_goes_out_if_no_cell_is_missing(node, tmp_path):
    rows = np.array([(1, "a"), (2, "b")], [("number", "i4"), ("text", "U1")])
    table = np.ma.MaskedArray(rows, mask=[(False, False), (False, False)])
    node.write_data(table).export(tmp_path / "y.npy")
    check_same(np.load(tmp_path / "y.npy"), rows, "table")
    node.write_data(np.ma.MaskedArray(rows, mask=[(False, False), (True, False)]))
    with pytest.raises(ExportError, match=r"missing cells.*csv"):
        node.get_data().export(tmp_path / "z.npy")
    assert not (tmp_path / "z.npy").exists()


def test_fields_that_overlap_do_not_go_out(node, tmp_path):
    overlapping = np.dtype({"names": ["a", "b"], "formats": ["<i4", "<i2"], "offsets": [0, 0]})
    node.write_data(np.zeros(3, overlapping))
    with pytest.raises(ExportError, match="cannot hold elements of type"):
        node.get_data().export(tmp_path / "y.npy")
    assert list(tmp_path.iterdir()) == []


def test_a_text_is_no_array(node, tmp_path):
    node.write_data("text")
    with pytest.raises(ExportError, match="no installed plugin writes text data as 'npy'"):
        node.get_data().export(tmp_path / "y.npy")


def test_writing_takes_no_options(node, tmp_path):
    with pytest.raises(InvalidOptionError, match="compressed"):
        node.get_data().export(tmp_path / "y.npy", compressed=True)
