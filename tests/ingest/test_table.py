"""Taking in csv and tsv files as tables, and writing tables as such."""

import csv
import datetime
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotdb import LOTDB, DataMismatchError, DataNode, DataWriter, ExportError, IngestError, InvalidOptionError

RECORDING = Path(__file__).parents[2] / "examples/data/daphnet-S06R02E0.csv"


@pytest.fixture
def node():
    return DataNode("node")


@pytest.fixture
def attach(node, tmp_path):
    """Takes in a file of some content, and gives the table."""

    def attach(content, name="x.csv", **options):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(content)
        return node.attach_file(tmp_path / name, **options).read()

    return attach


@pytest.fixture
def column(attach):
    """Takes in a file of one column, and gives its dtype and its cells."""

    def column(*cells, **options):
        lines = ["c", *('"' + cell.replace('"', '""') + '"' for cell in cells)]
        table = attach("\n".join(lines) + "\n", **options)
        return table.dtype["c"].str.lstrip("<|"), table["c"].tolist()

    return column


@pytest.fixture
def refused(attach, node, tmp_path):
    """Takes in a file that is refused, and gives the reason."""

    def refused(content, name="x.csv", **options):
        with pytest.raises(IngestError) as info:
            attach(content, name, **options)
        assert not node.has_data()
        assert dict(node.attrs) == {}
        assert str(tmp_path / name) in str(info.value)
        assert " failed: " not in str(info.value), "an exception of a library, and no message of ours"
        return str(info.value).partition(" as csv: ")[2]

    return refused


# -- what columns hold ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "-2", "0"], "i8"),
        (["9223372036854775807", "-9223372036854775808"], "i8"),
        (["18446744073709551615", "0"], "u8"),
        (["18446744073709551615", "-1"], "U20"),
        (["18446744073709551616"], "U20"),
        (["9" * 5000], "U5000"),
        (["001"], "U3"),
        (["1", "+1"], "U2"),
        (["-0"], "U2"),
        (["1_000"], "U5"),
        ([" 1"], "U2"),
        (["1 "], "U2"),
        (["٣"], "U1"),
        (["1,000"], "U5"),
        (["1.50", "2"], "f8"),
        ([".5", "5.", "-0.0", "+1.5", "1e5", "1E-5", "+1e+05"], "f8"),
        (["01.5"], "U4"),
        (["1.5", "007"], "U3"),
        (["1.5", "-0"], "U3"),
        (["1.5", "+1"], "U3"),
        (["."], "U1"),
        (["e5"], "U2"),
        (["1.5", "nan"], "U3"),
        (["inf", "1.5"], "U3"),
        (["1.5", "NA"], "U3"),
        (["1e400"], "U5"),
        (["1e-400"], "U6"),
        (["0e-400", "0.0"], "f8"),
        (["5e-324"], "f8"),
        (["4.95e-324"], "U9"),
        (["1.5", "9007199254740992"], "f8"),
        (["1.5", "9007199254740993"], "U16"),
        (["9007199254740993.0"], "U18"),
        (["0.1234567890123456789"], "U21"),
        (["0.12345678901234568"], "f8"),
        (["1.000000000000000056e-01"], "f8"),
        (["1.000000000000000057e-01"], "U24"),
        (["1.000000000000000056e-01", "-2.500000000000000000e+300"], "f8"),
        (["1.000000000000000056e-01", "1.000000000000000057e-01"], "U24"),
        (["1.000000000000000056e-01", "nan"], "U24"),
        (["0.12345678901234568", "nan"], "U19"),
        (["0.12345678901234568", "-0.0", "1e+22", "1"], "f8"),
        (["0.12345678901234568", "-0"], "U19"),
        (["0.12345678901234568", "x"], "U19"),
        (["0.1000000000000000000000000"], "f8"),
        (["true", "false"], "b1"),
        (["True"], "b1"),
        (["FALSE", "TRUE"], "b1"),
        (["true", "False"], "U5"),
        (["true", "1"], "U4"),
        (["yes", "no"], "U3"),
        (["2024-01-01"], "U10"),
        (["1\n2"], "U3"),
        (["", ""], "f8"),
        ([], "f8"),
    ],
    ids=str,
)
def test_a_column_has_the_type_that_loses_nothing(column, cells, dtype):
    found, values = column(*cells)
    assert found == dtype
    if dtype[0] == "U":
        assert values == cells
    elif dtype[0] == "f":
        assert values == [float(cell) if cell else None for cell in cells]
    elif dtype[0] == "b":
        assert values == [cell.lower() == "true" for cell in cells]
    else:
        assert values == [int(cell) for cell in cells]


