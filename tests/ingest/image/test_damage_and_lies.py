"""Damaged images, bombs and files that lie are refused."""

import math
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile
from tests.ingest.image.pictures import COLOUR, RNG, about, chunk, moving, png, refused, tiff

from lotdb import IngestError, InvalidOptionError


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


@pytest.mark.slow
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
