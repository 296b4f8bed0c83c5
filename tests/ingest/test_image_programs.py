"""Images as other programs write them: taken in as independent readers give them, and out and in again."""

import shutil
import subprocess

import numpy as np
import pytest
import tifffile

from lotdb import BaseNode, ExportError, IngestError

FFMPEG, CONVERT = (shutil.which(name) for name in ("ffmpeg", "convert"))
#: Which part of the files is tried each time; 1 tries them all, which takes four minutes.
EVERY = 80

# What ffmpeg writes of a picture of 8 or 16 bits, and as what it gives the pixels again.
BY_FFMPEG = [
    (name, pixels, depth)
    for name, pixels in [
        ("gray.png", "gray"),
        ("gray16be.png", "gray16le"),
        ("rgb24.png", "rgb24"),
        ("rgba.png", "rgba"),
        ("ya8.png", "ya8"),
        ("rgb48be.png", "rgb48le"),
        ("rgba64be.png", "rgba64le"),
        ("gray.tiff", "gray"),
        ("gray16le.tiff", "gray16le"),
        ("rgb24.tiff", "rgb24"),
        ("rgba.tiff", "rgba"),
        ("rgb48le.tiff", "rgb48le"),
        ("bgr24.bmp", "rgb24"),
        ("bgra.webp", "rgb24"),
        ("rgb24.apng", "rgb24"),
    ]
    for depth in (8, 16)
]
COMPRESSIONS = ("None", "LZW", "Zip", "RLE", "JPEG", "Group4", "LZMA", "ZSTD", "WebP")
KINDS = {
    "plain": "",
    "tiles": "-define tiff:tile-geometry=16x16",
    "planes": "-interlace plane",
    "1 bit": "-depth 1",
    "4 bits": "-depth 4",
    "12 bits": "-depth 12",
    "32 bits": "-depth 32",
    "float32": "-depth 32 -define quantum:format=floating-point",
    "float64": "-depth 64 -define quantum:format=floating-point",
    "float16": "-depth 16 -define quantum:format=floating-point",
    "alpha": "-alpha set -channel A -evaluate set 50% +channel",
    "palette": "-type Palette",
    "bilevel": "-type Bilevel",
    "cmyk": "-colorspace CMYK",
    "ycbcr": "-colorspace YCbCr",
    "white": "-define quantum:polarity=min-is-white",
    "strips": "-define tiff:rows-per-strip=5",
}
BY_CONVERT = [
    (colours, endian, compression, kind)
    for colours in ("pgm", "ppm")
    for endian in ("LSB", "MSB")
    for compression in COMPRESSIONS
    for kind in KINDS
]
#: These are tried each time.
ALWAYS = [("ppm", "MSB", "LZW", "ycbcr"), ("ppm", "LSB", "WebP", "plain"), ("ppm", "LSB", "ZSTD", "planes")]


def picture(path, depth=16):
    """Write a picture of smooth colours as a portable map, which both programs read."""
    rows, columns = np.mgrid[:37, :41]
    grey = columns * 1500 + rows * 7
    pixels = grey if path.suffix == ".pgm" else np.stack([grey, 65535 - grey, rows * 1700], -1)
    stored = pixels.astype(">u2") if depth == 16 else (pixels >> 8).astype("u1")
    mark = b"P5" if path.suffix == ".pgm" else b"P6"
    path.write_bytes(mark + b"\n41 37\n%d\n" % (65535 if depth == 16 else 255) + stored.tobytes())
    return path


def run(program, *words):
    if program is None:
        pytest.skip("the program is not installed")
    done = subprocess.run([program, *words], capture_output=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"this one cannot make it: {done.stderr.decode(errors='replace')[-200:]}")
    return done.stdout


def taken_in(path):
    return BaseNode("root").get_data_node("picture").attach_file(path)


def check_out_and_in_again(payload, path):
    payload.export(path)
    again = taken_in(path)
    assert (again.dtype, again.shape) == (payload.dtype, payload.shape)
    assert again.read().tobytes() == payload.read().tobytes()


@pytest.mark.parametrize(("name", "pixels", "depth"), BY_FFMPEG[:: max(1, EVERY // 8)])
def test_what_ffmpeg_writes(tmp_path, name, pixels, depth):
    path = tmp_path / name
    given = picture(tmp_path / "given.ppm", depth)
    lossless = ["-lossless", "1"] if name.endswith("webp") else []
    run(FFMPEG, "-v", "error", "-i", given, "-pix_fmt", name.partition(".")[0], *lossless, path)
    raw = run(FFMPEG, "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", pixels, "-")
    payload = taken_in(path)
    expected = np.frombuffer(raw, "<u2" if "16" in pixels or "48" in pixels or "64" in pixels else "u1")
    assert payload.dtype == expected.dtype
    assert payload.read().reshape(-1).tolist() == expected.tolist()
    check_out_and_in_again(payload, tmp_path / f"out{path.suffix}")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("colours", "endian", "compression", "kind"), [*ALWAYS, *(each for each in BY_CONVERT[::EVERY])]
)
def test_tiffs_that_imagemagick_writes(tmp_path, colours, endian, compression, kind):
    path = tmp_path / "x.tif"
    given = picture(tmp_path / f"given.{colours}", 8 if compression in ("JPEG", "WebP") else 16)
    run(CONVERT, given, "-endian", endian, "-compress", compression, *KINDS[kind].split(), path)
    try:
        payload = taken_in(path)
    except IngestError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        # ImageMagick 6 leaves strips empty where a compression does not fit the numbers.
        assert "is sparse" in refused or "Bogus JPEG colorspace; it is damaged, or of a kind" in refused
        return
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        expected = page.asarray()
        if page.samplesperpixel > 1 and page.planarconfig == 2:
            expected = np.moveaxis(expected, 0, -1)
    if expected.dtype == bool and "palette" in payload.metadata:
        expected = expected.astype("u1")  # which are numbers of colours
    assert payload.dtype == expected.dtype
    assert payload.read().tolist() == expected.tolist()
    if kind == "1 bit" and payload.ndim == 3:
        with pytest.raises(ExportError, match="tiff would not hold it exactly; choose npy"):
            payload.export(tmp_path / "out.tif")
        return
    check_out_and_in_again(payload, tmp_path / "out.tif")


def test_ycbcr_whose_colours_are_subsampled_is_rgb_and_says_so(tmp_path):
    given = picture(tmp_path / "given.ppm", 8)
    run(FFMPEG, "-v", "error", "-i", given, "-pix_fmt", "yuv422p", tmp_path / "half.tiff")
    run(FFMPEG, "-v", "error", "-i", given, "-pix_fmt", "yuv444p", tmp_path / "full.tiff")
    half, full = taken_in(tmp_path / "half.tiff"), taken_in(tmp_path / "full.tiff")
    assert any("colours are subsampled" in each for each in half.metadata["not_kept"])
    assert half.metadata["mode"] == "RGB"
    assert "not_kept" not in full.metadata
    assert full.read().tolist() == tifffile.imread(tmp_path / "full.tiff").tolist()
    assert full.metadata["photometric"] == "ycbcr"
    black_and_white = full.metadata["tags"]["532"]["value"]
    assert black_and_white[:4] == [15, 1, 235, 1]  # what the numbers mean
    full.export(tmp_path / "out.tiff")
    again = taken_in(tmp_path / "out.tiff")
    assert again.read().tolist() == full.read().tolist()
    assert again.metadata["tags"]["532"]["value"] == black_and_white
