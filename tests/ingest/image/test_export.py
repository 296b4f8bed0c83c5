"""What an image file cannot hold is not written."""

import numpy as np
import pytest
from tests.ingest.image.pictures import COLOUR, RNG

from lotdb import ExportError, InvalidOptionError


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (np.zeros((4, 4), "f4"), "x.png", "mode F without loss; choose tiff"),
        (np.zeros((4, 4, 4), "u1"), "x.jpg", "mode RGBA without loss; choose png"),
        (np.zeros((4, 4, 4), "u1"), "x.bmp", "mode RGBA"),
        (np.zeros((4, 4), "u2"), "x.bmp", "mode I;16 without loss; choose png"),
        (np.zeros((4, 4), "M8[s]"), "x.tif", "is not that of an image"),
        (np.zeros(4, "u1"), "x.png", "is not that of an image"),
        (np.zeros((0, 4), "u1"), "x.png", "is not that of an image"),
        (RNG.integers(0, 256, (40, 40, 3), "u1"), "x.gif", "more than 256 colours"),
        (np.zeros((2, 4, 4, 3), "u1"), "x.bmp", "holds one image, there are 2"),
        (np.zeros((2, 4, 4, 3), "u1"), "x.jpg", "holds one image, there are 2; choose tiff"),
        (np.zeros((2, 4, 4), "u2"), "x.png", "mode I;16 without loss; choose tiff"),
        (np.full((4, 4, 4), 7, "u1"), "x.gif", "half transparent"),
        (RNG.integers(0, 2, (2, 9, 9, 4), "u1") * 255, "x.webp", "would not hold it exactly; choose png"),
        (np.zeros((4, 20_000, 3), "u1"), "x.webp", "Pillow cannot write it"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(node, tmp_path, data, name, message):
    payload = node.write_data(data)
    with pytest.raises(ExportError, match=message):
        payload.export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_transparent_colours_that_a_gif_cannot_hold(node, tmp_path):
    COLOUR.quantize(4).save(tmp_path / "x.png", transparency=bytes([0, 128, 255]))
    payload = node.attach_file(tmp_path / "x.png")
    with pytest.raises(ExportError, match="half transparent; choose png"):
        payload.export(tmp_path / "y.gif")


def test_a_stack_of_one_is_one_image(node, tmp_path):
    payload = node.write_data(np.asarray(COLOUR)[np.newaxis])
    payload.export(tmp_path / "x.bmp")
    assert np.array_equal(node.attach_file(tmp_path / "x.bmp").read(), np.asarray(COLOUR))


def test_webp_loses_nothing_unless_it_is_asked_to(node, tmp_path):
    smooth = np.add.outer(np.arange(40), np.arange(50)).astype("u1")[..., np.newaxis].repeat(3, axis=2)
    payload = node.write_data(smooth)
    sizes = {}
    for name, options in {"plain": {}, "lossy": {"lossless": False}, "poor": {"quality": 5}}.items():
        payload.export(tmp_path / f"{name}.webp", **options)
        again = node.attach_file(tmp_path / f"{name}.webp", data_attribute=name)
        assert np.array_equal(again.read(), smooth) == (name == "plain")
        sizes[name] = (tmp_path / f"{name}.webp").stat().st_size
    assert sizes["poor"] < sizes["lossy"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.jpg", {"quality": -1}),
        ("x.jpg", {"quality": 101}),
        ("x.jpg", {"quality": "best"}),
        ("x.jpg", {"quality": True}),
        ("x.jpg", {"lossless": True}),
        ("x.webp", {"lossless": "yes"}),
        ("x.png", {"quality": 5}),
    ],
)
def test_a_quality_that_makes_no_sense(node, tmp_path, name, options):
    payload = node.write_data(np.zeros((4, 4, 3), "u1"))
    with pytest.raises(InvalidOptionError, match=next(iter(options))):
        payload.export(tmp_path / name, **options)
