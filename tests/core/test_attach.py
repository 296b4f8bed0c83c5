"""Taking in a file: what is noted of it, what is skipped, and that a failure leaves nothing."""

import datetime
import errno
import hashlib
import os
import stat

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    Blocks,
    ConflictError,
    DataMismatchError,
    DataWriter,
    ExportError,
    Ingested,
    IngestError,
    InvalidKeyError,
    InvalidOptionError,
    Plugins,
    hookimpl,
)


class Traces:
    """Files of suffix .trace: numbers of 32 bits, given in blocks; what is noted is told in the class."""

    rows = None
    block_rows = 1000
    kind = "array"

    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "trace":
            return None
        return Ingested(
            Blocks(self.blocks(source), np.dtype("<i4"), rows=self.rows, kind=self.kind), format="trace"
        )

    def blocks(self, source):
        while block := source.file.read(self.block_rows * 4):
            yield np.frombuffer(block, "<i4")

    @hookimpl
    def lotdb_identify_file(self, source):
        return "trace" if source.head.startswith(b"\1\0\0\0") else None


def with_plugin(plugin):
    plugins = Plugins()
    plugins.register(plugin, name="traces")
    return BaseNode("root", plugins=plugins).get_data_node("node")


@pytest.fixture
def node():
    return BaseNode("root").get_data_node("node")


@pytest.fixture
def numbers(tmp_path):
    np.save(tmp_path / "numbers.npy", np.arange(5))
    return tmp_path / "numbers.npy"


# -- what is noted --------------------------------------------------------------------------------


def test_the_payload_knows_its_file(node, numbers):
    os.utime(numbers, (1_000_000, 1_000_000.5))
    notes = node.attach_file(numbers).metadata
    assert notes["_source_filepath"] == str(numbers)
    assert notes["_source_filename"] == "numbers.npy"
    assert notes["_source_format"] == "npy"
    assert notes["_source_size_bytes"] == numbers.stat().st_size
    assert notes["_source_modified"] == datetime.datetime.fromtimestamp(1_000_000.5, datetime.UTC)
    assert notes["_source_sha256"] == hashlib.sha256(numbers.read_bytes()).hexdigest()


def test_a_second_file_does_not_overwrite_the_notes_of_the_first(node, numbers, tmp_path):
    (tmp_path / "words.txt").write_text("words")
    node.attach_file(numbers, data_attribute="numbers")
    node.attach_file(tmp_path / "words.txt", data_attribute="words")
    assert node.get_data("numbers").metadata["_source_filename"] == "numbers.npy"
    assert node.get_data("words").metadata["_source_filename"] == "words.txt"
    assert node.attrs["_source_filename"] == "numbers.npy"
    assert node.attrs["_source_data_attribute"] == "numbers"


def test_the_nodes_notes_follow_the_payload_that_they_are_about(node, numbers, tmp_path):
    (tmp_path / "words.txt").write_text("words")
    node.attach_file(numbers)
    node.attach_file(tmp_path / "words.txt")
    assert node.attrs["_source_filename"] == "words.txt"
    node.write_data("from no file")
    node.attach_file(numbers, data_attribute="other")
    assert (node.attrs["_source_filename"], node.attrs["_source_data_attribute"]) == ("numbers.npy", "other")


def test_what_is_appended_is_noted_beside_the_first(node, numbers, tmp_path):
    np.save(tmp_path / "more.npy", np.arange(2))
    node.attach_file(numbers)
    payload = node.attach_file(tmp_path / "more.npy", if_exists="append", metadata={"label": "both"})
    assert payload.shape == (7,)
    assert payload.metadata["_source_filename"] == "numbers.npy"
    assert [each["_source_filename"] for each in payload.metadata["_source_appended"]] == ["more.npy"]
    assert payload.metadata["label"] == "both"


@pytest.mark.parametrize("name", ["_samplerate_hz", "_source_filename", "a\0", ""])
def test_a_wrong_name_is_told_as_such(node, numbers, name):
    with pytest.raises(InvalidKeyError):
        node.attach_file(numbers, data_attribute=name)
    assert list(node.attrs) == []


def test_what_does_not_fit_is_told_with_its_file(node, numbers, tmp_path):
    np.save(tmp_path / "more.npy", np.arange(2.0))
    node.attach_file(numbers)
    with pytest.raises(DataMismatchError, match=r"more\.npy' as npy: .* dtype int64, the new data float64"):
        node.attach_file(tmp_path / "more.npy", if_exists="append")
    assert "_source_appended" not in node.get_data().metadata