def test_a_type_is_decided_by_all_rows(attach):
    rows = "".join(f"{i},{i},{i / 2},\n" for i in range(100_000))
    table = attach("a,b,c,d\n" + rows + "1.5,x,,2\n")
    assert table.dtype.descr == [("a", "<f8"), ("b", "<U5"), ("c", "<f8"), ("d", "<i8")]
    assert table["a"][[0, 99_999, 100_000]].tolist() == [0.0, 99_999.0, 1.5]
    assert table["b"][[0, 99_999, 100_000]].tolist() == ["0", "99999", "x"]
    assert table["c"][[1, -1]].tolist() == [0.5, None]
    assert table["d"][[0, -1]].tolist() == [None, 2]


def test_integers_too_large_for_floating_point_make_a_later_fraction_text(attach):
    rows = "".join(f"{2**53 + 1 if i == 5 else i}\n" for i in range(70_000))
    assert attach("a\n" + rows + "0.5\n").dtype["a"] == "U16"


def test_an_empty_cell_is_missing_and_not_a_number(attach):
    table = attach('i,f,t,b\n1,1.5,x,true\n,,,\n"","","",""\n')
    assert table.mask[1].item() == table.mask[2].item() == (True,) * 4
    assert table[0].item() == (1, 1.5, "x", True)
    assert np.isnan(table["f"].data[1])


def test_columns_may_be_given_types(attach):
    table = attach(
        "id,n,f,b,t\n1, 007 ,1,true,x\n2,+1, nan,0,\n3,,-inf,FALSE,yy\n",
        types={"id": "text", "n": "int", "f": "float", "b": "bool", "t": "U10"},
    )
    assert [table.dtype[name] for name in "nfbt"] == ["i8", "f8", "?", "U10"]
    assert table["id"].tolist() == ["1", "2", "3"]
    assert table["n"].tolist() == [7, 1, None]
    assert repr(table["f"].tolist()) == "[1.0, nan, -inf]"
    assert table["b"].tolist() == [True, False, False]
    assert table["t"].tolist() == ["x", None, "yy"]


@pytest.mark.parametrize(
    ("type", "cells", "values"),
    [
        ("int", ["18446744073709551615", "1"], [2**64 - 1, 1]),
        ("int", ["+00000000000000000000000005"], [5]),
        ("float", ["0.1234567890123456789"], [0.1234567890123456789]),
        ("float", ["001", "1"], [1.0, 1.0]),
        ("bool", ["1", "0"], [True, False]),
        ("text", ["1"], ["1"]),
    ],
)
def test_a_given_type_takes_what_would_be_text_otherwise(column, type, cells, values):
    assert column(*cells, types={"c": type})[1] == values


@pytest.mark.parametrize(
    ("type", "cell", "meant"),
    [
        ("int", "1.0", "an integer of 64 bits"),
        ("int", "1_000", "an integer of 64 bits"),
        ("int", "18446744073709551616", "an integer of 64 bits"),
        ("int", "-9223372036854775809", "an integer of 64 bits"),
        ("float", "1,5", "a number"),
        ("float", "1e999", "a number"),
        ("float", "1_0", "a number"),
        ("bool", "yes", "true, false, 1 or 0"),
    ],
)
def test_a_cell_that_is_not_of_the_given_type_is_named(refused, type, cell, meant):
    reason = refused(f'n;c\n1;1\n2;1\n3;"{cell}"\n', delimiter=";", types={"c": type})
    assert reason == f"row 3, column 'c': {cell!r} is not {meant}"


