"""Tables: columns of their own types, missing cells that stay missing, and DataFrames where pandas is."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import (
    LOTDB,
    BaseNode,
    DataMismatchError,
    DataReader,
    DataWriter,
    InvalidDataError,
    MissingPluginError,
)
from lotdb.content import tables

COLUMNS = {
    "id": ["001", "002", "017"],
    "age": [31, None, 44],
    "score": [0.5, float("nan"), None],
    "ok": [True, False, None],
}


@pytest.fixture
def node():
    return BaseNode("root").get_data_node("table")


@pytest.fixture(params=["memory", "blob", "zarr"])
def place(request, tmp_path):
    """A data node in a tree of each backend."""
    if request.param == "memory":
        yield BaseNode("root").get_data_node("table")
        return
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        yield root.get_data_node("table", backend=request.param)


def test_a_table_comes_back_with_its_types_and_missing_cells(place):
    payload = DataWriter.write_table(place, COLUMNS, backend=place.backend)
    assert payload.kind == "table"
    assert payload.shape == (3,)
    assert payload.dtype.names == ("id", "age", "score", "ok")
    assert [payload.dtype[name].kind for name in payload.dtype.names] == ["U", "i", "f", "b"]
    table = place.read_data()
    assert table["id"].tolist() == ["001", "002", "017"]
    assert table["age"].tolist() == [31, None, 44]
    assert np.isnan(table["score"].data[1])
    assert table["score"].mask.tolist() == [False, False, True]
    assert table["ok"].tolist() == [True, False, None]
    assert payload.backend == place.backend


def test_a_table_without_missing_cells_is_a_plain_array(node):
    DataWriter.write_table(node, {"a": [1, 2], "b": ["x", "yz"]})
    table = node.read_data()
    assert type(table) is np.ndarray
    assert table.tolist() == [(1, "x"), (2, "yz")]
    assert np.asarray(node.get_data()).tolist() == [(1, "x"), (2, "yz")]


def test_rows_are_read_by_number_by_block_and_by_index(node):
    DataWriter.write_table(
        node, {"n": list(range(10)), "half": [None if i % 2 else i / 2 for i in range(10)]}
    )
    assert node.read_data(2, 4)["n"].tolist() == [2, 3]
    assert node.read_data(3, 4)["half"].tolist() == [None]
    assert [block["n"].tolist() for block in node.iter_data_blocks(4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    payload = node.get_data()
    assert payload[-1]["n"] == 9
    assert payload[::5]["n"].tolist() == [0, 5]
    assert [row["n"] for row in payload] == list(range(10))
    assert type(node.read_data(2, 3)) is np.ndarray


def test_missing_cells_do_not_become_values_by_accident(node):
    DataWriter.write_table(node, COLUMNS)
    with pytest.raises(InvalidDataError, match="missing cells"):
        np.asarray(node.get_data())


def test_a_masked_structured_array_is_a_table_without_being_asked(node):
    table = np.ma.zeros(2, [("a", "i4")])
    table["a"] = [5, 6]
    table["a"][1] = np.ma.masked
    assert node.write_data(table).kind == "table"
    assert node.read_data()["a"].tolist() == [5, None]


def test_a_plain_structured_array_stays_an_array(node):
    rows = np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")])
    assert node.write_data(rows).kind == "array"
    assert DataWriter.write_table(node, rows).kind == "table"


def test_tables_are_appended_and_texts_may_be_shorter(place):
    DataWriter.write_table(place, {"name": ["longer"], "n": [1]}, backend=place.backend)
    DataWriter.write_table(place, {"name": ["x", None], "n": [None, 3]}, if_exists="append")
    table = place.read_data()
    assert table["name"].tolist() == ["longer", "x", None]
    assert table["n"].tolist() == [1, None, 3]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"name": ["much longer than before"], "n": [1]}, "column 'name' holds <U6, the new rows <U23"),
        ({"name": ["x"], "n": [1.5]}, "column 'n' holds int64, the new rows float64"),
        ({"name": ["x"]}, "the table has 2 columns, the new rows 1: only the table have 'n'"),
        ({"name": ["x"], "n": [1], "more": [1]}, "only the new rows have 'more'"),
        ({"n": [1], "name": ["x"]}, "column 1 of the table is 'name', that of the new rows 'n'"),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_change_nothing(node, rows, message):
    DataWriter.write_table(node, {"name": ["longer"], "n": [1]})
    with pytest.raises(DataMismatchError, match=message):
        DataWriter.write_table(node, rows, if_exists="append")
    assert node.read_data().tolist() == [("longer", 1)]


def test_a_column_in_which_all_new_cells_are_missing_fits_any(node):
    DataWriter.write_table(node, {"n": [1], "name": ["x"]})
    DataWriter.write_table(node, {"n": [2], "name": [None]}, if_exists="append")
    assert node.read_data()["name"].tolist() == ["x", None]


def test_new_rows_may_miss_whole_columns_of_any_type(place):
    table = {"name": ["x"], "n": [1], "when": [datetime.date(2024, 2, 29)]}
    DataWriter.write_table(place, table, backend=place.backend)
    for rows in (2, 0):
        missing = {name: [None] * rows for name in table}
        DataWriter.write_table(place, missing, if_exists="append")
    nothing = (None, None, None)
    assert place.read_data().tolist() == [("x", 1, datetime.date(2024, 2, 29)), nothing, nothing]


def test_a_table_is_not_appended_to_an_array(node):
    node.write_data(np.zeros(3))
    with pytest.raises(DataMismatchError, match="kind"):
        DataWriter.write_table(node, {"a": [1]}, if_exists="append")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "at least one column"),
        ({"a": [1], "b": [1, 2]}, "column 'b' has 2 rows, column 'a' has 1"),
        ({"": [1]}, "a column has no name"),
        (np.zeros(2, {"names": [""], "formats": ["i4"]}), "a column has no name"),
        ({1: [1]}, "column 1 has a name of type int"),
        ({"a": "text"}, "use a sequence"),
        ({"a": [1, "x"]}, "column 'a' cannot be stored: it holds numbers and text; give it one type"),
        ({"a": [1, True]}, "numbers and truth values"),
        ({"a": ["x", b"x"]}, "bytes and text"),
        ({"a": [2**53 + 1, 0.5]}, "fit neither 64 bits nor"),
        ({"a": [2**63, -1]}, "fit neither 64 bits nor"),
        ({"a": [np.int64(2**53 + 1), 0.5]}, "fit neither 64 bits nor"),
        ({"a": [2**64]}, "fit neither 64 bits nor"),
        ({"a": [2**64 + 1, 0.5, None]}, "fit neither 64 bits nor"),
        ({"a": [datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1)]}, "several types"),
        (
            {"a": [datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)]},
            "with a time zone; convert them to UTC",
        ),
        ({"a": [[1], [2, 3]]}, "column 'a' cannot be stored"),
        ({"a": {"b": 1}}, "use a sequence"),
        ({"a": np.ma.zeros((2, 2))}, "one value a row"),
        ({"a": np.zeros(1, "g")}, "depends on the machine; convert it to f8"),
        ({"a": np.zeros(1, "G")}, "depends on the machine; convert it to c16"),
        (np.zeros(2, []), "at least one column"),
        (np.zeros(2, [(("title", "a"), "i4")]), "column 'a' has a title"),
        (
            np.zeros(2, [("a", np.dtype("i4", metadata={"unit": "mV"}))]),
            "metadata of its dtype would be lost",
        ),
        ({"a": [{}, {}]}, r"column 'a' cannot be stored: it holds objects \(dict\); use numbers, texts"),
        ({"a": {1, 2}}, "use a sequence"),
        pytest.param(
            {"a": ["x" * 50_000_000] * 2 + ["y"] * 1_000_000},
            "column 'a' cannot be stored: .*allocate",
            marks=pytest.mark.slow,
        ),
        ({"a": [[1, 2], [3, 4]]}, "one value a row"),
        ({"a": ["ends\0"]}, "ends with NUL"),
        ({"a": np.zeros((2, 2))}, "one value a row"),
        (np.zeros(3), "not a table"),
        (np.zeros((2, 2), [("a", "i4")]), "not a table"),
        (np.zeros(2, [("a", "i4", 3)]), "column 'a' is of type"),
        (np.zeros(2, [("a", "O")]), "column 'a' is of type object"),
        (5, "not a table"),
    ],
)
def test_what_is_no_table_is_refused(node, table, message):
    with pytest.raises(InvalidDataError, match=message):
        DataWriter.write_table(node, table)
    assert not node.has_data()


@pytest.mark.parametrize("name", ["row", "missing", " a", "µV", "a/b", "f0", "a\nb", "x" * 3000])
def test_columns_may_have_any_name(node, name):
    DataWriter.write_table(node, {name: [1, None]})
    assert node.read_data()[name].tolist() == [1, None]


def test_wide_and_empty_tables(node):
    DataWriter.write_table(node, {f"c{i}": [i, None] for i in range(1000)})
    table = node.read_data()
    assert table["c999"].tolist() == [999, None]
    DataWriter.write_table(node, {"a": np.zeros(0, "i2"), "b": []})
    assert node.read_data().shape == (0,)
    assert node.read_data().dtype["a"] == "i2"


def test_what_stands_below_a_missing_cell_does_not_depend_on_what_stood_there():
    kinds = ["?", "u1", "i8", "f4", "f8", "c8", "U3", "S3", "M8[s]", "m8[ns]"]
    table = np.ma.zeros(2, [(f"c{i}", kind) for i, kind in enumerate(kinds)])
    table[0] = (True, 7, 7, 7, 7, 7j, "abc", b"abc", 7, 7)
    table.mask = [(True,) * 10, (False,) * 10]
    cells = tables.to_stored(table)["row"][0].item()
    assert repr(cells) == repr((False, 0, 0, np.nan, np.nan, complex(np.nan, np.nan), "", b"", None, None))


def test_what_is_stored_says_which_cells_are_missing():
    table = np.ma.zeros(3, [(f"c{i}", "i2") for i in range(10)])
    table.mask["c0"][1] = table.mask["c9"][2] = True
    stored = tables.to_stored(table)
    assert stored.dtype["row"].names == table.dtype.names
    assert stored["missing"].tolist() == [[0, 0], [1, 0], [0, 2]]


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("a", "i1"), ("b", "f8")], align=True),
        np.dtype([("a", ">i2"), ("b", ">U3")]),
        np.dtype({"names": ["a", "b"], "formats": ["i1", "f4"], "offsets": [7, 1], "itemsize": 20}),
    ],
    ids=["aligned", "big endian", "with gaps"],
)
def test_rows_of_any_layout_are_stored_packed(node, dtype):
    rows = np.zeros(3, dtype)
    rows["a"] = [1, 2, 3]
    DataWriter.write_table(node, rows.view(np.recarray))
    assert node.read_data()["a"].tolist() == [1, 2, 3]
    assert node.read_data().dtype.itemsize == sum(dtype[name].itemsize for name in "ab")
    assert type(node.read_data()) is np.ndarray


def test_numbers_of_another_byte_order_are_appended(node):
    DataWriter.write_table(node, np.array([(1, "x")], [("a", "<i4"), ("b", "<U2")]))
    DataWriter.write_table(node, np.array([(2, "y")], [("a", ">i4"), ("b", ">U1")]), if_exists="append")
    assert node.read_data().tolist() == [(1, "x"), (2, "y")]


def test_sequences_of_a_mapping_may_be_of_many_kinds(node):
    columns = {
        "masked": np.ma.array([1, 2], mask=[False, True]),
        "objects": np.array(["a", None], object),
        "strings": np.array(["b", "ccc"], np.dtypes.StringDType()),
        "scalars": [np.float32(0.1), None],
        "mixed": (1, 0.5),
        "no values": [None, None],
        "empty texts": ["", ""],
        "array of empty texts": np.zeros(2, "U"),
        "days": [datetime.date(2024, 2, 29), None],
        "times": [datetime.datetime(2024, 2, 29, 1, 2, 3, 4), None],
        "spans": [datetime.timedelta(microseconds=1), None],
    }
    DataWriter.write_table(node, columns)
    table = node.read_data()
    read = {name: table[name].tolist() for name in table.dtype.names}
    assert read == {
        "masked": [1, None],
        "objects": ["a", None],
        "strings": ["b", "ccc"],
        "scalars": [np.float32(0.1), None],
        "mixed": [1.0, 0.5],
        "no values": [None, None],
        "empty texts": ["", ""],
        "array of empty texts": ["", ""],
        "days": [datetime.date(2024, 2, 29), None],
        "times": [datetime.datetime(2024, 2, 29, 1, 2, 3, 4), None],
        "spans": [datetime.timedelta(microseconds=1), None],
    }


CELLS = {
    "i8": st.integers(-(2**63), 2**63 - 1),
    "f8": st.floats(),
    "U": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    "b": st.booleans(),
}


@given(st.data(), st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=10), st.integers(0, 20))
def test_any_cells_come_back(data, kinds, rows):
    columns = {
        f"{kind}{i}": data.draw(st.lists(st.none() | CELLS[kind], min_size=rows, max_size=rows))
        for i, kind in enumerate(kinds)
    }
    node = BaseNode("root").get_data_node("table")
    DataWriter.write_table(node, columns)
    table = node.read_data()
    for name, cells in columns.items():
        assert repr(np.ma.asarray(table[name]).tolist()) == repr(cells)


# -- pandas ---------------------------------------------------------------------------------------


def test_without_pandas_the_message_says_what_to_install(node, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    DataWriter.write_table(node, COLUMNS)
    with pytest.raises(MissingPluginError, match=r'pip install "lotdb-core\[pandas\]"'):
        node.read_frame()


def test_only_a_table_is_a_frame(node):
    node.write_data(np.zeros(3))
    with pytest.raises(InvalidDataError, match="kind 'array'"):
        node.read_frame()


def test_a_frame_has_the_right_types(node):
    pandas = pytest.importorskip("pandas")
    DataWriter.write_table(node, COLUMNS | {"n": [1, 2, 3], "x": [0.5, 1.5, float("nan")]})
    frame = node.read_frame()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "id": "string",
        "age": "Int64",
        "score": "Float64",
        "ok": "boolean",
        "n": "int64",
        "x": "float64",
    }
    assert frame["age"].isna().tolist() == [False, True, False]
    assert frame["score"].isna()[2]
    assert frame["id"].tolist() == ["001", "002", "017"]
    assert node.read_frame(1, 2)["n"].tolist() == [2]
    assert isinstance(frame.index, pandas.RangeIndex)


def test_a_frame_goes_in_and_comes_out(node):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "text": pandas.array(["a", None, "ccc"], dtype="string"),
            "int": pandas.array([1, None, 3], dtype="Int64"),
            "float": [0.5, 1.5, 2.5],
            "bool": pandas.array([True, None, False], dtype="boolean"),
            "when": pandas.to_datetime(["2024-01-01", "2024-06-01", "2025-01-01"]),
            "kind": pandas.Categorical(["x", "y", "x"]),
        }
    )
    assert node.write_data(frame).kind == "table"
    again = node.read_frame()
    for name in ("text", "int", "float", "bool", "when"):
        pandas.testing.assert_series_equal(again[name], frame[name], check_dtype=name != "when")
    assert again["kind"].tolist() == ["x", "y", "x"]
    assert node.read_data()["when"][0] == np.datetime64(datetime.date(2024, 1, 1))


def test_a_frame_keeps_what_is_missing_apart_from_what_is_not_a_number(node):
    pandas = pytest.importorskip("pandas")
    cells = pandas.arrays.FloatingArray(np.array([1, np.nan, 0]), np.array([False, False, True]))
    node.write_data(pandas.DataFrame({"nullable": cells, "plain": [1, np.nan, 0]}))
    table = node.read_data()
    assert table["nullable"].mask.tolist() == [False, False, True]
    assert np.isnan(table["nullable"].data[1])
    assert table["plain"].mask.tolist() == [False] * 3
    again = node.read_frame()["nullable"].array
    assert again.isna().tolist() == [False, False, True]
    assert np.isnan(again[1])


@pytest.mark.parametrize(
    "kind", ["i1", "u8", "f2", "f4", "c8", "?", "S2", "m8[ms]", "M8[D]", "M8[ns]", ">i4"]
)
def test_a_column_of_any_type_comes_as_a_frame(node, kind):
    pytest.importorskip("pandas")
    column = np.ma.array(np.arange(3).astype(kind), mask=[False, False, True])
    for wanted in (column[:2], column):
        DataWriter.write_table(node, {"a": wanted})
        frame = node.read_frame()
        assert frame["a"].isna().tolist() == wanted.mask.tolist()
        assert frame["a"][1] == wanted.data[1]
        node.write_data(frame)
        assert node.read_data().shape == wanted.shape


@pytest.mark.parametrize("time", ["2024-01-01T00:00:00.000000000001", "-290000000000-01-01"])
def test_times_that_pandas_cannot_hold_stay_exact(node, time):
    pytest.importorskip("pandas")
    times = np.array([time, time], "M8")
    times[1] = np.datetime64("NaT", np.datetime_data(times.dtype)[0])
    DataWriter.write_table(node, {"when": times})
    assert node.read_frame()["when"][0] == np.datetime64(time)


def test_series_may_be_columns(node):
    pandas = pytest.importorskip("pandas")
    series = pandas.Series([1, None, 3], dtype="Int8", name="called otherwise")
    DataWriter.write_table(node, {"a": series, "b": pandas.Series(["x", None, "z"])})
    assert node.read_data()["a"].tolist() == [1, None, 3]
    assert node.read_data()["b"].tolist() == ["x", None, "z"]
    assert node.read_data().dtype["a"] == "i1"


def test_an_empty_frame_and_a_wide_one(node):
    pandas = pytest.importorskip("pandas")
    node.write_data(pandas.DataFrame({"a": np.zeros(0, "i2"), "b": pandas.Series([], dtype="string")}))
    assert node.read_frame().shape == (0, 2)
    assert node.read_frame()["a"].dtype == "i2"
    node.write_data(pandas.DataFrame(np.eye(1000), columns=[f"c{i}" for i in range(1000)]))
    assert node.read_frame().to_numpy().trace() == 1000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda pandas: pandas.DataFrame({"a": [1]}, index=["x"]), "reset_index"),
        (lambda pandas: pandas.DataFrame({"a": [1]}, index=pandas.Index([0], name="id")), "reset_index"),
        (lambda pandas: pandas.DataFrame(index=range(3)), "at least one column"),
        (lambda pandas: pandas.DataFrame({("a", "b"): [1]}), "has a name of type tuple"),
        (lambda pandas: pandas.DataFrame({"a": pandas.period_range("2024", periods=1)}), "objects .Period"),
        (
            lambda pandas: pandas.DataFrame({"a": pandas.Series([pandas.Timestamp(0)], dtype=object)}),
            r"objects \(Timestamp\); use numbers, texts, or times of datetime or numpy",
        ),
        (lambda pandas: pandas.DataFrame([[1, 2]], columns=["a", "a"]), "columns of the same name"),
        (lambda pandas: pandas.DataFrame({0: [1]}), "column 0 has a name of type int"),
        (lambda pandas: pandas.DataFrame({"a": [{}]}), r"column 'a' .* objects \(dict\)"),
        (
            lambda pandas: pandas.DataFrame({"a": pandas.to_datetime(["2024-01-01"]).tz_localize("UTC")}),
            "time zone",
        ),
    ],
)
def test_a_frame_that_would_lose_something_is_refused(node, make, message):
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InvalidDataError, match=message):
        node.write_data(make(pandas))
    with pytest.raises(InvalidDataError, match=message):
        DataWriter.write_table(node, make(pandas))


def test_the_reader_of_plain_nodes_reads_tables():
    node = BaseNode("root").get_node("plain")
    DataWriter.write_table(node, {"a": [1, 2, 3]})
    assert DataReader.read_interval(node, start=1)["a"].tolist() == [2, 3]
