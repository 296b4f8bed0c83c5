"""Whatever writes is told the same things by the same names, and checks them alike."""

import inspect

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    BaseNode,
    DataMismatchError,
    DataNode,
    DataWriter,
    InvalidOptionError,
    InvalidRangeError,
    MissingPluginError,
    WrongNodeError,
)

TABLE = np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")])
WRITERS = {
    "write_array": [1.0, 2.0],
    "append_array": [1.0, 2.0],
    "write_table": TABLE,
    "write_text": "text",
    "write_bytes": b"bytes",
}
OF_ALL = {"data_attribute", "backend", "samplerate_hz", "metadata", "content_type", "database", "options"}


@pytest.mark.parametrize("name", WRITERS)
def test_a_writer_has_the_keywords_of_write_data(name):
    asked = set(inspect.signature(DataNode.write_data).parameters) - {"self", "data"}
    assert asked == OF_ALL | {"if_exists"}
    there = set(inspect.signature(getattr(DataWriter, name)).parameters)
    assert (OF_ALL if name == "append_array" else asked) <= there


def test_all_of_the_writer_takes_a_database():
    for name, function in vars(DataWriter).items():
        if not name.startswith("_") and name != "ingest_file":  # which hands on what attach_file takes
            assert "database" in inspect.signature(function.__func__).parameters, name


@pytest.mark.parametrize("name", WRITERS)
def test_all_that_can_be_said_is_kept(db, name):
    root = db.open_connection()
    said = {"data_attribute": "x", "samplerate_hz": 5, "metadata": {"unit": "V"}, "content_type": "a/b"}
    node = root.get_node("node")
    how = {"backend": "zarr", "database": db, "chunks": 2}
    payload = getattr(DataWriter, name)(node, WRITERS[name], **said, **how)
    assert (payload.name, payload.samplerate_hz, payload.metadata) == ("x", 5.0, {"unit": "V"})
    assert (payload.content_type, payload.backend, payload.options) == (
        "a/b",
        "zarr",
        node.payloads["x"].options,
    )
    db.commit()
    assert node.payloads["x"].options["chunks"][0] == 2


@pytest.mark.crossed
@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ({"samplerate_hz": -1}, InvalidRangeError, "sample rate"),
        ({"backend": 5}, InvalidOptionError, "backend is 5"),
        ({"backend": "nowhere"}, MissingPluginError, "nowhere"),
        ({"metadata": [1]}, InvalidOptionError, "metadata is"),
        ({"content_type": 5}, InvalidOptionError, "content_type is 5"),
        ({"samplerate_hs": 5}, InvalidOptionError, "did you mean samplerate_hz="),
        ({"database": "a text"}, WrongNodeError, "'a text' is not the database of .* data_attribute="),
    ],
)
def test_each_refuses_the_same_and_changes_nothing(db, name, said, error, message):
    node = db.open_connection().get_node("node")
    with pytest.raises(error, match=message):
        getattr(DataWriter, name)(node, WRITERS[name], **said)
    assert list(node.payloads) == []


@pytest.mark.parametrize("name", [*WRITERS, "attach_file", "compact_data", "has_data", "delete_data"])
def test_each_refuses_another_database(db, tmp_path, name):
    path = tmp_path / "file.txt"
    path.write_text("text")
    node = db.open_connection().get_data_node("node")
    node.write_data([1.0])
    data = {**WRITERS, "attach_file": path}
    arguments = [data[name]] if name in data else []
    with LOTDB(tmp_path / "other") as other, pytest.raises(WrongNodeError, match="is not the database of"):
        getattr(DataWriter, name)(node, *arguments, database=other)
    assert node.read_data().tolist() == [1.0]


def test_what_is_appended_must_fit_what_is_said_of_it(db):
    node = db.open_connection().get_node("node")
    DataWriter.append_array(node, [1.0], samplerate_hz=5, backend="zarr")
    DataWriter.append_array(node, [2.0], samplerate_hz=5, backend="zarr")
    assert node.payloads["data"].read().tolist() == [1.0, 2.0]
    for said in ({"samplerate_hz": 6}, {"backend": "blob"}, {"content_type": "a/b"}):
        with pytest.raises(DataMismatchError, match="payload 'data' of node 'node' has"):
            DataWriter.append_array(node, [3.0], **said)
    assert node.payloads["data"].shape == (2,)


def test_a_payload_of_any_node_is_compacted(db):
    root = db.open_connection()
    node = root.get_node("node")
    for number in range(3):
        DataWriter.append_array(node, np.full(200_000, float(number)))
        db.commit()
    assert len(node.payloads["data"].segments()) > 1
    payload = DataWriter.compact_data(node, database=db, backend="zarr")
    assert (len(payload.segments()), payload.backend) == (1, "zarr")
    assert payload.read()[::200_000].tolist() == [0.0, 1.0, 2.0]


def test_what_is_no_node_is_refused():
    for function, data in [*((getattr(DataWriter, name), data) for name, data in WRITERS.items())]:
        with pytest.raises(WrongNodeError, match="pass a node"):
            function({}, data)
    for function in (DataWriter.has_data, DataWriter.delete_data, DataWriter.compact_data):
        with pytest.raises(WrongNodeError, match="pass a node"):
            function(None)


def test_messages_name_the_payload_and_the_node():
    node = BaseNode("root").get_data_node("a/b")
    node.write_data([1])
    with pytest.raises(
        DataMismatchError, match="payload 'data' of node 'a/b' has dtype int64, the new data f"
    ):
        node.append_data([1.5])
