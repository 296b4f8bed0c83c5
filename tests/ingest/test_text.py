"""Taking in text files, and writing them."""

import numpy as np
import pytest

from lotdb import LOTDB, DataNode, ExportError, IngestError, InvalidOptionError
from lotdb_ingest import text as plugin


@pytest.fixture
def node():
    return DataNode("node")


TEXTS = ["", "hello", "naïve データ 🎧", "a\r\nb\rc\n", "a\0b", "\ufeff in the middle \ufeff"]
MARKED = ["utf-8-sig", "utf-16", "utf-32"]


def with_mark(text, encoding):
    return ("\ufeff" + text).encode(encoding)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_in_exactly(node, tmp_path, text):
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    payload = node.attach_file(tmp_path / "x.txt")
    assert payload.kind == "text"
    assert payload.content_type == "text/plain"
    assert node.read_data() == text


def test_a_text_without_a_mark_is_utf_8(node, tmp_path):
    (tmp_path / "x.txt").write_bytes("naïve\r\n".encode())
    payload = node.attach_file(tmp_path / "x.txt")
    assert payload.read() == "naïve\r\n"
    assert payload.metadata["encoding"] == "utf-8"
    assert payload.metadata["bom"] is False


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("asked", [False, True])
def test_a_byte_order_mark_tells_the_encoding_and_is_no_part_of_the_text(node, tmp_path, encoding, asked):
    (tmp_path / "x.txt").write_bytes(with_mark("Größe 𝄞\n", encoding))
    payload = node.attach_file(tmp_path / "x.txt", **({"encoding": encoding} if asked else {}))
    assert payload.read() == "Größe 𝄞\n"
    assert payload.metadata["encoding"] == encoding
    assert payload.metadata["bom"] is True


@pytest.mark.parametrize("family", ["utf-16", "utf-32", "UTF_16"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_the_byte_order_of_an_encoding_that_leaves_it_open_is_noted(node, tmp_path, family, order):
    (tmp_path / "x.txt").write_bytes(with_mark("Größe", f"{family}-{order}"))
    payload = node.attach_file(tmp_path / "x.txt", encoding=family)
    assert payload.read() == "Größe"
    assert payload.metadata["encoding"].endswith(order)
    (tmp_path / "x.txt").write_bytes("Größe".encode(f"{family}-le"))
    assert node.attach_file(tmp_path / "x.txt", encoding=family).read() == "Größe"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-be", "cp1252", "shift-jis", "cp037"])
def test_another_encoding_can_be_given_and_is_noted(node, tmp_path, encoding):
    text = "データ" if encoding == "shift-jis" else "café"
    (tmp_path / "x.txt").write_bytes(text.encode(encoding))
    payload = node.attach_file(tmp_path / "x.txt", encoding=encoding)
    assert payload.read() == text
    assert payload.metadata["encoding"] == encoding


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b"x" * 99, "ä".encode() * 60])
def test_a_text_of_another_encoding_is_refused_with_the_place_and_the_way_out(
    node, tmp_path, monkeypatch, before
):
    monkeypatch.setattr(plugin, "PIECE", 50)
    (tmp_path / "x.txt").write_bytes(before + "café au lait".encode("latin-1"))
    why = (
        rf"x\.txt' as txt: it is not utf-8 text: byte 0xe9 \(.*\) at offset {len(before) + 3}; pass encoding="
    )
    with pytest.raises(IngestError, match=why):
        node.attach_file(tmp_path / "x.txt")
    assert not node.has_data()
    assert dict(node.attrs) == {}


def test_a_text_that_ends_inside_a_character_is_refused_with_the_place(node, tmp_path, monkeypatch):
    monkeypatch.setattr(plugin, "PIECE", 4)
    (tmp_path / "x.txt").write_bytes("abcd𝄞".encode()[:-1])
    with pytest.raises(IngestError, match=r"byte 0xf0 \(unexpected end of data\) at offset 4"):
        node.attach_file(tmp_path / "x.txt")


def test_what_looks_like_utf_16_without_a_mark_is_refused_with_the_way_out(node, tmp_path):
    (tmp_path / "x.txt").write_bytes("hello".encode("utf-16-le"))
    with pytest.raises(IngestError, match=r"NUL byte at offset 1,.*pass encoding= \('utf-16'"):
        node.attach_file(tmp_path / "x.txt")
    assert node.attach_file(tmp_path / "x.txt", encoding="utf-16").read() == "hello"


