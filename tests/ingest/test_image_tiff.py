"""TIFFs of every layout give what tifffile gives; what lies beside the pixels is kept both ways."""

import itertools
import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import settings
from PIL import Image

from lotdb import BaseNode, IngestError
from lotdb_ingest.image import read_tiff as image_read_tiff
from lotdb_ingest.image import write_tiff as image_write_tiff

RNG = np.random.default_rng(29)
#: Files of each row of the matrix; raise it to try all of them.
FILES = 8 if settings.default is settings.get_profile("quick") else 24
DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", "c16")
COMPRESSIONS = (None, "lzw", "deflate", "packbits", "zstd", "lzma")
#: Photometric, planar configuration, and the shape of a page.
LAYOUTS = (
    ("minisblack", "contig", (18, 21)),
    ("miniswhite", "contig", (18, 21)),
    ("minisblack", "contig", (18, 21, 2)),
    ("rgb", "contig", (18, 21, 3)),
    ("rgb", "separate", (3, 18, 21)),
    ("rgb", "contig", (18, 21, 4)),
    ("separated", "contig", (18, 21, 4)),
    ("minisblack", "separate", (5, 18, 21)),
)


@pytest.fixture
def node():
    return BaseNode("root").get_data_node("picture")


def some(dtype, shape):
    return np.frombuffer(RNG.bytes(np.prod(shape) * np.dtype(dtype).itemsize), dtype).reshape(shape)


def same(one, another):
    if one.dtype != another.dtype or one.shape != another.shape:
        return False
    # Pillow's True is a byte of 255.
    return np.array_equal(one, another) if one.dtype == bool else one.tobytes() == another.tobytes()


def tags_in(path):
    with tifffile.TiffFile(path) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags}


def about(payload):
    """What is said of the pixels; by which reader they came is not."""
    hidden = ("mode", "photometric")
    said = payload.metadata.items()
    return {name: repr(value) for name, value in said if name not in hidden and not name.startswith("_")}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_tifffile_writes_comes_in_as_tifffile_reads_it(node, tmp_path, dtype):
    matrix = list(itertools.product("<>", COMPRESSIONS, LAYOUTS, (None, (16, 16)), (False, True), (1, 3)))
    RNG.shuffle(matrix)
    for order, compression, (photometric, planar, shape), tile, predictor, pages in matrix[:FILES]:
        if np.dtype(dtype).kind == "c" and len(shape) > 2:
            continue
        predictor = (
            predictor and compression not in (None, "packbits") and dtype not in ("u8", "i8", "c8", "c16")
        )
        pixels = some(dtype, (pages, *shape) if pages > 1 else shape)
        layout = {"planarconfig": planar} if len(shape) > 2 else {}
        rows = {"tile": tile} if tile else {"rowsperstrip": 7}
        tifffile.imwrite(
            tmp_path / "x.tif",
            pixels,
            byteorder=order,
            compression=compression,
            photometric=photometric,
            predictor=predictor,
            metadata=None,
            **layout,
            **rows,
        )
        if planar == "separate":
            pixels = np.moveaxis(pixels, -3, -1)
        what = (order, compression, photometric, planar, shape, tile, predictor, pages)
        payload = node.attach_file(tmp_path / "x.tif")
        assert same(payload.read(), pixels), what
        assert payload.metadata.get("white_is_zero", False) == (photometric == "miniswhite"), what


@pytest.mark.crossed
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["u4", "f8", "f2", "i8", "i2", "u2"])
@pytest.mark.parametrize(
    ("photometric", "shape"), [("miniswhite", (9, 8)), ("rgb", (2, 9, 8, 3)), ("minisblack", (9, 8, 6))]
)
def test_numbers_of_any_width_go_out_again(node, tmp_path, order, dtype, photometric, shape):
    pixels = some(dtype, shape)
    how = {"planarconfig": "contig"} if shape[-1] in (3, 6) else {}
    tags = [(65000, 2, 0, "private", True), (33550, 12, 3, (10.0, 10.0, 0.0), True)]
    tifffile.imwrite(
        tmp_path / "x.tif",
        pixels,
        byteorder=order,
        photometric=photometric,
        metadata=None,
        extratags=tags,
        **how,
    )
    payload = node.attach_file(tmp_path / "x.tif", data_attribute="first")
    payload.export(tmp_path / "y.tif")
    again = node.attach_file(tmp_path / "y.tif", data_attribute="second")
    assert same(again.read(), pixels)
    assert about(again) == about(payload)
    assert same(tifffile.imread(tmp_path / "y.tif"), pixels)
    assert tags_in(tmp_path / "y.tif")[33550] == (10.0, 10.0, 0.0)


