"""Taking in ``.npy`` files, and what holds for files of any format."""

import os
import re
import threading
import time

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    DataMismatchError,
    DataNode,
    DataReader,
    DataWriter,
    Ingested,
    IngestError,
    InvalidDataError,
    LotdbError,
    PayloadExistsError,
    Plugins,
    ReadOnlyError,
    hookimpl,
)
from lotdb.memory import MemoryBackend


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as database:
        yield database


@pytest.fixture
def node(db):
    node = db.open_connection().get_data_node("a")
    node.write_data(np.arange(3))
    node.set_attribute("label", "hello")
    db.commit()
    return node


def state(node):
    """All that the node holds, and what the transaction has written so far."""
    attributes = {
        name: value.read().tolist() if hasattr(value, "read") else value for name, value in node.attrs.items()
    }
    return attributes, len(node._tree.stage.locators), sorted(node)


def refused(node, path, error=IngestError, **how):
    """The message with which *path* is refused; the node must be left as it was."""
    before = state(node)
    start = time.monotonic()
    with pytest.raises(error) as info:
        node.attach_file(path, **how)
    assert time.monotonic() - start < 1
    assert isinstance(info.value, ValueError)
    assert state(node) == before
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
    "many fields": np.zeros(3, [(f"field_{i:04}", "f4") for i in range(600)]),
    "text of no length": np.array(["", ""], "U0"),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.filterwarnings("ignore:Stored array in format")
def test_an_array_comes_in_exactly(node, tmp_path, name):
    np.save(tmp_path / "x.npy", ARRAYS[name])
    expected = np.load(tmp_path / "x.npy", max_header_size=1 << 20)
    payload = node.attach_file(tmp_path / "x.npy", data_attribute="imu")
    assert payload.dtype == expected.dtype
    assert payload.shape == expected.shape
    assert node.read_data(data_attribute="imu").tobytes() == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.filterwarnings("ignore:Stored array in format")
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


def test_a_file_comes_in_once_and_is_not_needed_afterwards(node, db, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4))
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
    "magic alone": (b"\x93NUMPY", ""),
    "unknown version": (b"\x93NUMPY\x09\x00" + b" " * 100, ""),
    "garbage header": (header("garbage"), ""),
    "code in the header": (header("__import__('os').abort()"), ""),
    "no dict": (header("[1, 2]"), ""),
    "missing key": (header("{'descr': '<f8', 'shape': (3,)}"), ""),
    "no dtype": (announce("(3,)", "'nonsense'") + b"\0" * 24, ""),
    "truncated": (announce("(3,)") + b"\0" * 20, "announces 24 bytes of data .*, 20 are present"),
    "trailing": (announce("(3,)") + b"\0" * 25, "announces 24 bytes of data .*, 25 are present"),
    "10**12 items": (announce("(10**12,)".replace("10**12", str(10**12))), f"announces {8 * 10**12} bytes"),
    "more items than can be counted": (announce(f"({10**30}, {10**30})"), "announces"),
    "negative shape": (announce("(-1, -3)") + b"\0" * 24, ""),
    "shape of text": (announce("('a',)"), ""),
    "shape of floats": (announce("(3.0,)") + b"\0" * 24, ""),
    "no elements of huge rows": (announce(f"(0, {10**30})"), ""),
    "objects": (announce("(1,)", "'|O'") + b"cos\nsystem\n.", "holds Python objects"),
    "objects in a structure": (announce("(1,)", "[('a', '|O')]") + b"\0" * 8, "holds Python objects"),
    "deep header": (header("(" * 5000), ""),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused_with_path_and_reason(node, tmp_path, name):
    content, why = MALFORMED[name]
    (tmp_path / "bad.npy").write_bytes(content)
    message = refused(node, tmp_path / "bad.npy")
    assert str(tmp_path / "bad.npy") in message
    assert "as npy: " in message
    reason = message.partition("as npy: ")[2]
    assert len(reason) > 10
    assert re.search(why, message), message


def test_a_huge_sparse_file_is_no_reason_to_allocate(node, tmp_path):
    (tmp_path / "bad.npy").write_bytes(announce(f"({10**12},)"))
    os.truncate(tmp_path / "bad.npy", 1 << 40)
    assert "the limit is" in refused(node, tmp_path / "bad.npy")


# -- what is no file ------------------------------------------------------------------------------


def test_a_missing_file_is_named(node, tmp_path):
    message = refused(node, tmp_path / "nowhere.npy")
    assert str(tmp_path / "nowhere.npy") in message
    assert "No such file" in message


