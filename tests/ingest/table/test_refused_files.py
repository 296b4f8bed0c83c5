"""Malformed files and wrong options are refused with the reason."""

import csv
import re

import pytest

from lotdb import InvalidOptionError


@pytest.mark.sampled
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
