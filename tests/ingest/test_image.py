"""Images: every pixel and frame as it was, palettes and EXIF kept, damage and bombs refused."""

import io
import json
import math
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from lotdb import BaseNode, ExportError, IngestError, InvalidOptionError

RNG = np.random.default_rng(17)
COLOUR = Image.fromarray(RNG.integers(0, 256, (30, 40, 3), np.uint8))
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "BMP": "bmp", "GIF": "gif", "WEBP": "webp"}
#: Bytes of a pixel, of the modes that nothing is converted to.
RAW_MODES = {"I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2, "La": 2, "RGBa": 4, "RGBX": 4}


def in_mode(mode):
    if mode in RAW_MODES:
        return Image.frombytes(mode, (40, 30), RNG.bytes(40 * 30 * RAW_MODES[mode]))
    if mode == "PA":
        return COLOUR.convert("LA").convert("PA")
    if mode in ("LA", "RGBA"):
        picture = COLOUR.convert(mode)
        picture.putalpha(Image.fromarray(RNG.integers(0, 256, (30, 40), np.uint8)))
        return picture
    return COLOUR.convert(mode)


def writable():
    for format in SUFFIXES:
        for mode in Image.MODES:
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


@pytest.mark.parametrize("mode", [each.values[1] for each in writable() if each.values[0] == "TIFF"])
def test_pages_of_any_mode_come_in_and_go_out(node, tmp_path, mode):
    first, *others = (in_mode(mode) for _ in range(3))
    for each in others if mode in ("P", "PA") else ():
        each.putpalette(first.getpalette())
    first.save(tmp_path / "in.tif", save_all=True, append_images=others)
    pages = node.attach_file(tmp_path / "in.tif", data_attribute="pages")
    pages.export(tmp_path / "out.tif")
    again = node.attach_file(tmp_path / "out.tif", data_attribute="again")
    assert pages.metadata["frames"] == len(pages) == 3
    assert about(again) == about(pages)
    assert again.read().tobytes() == pages.read().tobytes()


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


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "group4"])
def test_a_tiff_is_compressed_as_it_was(node, tmp_path, compression):
    picture = COLOUR.convert("1") if compression == "group4" else COLOUR
    picture.save(tmp_path / "x.tif", compression=compression, description=b"text")
    payload = node.attach_file(tmp_path / "x.tif")
    assert payload.metadata["compression"] == compression
    payload.export(tmp_path / "y.tif")
    assert about(node.attach_file(tmp_path / "y.tif")) == about(payload)
    # Pillow cannot write EXIF's own directory into a compressed file.
    exif = Image.Exif()
    exif[34665] = {33434: 0.5}
    again = node.write_data(payload.read(), metadata={**payload.metadata, "exif": exif.tobytes()})
    again.export(tmp_path / "z.tif")
    assert node.attach_file(tmp_path / "z.tif").metadata["exif"] == exif.tobytes()


def test_a_tiff_keeps_its_tags(node, tmp_path):
    exif = Image.Exif()
    exif[274], exif[34665] = 3, {33434: 0.5}
    within = Image.Exif()
    within.load(exif.tobytes())
    within[270], within[305], within[700] = "a µm".encode(), "program", b"<x/>"
    COLOUR.save(tmp_path / "x.tif", exif=within, dpi=(30, 40), icc_profile=b"profile")
    payload = node.attach_file(tmp_path / "x.tif")
    known = {"description": "a µm", "software": "program", "orientation": 3}
    assert known.items() <= payload.metadata.items()
    assert payload.metadata["dpi"] == (30, 40)
    assert payload.metadata["xmp"] == b"<x/>"
    inside = Image.Exif()
    inside.load(payload.metadata["exif"])
    assert inside.get_ifd(34665) == {33434: 0.5}
    payload.export(tmp_path / "y.tif")
    assert about(node.attach_file(tmp_path / "y.tif")) == about(payload)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_is_not_turned_either(node, tmp_path, orientation, compression):
    COLOUR.save(tmp_path / "x.tif", tiffinfo={274: orientation}, compression=compression)
    payload = node.attach_file(tmp_path / "x.tif")
    assert np.array_equal(payload.read(), np.asarray(COLOUR))
    assert payload.metadata["orientation"] == orientation
    payload.export(tmp_path / "y.png")
    assert node.attach_file(tmp_path / "y.png").metadata["orientation"] == orientation