def test_nul_comes_in_if_the_encoding_is_said(node, tmp_path):
    (tmp_path / "x.txt").write_bytes(b"a\0b")
    assert node.attach_file(tmp_path / "x.txt", encoding="utf-8").read() == "a\0b"


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"\x89PNG\r\n\x1a\n\0", "a PNG image"), (b"%PDF-1.7\n\xe2\xe3\xcf\xd3", "a PDF document")],
)
def test_what_only_is_called_text_is_told(node, tmp_path, content, what):
    (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(IngestError, match=f"its content is {what}"):
        node.attach_file(tmp_path / "x.txt")


@pytest.mark.parametrize(
    "encoding", ["no-such-encoding", "hex", "rot13", "punycode", "", 5, b"utf-8", "utf-8\0", ["a"]]
)
def test_what_is_no_encoding_is_refused_and_named(node, tmp_path, encoding):
    (tmp_path / "x.txt").write_bytes(b"hello")
    with pytest.raises(InvalidOptionError, match="encoding is"):
        node.attach_file(tmp_path / "x.txt", encoding=encoding)
    assert not node.has_data()
    with pytest.raises(InvalidOptionError, match="encoding is"):
        node.write_data("hello").export(tmp_path / "y.txt", encoding=encoding)


@pytest.mark.parametrize("name", ["Notes.TXT", "notes.text", "run.log", "README.md"])
def test_the_source_is_noted_on_the_node(node, tmp_path, name):
    (tmp_path / name).write_bytes(b"hello")
    assert node.attach_file(tmp_path / name).read() == "hello"
    assert node.get_attribute("_source_filename") == name
    assert node.get_attribute("_source_format") == "txt"


def test_any_file_can_be_read_as_text(node, tmp_path):
    (tmp_path / "x.conf").write_bytes(b"hello")
    assert node.attach_file(tmp_path / "x.conf", format="txt").read() == "hello"


def test_an_option_that_text_does_not_know_is_refused(node, tmp_path):
    (tmp_path / "x.txt").write_bytes(b"hello")
    with pytest.raises(ValueError, match="encodng"):
        node.attach_file(tmp_path / "x.txt", encodng="latin-1")
    assert not node.has_data()


# -- large files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be", "shift-jis", "iso2022-jp"])
@pytest.mark.parametrize("piece", [1, 2, 3, 50])
def test_a_large_text_comes_in_and_goes_out_block_by_block(node, tmp_path, monkeypatch, encoding, piece):
    monkeypatch.setattr(plugin, "WHOLE_BYTES", 10)
    monkeypatch.setattr(plugin, "PIECE", piece)
    text = "データ\r\nplain\n" * 10 + ("𝄞" if encoding.startswith("utf") else "")
    (tmp_path / "x.txt").write_bytes(text.encode(encoding))
    payload = node.attach_file(tmp_path / "x.txt", encoding=encoding)
    assert payload.kind == "text"
    assert payload.read() == text
    payload.export(tmp_path / "y.txt")
    assert (tmp_path / "y.txt").read_bytes() == (tmp_path / "x.txt").read_bytes()


def test_a_large_text_that_is_none_leaves_no_trace(node, tmp_path, monkeypatch):
    monkeypatch.setattr(plugin, "WHOLE_BYTES", 10)
    monkeypatch.setattr(plugin, "PIECE", 50)
    (tmp_path / "x.txt").write_bytes(b"x" * 1000 + b"\xff")
    with pytest.raises(IngestError, match="at offset 1000"):
        node.attach_file(tmp_path / "x.txt")
    assert dict(node.attrs) == {}


@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_a_text_of_some_megabytes_is_one_segment(tmp_path, backend):
    text = "Größe 12 µm\n" * 500_000
    (tmp_path / "x.txt").write_bytes(text.encode("utf-8-sig"))
    with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
        payload = root.get_data_node("a", backend=backend).attach_file(tmp_path / "x.txt")
        assert len(payload.segments()) == 1
        assert payload.read() == text


def test_a_text_that_becomes_larger_than_max_bytes_is_refused(node, tmp_path, monkeypatch):
    monkeypatch.setattr(plugin, "WHOLE_BYTES", 10)
    (tmp_path / "x.txt").write_bytes(b"\xe4" * 1000)
    with pytest.raises(IngestError, match="the limit is 1500"):
        node.attach_file(tmp_path / "x.txt", encoding="latin-1", max_bytes=1500)


# -- what goes out --------------------------------------------------------------------------------


@pytest.mark.crossed
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-le"])
def test_the_same_bytes_go_out_that_came_in(node, tmp_path, text, encoding):
    (tmp_path / "x.txt").write_bytes(text.encode(encoding))
    payload = node.attach_file(tmp_path / "x.txt", encoding=encoding)
    for name in ("y.txt", "y.log", "y.md"):
        payload.export(tmp_path / name)
        assert (tmp_path / name).read_bytes() == text.encode(encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig", "utf-16", "cp037"])
def test_a_text_goes_out_in_the_encoding_that_is_asked_for(node, tmp_path, encoding):
    (tmp_path / "x.txt").write_bytes("café".encode("cp1252"))
    payload = node.attach_file(tmp_path / "x.txt", encoding="cp1252")
    payload.export(tmp_path / "y.txt", encoding=encoding)
    assert (tmp_path / "y.txt").read_bytes() == "café".encode(encoding)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_came_from_no_file_goes_out_as_utf_8(node, tmp_path, text):
    node.write_data(text).export(tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_bytes() == text.encode()


@pytest.mark.parametrize("noted", [{"encoding": "no-such"}, {"encoding": 5, "bom": True}, {"bom": "yes"}])
def test_metadata_that_mean_something_else_do_no_harm(node, tmp_path, noted):
    node.write_data("Größe", metadata=noted).export(tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_bytes() == "Größe".encode()


@pytest.mark.parametrize("text", ["price: 5 €", "\ud800 alone"])
def test_a_text_that_an_encoding_cannot_hold_does_not_go_out(node, tmp_path, text):
    node.write_data(text)
    with pytest.raises(
        ExportError, match=r"cannot be written as latin-1: character '.*'.*; pass encoding='utf-8'"
    ):
        node.get_data().export(tmp_path / "x.txt", encoding="latin-1")
    assert list(tmp_path.iterdir()) == []


def test_an_array_is_no_text(node, tmp_path):
    node.write_data(np.arange(3))
    with pytest.raises(ExportError, match="no installed plugin writes array data as 'txt'") as refused:
        node.get_data().export(tmp_path / "x.TXT")
    others = str(refused.value).partition("there are: ")[2].rstrip(")").split(", ")
    assert "npy" in others
    assert "txt" not in others


def test_writing_takes_no_other_options(node, tmp_path):
    with pytest.raises(InvalidOptionError, match="newline"):
        node.write_data("text").export(tmp_path / "x.txt", newline="\n")
