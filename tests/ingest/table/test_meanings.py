"""Excel's first line, units, and what may be meant otherwise."""

import pytest

from lotdb import ExportError, InvalidOptionError


@pytest.mark.crossed
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
