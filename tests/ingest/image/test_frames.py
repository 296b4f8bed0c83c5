"""Images of several frames."""

import json
import struct
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from tests.ingest.image.pictures import COLOUR, RNG, about, moving, refused

from lotdb import BaseNode, ExportError


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_all_frames_come_in_and_go_out(node, tmp_path, suffix):
    frames = moving()
    extra = {"tif": {}, "webp": {"lossless": True, "duration": 70}}.get(suffix, {"duration": 70})
    frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:], **extra)
    payload = node.attach_file(tmp_path / f"x.{suffix}")
    assert payload.shape == (4, 8, 9, 4)
    assert np.array_equal(payload.read(), np.stack([np.asarray(frame) for frame in frames]))
    if suffix != "tif":
        assert payload.metadata["durations_ms"] == [70] * 4
    payload.export(tmp_path / f"y.{suffix}")
    again = node.attach_file(tmp_path / f"y.{suffix}", data_attribute="again")
    assert np.array_equal(again.read(), payload.read())
    assert about(again) == about(payload)


def test_pages_that_differ_become_several_payloads(node, tmp_path):
    COLOUR.save(tmp_path / "x.tif", save_all=True, append_images=[COLOUR.convert("L"), COLOUR.resize((5, 5))])
    node.attach_file(tmp_path / "x.tif", data_attribute="scan")
    shapes = [node.get_data(f"scan.page_{page}").shape for page in (1, 2, 3)]
    assert shapes == [(30, 40, 3), (30, 40), (5, 5, 3)]


def test_pages_of_sixteen_bits_are_one_array(node, tmp_path):
    pages = [Image.fromarray(RNG.integers(0, 65536, (9, 8), np.uint16)) for _ in range(3)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    payload = node.attach_file(tmp_path / "x.tif")
    assert np.array_equal(payload.read(), np.stack([np.asarray(page) for page in pages]))
    payload.export(tmp_path / "y.tif")
    again = node.attach_file(tmp_path / "y.tif", data_attribute="again")
    assert (again.read().tobytes(), about(again)) == (payload.read().tobytes(), about(payload))


def test_pages_with_one_palette_are_one_array(node, tmp_path):
    first = COLOUR.quantize(16)
    pages = [first, first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    first.save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    payload = node.attach_file(tmp_path / "x.tif")
    assert np.array_equal(payload.read(), np.stack([np.asarray(page) for page in pages]))
    shown = payload.metadata["palette"][payload.read()[1]]
    assert np.array_equal(shown, np.asarray(pages[1].convert("RGB")))
    COLOUR.quantize(16).save(tmp_path / "y.tif", save_all=True, append_images=[COLOUR.quantize(5)])
    node.attach_file(tmp_path / "y.tif", data_attribute="two")
    assert not np.array_equal(*(node.get_data(f"two.page_{page}").metadata["palette"] for page in (1, 2)))


def test_what_pages_say_differently_is_kept(node, tmp_path):
    pages = [COLOUR.copy() for _ in range(3)]
    for number, page in enumerate(pages):
        page.encoderinfo = {"description": f"page {number}", "software": "program"}
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:], description="page 0")
    metadata = node.attach_file(tmp_path / "x.tif").metadata
    assert metadata["description"] == "page 0"
    assert metadata["pages"] == [{}, {"description": "page 1"}, {"description": "page 2"}]


@pytest.mark.slow
def test_what_pages_say_is_a_payload_if_it_is_much(node, tmp_path):
    pictures = [Image.new("L", (1, 1)) for _ in range(300)]
    for number, picture in enumerate(pictures):
        picture.encoderinfo = {"description": f"page {number} {'x' * 1000}"}
    pictures[0].encoderinfo = {"description": "x" * 300_000}
    pictures[0].save(tmp_path / "x.tif", save_all=True, append_images=pictures[1:])
    assert node.attach_file(tmp_path / "x.tif").shape == (300, 1, 1)
    assert node.get_data("data.description").read() == "x" * 300_000
    said = json.loads(node.get_data("data.pages").read())
    assert said[299]["description"].startswith("page 299 x")