@pytest.mark.parametrize(
    ("cells", "unit", "last"),
    [
        (["2024-02-29", "", "1582-10-15"], "D", datetime.date(1582, 10, 15)),
        (["2024-02-29", "2024-02-29 12:30"], "s", datetime.datetime(2024, 2, 29, 12, 30)),
        (["2024-02-29T12:30:15"], "s", datetime.datetime(2024, 2, 29, 12, 30, 15)),
        (["2024-02-29T12:30:15.5"], "ms", datetime.datetime(2024, 2, 29, 12, 30, 15, 500_000)),
        (["2024-02-29", "2024-02-29T12:30:15.0005"], "us", datetime.datetime(2024, 2, 29, 12, 30, 15, 500)),
        (["2024-02-29T12:30:15.000000005"], "ns", 1_709_209_815_000_000_005),
    ],
)
def test_dates_are_dates_when_asked_for(column, cells, unit, last):
    dtype, values = column(*cells, dates=["c"])
    assert dtype == f"M8[{unit}]"
    assert values[-1] == last
    assert [value is None for value in values] == [not cell for cell in cells]


@pytest.mark.parametrize(
    "cell",
    ["29.02.2024", "2023-02-29", "2024-02-29T25:00", "2024-02-29T12:00Z", "2024-02-29T12:00+01:00", "2024-02",
     "3000-01-01T00:00:00.000000001", "2024-02-29T12:00:00.0000000001", "today"],
)  # fmt: skip
def test_what_is_no_date_is_named(refused, cell):
    assert refused(f"c\n2024-01-01\n{cell}\n", dates=["c"]).startswith(f"row 2, column 'c': {cell!r} is not")


def test_words_may_stand_for_missing_cells(attach):
    table = attach("a,b\n1,NA\n-999,x\n", na_values=["NA", "-999"])
    assert table.tolist() == [(1, None), (None, "x")]
    assert table.dtype["a"] == "i8"


def test_a_decimal_comma_may_be_asked_for(attach):
    table = attach("a;b;c;d\n1,5;1.234,5;1;-1,5e3\n", delimiter=";", decimal=",")
    assert table.tolist() == [(1.5, "1.234,5", 1, -1500.0)]
    table = attach("a;b\n0,12345678901234568;0.12345678901234568\n", delimiter=";", decimal=",")
    assert table.tolist() == [(0.12345678901234568, "0.12345678901234568")]


# -- rows and headers -----------------------------------------------------------------------------


def test_a_header_alone_is_an_empty_table(attach):
    assert attach("a,b").shape == (0,)
    assert attach("a,b\r\n\r\n", types={"b": "text"}).dtype.descr == [("a", "<f8"), ("b", "<U1")]


def test_without_a_header_columns_are_counted(attach):
    table = attach("1,x\n2,y\n", header=False)
    assert table.dtype.names == ("column_1", "column_2")
    assert table.tolist() == [(1, "x"), (2, "y")]


def test_columns_may_be_named(attach):
    assert attach("a,a\n1,2\n", columns=["x", "y"]).tolist() == [(1, 2)]
    assert attach("1,2\n", columns=["x", "y"], header=False).dtype.names == ("x", "y")


def test_a_column_without_a_name_gets_one(attach):
    assert attach(",b,\n1,2,3\n").dtype.names == ("column_1", "b", "column_3")


def test_names_are_kept_as_they_are(attach):
    names = (" a", "µV", 'says "b"', "x,y", "two\nlines", "row", "missing", "f0")
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    assert attach(header + "\n" + ",".join("1" * 8)).dtype.names == names


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(attach, node, end):
    assert attach(end.join(["a,b", "1,x", '2,"y' + end + 'z"', ""])).tolist() == [(1, "x"), (2, f"y{end}z")]
    assert node.get_data().metadata["newline"] == end


def test_blank_lines_are_no_rows(attach):
    assert attach("\n\na,b\n\n1,2\n\n\n3,4\n\n").tolist() == [(1, 2), (3, 4)]