def test_a_payload_cannot_have_the_name_of_a_note(node, numbers):
    with pytest.raises(ValueError, match="it is an attribute that the file sets"):
        node.attach_file(numbers, data_attribute="_source_filepath")


# -- what is skipped ------------------------------------------------------------------------------


def test_an_unchanged_file_is_left_out_if_asked(node, numbers):
    payload = node.attach_file(numbers, metadata={"take": 1})
    os.utime(numbers, (5, 5))
    again = node.attach_file(numbers, metadata={"take": 2}, skip_unchanged=True)
    assert again.metadata == payload.metadata
    np.save(numbers, np.arange(9))
    assert node.attach_file(numbers, metadata={"take": 2}, skip_unchanged=True).metadata["take"] == 2
    assert node.attach_file(numbers, metadata={"take": 3}).metadata["take"] == 3


def test_a_file_that_was_appended_is_not_appended_twice(node, numbers, tmp_path):
    np.save(tmp_path / "more.npy", np.arange(2))
    for _ in range(2):
        for path in (numbers, tmp_path / "more.npy"):
            node.attach_file(path, if_exists="append", skip_unchanged=True)
    assert node.read_data().tolist() == [0, 1, 2, 3, 4, 0, 1]


# -- files in blocks ------------------------------------------------------------------------------


@pytest.mark.crossed
@pytest.mark.parametrize("backend", ["blob", "zarr"])
@pytest.mark.parametrize("known", [True, False])
def test_blocks_become_segments(tmp_path, backend, known):
    values = np.arange(9_000_000, dtype="<i4")  # more than a segment holds
    values.tofile(tmp_path / "x.trace")
    plugin = Traces()
    plugin.block_rows = 1 << 20
    plugin.rows = len(values) if known else None
    plugins = Plugins()
    plugins.register(plugin)
    with LOTDB(tmp_path / "db", plugins=plugins) as db:
        with db.connection() as root:
            payload = root.get_data_node("a", backend=backend).attach_file(tmp_path / "x.trace")
            assert len(payload.segments()) == (1 if known else 2)
        with db.connection() as root:
            assert np.array_equal(root["a"].read_data(), values)


@pytest.mark.parametrize(
    ("announced", "message"),
    [(9, "announces 9 rows, more are present"), (11, "announces 11 rows, 10 are present")],
)
def test_another_number_of_rows_than_announced_is_an_error(tmp_path, announced, message):
    np.arange(10, dtype="<i4").tofile(tmp_path / "x.trace")
    plugin = Traces()
    plugin.rows, plugin.block_rows = announced, 5
    node = with_plugin(plugin)
    with pytest.raises(IngestError, match=message):
        node.attach_file(tmp_path / "x.trace")
    assert not node.has_data()
    assert list(node.attrs) == []


def test_blocks_of_another_type_than_announced_are_an_error(tmp_path):
    np.arange(10, dtype="<i4").tofile(tmp_path / "x.trace")
    plugin = Traces()
    plugin.blocks = lambda source: [np.zeros(10, "f8")]
    with pytest.raises(IngestError, match="announced blocks of int32"):
        with_plugin(plugin).attach_file(tmp_path / "x.trace")


class Oops(BaseException):
    """What is no Exception."""


@pytest.mark.sampled(2)
@pytest.mark.crossed
@pytest.mark.parametrize(
    "error", [ValueError("bad"), MemoryError(), SystemExit(3), Oops("odd"), KeyError("k")]
)
@pytest.mark.parametrize("late", [False, True])
def test_whatever_a_plugin_raises_is_an_ingest_error_that_names_it_and_nothing_stays(tmp_path, error, late):
    np.arange(9_000_000 if late else 9, dtype="<i4").tofile(tmp_path / "x.trace")

    class Fails(Traces):
        block_rows = 1 << 20

        def blocks(self, source):
            if late:
                yield from super().blocks(source)
            raise error

    plugins = Plugins()
    plugins.register(Fails(), name="acme-traces")
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        node = root.get_data_node("a", backend="zarr")
        node.write_data(np.arange(3), data_attribute="other")
        with pytest.raises(IngestError, match=f"plugin 'acme-traces' failed: {type(error).__name__}"):
            node.attach_file(tmp_path / "x.trace")
        assert list((tmp_path / "db" / "lotdb.fs.zarr").glob("seg-*")) == []
        assert not node.has_data()
        assert node.read_data(data_attribute="other").tolist() == [0, 1, 2]
        assert "_source_filename" not in node.attrs


