"""The recording of the examples: in, out and appended."""

from pathlib import Path

import numpy as np
import pytest

from lotdb import LOTDB, DataMismatchError

RECORDING = Path(__file__).parents[3] / "examples/data/daphnet-S06R02E0.csv"


def test_a_recording_comes_in_as_numpy_reads_it(node):
    payload = node.attach_file(RECORDING, dates=["timestamp"])
    table = payload.read()
    with open(RECORDING, encoding="utf-8") as file:
        names = tuple(file.readline().strip().split(","))
    assert (payload.kind, payload.content_type, payload.shape) == ("table", "text/csv", (7040,))
    assert table.dtype.names == names
    assert table.dtype["timestamp"] == "M8[ms]"
    assert {table.dtype[name].str for name in names[1:]} == {"<i8"}
    expected = np.loadtxt(RECORDING, delimiter=",", skiprows=1, usecols=range(1, 11), dtype="i8")
    assert np.array_equal(np.column_stack([table[name] for name in names[1:]]), expected)
    times = np.loadtxt(RECORDING, delimiter=",", skiprows=1, usecols=0, dtype="U23").astype("M8[ms]")
    assert np.array_equal(table["timestamp"], times)
    assert node.attach_file(RECORDING, data_attribute="as text").dtype["timestamp"] == "U23"


def test_a_recording_goes_out_as_it_came_in(node, tmp_path):
    node.attach_file(RECORDING)
    node.get_data().export(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == RECORDING.read_bytes()


def test_files_are_appended(node, tmp_path):
    (tmp_path / "1.csv").write_text("id,n\nlong,1\n")
    (tmp_path / "2.csv").write_text("id,n\nx,\n")
    node.attach_file(tmp_path / "1.csv", types={"id": "U20"})
    node.attach_file(tmp_path / "2.csv", types={"n": "int"}, if_exists="append")
    assert node.read_data().tolist() == [("long", 1), ("x", None)]


def test_a_file_that_does_not_fit_is_not_appended(node, tmp_path, small_blocks):
    (tmp_path / "1.csv").write_text("id,n\nx,1\n")
    (tmp_path / "2.csv").write_text("id,n\ny,1\n" + "too long,\n" * 1000)
    node.attach_file(tmp_path / "1.csv")
    with pytest.raises(DataMismatchError, match="column 'id' holds <U1, the new rows <U8"):
        node.attach_file(tmp_path / "2.csv", if_exists="append")
    assert node.read_data().tolist() == [("x", 1)]


def test_a_file_without_rows_or_with_empty_columns_can_be_appended(node, tmp_path):
    (tmp_path / "1.csv").write_text("id,n\nx,1\n")
    (tmp_path / "2.csv").write_text("id,n\n")
    (tmp_path / "3.csv").write_text("id,n\n,\n,2\n")
    for name in "123":
        node.attach_file(tmp_path / f"{name}.csv", if_exists="append")
    assert node.read_data().tolist() == [("x", 1), (None, None), (None, 2)]


def test_a_wide_table_goes_into_a_database(tmp_path):
    names = [f"c{i}" for i in range(5000)]
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + ",".join(map(str, range(5000))) + "\n")
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.get_data_node("a").attach_file(tmp_path / "wide.csv")
        with db.connection() as root:
            assert root["a"].read_data().tolist() == [tuple(range(5000))]