def test_nothing_is_told_that_the_file_does_not_say(node, tmp_path):
    COLOUR.save(tmp_path / "x.tif")
    assert about(node.attach_file(tmp_path / "x.tif")) == {"mode": "'RGB'", "compression": "'raw'"}
    COLOUR.save(tmp_path / "x.jpg", exif=Image.Exif())
    assert "dpi" not in node.attach_file(tmp_path / "x.jpg").metadata


def test_the_resolution_in_exif_is_known_as_well(node, tmp_path):
    exif = Image.Exif()
    exif[274], exif[282], exif[283], exif[296] = 8, 100.0, 50.0, 3
    COLOUR.save(tmp_path / "x.webp", exif=exif)
    payload = node.attach_file(tmp_path / "x.webp")
    assert payload.metadata["dpi"] == pytest.approx((254, 127))
    assert payload.metadata["orientation"] == 8
    payload.export(tmp_path / "x.jpg")
    again = node.attach_file(tmp_path / "x.jpg")
    assert (again.metadata["exif"], again.metadata["orientation"]) == (payload.metadata["exif"], 8)


@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\xff\xff\xff\xff", b"nonsense"]
)
def test_exif_that_makes_no_sense_is_kept_as_it_is(node, tmp_path, exif):
    COLOUR.save(tmp_path / "x.jpg", exif=b"Exif\0\0" + exif)
    payload = node.attach_file(tmp_path / "x.jpg")
    assert payload.metadata.get("exif", b"Exif\0\0") == b"Exif\0\0" + exif
    assert "orientation" not in payload.metadata


def test_the_colours_of_a_png_are_kept(node, tmp_path):
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", 45455))
    chunks.add(b"cHRM", struct.pack(">8I", *range(1000, 9000, 1000)))
    chunks.add(b"sRGB", b"\1")
    chunks.add_itxt("XML:com.adobe.xmp", "<x>ä</x>")
    COLOUR.save(tmp_path / "x.png", pnginfo=chunks, transparency=(1, 2, 3))
    payload = node.attach_file(tmp_path / "x.png")
    known = {"gamma": 0.45455, "srgb": 1, "transparency": (1, 2, 3), "xmp": "<x>ä</x>".encode()}
    assert known.items() <= payload.metadata.items()
    assert payload.metadata["chromaticity"][:2] == (0.01, 0.02)
    payload.export(tmp_path / "y.png")
    assert about(node.attach_file(tmp_path / "y.png")) == about(payload)


def test_the_transparent_grey_of_two_bits_is_that_of_the_pixels(node, tmp_path):
    grey = png(4, 4, 4, depth=2, more=chunk(b"tRNS", b"\0\1"), bytes_a_row=1, fill=0b01101100)
    (tmp_path / "x.png").write_bytes(grey)
    payload = node.attach_file(tmp_path / "x.png")
    assert payload[0].tolist() == [85, 170, 255, 0]
    assert payload.metadata["transparency"] == 85


def test_a_profile_too_large_for_metadata_becomes_a_payload(node, tmp_path):
    profile = bytes(range(256)) * 8000
    COLOUR.save(tmp_path / "x.jpg", icc_profile=profile)
    payload = node.attach_file(tmp_path / "x.jpg")
    assert payload.shape == (30, 40, 3)
    assert node.get_data("data.icc_profile").read() == profile