def test_a_plugin_raises_no_error_of_the_databases(tmp_path):
    """``run`` would repeat a transaction that failed by a conflict."""
    (tmp_path / "x.trace").write_bytes(b"1234")

    class Fails(Traces):
        def blocks(self, source):
            raise ConflictError("not really")

    with pytest.raises(IngestError, match="plugin 'traces' failed: ConflictError: not really"):
        with_plugin(Fails()).attach_file(tmp_path / "x.trace")


def wrong_answers():
    """What a plugin may give, and what is told of it."""
    return {
        "nothing": (Ingested(None, format="t"), "NoneType is not an array"),
        "objects": (Ingested(np.array([{}]), format="t"), "arrays of objects"),
        "masked": (Ingested(np.ma.zeros(3), format="t"), "a masked array"),
        "text": ("text", "plugin 'acme' failed: TypeError: it returned str"),
        "no format": (Ingested(b"", format=5), "plugin 'acme' failed: TypeError: it returned a format"),
        "no type": (Ingested(b"", format="t", content_type=5), "or a content_type that is no text"),
        "no rate": (Ingested(b"", format="t", samplerate_hz="1"), "the sample rate must be a number"),
        "metadata": (Ingested(b"", format="t", metadata={"a": object()}), "cannot hold object"),
        "much metadata": (Ingested(b"", format="t", metadata={"a": b"." * ((1 << 20) - 30)}), "1 MiB"),
        "attribute": (Ingested(b"", format="t", attributes={"a": object()}), "'a' cannot hold object"),
        "our attribute": (Ingested(b"", format="t", attributes={"_samplerate_hz": 5}), "begin with _"),
        "name": ({"a\0": Ingested(b"", format="t")}, "control character"),
        "no blocks": (Ingested(Blocks(5, np.dtype("i4")), format="t"), "blocks are of type int"),
        "no dtype": (Ingested(Blocks([], "i4"), format="t"), "it returned Blocks whose dtype is 'i4'"),
        "no kind": (Ingested(Blocks([], np.dtype("i4"), kind="odd"), format="t"), "kind is 'odd'"),
        "no rows": (Ingested(Blocks([], np.dtype("i4"), rows="3"), format="t"), "rows are '3'"),
        "no shape": (Ingested(Blocks([], np.dtype("i4"), (2.0,)), format="t"), r"row_shape is \(2.0,\)"),
        "no columns": (Ingested(Blocks([], np.dtype("i4"), kind="table"), format="t"), "one column"),
        "no bytes": (Ingested(Blocks([], np.dtype("i4"), kind="text"), format="t"), "use uint8"),
        "no UTF-8": (
            Ingested(Blocks([np.frombuffer(b"\xff", "u1")], np.dtype("u1"), kind="text"), format="t"),
            "no UTF-8",
        ),
        "half of UTF-8": (
            Ingested(Blocks([np.frombuffer(b"\xc3", "u1")], np.dtype("u1"), kind="text"), format="t"),
            "no UTF-8",
        ),
    }


@pytest.mark.sampled
@pytest.mark.parametrize(("answer", "message"), wrong_answers().values(), ids=wrong_answers())
def test_what_a_plugin_gives_is_checked(tmp_path, answer, message):
    (tmp_path / "x.trace").write_bytes(b"1234")

    class Gives:
        @hookimpl
        def lotdb_ingest_file(self, source):
            return answer

    plugins = Plugins()
    plugins.register(Gives(), name="acme")
    node = BaseNode("root", plugins=plugins).get_data_node("node")
    with pytest.raises(IngestError, match=rf"cannot ingest '.*x\.trace' as t.*{message}"):
        node.attach_file(tmp_path / "x.trace")
    assert list(node.attrs) == []


def test_a_listener_that_refuses_a_file_leaves_nothing_of_it(tmp_path):
    np.save(tmp_path / "large.npy", np.arange(300_000))

    class Listener:
        @hookimpl
        def lotdb_payload_written(self, node, name):
            raise ValueError("no")

    plugins = Plugins()
    plugins.register(Listener())
    with LOTDB(tmp_path / "db", plugins=plugins) as db:
        with db.connection() as root, pytest.raises(ValueError, match="no"):
            root.get_data_node("a").attach_file(tmp_path / "large.npy")
        assert db.verify() == []
        with db.connection() as root:
            assert list(root["a"].attrs) == []
        db.pack()
        assert not list((tmp_path / "db").rglob("*.blob"))