def test_a_stack_of_planes_becomes_pages(node, tmp_path):
    for rows in (
        RNG.integers(0, 65536, (3, 8, 9), np.uint16),
        RNG.random((3, 8, 9), np.float32),
        RNG.integers(0, 2, (3, 8, 9)).astype(bool),
        RNG.integers(0, 256, (5, 8, 9), np.uint8),
    ):
        node.write_data(rows).export(tmp_path / "x.tif", if_exists="replace")
        assert np.array_equal(node.attach_file(tmp_path / "x.tif", data_attribute="again").read(), rows)


def test_further_images_in_a_jpeg_become_payloads(node, tmp_path):
    other = COLOUR.resize((12, 10))
    COLOUR.save(tmp_path / "x.jpg", "MPO", save_all=True, append_images=[other])
    payload = node.attach_file(tmp_path / "x.jpg")
    assert (payload.shape, node.get_data("data.image_2").shape) == ((30, 40, 3), (10, 12, 3))
    whole = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "y.jpg").write_bytes(whole[:-50])
    assert "its end is missing" in refused(BaseNode("root").get_data_node("cut"), tmp_path / "y.jpg")
    # However long an image is said to be, no more is read than there is.
    index = whole.index(b"MPF\0")
    place = whole.index(struct.pack("<I", len(whole) - whole.index(b"\xff\xd8\xff", 10)), index)
    (tmp_path / "y.jpg").write_bytes(whole[:place] + b"\xff" * 4 + whole[place + 4 :])
    tracemalloc.start()
    try:
        node.attach_file(tmp_path / "y.jpg")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    # An index that was left as it was, by a program that writes the first image anew.
    second = whole.index(b"\xff\xd8\xff", 10)
    (tmp_path / "z.jpg").write_bytes(whole[:second])
    node.delete_data("data.image_2")
    assert node.attach_file(tmp_path / "z.jpg").shape == (30, 40, 3)
    assert not node.has_data("data.image_2")


def test_the_still_image_of_an_animation_is_none_of_its_frames(node, tmp_path):
    frames = moving(3)
    frames[0].save(
        tmp_path / "x.png", save_all=True, append_images=frames[1:], default_image=True, duration=50
    )
    payload = node.attach_file(tmp_path / "x.png")
    assert np.array_equal(payload.read(), np.stack([np.asarray(frame) for frame in frames[1:]]))
    assert payload.metadata["durations_ms"] == [50, 50]
    assert np.array_equal(node.get_data("data.default_image").read(), np.asarray(frames[0]))
    indexed = COLOUR.quantize(16)
    others = [indexed.transpose(Image.Transpose.FLIP_LEFT_RIGHT), indexed]
    indexed.save(tmp_path / "x.png", save_all=True, append_images=others, default_image=True)
    node.attach_file(tmp_path / "x.png")
    still = node.get_data("data.default_image")
    assert np.array_equal(still.metadata["palette"][still.read()], np.asarray(indexed.convert("RGB")))


def test_equal_frames_stay_apart_in_a_png(node, tmp_path):
    one, two = (np.asarray(frame) for frame in moving(2))
    rows = np.stack([one, one, two, two, two, one])
    payload = node.write_data(rows, metadata={"durations_ms": [10, 20, 30, 33, 40, 50]})
    payload.export(tmp_path / "x.png")
    again = node.attach_file(tmp_path / "x.png")
    assert np.array_equal(again.read(), rows)
    assert again.metadata["durations_ms"] == pytest.approx([10, 20, 30, 33, 40, 50])


def test_equal_frames_that_a_format_would_join_are_refused(node, tmp_path):
    payload = node.write_data(np.zeros((3, 8, 8, 3), np.uint8))
    with pytest.raises(ExportError, match="would join equal frames"):
        payload.export(tmp_path / "x.gif")
    payload.export(tmp_path / "x.tif")
    assert node.attach_file(tmp_path / "x.tif").shape == (3, 8, 8, 3)