@pytest.mark.parametrize(
    ("bits", "kind", "dtype"),
    [(8, 2, "i1"), (16, 1, "u2"), (16, 2, "i2"), (32, 1, "u4"), (32, 2, "i4"), (32, 3, "f4")],
)
def test_numbers_in_a_tiff_keep_their_dtype(node, tmp_path, bits, kind, dtype):
    number = np.dtype(dtype)
    extremes = np.finfo(number) if number.kind == "f" else np.iinfo(number)
    rows = np.array([[extremes.min, extremes.max, 0, 1]], number)
    tags = {256: 4, 257: 1, 258: bits, 262: 1, 277: 1, 339: kind}
    (tmp_path / "x.tif").write_bytes(tiff(tags, rows.tobytes()))
    payload = node.attach_file(tmp_path / "x.tif")
    assert payload.dtype == number
    assert np.array_equal(payload.read(), rows)


@pytest.mark.parametrize(("extra", "mode"), [(0, "RGBX"), (1, "RGBa"), (2, "RGBA")])
def test_the_fourth_channel_of_a_tiff_is_neither_left_out_nor_divided_by(node, tmp_path, extra, mode):
    pixels = RNG.integers(0, 256, (3, 5, 4), np.uint8)
    tags = {256: 5, 257: 3, 258: (8,) * 4, 262: 2, 277: 4, 338: extra}
    (tmp_path / "x.tif").write_bytes(tiff(tags, pixels.tobytes()))
    payload = node.attach_file(tmp_path / "x.tif")
    assert payload.metadata["mode"] == mode
    assert np.array_equal(payload.read(), pixels)


def test_black_and_white_the_other_way_round_is_told(node, tmp_path):
    (tmp_path / "x.tif").write_bytes(tiff({256: 2, 257: 1, 258: 16, 262: 0, 277: 1}, b"\1\0\2\0"))
    payload = node.attach_file(tmp_path / "x.tif")
    assert (payload.read().tolist(), payload.metadata["white_is_zero"]) == ([[1, 2]], True)
    payload.export(tmp_path / "y.tif")
    again = node.attach_file(tmp_path / "y.tif")
    assert (about(again), again.read().tolist()) == (about(payload), [[1, 2]])


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


