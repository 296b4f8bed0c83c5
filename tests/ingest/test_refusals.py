"""Each refusal of a file says what is wrong with it, and what to do."""

import io
import re
import zipfile

import pytest

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


WRONG = {
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
    reason = str(info.value).partition(f"as {name[-3:]}: ")[2]
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
