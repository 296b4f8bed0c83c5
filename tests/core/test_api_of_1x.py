"""The calls that programs written for lotdb 1.x make."""

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, DataNode, DataReader, DataWriter, PayloadExistsError, WrongNodeError


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    """The examples speak of ./data, relative to where they run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_quick_start(capsys):
    root = BaseNode(key="dataset")
    node = root.get_node_path(["speaker_01", "session_a", "clip_001"])
    node.set_attribute("label", "hello")

    print(node.get_attribute("label"))

    assert capsys.readouterr().out == "hello\n"


def test_persistent_usage():
    db = LOTDB(path="./data", name="lotdb.fs", new=True)
    root = db.open_connection()

    root.get_node_path(["speaker_01", "clip_001"]).set_attribute("duration", 1.23)

    db.commit()
    db.close_connection()
    db.close()

    with LOTDB(path="./data", name="lotdb.fs") as db, db.connection() as root:
        assert root["speaker_01/clip_001"].get_attribute("duration") == 1.23


def test_recommended_data_workflow(capsys):
    processed = []
    process = processed.append

    db = LOTDB(path="./data", name="lotdb.fs", new=True)
    root = db.open_connection()

    capture_1 = root.get_data_node(
        ["sensor_01", "capture_0001"],
        samplerate_hz=1000,
        backend="blob",
        data_attribute="imu",
    )

    capture_2 = root.get_data_node(
        ["sensor_01", "capture_0002"],
        samplerate_hz=1000,
        backend="blob",
        data_attribute="imu",
    )

    data = np.random.randn(2000, 6).astype("float32")
    capture_1.write_data(data, database=db)
    capture_2.write_data(data * 0.5, database=db)

    # same node, second payload
    capture_1.write_data(np.random.randn(2000, 2).astype("float32"), database=db, data_attribute="control")

    window = capture_1.read_seconds(1.0, 2.0)

    for block in capture_1.iter_data_blocks(0.5, block_unit="seconds"):
        process(block)

    # first iteration layer under the root
    for node in root.iterate_tree_level(1):
        print(node.key)

    # first iteration layer under sensor_01
    sensor_node = root.get_node_path(["sensor_01"])
    for node in sensor_node.iterate_tree_level(1):
        print(node.key)

    # all leaves below sensor_01
    for leaf in sensor_node.iterate_tree_leaves():
        print("leaf", leaf.key)

    # buffered iteration over leaves
    for batch in sensor_node.iterate_tree_crone_buffered(buffer_size=2):
        print([node.key for node in batch])

    db.commit()
    db.close_connection()
    db.close()

    assert window.dtype == np.float32
    assert np.array_equal(window, data[1000:2000])
    assert [len(block) for block in processed] == [500, 500, 500, 500]
    assert np.array_equal(np.concatenate(processed), data)
    assert capsys.readouterr().out.splitlines() == [
        "sensor_01",
        "capture_0001",
        "capture_0002",
        "leaf capture_0001",
        "leaf capture_0002",
        "['capture_0001', 'capture_0002']",
    ]
    with LOTDB(path="./data", name="lotdb.fs") as db, db.connection() as root:
        assert np.array_equal(root["sensor_01/capture_0002"].read_data(), data * np.float32(0.5))
        assert root["sensor_01/capture_0001"].get_data("control").shape == (2000, 2)


def test_generic_nodes_and_data_nodes():
    root = BaseNode(key="dataset")

    assert type(root.get_node("plain")) is BaseNode
    assert type(root.get_data_node(["a", "b"])) is DataNode
    assert type(root["a"]) is BaseNode
    assert type(root.get_node("a").get_node("b")) is DataNode


def test_what_a_data_node_does():
    node = BaseNode(key="dataset").get_data_node("a", samplerate_hz=10)

    node.write_data(np.arange(20))
    node.replace_data(np.arange(30))
    node.append_data(np.arange(30, 40))

    assert node.has_data()
    assert node.read_data().tolist() == list(range(40))
    assert node.read_data(5, 7).tolist() == [5, 6]
    assert node.read_seconds(1, 1.5).tolist() == [10, 11, 12, 13, 14]
    assert [len(block) for block in node.iter_data_blocks(15)] == [15, 15, 10]
    node.delete_data()
    assert not node.has_data()


@pytest.fixture
def db():
    with LOTDB(path="./data", name="lotdb.fs", new=True) as db:
        yield db


def test_lower_level_data_api(db):
    node = db.open_connection().get_node("a")
    array = np.random.randn(1000, 4).astype("float32")

    DataWriter.write_array(
        node,
        array,
        samplerate_hz=500,
        backend="blob",
        data_attribute="signal",
    )

    signal = DataReader.read_interval(node, "signal", 100, 200)

    assert np.array_equal(signal, array[100:200])


def test_explicit_payload_policies(db):
    capture = db.open_connection().get_data_node("capture")
    audio, more_audio, control = np.zeros(100, "i2"), np.ones(50, "i2"), np.eye(3)

    capture.write_data(audio, database=db, data_attribute="audio", if_exists="replace")
    capture.write_data(control, database=db, data_attribute="control", if_exists="replace")

    capture.append_data(more_audio, database=db, data_attribute="audio")

    assert capture.read_data(data_attribute="audio").sum() == 50
    with pytest.raises(PayloadExistsError):
        capture.write_data(audio, database=db, data_attribute="audio", if_exists="error")

    if capture.has_data("control"):
        capture.delete_data("control")

    assert not capture.has_data("control")
    assert capture.get_data("audio").dtype == np.int16


def test_file_ingestion(db, working_directory):
    data_node = db.open_connection().get_data_node("a", data_attribute="imu")
    array = np.arange(12.0).reshape(4, 3)
    np.save("./capture.npy", array)

    data_node.attach_file("./capture.npy", database=db, data_attribute="imu")
    payload = data_node.read_data()

    assert np.array_equal(payload, array)
    assert data_node.get_attribute("_source_filepath") == "./capture.npy"
    assert data_node.get_attribute("_source_format") == "npy"
    assert data_node.get_attribute("_source_filename") == "capture.npy"
    (working_directory / "capture.npy").unlink()
    assert np.array_equal(data_node.read_data(), array)


def test_file_ingestion_on_any_node(db):
    node = db.open_connection().get_node("a")
    with open("notes.txt", "w") as file:
        file.write("hello")

    DataWriter.attach_file(node, "notes.txt", "notes")

    assert DataReader.read(node, "notes") == "hello"


TABLE = {"a": [1, 2], "b": ["x", None]}
WRITERS = {
    "DataNode.write_data": lambda n, **db: n.write_data(np.arange(3), **db),
    "DataNode.replace_data": lambda n, **db: n.replace_data(np.arange(3), **db),
    "DataNode.append_data": lambda n, **db: n.append_data(np.arange(3), **db),
    "DataNode.attach_file": lambda n, **db: n.attach_file("numbers.npy", **db),
    "DataNode.ingest_file": lambda n, **db: n.ingest_file("numbers.npy", **db),
    "DataNode.compact_data": lambda n, **db: n.compact_data("there", **db),
    "DataNode.delete_data": lambda n, **db: n.delete_data("there", **db),
    "DataWriter.write_array": lambda n, **db: DataWriter.write_array(n, np.arange(3), **db),
    "DataWriter.append_array": lambda n, **db: DataWriter.append_array(n, np.arange(3), **db),
    "DataWriter.write_table": lambda n, **db: DataWriter.write_table(n, TABLE, **db),
    "DataWriter.write_text": lambda n, **db: DataWriter.write_text(n, "text", **db),
    "DataWriter.write_bytes": lambda n, **db: DataWriter.write_bytes(n, b"bytes", **db),
    "DataWriter.attach_file": lambda n, **db: DataWriter.attach_file(n, "numbers.npy", **db),
    "DataWriter.ingest_file": lambda n, **db: DataWriter.ingest_file(n, "numbers.npy", **db),
    "DataWriter.delete_data": lambda n, **db: DataWriter.delete_data(n, "there", **db),
}


@pytest.mark.parametrize("name", WRITERS)
def test_all_that_writes_takes_the_database_of_the_node_and_no_other(db, name, working_directory):
    write = WRITERS[name]
    np.save("numbers.npy", np.arange(5))
    node = db.open_connection().get_data_node("a")
    node.write_data([1.0, 2.0], data_attribute="there")
    before = dict(node.attrs).keys()

    with LOTDB(working_directory / "other") as other:
        for wrong in (other, 500, "blob"):
            with pytest.raises(WrongNodeError, match="is not the database of"):
                write(node, database=wrong)
    assert dict(node.attrs).keys() == before
    write(node, database=db)
    assert dict(node.attrs).keys() != before or name == "DataNode.compact_data"


def test_the_order_of_arguments_is_that_of_1x(db):
    node = db.open_connection().get_node("a")
    DataWriter.write_array(node, np.zeros(3), 500, "signal", "blob", {"unit": "V"}, db)
    DataWriter.append_array(node, np.ones(2), "signal", db, {"more": 1})
    np.save("numbers.npy", np.arange(5))
    DataWriter.attach_file(node, "numbers.npy", "file", "blob", 10, db)

    signal = DataReader.open(node, "signal")
    assert (signal.samplerate_hz, signal.shape, signal.metadata) == (500, (5,), {"unit": "V", "more": 1})
    assert DataReader.open(node, "file").samplerate_hz == 10


def test_a_node_in_memory_is_in_no_database_and_takes_any(db):
    node = BaseNode("memory").get_data_node("a")
    node.write_data([1.0], database=db)
    with pytest.raises(WrongNodeError):
        node.write_data([1.0], 500)
    assert node.read_data().tolist() == [1.0]