# -- damage and lies ------------------------------------------------------------------------------


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width, height, rows, *, depth=8, colour=0, announce=None, more=b"", bytes_a_row=None, fill=0, last=b""
):
    header = struct.pack(">IIBBBBB", *(announce or (width, height)), depth, colour, 0, 0, 0)
    row = b"\0" + bytes([fill]) * (width if bytes_a_row is None else bytes_a_row)
    pixels = chunk(b"IDAT", zlib.compress(row * rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + pixels + last + chunk(b"IEND", b"")


def animated_png(announced, frames, *, rows=4, depth=8):
    """A PNG of 4 x 4 pixels, with *rows* rows in each frame but the first one."""
    controls = [struct.pack(">IIIIHHBB", 4, 4, 0, 0, 1, 10, 0, 0)] * frames
    more, last, number = chunk(b"acTL", struct.pack(">II", announced, 0)), b"", 0
    row = bytes(1 + 4 * depth // 8)
    for control in controls:
        following = chunk(b"fcTL", struct.pack(">I", number) + control)
        number += 1
        if number == 1:
            more += following
            continue
        last += following + chunk(b"fdAT", struct.pack(">I", number) + zlib.compress(row * rows))
        number += 1
    return png(4, 4, 4, depth=depth, more=more, bytes_a_row=len(row) - 1, last=last)


def tiff(tags, pixels, order="<"):
    """A TIFF of one page; unless *tags* tell something else, its pixels are in one strip."""
    tags = {259: 1, 273: 8, 278: tags[257], 279: len(pixels), **tags}
    tags = {tag: value for tag, value in tags.items() if value is not None}
    behind = 8 + len(pixels) + 2 + 12 * len(tags) + 4
    directory, values = struct.pack(order + "H", len(tags)), b""
    for tag, value in sorted(tags.items()):
        several = value if isinstance(value, tuple) else (value,)
        packed = struct.pack(f"{order}{len(several)}I", *several)
        if len(several) > 1:
            values, packed = values + packed, struct.pack(order + "I", behind + len(values))
        directory += struct.pack(order + "HHI", tag, 4, len(several)) + packed
    mark = b"II*\0" if order == "<" else b"MM\0*"
    start = struct.pack(order + "I", 8 + len(pixels))
    return mark + start + pixels + directory + bytes(4) + values


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


def test_a_small_file_that_inflates_to_a_bomb_is_not_inflated(node, tmp_path):
    (tmp_path / "x.png").write_bytes(png(30_000, 30_000, 2000))
    assert "pass max_pixels=" in refused(node, tmp_path / "x.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(5_000_000))), "too large"),
        (chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(1_000_000))) * 70, "[Tt]oo much memory"),
        (chunk(b"tEXt", b"key\0" + b"a" * 2_000_000), "more than 1048576 bytes"),
        (chunk(b"iCCP", b"key\0\0" + zlib.compress(bytes(5_000_000))), "too large"),
        (chunk(b"iCCP", b"key\0\0nonsense"), "profile is damaged"),
        (chunk(b"IHDR", bytes(13)), "does not begin with its one header"),
        (chunk(b"acTL", bytes(7)), "has 7 bytes, not 8"),
        (b"\x7f\xff\xff\xfftEXt", "announces 2147483647 bytes"),
        (chunk(b"tEXt", b"key\0text")[:-1] + b"?", "does not match its checksum"),
    ],
)
def test_a_png_with_chunks_that_are_bombs_or_damaged(node, tmp_path, content, message):
    (tmp_path / "x.png").write_bytes(png(4, 4, 4, more=content))
    with pytest.raises(IngestError, match=message):
        node.attach_file(tmp_path / "x.png")
    assert not node.has_data()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (animated_png(5, 3), "announces 5 frames, 3 are present"),
        (animated_png(2, 3), "announces 2 frames, 3 are present"),
        (animated_png(0, 1), "announces 0 frames, 1 are present"),
        (animated_png(2**31 - 1, 2), "announces 2147483647 frames"),
        (animated_png(3, 3, rows=2), "announces 20 bytes of pixels, 10 are present"),
        (animated_png(3, 3, depth=16), "16 bits a pixel, which would be reduced"),
        (png(4, 4, 4, more=chunk(b"acTL", bytes(8)) * 2), "announces its frames twice"),
    ],
)
def test_an_animated_png_that_is_not_whole(node, tmp_path, content, message):
    (tmp_path / "ok.png").write_bytes(animated_png(3, 3))
    assert node.attach_file(tmp_path / "ok.png", data_attribute="ok").shape == (3, 4, 4, 4)
    (tmp_path / "x.png").write_bytes(content)
    assert message in refused(node, tmp_path / "x.png")


GREY = {256: 10, 257: 10, 258: 8, 262: 1, 277: 1}


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({278: 2, 273: (8, 28), 279: (20, 20)}, "page 1: it announces 5 strips, 2 are present"),
        ({322: 4, 323: 4, 324: (8, 24), 325: (16, 16), 273: None}, "it announces 9 tiles, 2 are present"),
        ({322: 0, 323: 4, 324: (8, 24), 273: None}, "its tiles have 0 x 4 pixels"),
        ({273: 5000}, "truncated"),
        ({259: 8, 273: 5000}, "its strips end at byte 5100"),
        ({257: 60000, 278: 60000}, "announces 600000 bytes of pixels"),
        ({256: 60000, 257: 60000}, "= 3600000000 pixels, the limit is"),
        ({256: 0}, "announces 0 x 10 pixels"),
        ({256: None}, "tag 256 is missing"),
        ({273: None}, "does not say where its pixels are"),
        ({259: 34712}, "(uint8, JPEG 2000) cannot be decoded"),
        ({259: 8, 273: 0}, "strip 1 has no bytes: the file is sparse"),
        ({32997: 60000}, "announces 6000000 bytes of pixels"),
        ({258: 64, 339: 3}, "announces 800 bytes of pixels"),
        ({259: 8, 277: 60000}, "= 1500000 pixels, the limit is"),
    ],
)
@pytest.mark.parametrize("order", "<>")
def test_a_tiff_that_announces_what_is_not_there(node, tmp_path, tags, message, order):
    (tmp_path / "x.tif").write_bytes(tiff({**GREY, **tags}, bytes(100), order))
    limit = {"max_pixels": 1_000_000} if tags.get(277) else {}
    assert message in refused(node, tmp_path / "x.tif", **limit)


