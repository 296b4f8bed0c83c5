"""``lotdb ingest --format``: a format that nobody reads, and options that are about files."""

import pytest


@pytest.fixture
def files(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.foo").write_bytes(b"hello")
    return tmp_path / "files"


def test_a_format_that_nobody_reads_is_misuse(database, lotdb, printed, files):
    before = printed("tree", database, "--json")
    code, out, err = lotdb("ingest", database, files, "{name}.foo", "--format", "xyz")
    assert (code, out) == (2, "")
    assert err.startswith("lotdb: format is 'xyz', which no installed ingester reads (there are: ")
    assert err.endswith("; --format raw keeps the bytes of a file\n")
    assert "csv" in err
    assert err.count("\n") == 1
    assert lotdb("ingest", database, files, "{name}.foo", "--format", "zarr")[0::2] == (
        2,
        err.replace("'xyz'", "'zarr'").replace(
            "--format raw keeps the bytes of a file", "install one with: pip install lotdb-backend-zarr"
        ),
    )
    assert printed("tree", database, "--json") == before


@pytest.mark.parametrize("format", ["raw", "auto", "txt"])
def test_a_format_that_is_read_is_stored(database, lotdb, files, format):
    code, out, err = lotdb("ingest", database, files, "{name}.foo", "--format", format)
    assert (code, err) == (0, "")
    assert out.startswith("1 added")


@pytest.mark.parametrize(
    "option", [["--format", "xyz"], ["--to", "{a}"], ["--replace"], ["--samplerate-hz", "5"]]
)
def test_an_exported_node_refuses_what_is_about_files(database, lotdb, printed, tmp_path, option):
    printed("export", database, "sensor", tmp_path / "out", "--tree")
    code, out, err = lotdb("ingest", tmp_path / "copy", tmp_path / "out", *option)
    assert (code, out) == (2, "")
    assert f"comes in as a whole node, and {option[0]} is for the files of a folder" in err
    assert not (tmp_path / "copy").exists()
    printed("ingest", tmp_path / "copy", tmp_path / "out", "--backend", "zarr")
    assert printed("ls", tmp_path / "copy") == printed("ls", database, "sensor")