def test_a_directory_is_refused(node, tmp_path):
    (tmp_path / "folder.npy").mkdir()
    assert "not a regular file" in refused(node, tmp_path / "folder.npy")


def test_a_fifo_is_refused_without_waiting_for_its_writer(node, tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    assert "not a regular file" in refused(node, tmp_path / "pipe.npy")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/stdin"])
def test_a_device_is_refused(node, device, tmp_path):
    if device == "/dev/stdin" and os.path.isfile("/dev/stdin"):
        pytest.skip("standard input is a file")
    assert "not a regular file" in refused(node, device)


def test_a_file_that_may_not_be_read_is_named(node, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    np.save(tmp_path / "x.npy", np.arange(3))
    (tmp_path / "x.npy").chmod(0)
    assert "Permission denied" in refused(node, tmp_path / "x.npy")


def test_a_loop_of_links_is_refused(node, tmp_path):
    (tmp_path / "loop.npy").symlink_to(tmp_path / "loop.npy")
    assert "loop.npy" in refused(node, tmp_path / "loop.npy")


NO_PATHS = {"None": None, "number": 5, "bytes": b"x.npy", "empty": "", "NUL": "a\0b", "long": "x" * 10_000,
            "object": object(), "list": ["x.npy"]}  # fmt: skip


@pytest.mark.parametrize("path", NO_PATHS)
def test_what_is_no_path_is_refused(node, path):
    assert refused(node, NO_PATHS[path], LotdbError)


@pytest.mark.parametrize("format", [5, b"npy", ["npy"]])
def test_what_is_no_format_is_refused(node, tmp_path, format):
    np.save(tmp_path / "x.npy", np.arange(3))
    assert "format" in refused(node, tmp_path / "x.npy", LotdbError, format=format)


# -- what else can go wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"samplerate_hz": 0},
        {"samplerate_hz": "fast"},
        {"if_exists": "maybe"},
        {"metadata": 5},
        {"metadata": ["unit"]},
        {"metadata": {"a": object()}},
        {"data_attribute": "a\0"},
        {"data_attribute": 5},
        {"data_attribute": "label"},
        {"backend": "nowhere"},
        {"backend": 5},
        {"if_exists": "error"},
        {"if_exists": "append", "samplerate_hz": 7},
        {"database": "mine"},
        {"encodng": "latin-1"},
    ],
    ids=str,
)
def test_wrong_arguments_leave_the_node_as_it_was(node, tmp_path, how):
    np.save(tmp_path / "x.npy", np.arange(3))
    before = state(node)
    with pytest.raises(LotdbError):
        node.attach_file(tmp_path / "x.npy", **how)
    assert state(node) == before


@pytest.mark.parametrize("name", ["_source_filepath", "_source_filename", "_source_format"])
def test_a_payload_cannot_take_the_place_of_what_is_noted_of_its_source(node, tmp_path, name):
    np.save(tmp_path / "x.npy", np.arange(3))
    before = state(node)
    with pytest.raises(LotdbError, match=name):
        node.attach_file(tmp_path / "x.npy", data_attribute=name)
    assert state(node) == before


