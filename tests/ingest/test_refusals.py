"""Each refusal of a file says what is wrong with it, and what to do."""

import io
import re
import struct
import zipfile
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from lotdb import DataNode, IngestError

# A verb that tells the reader what to do.
REMEDY = re.compile(
    r"[Pp]ass \w+=|use \w+=|format='(raw|auto)'|write_data|get it again|save it|[Uu]npack|store (its|what)"
)


def npy(descr="'<i8'", shape="(1,)", data=bytes(8), version=b"\x01\x00", more=""):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}{more}}}\n".encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def npz(method=zipfile.ZIP_DEFLATED, name="a.npy", times=1):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for _ in range(times):
            archive.writestr(name, npy())
    return file.getvalue()


def encrypted():
    content = bytearray(npz())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def damaged():
    content = npz(zipfile.ZIP_STORED)
    return content.replace(bytes(8), b"\1" * 8, 1)


def image(format, **how):
    file = io.BytesIO()
    Image.fromarray(np.arange(1200, dtype="u1").reshape(20, 20, 3)).save(file, format, **how)
    return file.getvalue()


def lzw():
    """A TIFF whose strip is damaged."""
    file = io.BytesIO()
    pixels = np.arange(1200, dtype="u1").reshape(20, 20, 3)
    tifffile.imwrite(file, pixels, photometric="rgb", compression="lzw")
    content = file.getvalue()
    file.seek(0)
    with tifffile.TiffFile(file) as there:
        (place,), (length,) = there.pages[0].dataoffsets, there.pages[0].databytecounts
    return content[:place] + b"\xff" * length + content[place + length :]


def bits_of_png(bits):
    """A PNG whose header says so many *bits*, with the checksum that belongs to it."""
    content = image("png")
    header = b"IHDR" + struct.pack(">IIBBBBB", 20, 20, bits, 2, 0, 0, 0)
    return content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:]


WRONG = {
    "cut.png": (image("png")[:-9], "before its last chunk|announces 0 bytes"),
    "bits.png": (bits_of_png(3), "3 bits, colour type 2"),
    "cut.jpg": (image("jpeg")[:-40], "its end is missing"),
    "zeros.jpg": (image("jpeg")[:-2] + bytes(5000), "its end is missing"),
    "cut.bmp": (image("bmp")[:-40], "image file is truncated"),
    "unknown.bmp": (b"BM123", "does not begin as a file of format bmp"),
    "cut.gif": (image("gif")[:-40], "before its last frame"),
    "cut.webp": (image("webp", lossless=True)[:-4], "announced|present|ends"),
    "cut.tif": (image("tiff")[:20], "is announced up to byte|has no pages|present|the file has"),
    "damaged.tif": (lzw(), r"\(3 channels of uint8, LZW\) cannot be decoded"),
    "unknown.wav": (b"hello", "does not begin as a file of format wav"),
    "other.npy": (b"GIF89a", "a GIF image"),
    "unknown.npy": (b"something", "does not begin as an .npy file"),
    "version.npy": (npy(version=b"\x09\x00"), "version 9.0"),
    "cut.npy": (npy()[:40], "announces a header of"),
    "short.npy": (npy(data=b""), "announces 8 bytes of data"),
    "long.npy": (npy(data=bytes(9)), "9 are present"),
    "objects.npy": (npy("'|O'"), "Python objects"),
    "nothing.npy": (npy("'|V0'", data=b""), "no array can have"),
    "header.npy": (npy("x"), "its header is invalid"),
    "title.npy": (npy("[((1, 'a'), '<i8')]"), "title|is invalid"),
    "other.npz": (b"%PDF-1.4", "a PDF document|not begin as an .npz file"),
    "unknown.npz": (b"something", "does not begin as an .npz file"),
    "cut.npz": (npz()[:-10], "its list of members is invalid"),
    "method.npz": (npz(zipfile.ZIP_BZIP2), "bzip2"),
    "encrypted.npz": (encrypted(), "it is encrypted"),
    "damaged.npz": (damaged(), "CRC"),
    "member.npz": (npz(name="a.txt"), "not an .npy file"),
    "named.npz": (npz(name="a\1.npy"), "cannot be that of a payload"),
    "binary.txt": (b"a\0b", "NUL"),
    "encoding.txt": (b"a\xffb", "not utf-8 text"),
    "binary.csv": (b"a,b\n1,\0\n", "NUL"),
    "encoding.csv": (b"a,b\n1,\xff\n", "not utf-8 text"),
    "quote.csv": (b'a,b\n1,"2\n', "is never closed"),
    "behind.csv": (b'a,b\n1,"2"x\n', "behind the closing quote"),
    "ragged.csv": (b"a,b\n1,2,3\n", "has 3 cells, the header has 2"),
    "twice.csv": (b"a,a\n1,2\n", "both called 'a'"),
    "delimiter.csv": (b"a;b\n1;2\n", "there is ';'"),
    "separator.csv": (b"sep=ab\n1,2\n", "names no delimiter"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_refusal_names_the_cause_and_the_remedy(tmp_path, name):
    content, cause = WRONG[name]
    (tmp_path / name).write_bytes(content)
    node = DataNode("node")
    with pytest.raises(IngestError) as info:
        node.attach_file(tmp_path / name)
    reason = str(info.value).partition(f"as {name.rpartition('.')[2]}: ")[2]
    assert re.search(cause, reason)
    assert REMEDY.search(reason), reason
    assert not node.has_data()


@pytest.mark.parametrize(
    "suffix", ["npy", "npz", "csv", "tsv", "wav", "flac", "mp3", "png", "jpg", "tif", "webp"]
)
def test_an_empty_file_is_called_empty(tmp_path, suffix):
    (tmp_path / f"x.{suffix}").write_bytes(b"")
    with pytest.raises(IngestError, match="empty"):
        DataNode("node").attach_file(tmp_path / f"x.{suffix}")