def test_an_interrupt_goes_through_and_leaves_nothing(tmp_path):
    np.arange(10, dtype="<i4").tofile(tmp_path / "x.trace")

    class Interrupted(Traces):
        def blocks(self, source):
            yield from super().blocks(source)
            raise KeyboardInterrupt

    node = with_plugin(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        node.attach_file(tmp_path / "x.trace")
    assert not node.has_data()


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "x.trace"
    np.arange(10, dtype="<i4").tofile(path)

    class Grows(Traces):
        def blocks(self, source):
            yield from super().blocks(source)
            with open(path, "ab") as file:
                file.write(b"more")

    node = with_plugin(Grows())
    with pytest.raises(IngestError, match="changed while it was read"):
        node.attach_file(path)
    assert not node.has_data()


def test_a_file_that_is_changed_behind_the_reader_is_refused(tmp_path):
    """It was hashed after the change, so its hash would be noted for other data."""
    path = tmp_path / "x.trace"
    path.write_bytes(b"1234")

    class Slow(Traces):
        @hookimpl
        def lotdb_ingest_file(self, source):
            answer = Ingested(source.file.read(), format="trace")
            path.write_bytes(b"5678")
            os.utime(path, (1, 1))
            return answer

    node = with_plugin(Slow())
    with pytest.raises(IngestError, match=r"x\.trace' as trace: it changed while it was read"):
        node.attach_file(path)
    assert not node.has_data()


def test_a_file_that_is_cut_while_it_is_read_is_not_called_wrong(tmp_path):
    np.arange(10, dtype="<i4").tofile(tmp_path / "x.trace")

    class Cut(Traces):
        rows = 10

        def blocks(self, source):
            os.truncate(tmp_path / "x.trace", 8)
            yield from super().blocks(source)

    with pytest.raises(IngestError, match="it changed while it was read"):
        with_plugin(Cut()).attach_file(tmp_path / "x.trace")


@pytest.mark.parametrize("how", [{}, {"skip_unchanged": True}, {"format": "auto"}, {"format": "txt"}])
def test_a_file_that_cannot_be_read_is_an_ingest_error(node, numbers, how):
    node.attach_file(numbers)
    with pytest.raises(IngestError, match=r"'/proc/self/mem'.*Input/output error"):
        node.attach_file("/proc/self/mem", **how)


def test_a_folder_says_what_takes_it_in(node, tmp_path):
    with pytest.raises(IngestError, match="but a folder; ingest_tree takes one in"):
        node.attach_file(tmp_path)


@pytest.mark.parametrize("limit", [-1, 1.5, "much", True])
def test_a_limit_that_is_none(node, numbers, limit):
    with pytest.raises(InvalidOptionError, match="max_bytes"):
        node.attach_file(numbers, max_bytes=limit)


def test_more_than_the_limit_is_refused(tmp_path):
    np.arange(100, dtype="<i4").tofile(tmp_path / "x.trace")
    node = with_plugin(Traces())
    with pytest.raises(IngestError, match="has 400 bytes, the limit is 399; pass max_bytes="):
        node.attach_file(tmp_path / "x.trace", max_bytes=399)
    assert node.attach_file(tmp_path / "x.trace", max_bytes=400).shape == (100,)


def test_what_comes_of_a_file_is_limited_whoever_reads_it(tmp_path):
    (tmp_path / "x.trace").write_bytes(b"1234")

    class Grows(Traces):
        @hookimpl
        def lotdb_ingest_file(self, source):
            return Ingested(np.zeros(1000, "u1"), format="trace")

    with pytest.raises(IngestError, match="1000 bytes of data, the limit is 999; pass max_bytes="):
        with_plugin(Grows()).attach_file(tmp_path / "x.trace", max_bytes=999)


def test_the_format_is_found_by_content_if_asked(tmp_path):
    np.array([1, 2], "<i4").tofile(tmp_path / "x.unknown")
    node = with_plugin(Traces())
    assert node.attach_file(tmp_path / "x.unknown", format="auto").read().tolist() == [1, 2]
    assert node.attach_file(tmp_path / "x.unknown").kind == "bytes"
    (tmp_path / "notes.txt").write_text("by its suffix")
    assert node.attach_file(tmp_path / "notes.txt", format="auto").read() == "by its suffix"


def test_the_asked_backend_is_used_whatever_the_kind(tmp_path):
    (tmp_path / "x.txt").write_text("text")
    (tmp_path / "x.bin").write_bytes(b"bytes")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        node = root.get_data_node("a", backend="zarr")
        for suffix in ("txt", "bin", "csv"):
            assert node.attach_file(tmp_path / f"x.{suffix}", data_attribute=suffix).backend == "zarr"
        assert node.attach_file(tmp_path / "x.csv", backend="blob").backend == "blob"


# -- and out again --------------------------------------------------------------------------------


class Writer(Traces):
    @hookimpl
    def lotdb_export_file(self, target, payload):
        if target.format != "trace":
            return None
        target.check_options("scale")
        for block in payload.iter_blocks(1000):
            target.file.write((block * target.options.get("scale", 1)).astype("<i4").tobytes())
        return True


def test_a_plugin_writes_files_too(tmp_path):
    node = with_plugin(Writer())
    payload = node.write_data(np.arange(3000, dtype="<i4"))
    payload.export(tmp_path / "x.trace", scale=2)
    assert np.fromfile(tmp_path / "x.trace", "<i4").tolist() == list(range(0, 6000, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["x.trace"]


def test_a_file_that_is_there_is_replaced_only_if_asked(tmp_path):
    payload = with_plugin(Writer()).write_data(np.arange(3, dtype="<i4"))
    (tmp_path / "x.trace").write_bytes(b"precious")
    with pytest.raises(ExportError, match="file already exists; pass if_exists='replace'"):
        payload.export(tmp_path / "x.trace")
    assert (tmp_path / "x.trace").read_bytes() == b"precious"
    payload.export(tmp_path / "x.trace", if_exists="replace")
    assert (tmp_path / "x.trace").stat().st_size == 12


@pytest.mark.parametrize("error", [ValueError("bad"), OSError("disk"), SystemExit(1)])
def test_a_failed_export_leaves_what_was_there(tmp_path, error):
    class Fails(Writer):
        @hookimpl
        def lotdb_export_file(self, target, payload):
            target.file.write(b"half")
            raise error

    payload = with_plugin(Fails()).write_data(np.arange(3))
    (tmp_path / "x.trace").write_bytes(b"precious")
    with pytest.raises(ExportError, match=r"payload 'data' of node 'node' to .*x\.trace"):
        payload.export(tmp_path / "x.trace", if_exists="replace")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.trace", b"precious")]


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"path": ".", "format": "npy"}, ExportError, "it is a folder; add the name of a file"),
        ({"path": "x.nothing"}, ExportError, "no installed plugin writes array data as 'nothing'"),
        ({"path": "x"}, InvalidOptionError, "has no suffix"),
        ({"path": 5}, InvalidOptionError, "path is 5"),
        ({"path": "x\0.npy"}, InvalidOptionError, "use the path of a file"),
        ({"path": "nowhere/x.npy"}, ExportError, "there is no folder .*nowhere'; make it first"),
        ({"path": "/proc/x.npy"}, ExportError, r"'/proc/x.npy': No such file or directory$"),
        ({"path": "x.npy", "format": 5}, InvalidOptionError, "format is 5"),
        ({"path": "x.npy", "if_exists": "append"}, InvalidOptionError, "if_exists is 'append'"),
    ],
)
def test_an_export_that_cannot_be(node, tmp_path, monkeypatch, how, error, message):
    monkeypatch.chdir(tmp_path)
    payload = node.write_data(np.arange(3))
    with pytest.raises(error, match=message):
        payload.export(how.pop("path"), **how)
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_and_what_it_points_to_is_replaced(node, tmp_path):
    (tmp_path / "old.npy").write_bytes(b"precious")
    (tmp_path / "old.npy").chmod(0o600)
    (tmp_path / "link.npy").symlink_to("old.npy")
    payload = node.write_data(np.arange(3))
    with pytest.raises(ExportError, match="already exists"):
        payload.export(tmp_path / "link.npy")
    payload.export(tmp_path / "link.npy", if_exists="replace")
    assert (tmp_path / "link.npy").is_symlink()
    assert np.load(tmp_path / "old.npy").tolist() == [0, 1, 2]
    assert (tmp_path / "old.npy").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("if_exists", ["error", "replace"])
