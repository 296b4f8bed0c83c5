"""Taking in text files."""

import pytest

from lotdb import DataNode, IngestError


@pytest.fixture
def node():
    return DataNode("node")


@pytest.mark.parametrize(
    "text", ["", "hello", "naïve データ 🎧", "a\r\nb\rc\n", "a\0b", "\ufeff in the middle \ufeff"]
)
def test_a_text_comes_in_exactly(node, tmp_path, text):
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    payload = node.attach_file(tmp_path / "x.txt")
    assert payload.kind == "text"
    assert payload.content_type == "text/plain"
    assert node.read_data() == text


def test_a_byte_order_mark_is_no_part_of_the_text(node, tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbfhello")
    assert node.attach_file(tmp_path / "x.txt").read() == "hello"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "shift-jis"])
def test_another_encoding_can_be_given_and_is_noted(node, tmp_path, encoding):
    text = "データ" if encoding == "shift-jis" else "café"
    (tmp_path / "x.txt").write_bytes(text.encode(encoding))
    payload = node.attach_file(tmp_path / "x.txt", encoding=encoding)
    assert payload.read() == text
    assert payload.metadata["encoding"] == encoding


def test_a_text_of_another_encoding_is_refused_with_the_way_out(node, tmp_path):
    (tmp_path / "x.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(IngestError, match=r"x\.txt' as txt: it is not utf-8.* text: .*; pass encoding="):
        node.attach_file(tmp_path / "x.txt")
    assert not node.has_data()
    assert dict(node.attrs) == {}


@pytest.mark.parametrize("encoding", ["no-such-encoding", "hex", "rot13", "", 5, None, "utf-8\0", b"utf-8"])
def test_what_is_no_encoding_is_refused_and_named(node, tmp_path, encoding):
    (tmp_path / "x.txt").write_bytes(b"hello")
    with pytest.raises(IngestError, match="encoding") as info:
        node.attach_file(tmp_path / "x.txt", encoding=encoding)
    assert str(tmp_path / "x.txt") in str(info.value)
    assert not node.has_data()


def test_the_source_is_noted_on_the_node(node, tmp_path):
    (tmp_path / "Notes.TXT").write_bytes(b"hello")
    node.attach_file(tmp_path / "Notes.TXT")
    assert node.get_attribute("_source_filename") == "Notes.TXT"
    assert node.get_attribute("_source_format") == "txt"


def test_any_file_can_be_read_as_text(node, tmp_path):
    (tmp_path / "x.log").write_bytes(b"hello")
    assert node.attach_file(tmp_path / "x.log", format="txt").read() == "hello"


def test_an_option_that_text_does_not_know_is_refused(node, tmp_path):
    (tmp_path / "x.txt").write_bytes(b"hello")
    with pytest.raises(ValueError, match="encodng"):
        node.attach_file(tmp_path / "x.txt", encodng="latin-1")
    assert not node.has_data()
