"""Tables are written as csv and tsv."""

import csv
import datetime
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import DataNode, DataWriter, ExportError, InvalidOptionError


@pytest.fixture
def exported(node, tmp_path):
    """Writes data to a file, and gives its bytes."""

    def exported(data, format="csv", **options):
        write = DataWriter.write_table if isinstance(data, dict) else DataNode.write_data
        write(node, data).export(tmp_path / f"out.{format}", if_exists="replace", **options)
        return (tmp_path / f"out.{format}").read_bytes()

    return exported


def test_a_table_is_written_with_its_names_and_gaps(exported):
    table = {
        "id": ["001", None],
        "n": [1, None],
        "f": [0.1, 1e22],
        "b": [True, None],
        "day": [datetime.date(2024, 2, 29), None],
        "time": np.array(["2024-02-29T12:00:00.5", "NaT"], "M8[ms]"),
    }
    assert exported(table) == (
        b"id,n,f,b,day,time\n"
        b"001,1,0.1,True,2024-02-29,2024-02-29T12:00:00.500\n"
        b",,1e+22,,,NaT\n"
    )  # fmt: skip
    assert exported({"a,b": ['"', "\t", "\r"]}, "tsv") == b'a,b\n""""\n"\t"\n"\r"\n'


def test_a_single_column_keeps_its_missing_cells(exported, attach):
    content = exported({"n": [None, 1, None]})
    assert content == b'n\n""\n1\n""\n'
    assert attach(content).tolist() == [(None,), (1,), (None,)]


@pytest.mark.parametrize(
    ("array", "content"),
    [
        (np.array([1, -2]), b"column_1\n1\n-2\n"),
        (np.array([[1.5, 0.1], [np.nan, np.inf]]), b"column_1,column_2\n1.5,0.1\nnan,inf\n"),
        (np.array([True, False]), b"column_1\nTrue\nFalse\n"),
        (np.array(["a,b", "c"]), b'column_1\n"a,b"\nc\n'),
        (np.zeros((0, 2)), b"column_1,column_2\n"),
        (np.array([(1, 0.5)], [("a", ">i2"), ("b", "f4")]), b"a,b\n1,0.5\n"),
        (np.array(["2024-01-01T05"], "M8[h]"), b"column_1\n2024-01-01T05:00:00\n"),
        (np.array([0.1], "f4"), b"column_1\n0.10000000149011612\n"),
    ],
    ids=str,
)
def test_an_array_is_written_with_counted_columns(exported, array, content):
    assert exported(array) == content


def test_how_it_is_written_may_be_said(exported):
    table = {"a": [1.5], "b": ["é;"]}
    assert exported(table, delimiter=";", decimal=",", newline="\r\n", quotechar="'", encoding="latin-1",
                    columns=["x", "y"]) == "x;y\r\n1,5;'é;'\r\n".encode("latin-1")  # fmt: skip
    assert exported(table, header=False) == "1.5,é;\n".encode()
    assert exported(table, encoding="utf-16").startswith((b"\xff\xfe", b"\xfe\xff"))


def test_a_table_from_csv_is_written_to_tsv_as_tsv(attach, node, tmp_path):
    attach("a;b\r\n1,5;x\r\n", delimiter=";", decimal=",")
    node.get_data().export(tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_bytes() == b"a\tb\n1.5\tx\n"


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        ({"a": ["x", ""]}, {}, "column 'a' has an empty text in row 2"),
        ({"a": ["x\0y"]}, {}, "NUL"),
        ({"a": [b"x"]}, {}, "column 'a' of type"),
        ({"a": [1j]}, {}, "column 'a' of type complex128"),
        ({"a": [np.timedelta64(1, "s")]}, {}, "column 'a' of type timedelta64"),
        ({"a": np.array(["2024"], "M8[ps]")}, {}, "column 'a' of type datetime64"),
        ({"a": ["é"]}, {"encoding": "ascii"}, "ascii cannot write 'é'; pass encoding='utf-8'"),
        ({"a": ["x,y"]}, {"quotechar": None}, "needs quotes"),
        ({"a": [None]}, {"quotechar": None}, "needs quotes"),
        (np.zeros((2, 2, 2)), {}, "rows and columns"),
        (np.array(1.5), {}, "rows and columns"),
        (np.zeros((2, 0)), {}, "needs a column"),
        (np.zeros(2, "c8"), {}, "of type complex64; npy can"),
        (np.zeros(2, [("a", "f4", 3)]), {}, "column 'a' of type"),
        ("text", {}, "kind 'text'"),
        (b"bytes", {}, "kind 'bytes'"),
    ],
    ids=str,
)
def test_what_a_file_cannot_hold_is_not_written(exported, tmp_path, data, options, reason):
    with pytest.raises(ExportError, match=re.escape(reason)):
        exported(data, **options)
    assert list(tmp_path.iterdir()) == []


def test_empty_texts_are_written_when_that_is_asked_for(exported):
    assert exported({"a": ["", "x"], "b": [1, 2]}, empty_as_missing=True) == b"a,b\n,1\nx,2\n"


@pytest.mark.parametrize(
    "options",
    [{"delimiter": "ab"}, {"newline": "x"}, {"decimal": ","}, {"header": 5}, {"columns": ["a", "b"]},
     {"columns": "a"}, {"encoding": "no-such"}, {"sep": ";"}, {"empty_as_missing": "yes"}],
    ids=str,
)  # fmt: skip
def test_a_wrong_option_of_writing_is_named(exported, options):
    with pytest.raises(InvalidOptionError, match=next(iter(options))):
        exported({"a": [1.5]}, **options)


def test_metadata_that_have_nothing_to_do_with_a_file_are_left_alone(node, tmp_path):
    metadata = {"delimiter": "comma", "encoding": 5, "header": 7, "newline": "", "preamble": 1, "bom": True}
    DataWriter.write_table(node, {"a": [1]}, metadata=metadata).export(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == b"a\n1\n"


def test_large_tables_are_written_block_by_block(exported, attach, small_blocks):
    numbers = np.random.default_rng(1).normal(size=(3000, 20))
    content = exported(numbers)
    assert content.count(b"\n") == 3001
    table = attach(content)
    assert np.array_equal(np.column_stack([table[name] for name in table.dtype.names]), numbers)


CELLS = st.one_of(
    st.none(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr),
    st.decimals(allow_nan=False).map(str),
    st.sampled_from(["true", "false", "001", "-0", "nan", "1e999", " 1", "\ufeff", '"', "#"]),
)


@pytest.mark.slow
@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width))))
def test_what_came_in_goes_out_and_comes_in_again(tmp_path_factory, rows):
    folder, node = tmp_path_factory.getbasetemp(), DataNode("node")
    width = len(rows[0]) if rows else 1
    with open(folder / "in.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([[f"c{i}" for i in range(width)], *rows])
    payload = node.attach_file(folder / "in.csv")
    payload.export(folder / "out.csv", if_exists="replace")
    again = node.attach_file(folder / "out.csv", data_attribute="again")
    assert again.dtype == payload.dtype
    assert repr(again.read().tolist()) == repr(payload.read().tolist())
    for row, cells in zip(payload.read().tolist(), rows, strict=True):
        for value, cell in zip(row, cells, strict=True):
            assert value == cell or (value is None) == (cell is None)
            assert not isinstance(value, float) or value == float(cell)
            assert not isinstance(value, str) or value == cell