@pytest.mark.parametrize("big_tiff", [False, True])
@pytest.mark.parametrize("part", [0.02, 0.2, 0.4, 0.5, 0.7, 0.95, 0.999])
def test_a_tiff_of_pages_that_is_cut_anywhere(node, tmp_path, part, big_tiff):
    others = {"save_all": True, "append_images": [COLOUR, COLOUR]}
    COLOUR.save(tmp_path / "x.tif", big_tiff=big_tiff, **others)
    whole = (tmp_path / "x.tif").read_bytes()
    assert node.attach_file(tmp_path / "x.tif", data_attribute="whole").shape == (3, 30, 40, 3)
    (tmp_path / "x.tif").write_bytes(whole[: int(len(whole) * part)])
    refused(node, tmp_path / "x.tif")


def test_a_tiff_whose_last_page_leads_back_has_the_pages_that_it_has(node, tmp_path):
    content = tiff(GREY, bytes(100))
    start = struct.unpack("<I", content[4:8])[0]
    place = start + 2 + 12 * struct.unpack("<H", content[start : start + 2])[0]
    (tmp_path / "x.tif").write_bytes(content[:place] + content[4:8] + content[place + 4 :])
    assert node.attach_file(tmp_path / "x.tif").shape == (10, 10)


def gif(*frames, screen=(6, 6), between=b""):
    """A GIF of black pixels; a frame is its place, its size and the number of its pixels."""
    content = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    for left, top, width, height, pixels in frames:
        # Codes of three bits: one that clears the table before each pair of pixels, and the last one, 5.
        codes = [code for number in range(pixels) for code in ((4, 0) if number % 2 == 0 else (0,))] + [5]
        packed = sum(code << 3 * place for place, code in enumerate(codes))
        data = packed.to_bytes(math.ceil(3 * len(codes) / 8), "little")
        content += b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\2"
        content += bytes([len(data)]) + data + b"\0" + between
    return content + b";"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gif((0, 0, 6, 6, 20)), "truncated"),
        (gif((0, 0, 6, 6, 36), (0, 0, 6, 6, 20)), "truncated"),
        (gif((0, 0, 6, 6, 36), (3, 0, 6, 6, 36)), "frame 2 reaches out of the 6 x 6 pixels"),
        (gif((0, 0, 60_000, 60_000, 36)), "= 3600000000 pixels, the limit is"),
        (gif((0, 0, 6, 6, 36), screen=(60_000, 60_000)), "= 3600000000 pixels, the limit is"),
        (gif((0, 0, 0, 6, 0), screen=(0, 6)), "announces 0 x 6 pixels"),
        (gif(), "no image in it"),
        (gif((0, 0, 6, 6, 36), between=b"?"), "begins no block"),
        (gif((0, 0, 6, 6, 36))[:-1], "before its last frame"),
        (gif((0, 0, 6, 6, 36), (0, 0, 6, 6, 36))[:60], "before its last frame"),
    ],
)
def test_a_gif_that_is_not_whole(node, tmp_path, content, message):
    (tmp_path / "x.gif").write_bytes(content)
    assert message in refused(node, tmp_path / "x.gif")