def test_blank_lines_inside_a_single_column_are_missing_cells(attach):
    assert attach("\na\n\n1\n\n\n2\n\n\n").tolist() == [(None,), (1,), (None,), (None,), (2,)]


def test_lines_above_the_header_and_comments_are_left_out(attach, node):
    content = '"made by, us\n# at noon\na,b\n#1,2\n3,"4\n#5"\n#\n'
    assert attach(content, skip_rows=1, comment="#").tolist() == [(3, "4\n#5")]
    assert node.get_data().metadata["preamble"] == '"made by, us\n'


def test_other_quotes_or_none_may_be_asked_for(attach):
    assert attach("a,b\n'1,5',2\n", quotechar="'").tolist() == [("1,5", 2)]
    assert attach('a,b\n"1,5"\n', quotechar=None).tolist() == [('"1', '5"')]


def test_quotes_inside_a_cell_are_a_part_of_it(attach):
    assert attach('size, note\n5" pipe, "x"\n').tolist() == [('5" pipe', ' "x"')]


@pytest.mark.parametrize(
    ("encoding", "bom"), [("utf-8-sig", True), ("utf-8", False), ("utf-16", True), ("utf-32", True)]
)
def test_the_encoding_is_what_the_byte_order_mark_says(attach, node, encoding, bom):
    assert attach("größe\n日本\n".encode(encoding)).dtype.names == ("größe",)
    assert node.read_data().tolist() == [("日本",)]
    assert node.get_data().metadata["bom"] == bom


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "utf-16-be", "cp1252", "utf-8", "utf-8-sig"])
def test_an_encoding_may_be_given(attach, encoding):
    assert attach("größe\né\n".encode(encoding), encoding=encoding).tolist() == [("é",)]


def test_a_mark_of_another_encoding_than_the_given_one_is_refused(refused):
    assert "byte order mark of utf-8" in refused("a\n1\n".encode("utf-8-sig"), encoding="latin-1")


