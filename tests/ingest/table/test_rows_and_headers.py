"""Rows, headers, quotes and encodings."""

import pytest

from lotdb import IngestError


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
