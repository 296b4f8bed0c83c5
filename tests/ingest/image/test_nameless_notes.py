"""Notes of images that have no name."""

import struct
import zlib

from tests.ingest.image.pictures import COLOUR, about, chunk, png


def test_chunks_and_several_texts_of_one_keyword_are_kept_both_ways(node, tmp_path):
    texts = chunk(b"tEXt", b"Comment\0first") + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"second"))
    others = {"sBIT": b"\x08", "sCAL": b"\x010.625\x000.625", "tIME": b"\x07\xe0\1\1\1\1\1", "vpAg": b""}
    more = b"".join(chunk(name.encode(), data) for name, data in others.items())
    (tmp_path / "x.png").write_bytes(png(4, 4, 4, more=texts + more))
    payload = node.attach_file(tmp_path / "x.png", data_attribute="first")
    assert payload.metadata["text"] == {"Comment": ["first", "second"]}
    assert payload.metadata["chunks"] == others
    payload.export(tmp_path / "y.png")
    assert about(node.attach_file(tmp_path / "y.png", data_attribute="second")) == about(payload)


def test_all_comments_and_segments_of_a_jpeg_are_kept_both_ways(node, tmp_path):
    def segment(marker, data):
        return b"\xff" + marker + struct.pack(">H", len(data) + 2) + data

    COLOUR.save(tmp_path / "x.jpg")
    whole = (tmp_path / "x.jpg").read_bytes()
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x03abc\0"
    more = segment(b"\xfe", b"first") + segment(b"\xfe", b"second") + segment(b"\xed", iptc)
    (tmp_path / "x.jpg").write_bytes(whole[:2] + more + whole[2:])
    payload = node.attach_file(tmp_path / "x.jpg", data_attribute="first")
    assert payload.metadata["comments"] == [b"first", b"second"]
    assert payload.metadata["segments"] == {"APP13": [iptc]}
    payload.export(tmp_path / "y.jpg")
    assert about(node.attach_file(tmp_path / "y.jpg", data_attribute="second")) == about(payload)