def test_what_is_no_file_is_never_replaced(node, tmp_path, if_exists):
    os.mkfifo(tmp_path / "x.npy")
    (tmp_path / "folder.npy").mkdir()
    payload = node.write_data(np.arange(3))
    with pytest.raises(ExportError, match="not a regular file"):
        payload.export(tmp_path / "x.npy", if_exists=if_exists)
    with pytest.raises(ExportError, match="it is a folder"):
        payload.export(tmp_path / "folder.npy", if_exists=if_exists)
    assert (tmp_path / "x.npy").is_fifo()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_comes_while_another_is_written_is_not_replaced(tmp_path, monkeypatch, links):
    class Slow(Writer):
        @hookimpl
        def lotdb_export_file(self, target, payload):
            target.path.write_bytes(b"precious")
            return True

    def no_links(*_):
        raise PermissionError("this file system has no links")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    payload = with_plugin(Slow()).write_data(np.arange(3))
    with pytest.raises(ExportError, match="already exists"):
        payload.export(tmp_path / "x.trace")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.trace", b"precious")]
    with_plugin(Writer()).write_data(np.arange(3)).export(tmp_path / "y.trace")
    assert len(list(tmp_path.iterdir())) == 2


def test_an_export_is_on_the_disk_with_its_name(node, tmp_path, monkeypatch):
    synced = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: [synced.append(os.fstat(file).st_ino), sync(file)])
    node.write_data(np.arange(3)).export(tmp_path / "x.npy")
    assert synced == [(tmp_path / "x.npy").stat().st_ino, tmp_path.stat().st_ino]