def test_tsv_has_tabs(attach):
    assert attach("a\tb\n1,5\t2\n", "x.tsv").tolist() == [("1,5", 2)]
    assert attach("a\tb\n1\t2\n", "x.tab").tolist() == [(1, 2)]
    assert attach("a\tb\n1\t2\n", "x.txt", format="tsv").tolist() == [(1, 2)]
    with pytest.raises(IngestError, match="pass delimiter=','"):
        attach("a,b\n1,2\n", "x.tsv")
    assert attach("a,b\n1\n", "x.tsv", delimiter="\t").tolist() == [(1,)]


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is empty"),
        ("\n\r\n", "it is empty"),
        ("a,b\n1,2\n3\n", r"row 2 \(line 3\) has 1 cells, the header has 2"),
        ('a,b\n1,"2\n2"\n\n3,4,5\n', r"row 2 \(line 5\) has 3 cells, the header has 2"),
        ("a,b\n1,2\n  \n", r"row 2 \(line 3\) has 1 cells"),
        ('a,b\n1,2\n3,"4\n5,6\n', "a quote \" in the row that begins in line 3 is never closed"),
        ('a,b\n1,"2"3\n', "line 2: behind the closing quote"),
        ('a,b\n1,"2" \n', "line 2: behind the closing quote"),
        ("a,b\n1,\x002\n", "it is not text in UTF-8: byte 6 is NUL"),
        ("a,b\n" + "1,2\n" * 2000 + "1,\x002\n", "line 2002 has a NUL"),
        ("a,b,a\n1,2,3\n", "columns 1 and 3 are both called 'a'; pass columns="),
        (",column_1\n1,2\n", "columns 1 and 2 are both called 'column_1'"),
        ("a;b\n1;2\n", "there is no ',' in its first row, and there is ';': pass delimiter=';'"),
        ("a\tb\n1\t2\n", r"pass delimiter='\\t'"),
        ("a|b\n1|2\n", r"pass delimiter='\|'"),
        (b"a,b\n1,\xe9\n", r"not utf-8 text: .* at byte 6 \(e9\); pass encoding="),
        (b"a,b\n" + b"1,2\n" * 100_000 + b"1,\xe9\n", r"at byte 400006 \(e9\)"),
        (b"\xff\xfea\0\n\0\x00\xd8", "not utf-16-le text: .* at byte 6"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
        (b"PK\x03\x04\x14\0\0\0", "a zip archive"),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
        ("a,b\n" + "x" * 200_000 + ",1\n", "row that begins in line 2 has more than 131072 characters"),
        (",".join(f"c{i}" for i in range(10_001)), "10001 columns, the limit is 10000; pass max_columns="),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused_with_the_reason(refused, content, reason):
    found = refused(content)
    assert re.search(reason, found), found


def test_a_row_without_an_end_is_no_reason_to_read_it_all(refused):
    assert "more than 16777216 characters" in refused("a,b\n" + "," * (20 << 20))


def test_an_unclosed_quote_is_found_whatever_limit_the_csv_module_has(refused):
    before = csv.field_size_limit(1 << 40)
    try:
        assert "line 2 has more than 16777216 characters" in refused('a\n"' + ("1" * 999 + "\n") * 17_000)
    finally:
        csv.field_size_limit(before)


def test_more_columns_may_be_allowed(attach):
    assert len(attach(",".join(f"c{i}" for i in range(10_001)), max_columns=10_001).dtype.names) == 10_001


def test_one_long_text_does_not_make_a_small_file_a_huge_table(refused, attach):
    content = "a,b\n" + "1,x\n" * 10_000 + "1," + "y" * 20_000 + "\n"
    assert re.search(r"column 'b'.* of 20000 characters.* has 60007 bytes\. Pass max_cell=20000",
                     refused(content))  # fmt: skip
    assert "the limit is 100" in refused(content, max_cell=100)
    assert "Pass max_bytes=" in refused(content, max_cell=20_000, max_bytes=1 << 20)
    assert attach("a\n" + "y" * 20_000 + "\n").tolist() == [("y" * 20_000,)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"columns": ["x"]}, "columns= has 1 names, the table has 2 columns"),
        ({"columns": ["x", "x"]}, "both called 'x'"),
        ({"types": {"c": "int"}}, "names a column 'c', which there is not; there are: 'a', 'b'"),
        ({"dates": ["c"]}, "names a column 'c', which there is not; there are: 'a', 'b'"),
        ({"skip_rows": 5}, "it is empty"),
        ({"skip_rows": 10**30}, "it is empty"),
    ],
)
def test_options_that_do_not_fit_the_file_are_refused(refused, options, reason):
    assert reason in refused("a,b\n1,2\n", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ""}, {"delimiter": ";;"}, {"delimiter": "\n"}, {"delimiter": 5}, {"delimiter": '"'},
        {"delimiter": None}, {"quotechar": ""}, {"quotechar": ","}, {"quotechar": "\r"}, {"quotechar": 1},
        {"decimal": ","}, {"decimal": ";"}, {"decimal": None}, {"encoding": "no-such"}, {"encoding": 5},
        {"encoding": "hex"}, {"header": 1}, {"header": "yes"}, {"columns": "ab"}, {"columns": [1, 2]},
        {"columns": 5}, {"types": ["int"]}, {"types": {"a": "datetime"}}, {"types": {"a": int}},
        {"types": {1: "int"}}, {"types": {"a": "U0"}}, {"types": {"a": "U99999999"}}, {"dates": "a"},
        {"dates": [5]}, {"types": {"a": "int"}, "dates": ["a"]}, {"na_values": "NA"}, {"na_values": [5]},
        {"comment": ""}, {"comment": 5}, {"skip_rows": -1}, {"skip_rows": 1.5}, {"skip_rows": True},
        {"max_columns": -1}, {"max_columns": "many"}, {"max_cell": -1}, {"sep": ";"},
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_option_is_an_error_that_names_it(attach, node, options):
    with pytest.raises(InvalidOptionError, match=next(iter(options))):
        attach("a,b\n1,2\n", **options)
    assert not node.has_data()