@pytest.mark.parametrize("compression", [None, "packbits", "deflate"])
def test_white_is_zero_is_kept_as_stored_at_every_depth(node, tmp_path, compression):
    for bits, dtype in ((1, bool), (4, "u1"), (8, "u1"), (12, "u2"), (16, "u2"), (32, "u4"), (32, "f4")):
        pixels = (RNG.random((6, 16)) * (2 ** min(bits, 31) - 1) + 0.5).astype(dtype)
        packed = {"bitspersample": bits} if bits in (4, 12) else {"compression": compression}
        tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="miniswhite", metadata=None, **packed)
        payload = node.attach_file(tmp_path / "x.tif", data_attribute="first")
        assert same(payload.read(), pixels)
        assert payload.metadata["white_is_zero"] is True
        assert payload.metadata.get("bits", bits) == bits
        payload.export(tmp_path / "y.tif", if_exists="replace")
        again = node.attach_file(tmp_path / "y.tif", data_attribute="second")
        assert same(again.read(), pixels)
        assert {**about(payload), **about(again), "compression": 0} == {
            **about(again),
            **about(payload),
            "compression": 0,
        }
        with pytest.raises(Exception, match="white is zero"):
            payload.export(tmp_path / "y.png")


@pytest.mark.parametrize("fax", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_a_fax_is_as_it_is_stored(node, tmp_path, fax, white_is_zero):
    pixels = RNG.random((20, 24)) < 0.2
    Image.fromarray(pixels).save(
        tmp_path / "x.tif", compression=fax, tiffinfo={262: 0 if white_is_zero else 1}
    )
    payload = node.attach_file(tmp_path / "x.tif")
    assert np.array_equal(payload.read(), pixels ^ white_is_zero)
    assert np.array_equal(payload.read(), tifffile.imread(tmp_path / "x.tif").astype(bool))


# -- planes behind one directory ------------------------------------------------------------------


@pytest.mark.crossed
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("how", [{"imagej": True}, {}, {"byteorder": ">"}, {"bigtiff": True}])
@pytest.mark.parametrize("shape", [(4, 9, 8), (2, 3, 9, 8)])
def test_all_planes_come_in_however_many_directories_there_are(node, tmp_path, dtype, how, shape):
    pixels = some(dtype, shape)
    for truncate in (False, True):
        tifffile.imwrite(tmp_path / "x.tif", pixels, truncate=truncate, photometric="minisblack", **how)
        payload = node.attach_file(tmp_path / "x.tif")
        assert same(payload.read(), pixels.reshape(-1, 9, 8))
        assert payload.metadata["frames"] == len(payload)
    whole = (tmp_path / "x.tif").read_bytes()
    (tmp_path / "y.tif").write_bytes(whole[: len(whole) - 9])
    with pytest.raises(IngestError, match="announce"):
        node.attach_file(tmp_path / "y.tif", data_attribute="cut")


@pytest.mark.parametrize(
    "how", [{}, {"tile": (16, 16, 16)}, {"tile": (16, 16, 16), "compression": "deflate"}]
)
def test_an_image_of_some_depth_has_all_its_planes(node, tmp_path, how):
    pixels = some("u2", (5, 20, 18))
    tifffile.imwrite(
        tmp_path / "x.tif", pixels, volumetric=True, photometric="minisblack", metadata=None, **how
    )
    assert same(node.attach_file(tmp_path / "x.tif").read(), pixels)


def test_planes_that_are_announced_and_not_there(node, tmp_path):
    description = b"ImageJ=1.53t\nimages=%d\n"
    for images in (4, 10**11):
        Image.new("L", (9, 8)).save(tmp_path / "x.tif", description=description % images)
        with pytest.raises(IngestError, match=f"announces {images} planes, its directories 1"):
            node.attach_file(tmp_path / "x.tif")
    Image.new("L", (9, 8)).save(tmp_path / "x.tif", description=description % 4, compression="tiff_lzw")
    with pytest.raises(IngestError, match="not stored as plain numbers"):
        node.attach_file(tmp_path / "x.tif")


def test_without_tifffile_nothing_is_read_wrong(node, tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "x.tif", some("f8", (5, 4)), metadata=None)
    payload = node.attach_file(tmp_path / "x.tif", data_attribute="there")
    monkeypatch.setattr(image_read_tiff, "tifffile", None)
    monkeypatch.setattr(image_write_tiff, "tifffile", None)
    with pytest.raises(
        IngestError, match=r"page 1 is float64, uncompressed.*pip install 'lotdb-ingest\[tiff\]'"
    ):
        node.attach_file(tmp_path / "x.tif")
    with pytest.raises(Exception, match="pip install"):
        payload.export(tmp_path / "y.tif")
    tifffile.imwrite(tmp_path / "z.tif", some("i2", (5, 4)), byteorder=">", compression="lzw", metadata=None)
    assert same(node.attach_file(tmp_path / "z.tif").read(), tifffile.imread(tmp_path / "z.tif"))


@pytest.mark.parametrize("rows", [1, 5, 99])
def test_a_strip_that_inflates_to_less_than_it_should(node, tmp_path, rows):
    tifffile.imwrite(
        tmp_path / "x.tif", np.zeros((100, 7), "f8"), compression="deflate", rowsperstrip=100, metadata=None
    )
    tags = tags_in(tmp_path / "x.tif")
    place, length = tags[273][0], tags[279][0]
    content = bytearray((tmp_path / "x.tif").read_bytes())
    short = zlib.compress(bytes(rows * 56))
    content[place : place + length] = short.ljust(length, b"\0")[:length]
    (tmp_path / "x.tif").write_bytes(content)
    with pytest.raises(IngestError, match="float64, deflate"):
        node.attach_file(tmp_path / "x.tif")


# -- notes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "lzw"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f8"])
def test_tags_without_a_name_are_kept_by_their_number(node, tmp_path, dtype, compression):
    tags = [
        (33922, 12, 6, (0.0, 0.0, 0.0, 512345.0, 5212345.0, 0.0), True),
        (34735, 3, 4, (1, 1, 0, 0), True),
        (42113, 2, 0, "255", True),
        (65001, 7, 5, b"\0\1\2\3\4", True),
        (65002, 10, 1, (-1, 3), True),
        (65003, 7, 70_000, bytes(70_000), True),
    ]
    tifffile.imwrite(
        tmp_path / "x.tif",
        some(dtype, (9, 8)),
        metadata=None,
        compression=compression,
        resolution=(0.38, 0.5),
        resolutionunit=1,
        extratags=tags,
    )
    payload = node.attach_file(tmp_path / "x.tif", data_attribute="first")
    assert payload.metadata["resolution"] == (0.38, 0.5)
    assert payload.metadata["tags"]["33922"] == {"type": "double", "value": list(tags[0][3])}
    assert payload.metadata["tags"]["42113"] == {"type": "ascii", "value": "255"}
    assert payload.metadata["not_kept"] == ["TIFF tag 65003"]
    payload.export(tmp_path / "y.tif")
    again = node.attach_file(tmp_path / "y.tif", data_attribute="second")
    assert {**about(again), "not_kept": repr(["TIFF tag 65003"])} == about(payload)
    written = tags_in(tmp_path / "y.tif")
    assert [written[tag] for tag in (33922, 42113, 65001, 65002, 282)] == [
        tags[0][3],
        "255",
        tags[3][3],
        (-1, 3),
        (19, 50),
    ]


def test_what_other_programs_write_comes_in_and_goes_out(node, tmp_path):
    exiftool, tools = shutil.which("exiftool"), (shutil.which("magick"), "/usr/bin/convert")
    convert = next((each for each in tools if each and shutil.which(each)), None)
    if not convert or not exiftool:
        pytest.skip("ImageMagick or exiftool is not installed")
    names = ("a.tif", "b.tif", "c.png", "d.jpg")
    for name, how in zip(
        names,
        (
            ["-depth", "16", "-compress", "lzw"],
            ["-endian", "MSB", "-compress", "zip"],
            ["-depth", "8"],
            ["-depth", "8"],
        ),
        strict=True,
    ):
        subprocess.run([convert, "-size", "20x10", "gradient:red-blue", *how, tmp_path / name], check=True)
        subprocess.run(
            [exiftool, "-q", "-overwrite_original", "-IPTC:Keywords=lotdb", "-Comment=said", tmp_path / name],
            check=True,
        )
        payload = node.attach_file(tmp_path / name, data_attribute="first")
        payload.export(tmp_path / f"out_{name}")
        again = node.attach_file(tmp_path / f"out_{name}", data_attribute="second")
        assert about(again) == about(payload)
        if name != "d.jpg":
            assert same(again.read(), payload.read())
        said = subprocess.run(
            [exiftool, "-s3", "-IPTC:Keywords", tmp_path / f"out_{name}"], capture_output=True, check=True
        )
        assert said.stdout.strip() == b"lotdb"


def test_a_directory_is_not_followed_out_of_the_file(node, tmp_path):
    tifffile.imwrite(
        tmp_path / "x.tif", some("f8", (9, 8)), metadata=None, extratags=[(65000, 7, 100, bytes(100), True)]
    )
    content = (tmp_path / "x.tif").read_bytes()
    entry = struct.pack("<HHI", 65000, 7, 100)
    (tmp_path / "x.tif").write_bytes(content.replace(entry, struct.pack("<HHI", 65000, 7, 2**32 - 1)))
    with pytest.raises(IngestError, match="tag 65000 is announced up to byte"):
        node.attach_file(tmp_path / "x.tif")
