"""Files that cannot be taken in, whatever their format, and ingesters that go wrong: one error, no trace."""

import contextlib
import os
import signal
import socket
import threading
import tokenize

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    Blocks,
    DataMismatchError,
    DataNode,
    Ingested,
    IngestError,
    InvalidDataError,
    LotdbError,
    PayloadExistsError,
    Plugins,
    ReadOnlyError,
    hookimpl,
)
from lotdb.segments.memory import MemoryBackend
from lotdb.testing.seen import check_same

SECONDS = 20  # after which what hangs is given up


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
    return attributes, list(node._tree.stage.locators), sorted(node)


@contextlib.contextmanager
def not_for_ever():
    """Fails instead of hanging."""

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(SECONDS)
    try:
        yield
    except KeyboardInterrupt:
        pytest.fail(f"it hangs for more than {SECONDS} s")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refused(node, path, error=IngestError, **how):
    """The message with which *path* is refused; the node must be left as it was."""
    before = state(node)
    with not_for_ever(), pytest.raises(error) as info:
        node.attach_file(path, **how)
    assert isinstance(info.value, ValueError)
    assert state(node) == before
    return str(info.value)


# -- what is no file ------------------------------------------------------------------------------


def test_a_missing_file_is_named(node, tmp_path):
    message = refused(node, tmp_path / "nowhere.npy")
    assert str(tmp_path / "nowhere.npy") in message
    assert "No such file" in message


