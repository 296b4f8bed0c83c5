"""The types that columns get, from their cells or as they are given."""

import datetime

import numpy as np
import pytest


@pytest.fixture
def column(attach):
    """Takes in a file of one column, and gives its dtype and its cells."""

    def column(*cells, **options):
        lines = ["c", *('"' + cell.replace('"', '""') + '"' for cell in cells)]
        table = attach("\n".join(lines) + "\n", **options)
        return table.dtype["c"].str.lstrip("<|"), table["c"].tolist()

    return column


@pytest.mark.sampled(20)
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


def test_a_type_is_decided_by_all_rows(attach, small_blocks):
    rows = "".join(f"{i},{i},{i / 2},\n" for i in range(10_000))
    table = attach("a,b,c,d\n" + rows + "1.5,x,,2\n")
    assert table.dtype.descr == [("a", "<f8"), ("b", "<U4"), ("c", "<f8"), ("d", "<i8")]
    assert table["a"][[0, 9_999, 10_000]].tolist() == [0.0, 9_999.0, 1.5]
    assert table["b"][[0, 9_999, 10_000]].tolist() == ["0", "9999", "x"]
    assert table["c"][[1, -1]].tolist() == [0.5, None]
    assert table["d"][[0, -1]].tolist() == [None, 2]


def test_integers_too_large_for_floating_point_make_a_later_fraction_text(attach, small_blocks):
    rows = "".join(f"{2**53 + 1 if i == 5 else i}\n" for i in range(10_000))
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
    assert reason.startswith(f"row 3, column 'c': {cell!r} is not {meant}")


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
