"""Images go in, out and in again: every pixel as it was, palettes and EXIF kept."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from tests.ingest.image.pictures import COLOUR, RNG, about, chunk, png, tiff

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


@pytest.mark.sampled(12)
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


@pytest.mark.sampled(6)
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