def test_a_terminator_too_much_between_frames_does_no_harm(node, tmp_path):
    (tmp_path / "x.gif").write_bytes(gif((0, 0, 6, 6, 36), (2, 3, 4, 3, 12), between=b"\0"))
    assert node.attach_file(tmp_path / "x.gif").shape == (2, 6, 6, 4)


def test_pages_that_are_too_many_bytes_together(node, tmp_path):
    others = [Image.new("L", (1000, 1000 - number)) for number in range(30)]
    first, several = Image.new("L", (1000, 1000)), {"save_all": True, "append_images": others}
    first.save(tmp_path / "x.tif", compression="packbits", **several)
    assert "announces 2000000 bytes" in refused(node, tmp_path / "x.tif", max_bytes=1_500_000)
    first.save(tmp_path / "x.jpg", "MPO", **several)
    assert "announces 2000000 bytes" in refused(node, tmp_path / "x.jpg", max_bytes=1_500_000)


def test_frames_that_are_too_many_bytes_together(node, tmp_path):
    frame = (0, 0, 1, 1, 1)
    (tmp_path / "x.gif").write_bytes(gif(*[frame] * 50, screen=(1000, 1000)))
    assert "announces 200000000 bytes" in refused(node, tmp_path / "x.gif", max_bytes=100_000_000)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (18, 41, "its pixels cannot be decoded: image file is truncated"),
        (22, -31, "its pixels cannot be decoded: image file is truncated"),
        (18, 0, "announces 0 x 30 pixels"),
        (22, 100_000_000, "pixels, the limit is"),
        (10, 5000, "its pixels cannot be decoded: image file is truncated"),
    ],
)
def test_a_bmp_that_announces_what_is_not_there(node, tmp_path, place, value, message):
    COLOUR.save(tmp_path / "x.bmp")
    content = bytearray((tmp_path / "x.bmp").read_bytes())
    struct.pack_into("<i", content, place, value)
    (tmp_path / "x.bmp").write_bytes(content)
    assert message in refused(node, tmp_path / "x.bmp")


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"save_all": True, "append_images": [COLOUR]}])
def test_a_webp_that_is_cut_and_says_so(node, tmp_path, options):
    COLOUR.save(tmp_path / "x.webp", **options)
    whole = (tmp_path / "x.webp").read_bytes()
    for length in range(20, len(whole) - 2, 150):
        cut = whole[:4] + struct.pack("<I", length - 8) + whole[8:length]
        (tmp_path / "x.webp").write_bytes(cut)
        refused(node, tmp_path / "x.webp")


def test_a_webp_that_announces_a_bomb(node, tmp_path):
    for header in (
        b"VP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\x0f" * 2,
        b"VP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f\0\0\0\0\0",
        b"VP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f",
    ):
        (tmp_path / "x.webp").write_bytes(b"RIFF\x16\0\0\0WEBP" + header)
        assert "pixels, the limit is" in refused(node, tmp_path / "x.webp")


@pytest.mark.parametrize("ending", [b"\0" * 100, b"appended by a camera"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "gif", "webp"])
def test_what_follows_an_image_does_no_harm(node, tmp_path, suffix, ending):
    COLOUR.save(tmp_path / f"x.{suffix}")
    pixels = node.attach_file(tmp_path / f"x.{suffix}", data_attribute="alone").read()
    with (tmp_path / f"x.{suffix}").open("ab") as file:
        file.write(ending)
    assert np.array_equal(node.attach_file(tmp_path / f"x.{suffix}").read(), pixels)