def test_a_payload_that_stands_where_the_source_is_noted_is_not_lost(node, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    node.write_data([1.0], data_attribute="_source_format")
    before = state(node)
    with pytest.raises(PayloadExistsError, match="_source_format"):
        node.attach_file(tmp_path / "x.npy")
    assert state(node) == before


def test_a_read_only_database_takes_no_file(node, db, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    db.close()
    with (
        LOTDB(tmp_path / "db", read_only=True) as reader,
        reader.connection() as root,
        pytest.raises(ReadOnlyError, match="read_only=True"),
    ):
        root["a"].attach_file(tmp_path / "x.npy")


class Meter:
    """An ingester of ``.meter`` files, as *answer* would have it."""

    def __init__(self, answer):
        self.answer = answer

    @hookimpl(tryfirst=True)
    def lotdb_ingest_file(self, source):
        return self.answer(source) if source.format == "meter" else None


class OtherBackend(MemoryBackend):
    name = "other"


class OtherPlugin:
    @hookimpl
    def lotdb_get_backend(self, name):
        return OtherBackend if name == "other" else None


def node_with(answer, tmp_path, **defaults):
    plugins = Plugins()
    plugins.register(Meter(answer))
    plugins.register(OtherPlugin())
    (tmp_path / "x.meter").write_bytes(b"0123456789")
    return DataNode("node", plugins=plugins, **defaults), tmp_path / "x.meter"


def ten_hertz(source):
    return Ingested(data=np.arange(10), format="meter", samplerate_hz=10.0, attributes={"serial": 7})


def test_the_rate_of_the_file_is_kept(tmp_path):
    node, path = node_with(ten_hertz, tmp_path)
    assert node.attach_file(path).samplerate_hz == 10
    assert node.get_attribute("serial") == 7
    assert node.samplerate_hz is None


def test_a_rate_that_contradicts_the_nodes_default_is_refused(tmp_path):
    node, path = node_with(ten_hertz, tmp_path, samplerate_hz=20)
    with pytest.raises(DataMismatchError, match="at 10 Hz, the node's default is 20 Hz; pass samplerate_hz="):
        node.attach_file(path)
    assert not node.has_data()
    assert "serial" not in node.attrs


def test_a_rate_that_is_given_decides(tmp_path):
    node, path = node_with(ten_hertz, tmp_path, samplerate_hz=20)
    assert node.attach_file(path, samplerate_hz=30).samplerate_hz == 30


def test_appending_a_file_does_not_ask_the_nodes_new_defaults(tmp_path):
    node, _ = node_with(ten_hertz, tmp_path, samplerate_hz=10, backend="other")
    node.write_data(np.arange(3))
    node.configure_data(samplerate_hz=20, backend="blob")
    np.save(tmp_path / "x.npy", np.arange(3, 5))
    node.attach_file(tmp_path / "x.npy", if_exists="append")
    assert node.read_data().tolist() == [0, 1, 2, 3, 4]


def raises(source):
    raise ZeroDivisionError("bad header")


def answers(**what):
    return Ingested([1], "meter", **what)


def raises_memory_error(source):
    raise MemoryError


ANSWERS = {
    "fails": (raises, IngestError, "ZeroDivisionError: bad header"),
    "runs out of memory": (raises_memory_error, IngestError, "MemoryError"),
    "returns an array": (lambda source: np.arange(3), IngestError, "returned ndarray, not lotdb.Ingested"),
    "returns no data": (lambda s: Ingested(None, "meter"), (IngestError, InvalidDataError), None),
    "returns objects": (lambda s: Ingested([object()], "meter"), (IngestError, InvalidDataError), None),
    "returns a bad rate": (lambda s: answers(samplerate_hz=-1), LotdbError, None),
    "returns a rate of text": (lambda s: answers(samplerate_hz="fast"), LotdbError, None),
    "returns bad metadata": (lambda s: answers(metadata={"a": object()}), LotdbError, None),
    "returns no metadata": (lambda s: answers(metadata=None), LotdbError, None),
    "returns bad attributes": (lambda s: answers(attributes={"a": object()}), LotdbError, None),
    "returns attributes of no name": (lambda s: answers(attributes={1: 1}), LotdbError, None),
    "returns an attribute in the payload's place": (
        lambda s: answers(attributes={"data": 1}),
        LotdbError,
        "data",
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("rate", [None, 20])
def test_an_ingester_that_goes_wrong_leaves_the_node_as_it_was(tmp_path, name, rate):
    answer, error, why = ANSWERS[name]
    node, path = node_with(answer, tmp_path, samplerate_hz=rate)
    before = dict(node.attrs)
    with pytest.raises(error, match=why):
        node.attach_file(path)
    assert dict(node.attrs) == before


def test_a_file_that_changed_while_it_was_read_is_refused(tmp_path):
    def slow(source):
        data = source.file.read()
        with open(source.path, "ab") as file:
            file.write(b"more")
        return Ingested(data=data, format="meter")

    node, path = node_with(slow, tmp_path)
    with pytest.raises(IngestError, match=r"x\.meter.*changed while it was read"):
        node.attach_file(path)
    assert not node.has_data()


def test_a_file_that_is_written_all_the_time_never_comes_in_torn(node, tmp_path):
    path, done = tmp_path / "x.npy", threading.Event()
    np.save(path, np.zeros(50_000))

    def rewrite():
        number = 0
        while not done.is_set():
            number += 1
            np.save(path, np.full(50_000, number, "f8"))

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(30):
            try:
                node.attach_file(path, data_attribute="imu")
            except IngestError:
                continue
            assert len(set(node.read_data(data_attribute="imu").tolist())) == 1
    finally:
        done.set()
        writer.join()
