"""Images: every pixel and frame as it was, palettes and EXIF kept, damage and bombs refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from lotdb import BaseNode, ExportError, IngestError, InvalidOptionError

RNG = np.random.default_rng(17)
COLOUR = Image.fromarray(RNG.integers(0, 256, (30, 40, 3), np.uint8))
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "BMP": "bmp", "GIF": "gif", "WEBP": "webp"}
MODES = ("1", "L", "LA", "P", "PA", "I;16", "I;16B", "I", "F", "RGB", "RGBA", "CMYK", "LAB", "YCbCr", "HSV")


def in_mode(mode):
    if mode == "I;16":
        return Image.frombytes("I;16", (40, 30), RNG.integers(0, 65536, (30, 40), np.uint16).tobytes())
    if mode == "I;16B":
        return COLOUR.convert("I").convert("I;16B")
    if mode == "PA":
        return COLOUR.convert("LA").convert("PA")
    if mode in ("LA", "RGBA"):
        picture = COLOUR.convert(mode)
        picture.putalpha(Image.fromarray(RNG.integers(0, 256, (30, 40), np.uint8)))
        return picture
    return COLOUR.convert(mode)


def writable():
    for format in SUFFIXES:
        for mode in MODES:
            try:
                in_mode(mode).save(io.BytesIO(), format)
            except (OSError, ValueError, KeyError):
                continue
            yield pytest.param(format, mode, id=f"{format}-{mode}")


@pytest.fixture
def node():
    return BaseNode("root").get_data_node("picture")


def refused(node, path, **how):
    with pytest.raises(IngestError) as caught:
        node.attach_file(path, **how)
    assert str(path) in str(caught.value)
    assert not node.has_data()
    return str(caught.value)


def about(payload):
    return {name: repr(value) for name, value in payload.metadata.items() if not name.startswith("_")}


# -- in, out, and in again ------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "mode"), list(writable()))
def test_what_came_in_goes_out_again(node, tmp_path, format, mode):
    suffix = SUFFIXES[format]
    in_mode(mode).save(tmp_path / f"in.{suffix}", format)
    first = node.attach_file(tmp_path / f"in.{suffix}", data_attribute="first")
    first.export(tmp_path / f"out.{suffix}")
    second = node.attach_file(tmp_path / f"out.{suffix}", data_attribute="second")
    assert (second.dtype, second.shape) == (first.dtype, first.shape)
    assert about(second) == about(first)
    if format == "JPEG":
        assert np.abs(first.read().astype(int) - second.read()).mean() < 20
    else:
        assert first.read().tobytes() == second.read().tobytes()


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp"])
def test_the_pixels_are_those_of_the_file(node, tmp_path, suffix):
    COLOUR.save(tmp_path / f"x.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    payload = node.attach_file(tmp_path / f"x.{suffix}")
    assert payload.shape == (30, 40, 3)
    assert np.array_equal(payload.read(), np.asarray(COLOUR))
    assert payload.content_type == {"tif": "image/tiff"}.get(suffix, f"image/{suffix}")


def test_a_palette_is_kept(node, tmp_path):
    indexed = COLOUR.quantize(16)
    indexed.save(tmp_path / "x.png", transparency=3)
    payload = node.attach_file(tmp_path / "x.png")
    assert payload.metadata["mode"] == "P"
    colours = payload.metadata["palette"][payload.read()]
    assert np.array_equal(colours, np.asarray(indexed.convert("RGB")))
    assert payload.metadata["transparency"] == 3
    payload.export(tmp_path / "y.png")
    again = Image.open(tmp_path / "y.png")
    assert np.array_equal(
        np.asarray(again.convert("RGBA")), np.asarray(Image.open(tmp_path / "x.png").convert("RGBA"))
    )


def test_exif_orientation_resolution_and_text_are_kept_and_pixels_are_not_turned(node, tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    text = PngImagePlugin.PngInfo()
    text.add_text("Sample", "Größe")
    COLOUR.save(tmp_path / "x.png", exif=exif, dpi=(300, 150), pnginfo=text, icc_profile=b"profile")
    payload = node.attach_file(tmp_path / "x.png")
    assert payload.metadata["orientation"] == 6
    assert payload.metadata["dpi"] == pytest.approx((300, 150), abs=0.1)
    assert payload.metadata["text"] == {"Sample": "Größe"}
    assert payload.metadata["icc_profile"] == b"profile"
    assert payload.shape == (30, 40, 3)
    payload.export(tmp_path / "y.png")
    assert about(node.attach_file(tmp_path / "y.png")) == about(payload)


# -- several frames -------------------------------------------------------------------------------


def moving(count=4):
    frames = []
    for place in range(count):
        pixels = np.zeros((8, 9, 4), np.uint8)
        pixels[..., 3] = 255
        pixels[place, place] = (255, 10 * place, 0, 255)
        frames.append(Image.fromarray(pixels))
    return frames


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


def test_equal_frames_that_a_format_would_join_are_refused(node, tmp_path):
    payload = node.write_data(np.zeros((3, 8, 8, 3), np.uint8))
    with pytest.raises(ExportError, match="would join equal frames"):
        payload.export(tmp_path / "x.gif")
    payload.export(tmp_path / "x.tif")
    assert node.attach_file(tmp_path / "x.tif").shape == (3, 8, 8, 3)


# -- damage and lies ------------------------------------------------------------------------------


def png(width, height, rows, *, depth=8, colour=0, announce=None):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", *(announce or (width, height)), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_png_with_three_of_a_hundred_rows(node, tmp_path):
    (tmp_path / "x.png").write_bytes(png(10, 100, 3))
    assert "announces 1100 bytes of pixels, 33 are present" in refused(node, tmp_path / "x.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "gif", "webp"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_file_that_is_cut(node, tmp_path, suffix, part):
    big = Image.fromarray(RNG.integers(0, 256, (90, 80, 3), np.uint8))
    big.save(tmp_path / f"x.{suffix}")
    whole = (tmp_path / f"x.{suffix}").read_bytes()
    (tmp_path / f"x.{suffix}").write_bytes(whole[: int(len(whole) * part)])
    refused(node, tmp_path / f"x.{suffix}")


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_an_animation_that_is_cut_in_its_last_frame(node, tmp_path, suffix):
    frames = [Image.fromarray(RNG.integers(0, 256, (20, 20, 3), np.uint8)) for _ in range(3)]
    frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:])
    whole = (tmp_path / f"x.{suffix}").read_bytes()
    (tmp_path / f"x.{suffix}").write_bytes(whole[: int(len(whole) * 0.9)])
    refused(node, tmp_path / f"x.{suffix}")


def test_a_png_with_an_altered_byte(node, tmp_path):
    COLOUR.save(tmp_path / "x.png")
    content = bytearray((tmp_path / "x.png").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "x.png").write_bytes(content)
    refused(node, tmp_path / "x.png")


def test_a_header_that_announces_a_bomb(node, tmp_path):
    (tmp_path / "x.png").write_bytes(png(10, 1, 1, announce=(60000, 60000)))
    refused(node, tmp_path / "x.png")
    Image.new("L", (300, 300)).save(tmp_path / "y.png")
    message = refused(node, tmp_path / "y.png", max_pixels=10_000)
    assert "announces 300 x 300 = 90000 pixels, the limit is 10000; pass max_pixels= to raise it" in message
    assert node.attach_file(tmp_path / "y.png", max_pixels=90_000).shape == (300, 300)


def test_large_images_are_taken_without_a_warning_if_the_limit_is_raised(node, tmp_path):
    Image.new("1", (20_000, 10_000)).save(tmp_path / "x.png")
    assert "200000000 pixels" in refused(node, tmp_path / "x.png")
    assert node.attach_file(tmp_path / "x.png", max_pixels=1 << 30).shape == (10_000, 20_000)


@pytest.mark.parametrize("colour", [2, 4, 6])
def test_sixteen_bits_a_channel_are_not_reduced_to_eight(node, tmp_path, colour):
    width = 10 * {2: 6, 4: 4, 6: 8}[colour]
    content = png(width, 10, 10, depth=16, colour=colour, announce=(10, 10))
    (tmp_path / "x.png").write_bytes(content)
    assert "16 bits, which would be reduced to 8" in refused(node, tmp_path / "x.png")


def test_one_format_under_the_name_of_another(node, tmp_path):
    COLOUR.save(tmp_path / "x.png", "JPEG")
    assert "its content is jpeg; pass format='auto'" in refused(node, tmp_path / "x.png")
    payload = node.attach_file(tmp_path / "x.png", format="auto")
    assert payload.metadata["_source_format"] == "jpeg"


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image(node, tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    refused(node, tmp_path / "x.png")


def test_a_program_that_lets_pillow_take_damaged_images_is_told(node, tmp_path, monkeypatch):
    COLOUR.save(tmp_path / "x.png")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert "LOAD_TRUNCATED_IMAGES" in refused(node, tmp_path / "x.png")


@pytest.mark.parametrize("options", [{"max_pixels": -1}, {"max_pixels": "many"}, {"frames": 1}])
def test_a_wrong_option_is_named(node, tmp_path, options):
    COLOUR.save(tmp_path / "x.png")
    with pytest.raises(InvalidOptionError, match=next(iter(options))):
        node.attach_file(tmp_path / "x.png", **options)


# -- what cannot go out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (np.zeros((4, 4), "f4"), "x.png", "mode F without loss; choose tiff"),
        (np.zeros((4, 4, 4), "u1"), "x.jpg", "mode RGBA without loss; choose png"),
        (np.zeros((4, 4, 4), "u1"), "x.bmp", "mode RGBA"),
        (np.zeros((4, 4), "u2"), "x.bmp", "mode I;16 without loss; choose png"),
        (np.zeros((4, 4), "f8"), "x.tif", "is not that of an image"),
        (np.zeros(4, "u1"), "x.png", "is not that of an image"),
        (np.zeros((0, 4), "u1"), "x.png", "is not that of an image"),
        (RNG.integers(0, 256, (40, 40, 3), "u1"), "x.gif", "more than 256 colours"),
        (np.zeros((2, 4, 4, 3), "u1"), "x.bmp", "holds one image, there are 2"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(node, tmp_path, data, name, message):
    payload = node.write_data(data)
    with pytest.raises(ExportError, match=message):
        payload.export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("quality", [-1, 101, "best", True])
def test_a_quality_that_makes_no_sense(node, tmp_path, quality):
    payload = node.write_data(np.zeros((4, 4), "u1"))
    with pytest.raises(InvalidOptionError, match="quality"):
        payload.export(tmp_path / "x.jpg", quality=quality)