@pytest.mark.parametrize("filled", [b"", bytes(100_000), b"\xff" * 100_000])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end(node, tmp_path, progressive, filled):
    COLOUR.save(tmp_path / "x.jpg", progressive=progressive)
    whole = (tmp_path / "x.jpg").read_bytes()
    assert node.attach_file(tmp_path / "x.jpg", data_attribute="whole").shape == (30, 40, 3)
    for length in (len(whole) - 2, len(whole) * 2 // 3, 300, 100):
        (tmp_path / "x.jpg").write_bytes(whole[:length] + filled)
        assert "its end is missing" in refused(node, tmp_path / "x.jpg")


def test_a_jpeg_that_announces_a_bomb(node, tmp_path):
    COLOUR.save(tmp_path / "x.jpg")
    content = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(content.replace(struct.pack(">HH", 30, 40), b"\xff" * 4))
    assert "= 4294836225 pixels, the limit is" in refused(node, tmp_path / "x.jpg")
    (tmp_path / "x.jpg").write_bytes(content.replace(struct.pack(">HH", 30, 40), bytes(4)))
    assert "announces 0 x 0 pixels" in refused(node, tmp_path / "x.jpg")
    (tmp_path / "x.jpg").write_bytes(content[:2] + b"\xff\xe0\0\1" + content[2:])
    assert "a segment at byte 4 of 1 bytes" in refused(node, tmp_path / "x.jpg")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_the_limit_that_a_program_has_set_for_pillow_is_its_own(node, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for options in ({}, {"compression": "tiff_lzw"}) if suffix == "tif" else ({},):
        COLOUR.save(tmp_path / f"x.{suffix}", **options)
        payload = node.attach_file(tmp_path / f"x.{suffix}")  # a warning is an error here
        payload.export(tmp_path / f"y.{suffix}", if_exists="replace")
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_where_pillow_insists_on_its_own_limit_that_is_told(node, tmp_path, suffix, monkeypatch):
    frames = moving()
    frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    assert "set PIL.Image.MAX_IMAGE_PIXELS to raise it" in refused(node, tmp_path / f"x.{suffix}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert node.attach_file(tmp_path / f"x.{suffix}").shape == (4, 8, 9, 4)


def test_large_images_are_taken_without_a_warning_if_the_limit_is_raised(node, tmp_path):
    Image.new("1", (20_000, 10_000)).save(tmp_path / "x.png")
    assert "200000000 pixels" in refused(node, tmp_path / "x.png")
    assert node.attach_file(tmp_path / "x.png", max_pixels=1 << 30).shape == (10_000, 20_000)


def deep_png(colour, *more, interlaced=False):
    """A PNG of 9 x 7 pixels of 16 bits a channel, and its pixels."""
    pixels = RNG.integers(0, 1 << 16, (7, 9, {2: 3, 4: 2, 6: 4}[colour]), np.uint16)
    passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]
    rows = b""
    for left, top, across, down in passes if interlaced else [(0, 0, 1, 1)]:
        rows += b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels[top::down, left::across])
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 7, 16, colour, 0, 0, interlaced))
    parts = (header, *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts), pixels


@pytest.mark.parametrize("colour", [2, 4, 6])
@pytest.mark.parametrize("interlaced", [False, True])
def test_sixteen_bits_a_channel_come_and_go_exactly(node, tmp_path, colour, interlaced):
    more = [chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"tEXt", b"Comment\0hello"), chunk(b"abCd", b"1")]
    more += [chunk(b"tRNS", b"\1\2\3\4\5\6")] if colour == 2 else []
    content, pixels = deep_png(colour, *more, interlaced=interlaced)
    (tmp_path / "x.png").write_bytes(content)
    payload = node.attach_file(tmp_path / "x.png")
    assert payload.dtype == np.uint16
    assert np.array_equal(payload.read(), pixels)
    assert payload.metadata["text"] == {"Comment": "hello"}
    assert payload.metadata["chunks"] == {"abCd": b"1"}
    assert payload.metadata.get("transparency") == ((0x102, 0x304, 0x506) if colour == 2 else None)
    for suffix in ("png", "tif"):
        payload.export(tmp_path / f"y.{suffix}")
        again = node.attach_file(tmp_path / f"y.{suffix}", data_attribute=suffix)
        assert np.array_equal(again.read(), pixels)
    assert (tmp_path / "y.png").read_bytes()[24:26] == bytes([16, colour])
    assert about(node.get_data("png")) == about(payload)
    node.get_data("tif").export(tmp_path / "z.png")
    assert np.array_equal(node.attach_file(tmp_path / "z.png", data_attribute="z").read(), pixels)


