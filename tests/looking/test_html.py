"""What a notebook shows: well formed, escaped, cut off, never an error, and made from a bounded read."""

import base64
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.looking.conftest import SORTS

from lotdb import LOTDB, BaseNode

VOID = {"img", "br"}


class Page(HTMLParser):
    """Parses HTML, and fails if what is opened is not closed in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.attributes = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [value for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(self.text)


@pytest.mark.parametrize("name", SORTS)
def test_a_payload_of_any_sort_is_shown(name, sorts):
    page = Page(sorts.payloads[name]._repr_html_())
    assert name in page.words
    assert "cannot be shown" not in page.words
    assert "script" not in page.tags
    assert "b" not in page.tags[2:]  # those of the data are texts
    assert "m$" in page.words
    assert "\x1b" not in page.words


def test_a_node_with_many_payloads_shows_the_first_and_says_how_many_more(sorts):
    page = Page(sorts._repr_html_())
    assert f"{len(SORTS)} payloads" in page.words
    assert f"… and {len(SORTS) - 12} more" in page.words
    assert page.tags.count("svg") + page.tags.count("img") <= 6


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "&lt;b&gt;'"])
def test_no_text_of_a_database_becomes_a_tag(text):
    root = BaseNode("r")
    key = text.replace("/", "|")
    node = root.get_data_node([key])
    node.attrs[text] = {text: [text]}
    node.write_data(
        np.arange(3.0), data_attribute=f"{text}2", metadata={"unit": text, text: text}, content_type="a/b"
    )
    node.write_data(np.zeros(2, [(text, "f8")]), data_attribute="t")
    node.write_data(text, data_attribute="x")
    for html in (
        root._repr_html_(),
        node._repr_html_(),
        root.tree()._repr_html_(),
        *map(shown, node.payloads.values()),
    ):
        page = Page(html)
        assert not {"script", "img"} & set(page.tags)
        assert page.tags.count("b") <= 1  # the name of what is shown
        assert text in page.words or key in page.words


def shown(payload):
    return payload._repr_html_()


def test_attributes_are_cut_off():
    root = BaseNode("r")
    root.attrs["an array"] = np.zeros(1000)
    root.attrs.update({f"n{each:03}": "x" * 5000 for each in range(100)})
    page = Page(root._repr_html_())
    assert len(page.words) < 6000
    assert "… and 81 more" in page.words
    assert "array (1000,) float64" in page.words


def test_many_children_and_deep_trees_are_cut_off():
    root = BaseNode("r")
    node = root
    for _ in range(600):
        node = node.get_node("deeper")
    for each in range(3000):
        root.get_node_path(f"wide/n{each}/leaf")
    for html in (root._repr_html_(), root.tree(5, 5)._repr_html_(), root.tree(600, 10**6)._repr_html_()):
        page = Page(html)
        assert "3000 children" in page.words
        assert 3 < len(page.tags) < 4000


def pixels_of(html):
    """The bytes of the PNG in *html*, as its header says what they are."""
    data = base64.b64decode(re.search(r"base64,([^\"]+)", html)[1])
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, bits, colour = struct.unpack(">IIBB", data[16:26])
    length = struct.unpack(">I", data[33:37])[0]
    rows = zlib.decompress(data[41 : 41 + length])
    channels = {0: 1, 4: 2, 2: 3, 6: 4}[colour]
    array = np.frombuffer(rows, "u1").reshape(height, 1 + width * channels)
    assert bits == 8
    assert not array[:, 0].any()
    return array[:, 1:].reshape(height, width, channels)


@pytest.mark.parametrize("name", ["grey", "colours", "with alpha"])
def test_bytes_of_an_image_are_the_pixels_of_its_picture(name, sorts):
    found = pixels_of(sorts.payloads[name]._repr_html_())
    assert np.array_equal(found, SORTS[name].reshape(found.shape))


def test_other_numbers_are_spread_and_nan_is_transparent(sorts):
    deep = pixels_of(sorts.payloads["deep"]._repr_html_())
    assert (deep.min(), deep.max()) == (0, 255)
    matrix = pixels_of(sorts.payloads["matrix"]._repr_html_())
    assert np.array_equal(matrix[:, :, 1] == 0, np.eye(20) > 0)


def test_a_film_shows_its_first_frame(sorts):
    html = sorts.payloads["film"]._repr_html_()
    assert np.array_equal(pixels_of(html), SORTS["film"][0])
    assert "the first of 4" in html


LARGE = {
    "mono": np.arange(6_000_000, dtype="i2"),
    "odd rows": np.zeros((1_000_000, 7), "u1"),
    "floats": np.zeros((500_000, 3)),
    "fields": np.zeros(500_000, [("a", "f8"), ("b", "S5")]),
    "image": np.zeros((3000, 4000), "u1"),
    "wide rows": np.zeros((10, 1_000_000), "f4"),
    "text": "word " * 1_000_000,
    "bytes": b"12345678" * 500_000,
    "one value": np.array("x" * 1_000_000),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", LARGE)
def test_a_picture_costs_a_bounded_read(name, counting):
    node, read = counting
    node.write_data(LARGE[name], data_attribute=name)
    html, count = read(lambda again: again.payloads[name]._repr_html_())
    assert "cannot be shown" not in html
    assert count <= 1 << 20
    assert ("a sample" in html) == (name in ("mono", "odd rows", "floats", "image"))


def test_a_picture_of_many_appended_rows_costs_a_bounded_read(counting):
    node, read = counting
    for _ in range(7):
        node.append_data(np.zeros(777_777, "f4"), data_attribute="x")
    html, count = read(lambda again: again.payloads["x"]._repr_html_())
    assert "a sample: 30 windows" in html
    assert count <= 2 << 20


def test_a_sample_of_chunks_of_zarr(tmp_path):
    with LOTDB(tmp_path, durability="process") as db, db.connection() as root:
        node = root.get_data_node("a", backend="zarr")
        html = node.write_data(np.arange(1_000_000.0), chunks=(100_000,))._repr_html_()
        assert "a sample: 30 windows" in html


def test_gaps_of_a_waveform_are_gaps_of_its_picture():
    node = BaseNode("r").get_data_node("a")
    values = np.sin(np.arange(100_000) / 100)
    values[40_000:60_000] = np.nan
    html = node.write_data(values)._repr_html_()
    path = re.search(r' d="([^"]+)"', html)[1]
    assert path.count("M") == 2
    places = [float(each) for each in re.findall(r"[ML]([\d.]+),", path)]
    assert not [each for each in places if 132 < each < 188]


# -- what cannot be shown -------------------------------------------------------------------------


def test_a_damaged_payload_is_a_sentence(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(100_000.0))
    (blob,) = list((tmp_path / "db" / "lotdb.fs.blobs").rglob("*.blob"))
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:1000])
    with LOTDB(tmp_path / "db", read_only=True) as db, db.connection() as root:
        for html in (root["a"]._repr_html_(), root["a"].payloads["data"]._repr_html_()):
            page = Page(html)
            assert "cannot be shown" in page.words
            assert "(100000,)" in page.words


def test_a_missing_backend_is_a_sentence(tmp_path):
    with LOTDB(tmp_path) as db, db.connection() as root:
        root.get_data_node("a", backend="zarr").write_data(np.arange(10.0))
    with LOTDB(tmp_path, read_only=True, plugins_off=["zarr"]) as db, db.connection() as root:
        page = Page(root["a"]._repr_html_())
        assert "cannot be shown" in page.words
        assert "zarr" in page.words


def test_a_node_that_is_gone_and_a_closed_database_are_sentences(tmp_path):
    with LOTDB(tmp_path) as db:
        root = db.open_connection()
        node = root.get_data_node("a/b")
        payload = node.write_data(np.arange(10.0))
        tree = root.tree()
        del root["a"]
        assert "cannot be shown" in Page(node._repr_html_()).words
        assert ", gone>" in repr(node)
    for each in (root, node, payload, tree):
        assert "cannot be shown" in Page(each._repr_html_()).words
    assert repr(root)