# -- the recording of the examples ----------------------------------------------------------------


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


def test_a_file_that_does_not_fit_is_not_appended(node, tmp_path):
    (tmp_path / "1.csv").write_text("id,n\nx,1\n")
    (tmp_path / "2.csv").write_text("id,n\ny,1\n" + "too long,\n" * 300_000)
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


# -- writing --------------------------------------------------------------------------------------


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


def test_large_tables_are_written_block_by_block(exported, attach):
    numbers = np.random.default_rng(1).normal(size=(30_000, 20))
    content = exported(numbers)
    assert content.count(b"\n") == 30_001
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


# -- Excel's first line, units, and what may be meant otherwise ----------------------------------------


@pytest.mark.parametrize("mark", [";", "\t", "|", ",", " "])
@pytest.mark.parametrize("first", ["sep={}", '"sep={}"', "SEP={}", "\ufeffsep={}", "sep={0}{0}{0}"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_first_line_of_excel_says_what_stands_between_cells(node, attach, tmp_path, mark, first, end):
    lines = [first.format(mark), mark.join("ab"), mark.join("12"), ""]
    table = attach(end.join(lines))
    assert (table["a"].tolist(), table["b"].tolist()) == ([1], [2])
    node.get_data().export(tmp_path / "again.csv")
    written = (tmp_path / "again.csv").read_bytes().decode()
    assert written.removeprefix("\ufeff").splitlines() == [f"sep={mark}", mark.join("ab"), mark.join("12")]
    assert attach((tmp_path / "again.csv").read_bytes()).tolist() == [(1, 2)]
    node.get_data().export(tmp_path / "other.csv", delimiter="#")
    assert attach((tmp_path / "other.csv").read_bytes(), delimiter="#").tolist() == [(1, 2)]


@pytest.mark.parametrize(
    "how",
    [{}, {"skip_rows": 1}, {"delimiter": ";"}, {"skip_rows": 1, "delimiter": ";"}, {"encoding": "utf-16"}],
)
def test_the_first_line_of_excel_is_no_row_whatever_is_said(attach, how):
    assert attach("sep=;\na;b\n1;2\n".encode(how.get("encoding", "utf-8")), **how).tolist() == [(1, 2)]


def test_lines_behind_the_first_of_excel_may_be_left_out_too(attach):
    assert attach("sep=;\nTitle\na;b\n1;2\n", skip_rows=2).tolist() == [(1, 2)]
    assert attach("sep=;\n1;2\n", header=False).tolist() == [(1, 2)]
    assert attach("sep=;\na\tb\n1\t2\n", name="x.tsv", delimiter="\t").tolist() == [(1, 2)]


@pytest.mark.parametrize("line", ["sep=", "sep=ab", "sep=.", 'sep="'])
def test_a_first_line_of_excel_that_names_nothing_is_refused(refused, line):
    assert "names no delimiter that can be used" in refused(f"{line}\na,b\n1,2\n")


def test_a_column_is_not_taken_for_the_first_line_of_excel(node, attach, tmp_path):
    assert attach("sep=x,b\n1,2\n", delimiter=",").dtype.names == ("sep=x", "b")
    with pytest.raises(ExportError, match="its first line would be 'sep=x,b"):
        node.get_data().export(tmp_path / "y.csv")
    assert attach("a\nsep=;\n")["a"].tolist() == ["sep=;"]
    with pytest.raises(ExportError, match="its first line would be 'sep=;"):
        node.get_data().export(tmp_path / "y.csv", header=False)


UNITS = "t,v,name\ns,mV,\n0.5,1,x\n1.5,,y\n"


def test_units_below_the_header_are_kept_beside_the_numbers(node, attach, tmp_path):
    table = attach(UNITS, units=True)
    assert table.dtype.descr == [("t", "<f8"), ("v", "<i8"), ("name", "<U1")]
    assert table["v"].tolist() == [1, None]
    assert node.get_data().metadata["column_units"] == {"t": "s", "v": "mV", "name": ""}
    assert "hint" not in node.get_data().metadata
    node.get_data().export(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == UNITS
    node.get_data().export(tmp_path / "bare.csv", header=False)
    assert (tmp_path / "bare.csv").read_text() == UNITS.partition("mV,\n")[2]


def test_units_of_one_column_and_of_no_rows(attach, node):
    assert attach("t\ns\n1\n2\n", units=True)["t"].tolist() == [1, 2]
    assert attach("t\n\n1\n", units=True)["t"].tolist() == [1]
    assert attach("t,v\ns,mV\n", units=True).shape == (0,)


def test_units_that_are_none_are_refused(attach, node, refused):
    assert "there is no row" in refused("t,v\n", units=True)
    assert "the row of units has 1 cells, the header has 2" in refused("t,v\ns\n1,2\n", units=True)
    for how in ({"units": 1}, {"units": True, "header": False}):
        with pytest.raises(InvalidOptionError, match="units"):
            attach("t,v\ns,V\n", **how)


@pytest.mark.parametrize(
    ("content", "how", "told"),
    [
        (
            UNITS,
            {},
            ["columns 't', 'v' would hold numbers but for the row below the header: pass units=True"],
        ),
        (
            "t;v\ns;mV\n0,5;1,5\n",
            {"delimiter": ";"},
            ["columns 't', 'v' would hold", "units=True", "decimal=','"],
        ),
        ("t,v\n0.5,1\n", {"header": False}, ["columns 'column_1', 'column_2' would", "may be the header"]),
        ("a;b,c\n1;2,3\n", {}, ["column 'a;b' may be several: each of its rows has ';'; pass delimiter=';'"]),
        ("a;b\n1,5;x\n2,5;y\n", {"delimiter": ";"}, ["column 'a' would hold numbers with decimal=','"]),
        ("a,b\nx,y\nz,\n", {}, ["every column holds text", "types=", "units=True"]),
        ("a b\n1 2\n3 4\n", {}, ["one column: ',', ';', '\\t', '|' were looked for", "each row has ' '"]),
        ("title\na|b\n1|2\n", {}, ["one column", "each row has '|'; pass delimiter="]),
        ("a\n1\n", {}, ["one column"]),
        ("a\n1\n", {"delimiter": ","}, []),
        ("a,b\nx,1\n", {}, []),
        ("a,b\nx,y\n", {"types": {"a": "text", "b": "text"}}, []),
        ("a,b\n", {}, []),
    ],
)
def test_what_may_be_meant_otherwise_is_told(node, attach, content, how, told):
    attach(content, **how)
    hint = node.get_data().metadata.get("hint", "")
    assert bool(hint) == bool(told)
    assert all(part in hint for part in told)


def test_all_delimiters_that_may_be_meant_are_told(refused):
    told = refused("a;b;c|d\n1;2;3|4\n")
    assert "no ',' in its first row, and there is ';' (2) and '|' (1): pass delimiter=';'" in told


def test_what_is_left_out_is_told(node, attach, monkeypatch):
    attach("# one\na,b\n# two\n1,2\n", comment="#")
    assert node.get_data().metadata["not_kept"] == ["2 lines that begin with '#'"]
    attach("a,b\n1,2\n", comment="#")
    assert "not_kept" not in node.get_data().metadata
    monkeypatch.setattr("lotdb_ingest.table.rows.MAX_SKIPPED", 8)
    attach("title\na longer one\nx\na,b\n1,2\n", skip_rows=3)
    assert node.get_data().metadata["not_kept"] == ["lines above the header beyond the first 8 characters"]


def test_what_an_appended_file_says_otherwise_stays_with_its_notes(node, tmp_path):
    for name, unit in (("one", "s"), ("two", "s"), ("three", "ms")):
        (tmp_path / f"{name}.csv").write_text(f"t\n{unit}\n1\n")
        node.attach_file(tmp_path / f"{name}.csv", units=True, if_exists="append", delimiter=",")
    about = node.get_data().metadata
    assert about["column_units"] == {"t": "s"}
    assert [notes.get("column_units") for notes in about["_source_appended"]] == [None, {"t": "ms"}]