def test_sixteen_bits_a_channel_are_refused_without_imagecodecs(node, tmp_path, monkeypatch):
    monkeypatch.setattr("lotdb_ingest.image.png_deep.imagecodecs", None)
    (tmp_path / "x.png").write_bytes(deep_png(2)[0])
    assert "would reduce to 8; install what reads them: pip install" in refused(node, tmp_path / "x.png")


def test_a_cut_png_of_sixteen_bits_a_channel_is_refused(node, tmp_path):
    content = deep_png(2)[0]
    (tmp_path / "x.png").write_bytes(content[:-30])
    refused(node, tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes(content)
    assert "max_bytes" in refused(node, tmp_path / "x.png", max_bytes=len(content) - 1)


def extension(label, *data):
    return b"!" + bytes([label]) + b"".join(bytes([len(each)]) + each for each in data) + b"\0"


def test_what_a_gif_has_beside_its_frames_is_kept_or_named(node, tmp_path):
    between = extension(0xFE, b"one", b" and more") + extension(0xFF, b"ICCRGBG1012", b"profile")
    between += extension(0x01, bytes(12), b"drawn") + extension(0xFE, b"two") + extension(0x77, b"?")
    loop = extension(0xFF, b"NETSCAPE2.0", b"\1\5\0")
    (tmp_path / "x.gif").write_bytes(gif((0, 0, 6, 6, 36), (0, 0, 6, 6, 36), between=between + loop))
    metadata = node.attach_file(tmp_path / "x.gif").metadata
    assert metadata["comments"] == [b"one and more", b"two"] * 2
    assert metadata["not_kept"] == [
        "GIF application extension ICCRGBG1012",
        "GIF extension 119",
        "GIF text that is drawn over the image",
    ]
    (tmp_path / "x.gif").write_bytes(gif((0, 0, 6, 6, 36), between=loop))
    assert "not_kept" not in node.attach_file(tmp_path / "x.gif").metadata


@pytest.mark.parametrize("frames", [1, 3])
def test_chunks_of_a_webp_that_are_not_kept_are_named(node, tmp_path, frames):
    more = [COLOUR.rotate(90 * number) for number in range(1, frames)]
    COLOUR.save(tmp_path / "x.webp", save_all=True, append_images=more, lossless=True, xmp=b"<x/>")
    content = (tmp_path / "x.webp").read_bytes() + b"abcd\3\0\0\0odd\0"
    assert "not_kept" not in node.attach_file(tmp_path / "x.webp").metadata
    (tmp_path / "x.webp").write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    metadata = node.attach_file(tmp_path / "x.webp").metadata
    assert metadata["not_kept"] == ["WebP chunk abcd"]
    assert metadata["xmp"] == b"<x/>"


def test_one_format_under_the_name_of_another(node, tmp_path):
    COLOUR.save(tmp_path / "x.png", "JPEG")
    assert "its content is jpeg; pass format='auto'" in refused(node, tmp_path / "x.png")
    payload = node.attach_file(tmp_path / "x.png", format="auto")
    assert payload.metadata["_source_format"] == "jpeg"


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image(node, tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    refused(node, tmp_path / "x.png")


def test_what_another_file_is_instead_is_told(node, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    (tmp_path / "x.npy").rename(tmp_path / "x.png")
    assert "its content is a .npy file" in refused(node, tmp_path / "x.png")
    (tmp_path / "x.png").write_text("no image, but a text")
    assert "does not begin as a file of format png does" in refused(node, tmp_path / "x.png")


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


# -- notes that have no name ----------------------------------------------------------------------


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