def test_a_disk_that_cannot_sync_folders_is_written_to(node, tmp_path, monkeypatch):
    sync = os.fsync

    def files_only(file):
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(file)

    monkeypatch.setattr(os, "fsync", files_only)
    node.write_data(np.arange(3)).export(tmp_path / "x.npy")
    assert np.load(tmp_path / "x.npy").tolist() == [0, 1, 2]


def test_any_name_that_the_disk_takes_is_written(node, tmp_path):
    name = "\u6f22" * 83 + ".npy"
    node.write_data(np.arange(3)).export(tmp_path / name)
    assert np.load(tmp_path / name).tolist() == [0, 1, 2]


def test_what_is_taken_in_by_the_writer_of_plain_nodes_is_the_same(numbers):
    node = BaseNode("root").get_node("plain")
    payload = DataWriter.attach_file(node, numbers, "numbers", skip_unchanged=True)
    assert payload.read().tolist() == [0, 1, 2, 3, 4]
    assert DataWriter.attach_file(node, numbers, "numbers", skip_unchanged=True).metadata == payload.metadata


# -- what a file that comes again may take away ----------------------------------------------------


def test_what_was_computed_from_a_part_of_a_file_stays_when_the_file_comes_again(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3), y=np.arange(4))
    node = BaseNode("root").get_data_node("node")
    node.attach_file(path)
    part = node.get_data("data.x")
    node.write_data(part.read() * 2, data_attribute="data.x_filtered", metadata=part.metadata)
    np.savez(path, x=np.arange(3))
    node.attach_file(path)
    assert sorted(node.payloads) == ["data.x", "data.x_filtered"]
    assert node.get_data("data.x_filtered")[:].tolist() == [0, 2, 4]


def test_another_file_with_the_same_relative_path_takes_nothing_away(tmp_path, monkeypatch):
    for folder, arrays in (("one", {"x": np.arange(3), "y": np.arange(4)}), ("two", {"z": np.arange(5)})):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "a.npz", **arrays)
    node = BaseNode("root").get_data_node("node")
    for folder in ("one", "two"):
        monkeypatch.chdir(tmp_path / folder)
        node.attach_file("a.npz")
    assert sorted(node.payloads) == ["data.x", "data.y", "data.z"]


def test_a_file_of_a_relative_path_that_comes_again_leaves_nothing_that_it_has_no_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    node = BaseNode("root").get_data_node("node")
    np.savez("a.npz", x=np.arange(3), y=np.arange(4))
    node.attach_file("a.npz")
    np.savez("a.npz", x=np.arange(5))
    node.attach_file("a.npz")
    assert list(node.payloads) == ["data.x"]