FORMATS = [None, "auto", "csv", "npy", "npz", "png", "raw", "txt", "wav"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_directory_is_refused(node, tmp_path, format):
    (tmp_path / "folder.npy").mkdir()
    assert "not a regular file" in refused(node, tmp_path / "folder.npy", format=format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_fifo_is_refused_without_waiting_for_its_writer(node, tmp_path, format):
    os.mkfifo(tmp_path / "pipe.npy")
    assert "not a regular file" in refused(node, tmp_path / "pipe.npy", format=format)


@pytest.mark.crossed
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/stdin", "/dev/urandom"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_device_is_refused(node, device, format):
    if device == "/dev/stdin" and os.path.isfile("/dev/stdin"):
        pytest.skip("standard input is a file")
    assert "not a regular file" in refused(node, device, format=format)


def test_a_link_to_a_device_is_refused(node, tmp_path):
    (tmp_path / "x.npy").symlink_to("/dev/zero")
    assert "not a regular file" in refused(node, tmp_path / "x.npy")


def test_a_socket_is_refused(node, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("x.npy")
        assert "x.npy" in refused(node, tmp_path / "x.npy")


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
        {"metadata": {"a": NotImplemented}},
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
    ids="-".join,
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
    plugins.register(Meter(answer), name="meter")
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


class Stop(BaseException):
    pass


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


RAISED = [
    ZeroDivisionError("bad header"),
    tokenize.TokenError("EOF in multi-line statement", (2, 0)),
    MemoryError(),
    RecursionError("too deep"),
    StopIteration(),
    StopAsyncIteration(),
    OSError(5, "Input/output error"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    AssertionError(),
    Unspeakable(),
    SystemExit(3),
    GeneratorExit(),
    Stop("at once"),
]


def named_type(value):
    return type(value).__name__


@pytest.mark.sampled(6)
@pytest.mark.crossed
@pytest.mark.parametrize("error", RAISED, ids=named_type)
@pytest.mark.parametrize("hook", ["lotdb_ingest_file", "lotdb_identify_file"])
def test_whatever_an_ingester_raises_is_an_ingest_error_that_names_the_plugin(db, tmp_path, error, hook):
    def fails(self, source):
        raise error

    plugins = Plugins()
    plugins.register(type("Broken", (), {hook: hookimpl(tryfirst=True)(fails)})(), name="broken")
    node = DataNode("node", plugins=plugins)
    node.write_data(np.arange(3))
    (tmp_path / "x.meter").write_bytes(b"0123456789")
    message = refused(node, tmp_path / "x.meter", format="auto")
    assert str(tmp_path / "x.meter") in message
    assert "broken" in message
    assert type(error).__name__ in message


@pytest.mark.sampled(6)
@pytest.mark.parametrize("error", RAISED, ids=named_type)
@pytest.mark.parametrize("before", [0, 1, pytest.param(20, marks=pytest.mark.slow)])
def test_whatever_the_blocks_of_an_ingester_raise_leaves_no_trace(tmp_path, error, before):
    class Fails:
        def __init__(self):
            self.left = before

        def __iter__(self):
            return self

        def __next__(self):
            if not self.left:
                raise error
            self.left -= 1
            return np.zeros(1 << 19)

    def streams(source):
        return Ingested(Blocks(Fails(), np.dtype("f8"), rows=100 << 19), "meter")

    node, path = node_with(streams, tmp_path)
    node.write_data(np.arange(3))
    message = refused(node, path)
    assert str(path) in message
    if not isinstance(error, StopIteration):  # which says that there are no more blocks
        assert type(error).__name__ in message
        assert "meter" in message


def test_blocks_that_fail_leave_nothing_in_a_database(tmp_path):
    plugins = Plugins()
    plugins.register(Meter(fails_late), name="meter")
    (tmp_path / "x.meter").write_bytes(b"0123456789")
    with LOTDB(tmp_path / "db", plugins=plugins) as db:
        node = db.open_connection().get_data_node("a")
        node.write_data(np.arange(3))
        db.commit()
        refused(node, tmp_path / "x.meter")
        node.set_attribute("after", "the failure")
        db.commit()
        assert not db.verify()
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        assert root["a"].read_data().tolist() == [0, 1, 2]
        assert root["a"].get_attribute("after") == "the failure"


def fails_late(source):
    def blocks():
        for _ in range(20):
            yield np.zeros(1 << 19)
        raise ZeroDivisionError("bad block")

    return Ingested(Blocks(blocks(), np.dtype("f8")), "meter")


def test_an_interruption_is_none_of_an_ingesters_errors(tmp_path):
    def interrupted(source):
        raise KeyboardInterrupt

    node, path = node_with(interrupted, tmp_path)
    before = state(node)
    with pytest.raises(KeyboardInterrupt):
        node.attach_file(path)
    assert state(node) == before


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (np.zeros(3, "f4"), "announced blocks"),
        (np.zeros((3, 1)), "announced blocks"),
        (np.array(0.0), ""),
        ([0.0, 1.0], "announced blocks"),
        (b"bytes", "announced blocks"),
        (None, ""),
        (np.zeros(9), "announces 10 rows, 9 are present"),
        (np.zeros(11), "announces 10 rows, more are present"),
        (np.zeros(0), "announces 10 rows, 0 are present"),
    ],
    ids=repr,
)
def test_blocks_that_are_not_as_announced_are_refused(tmp_path, block, why):
    def streams(source):
        return Ingested(Blocks([block], np.dtype("f8"), rows=10), "meter")

    node, path = node_with(streams, tmp_path)
    assert why in refused(node, path)


DTYPES = {
    "numbers": ">i4",
    "structures": [("a", "u1"), ("b", ">f4"), ("c", "U2")],
    "aligned structures": np.dtype([("a", "u1"), ("b", "f8")], align=True),
    "scattered structures": np.dtype(
        {"names": ["b", "a"], "formats": ["u1", ">u2"], "offsets": [6, 2], "itemsize": 9}
    ),
}


@pytest.mark.crossed
@pytest.mark.parametrize("rows", [None, 30])
@pytest.mark.parametrize("name", DTYPES)
def test_blocks_of_any_dtype_come_in_as_they_are(tmp_path, name, rows):
    dtype = np.dtype(DTYPES[name])
    array = np.frombuffer(bytes(range(256)) * dtype.itemsize, dtype)[:30]
    if name == "structures":
        array = np.array([(number, number / 3, "ab") for number in range(30)], dtype)

    def streams(source):
        return Ingested(Blocks([array[:10], array[10:20], array[20:]], dtype, rows=rows), "meter")

    node, path = node_with(streams, tmp_path)
    node.attach_file(path)
    check_same(node.read_data(), array, name)


def test_more_data_than_max_bytes_are_refused_while_they_come(tmp_path):
    given = []

    def streams(source):
        def blocks():
            while True:
                given.append(1)
                yield np.zeros(1 << 16)

        return Ingested(Blocks(blocks(), np.dtype("f8")), "meter")

    node, path = node_with(streams, tmp_path)
    assert "the limit is 5000000" in refused(node, path, max_bytes=5_000_000)
    assert len(given) == 10


def test_the_second_of_several_payloads_fails_and_the_first_is_not_there(tmp_path):
    def several(source):
        return {"good": Ingested(np.arange(9), "meter"), "bad": fails_late(source)}

    node, path = node_with(several, tmp_path)
    assert "bad block" in refused(node, path)


@pytest.mark.parametrize("names", [("é", "e\u0301"), ("", "a\0"), ("a", "x" * 300)], ids=repr)
def test_payloads_that_cannot_be_side_by_side_are_refused(tmp_path, names):
    def several(source):
        return {name: Ingested(np.arange(number), "meter") for number, name in enumerate(names, 1)}

    node, path = node_with(several, tmp_path)
    refused(node, path, LotdbError)


def answers(**what):
    return Ingested([1], "meter", **what)


ANSWERS = {
    "returns an array": (lambda source: np.arange(3), IngestError, "returned ndarray, not lotdb.Ingested"),
    "returns nothing at all": (lambda source: {}, IngestError, "nothing in it"),
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


@pytest.mark.sampled(6)
@pytest.mark.crossed
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


@pytest.mark.parametrize("change", ["grows", "shrinks", "is written anew"])
def test_a_file_that_changed_between_blocks_is_refused(tmp_path, change):
    def streams(source):
        def blocks():
            yield np.arange(5)
            if change == "grows":
                with open(source.path, "ab") as file:
                    file.write(b"more")
            elif change == "shrinks":
                os.truncate(source.path, 3)
            else:
                source.path.write_bytes(b"9876543210")
                os.utime(source.path, ns=(0, 0))
            yield np.arange(5)

        return Ingested(Blocks(blocks(), np.dtype(int), rows=10), "meter")

    node, path = node_with(streams, tmp_path)
    assert "changed while it was read" in refused(node, path)


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
