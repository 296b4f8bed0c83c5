"""Taking in ``.npz`` files, and writing them."""

import io
import re
import struct
import zipfile

import numpy as np
import pytest

from lotdb import LOTDB, DataNode, ExportError, IngestError, InvalidOptionError
from lotdb.testing.seen import check_same, picture
from lotdb_ingest.npy import format as npy_format
from lotdb_ingest.npy import npz

ROWS = np.arange(600, dtype=">i4").reshape(200, 3)


@pytest.fixture
def node():
    node = DataNode("node")
    node.set_attribute("label", "hello")
    return node


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(npz, "BLOCK_BYTES", 100)
    monkeypatch.setattr(npy_format, "BLOCK_BYTES", 100)
    monkeypatch.setattr(npy_format, "SCATTERED_BYTES", 150)


def saved(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive(*members, method=zipfile.ZIP_STORED):
    """A zip archive of names and contents."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as zipped:
        for name, content in members:
            zipped.writestr(name, content)
    return file.getvalue()


def refused(node, path, content, **how):
    """The reason why *content* is refused; the node must be left as it was."""
    path.write_bytes(content)
    before = picture(node)
    with pytest.raises(IngestError) as info:
        node.attach_file(path, **how)
    assert picture(node) == before
    reason = str(info.value).partition("as npz: ")[2]
    assert 10 < len(reason) < 500
    assert not reason.startswith("plugin")
    return reason


# -- what comes in --------------------------------------------------------------------------------

ARRAYS = {
    "rows": ROWS,
    "columns": np.asfortranarray(ROWS),
    "scalar": np.array(1.5),
    "structure": np.array([(1, "ä")], [("größe", "<i4"), ("データ", "U2")]),
    "no_rows": np.empty((0, 3)),
    "rows_of_nothing": np.empty((3, 0)),
    "größe/μ m": np.array(["text"]),
    "..": np.arange(3),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("block", [4 << 20, 100])
@pytest.mark.filterwarnings("ignore:Stored array in format")
def test_every_array_becomes_a_payload(node, tmp_path, monkeypatch, save, block):
    monkeypatch.setattr(npz, "BLOCK_BYTES", block)
    monkeypatch.setattr(npy_format, "BLOCK_BYTES", block)
    save(tmp_path / "x.npz", **ARRAYS)
    first = node.attach_file(tmp_path / "x.npz", data_attribute="imu")
    assert first.name == "imu.rows"
    for name, array in ARRAYS.items():
        payload = node.get_data(f"imu.{name}")
        check_same(payload.read(), np.asarray(array, order="C"), name)
        assert payload.metadata["_source_format"] == "npz"
        assert payload.metadata["member"] == name
        assert payload.content_type == "application/x-npy"


@pytest.mark.parametrize("name", [*ARRAYS, "rows.npy"])
@pytest.mark.filterwarnings("ignore:Stored array in format")
def test_a_single_array_comes_in_if_asked(node, tmp_path, name):
    np.savez(tmp_path / "x.npz", **ARRAYS)
    payload = node.attach_file(tmp_path / "x.npz", member=name)
    assert payload.name == "data"
    check_same(payload.read(), np.asarray(ARRAYS[name.removesuffix(".npy")], order="C"), name)
    assert [name for name in node.attrs if name.startswith("data")] == ["data"]


def test_one_array_comes_in_beside_what_is_none(node, tmp_path):
    (tmp_path / "x.npz").write_bytes(
        archive(("notes.txt", b"hello"), ("a.npy", npy(ROWS)), ("a\0b.npy", b""), ("b.npy", b"damaged"))
    )
    check_same(node.attach_file(tmp_path / "x.npz", member="a").read(), ROWS, "a")


def test_content_decides_if_asked(node, tmp_path):
    (tmp_path / "x.zip").write_bytes(saved(a=ROWS))
    assert node.attach_file(tmp_path / "x.zip", format="auto").name == "data.a"
    (tmp_path / "y.zip").write_bytes(archive(("a.txt", b"hello")))
    assert node.attach_file(tmp_path / "y.zip", format="auto").kind == "bytes"


@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_arrays_of_some_megabytes_come_in_exactly(tmp_path, backend):
    rows = np.arange(1_200_000, dtype=">i4").reshape(-1, 3)
    arrays = {"rows": rows, "columns": np.asfortranarray(rows)}
    np.savez(tmp_path / "x.npz", **arrays)
    with LOTDB(tmp_path / "db", durability="process") as db, db.connection() as root:
        node = root.get_data_node("a", backend=backend)
        node.attach_file(tmp_path / "x.npz")
        for name in arrays:
            assert len(node.get_data(f"data.{name}").segments()) == 1
            check_same(node.read_data(data_attribute=f"data.{name}"), rows, name)


# -- what is refused ------------------------------------------------------------------------------


def changed(content, *, announced=None, crc=None, flags=None, method=None):
    """*content* with other numbers in the archive's first local and central header (APPNOTE.TXT, 4.3)."""
    content = bytearray(content)
    central = content.index(b"PK\x01\x02")
    for place, form, value in (
        (6, "<H", flags),
        (8, "<H", method),
        (14, "<I", crc),
        (22, "<I", announced),
    ):
        if value is not None:
            struct.pack_into(form, content, place, value)
            struct.pack_into(form, content, central + place + 2, value)
    return bytes(content)


ZEROS = archive(("a.npy", npy(np.zeros(5000))), method=zipfile.ZIP_DEFLATED)
STORED = archive(("a.npy", npy(np.zeros(10))))

MALFORMED = {
    "empty": (b"", "does not begin as an .npz file does"),
    "an .npy file": (npy(ROWS), "does not begin as an .npz file does; its content is a .npy file"),
    "nothing in it": (archive(), "there is nothing in it"),
    "no list of members": (saved(a=ROWS)[:-30], "its list of members is invalid: "),
    "another list of members": (b"PK\5\6" + b"\xff" * 18, "its list of members is invalid: "),
    "a text": (archive(("a.npy", npy(ROWS)), ("notes.txt", b"hello")), "notes.txt': it is not an .npy"),
    "a folder": (archive(("folder/", b""), ("folder/a.npy", npy(ROWS))), "folder/': it is not an .npy"),
    "a text called .npy": (archive(("a.npy", b"hello")), "member 'a.npy': it does not begin as an .npy"),
    "an empty member": (archive(("a.npy", b"")), "member 'a.npy': it does not begin as an .npy"),
    "objects": (saved(ok=ROWS, bad=np.array([{}])), "member 'bad.npy': it holds Python objects"),
    "a name too long": (archive(("x" * 250 + ".npy", npy(ROWS))), "name cannot be that of a payload"),
    "a name with a line end": (archive(("a\nb.npy", npy(ROWS))), r"member 'a\\nb.npy': its name cannot"),
    "names that are the same": (
        archive(("\xe9.npy", npy(ROWS)), ("e\u0301.npy", npy(ROWS))),
        "there are two of that name",
    ),
    "trailing bytes": (
        archive(("a.npy", npy(np.zeros(3)) + b"more")),
        "member 'a.npy': its header announces 24 bytes of data .*, 28 are present",
    ),
    "fewer bytes": (archive(("a.npy", npy(np.zeros(3))[:-4])), "announces 24 bytes .*, 20 are present"),
    "encrypted": (changed(STORED, flags=1), "member 'a.npy': it is encrypted"),
    "bzip2": (
        archive(("a.npy", npy(ROWS)), method=zipfile.ZIP_BZIP2),
        "member 'a.npy': it is compressed by method 12; numpy",
    ),
    "an unknown method": (changed(STORED, method=99), "member 'a.npy': it is compressed by method 99"),
    "another checksum": (changed(ZEROS, crc=5), "member 'a.npy': .*CRC"),
    "another checksum, stored": (changed(STORED, crc=5), "member 'a.npy': .*CRC"),
    "a bomb": (changed(ZEROS, announced=4_000_000_000), "announces 4000000000 bytes, more than"),
    "more than is stored": (changed(STORED, announced=300), "announces 300 bytes, more than 208 compressed"),
    "fewer than are packed": (changed(ZEROS, announced=4128), "announces 40000 bytes .*, 4000 are present"),
    "altered": (ZEROS[:45] + b"\xff\xff\xff" + ZEROS[48:], "member 'a.npy': "),
}  # fmt: skip


@pytest.mark.parametrize("block", [4 << 20, 100])
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused_with_the_member_and_the_reason(node, tmp_path, monkeypatch, name, block):
    monkeypatch.setattr(npz, "BLOCK_BYTES", block)
    monkeypatch.setattr(npy_format, "BLOCK_BYTES", block)
    content, why = MALFORMED[name]
    reason = refused(node, tmp_path / "bad.npz", content)
    assert re.search(why, reason), reason


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(node, tmp_path):
    content = archive(("a.npy", npy(ROWS)), ("a.npy", npy(ROWS)), ("b.npy", npy(ROWS)))
    assert "there are two of that name" in refused(node, tmp_path / "bad.npz", content)
    assert "it has 2 members 'a'" in refused(node, tmp_path / "bad.npz", content, member="a")
    assert node.attach_file(tmp_path / "bad.npz", member="b").shape == ROWS.shape


def test_members_that_share_their_bytes_are_refused(node, tmp_path):
    # A second entry in the list of members that points to the same place, as archives have that unpack
    # to many times of what they could hold.
    content = archive(("a.npy", npy(np.zeros(100))))
    central, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = content[central:end]
    tail = bytearray(content[end:])
    struct.pack_into("<HHI", tail, 8, 2, 2, 2 * len(entry))
    content = content[:central] + entry + entry.replace(b"a.npy", b"b.npy") + tail
    assert refused(node, tmp_path / "bad.npz", content)


def test_more_than_max_bytes_is_refused_before_it_is_unpacked(node, tmp_path):
    content = saved(np.savez_compressed, a=np.zeros(10_000), b=np.zeros(10_000))
    assert "announces 160256 bytes of data, the limit is 100000" in refused(
        node, tmp_path / "x.npz", content, max_bytes=100_000
    )
    assert "announces 80128 bytes of data, the limit is 50000" in refused(
        node, tmp_path / "x.npz", content, max_bytes=50_000, member="a"
    )
    assert node.attach_file(tmp_path / "x.npz", max_bytes=100_000, member="a").shape == (10_000,)


def test_a_member_that_is_not_there_is_refused_with_those_that_are(node, tmp_path):
    assert "it has no member 'c' (there: 'a', 'b')" in refused(
        node, tmp_path / "x.npz", saved(a=ROWS, b=ROWS), member="c"
    )


@pytest.mark.parametrize("how", [{"member": 5}, {"members": "a"}, {"encoding": "utf-8"}])
def test_wrong_options_are_refused(node, tmp_path, how):
    (tmp_path / "x.npz").write_bytes(saved(a=ROWS))
    with pytest.raises(InvalidOptionError, match=next(iter(how))):
        node.attach_file(tmp_path / "x.npz", **how)


# -- what goes out --------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.filterwarnings("ignore:Stored array in format")
def test_an_array_goes_out_as_the_one_member(node, tmp_path, small_blocks, name, compressed):
    np.savez(tmp_path / "x.npz", **ARRAYS)
    node.attach_file(tmp_path / "x.npz")
    node.get_data(f"data.{name}").export(tmp_path / "y.npz", compressed=compressed)
    with np.load(tmp_path / "y.npz") as loaded:
        assert list(loaded) == [name]
        check_same(loaded[name], np.asarray(ARRAYS[name], order="C"), name)
    methods = {info.compress_type for info in zipfile.ZipFile(tmp_path / "y.npz").infolist()}
    assert methods == {zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED}


def test_the_member_is_called_as_asked_or_as_the_payload(node, tmp_path):
    payload = node.write_data(ROWS, data_attribute="imu", metadata={"member": 5})
    payload.export(tmp_path / "x.npz")
    payload.export(tmp_path / "y.npz", member="left/imu")
    for path, name in ((tmp_path / "x.npz", "imu"), (tmp_path / "y.npz", "left/imu")):
        with np.load(path) as loaded:
            assert list(loaded) == [name]


@pytest.mark.parametrize("how", [{"member": 5}, {"member": "a\0"}, {"compressed": 1}, {"level": 9}], ids=str)
def test_wrong_options_of_writing_are_refused(node, tmp_path, how):
    with pytest.raises(InvalidOptionError, match=next(iter(how))):
        node.write_data(ROWS).export(tmp_path / "x.npz", **how)
    assert list(tmp_path.iterdir()) == []


def test_a_table_with_missing_cells_does_not_go_out(node, tmp_path):
    node.write_data(np.ma.MaskedArray(np.zeros(2, [("a", "i4")]), mask=[(True,), (False,)]))
    with pytest.raises(ExportError, match="missing cells"):
        node.get_data().export(tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


def test_comments_are_named_as_left_behind(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.arange(3))
    node = DataNode("node")
    assert "not_kept" not in node.attach_file(tmp_path / "x.npz").metadata
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        archive.comment = b"of these"
    assert node.attach_file(tmp_path / "x.npz").metadata["not_kept"] == ["the comment of the archive"]


def test_arrays_that_the_same_archive_has_no_more_go(node, tmp_path):
    np.savez(tmp_path / "x.npz", a=ROWS, b=ROWS, c=ROWS)
    node.attach_file(tmp_path / "x.npz", data_attribute="x")
    node.write_data(ROWS, data_attribute="x.c")
    np.savez(tmp_path / "y.npz", a=ROWS[1:])
    node.attach_file(tmp_path / "y.npz", data_attribute="x")
    assert node.has_data("x.b")  # of another file, beside which it may have been put on purpose
    node.attach_file(tmp_path / "x.npz", data_attribute="x")
    node.write_data(ROWS, data_attribute="x.c")
    np.savez(tmp_path / "x.npz", a=ROWS[2:])
    node.attach_file(tmp_path / "x.npz", data_attribute="x")
    assert node.has_data("x.a")
    assert not node.has_data("x.b")
    assert node.has_data("x.c")


def test_an_archive_that_shares_no_name_with_what_it_was_leaves_nothing_of_that(node, tmp_path):
    np.savez(tmp_path / "x.npz", a=ROWS, b=ROWS)
    np.savez(tmp_path / "y.npz", d=ROWS)
    stays = set()
    for name in ("x", "x.y"):
        node.attach_file(tmp_path / "x.npz", data_attribute=name)
        node.attach_file(tmp_path / "y.npz", data_attribute=name)  # beside it
        node.attach_file(tmp_path / "x.npz", data_attribute=f"{name}.alone", member="a")
        node.write_data(ROWS, data_attribute=f"{name}.own")
        stays |= {f"{name}.d", f"{name}.alone", f"{name}.own"}
    stays |= {"x.y.a", "x.y.b"}
    every = [*stays, "x", "x.a", "x.b", "x.other"]
    np.savez(tmp_path / "x.npz", other=ROWS)
    for how, expected in (
        ({}, "x.other"),
        ({"if_exists": "append"}, "x.other"),
        ({"format": "raw"}, "x"),
        ({}, "x.other"),
    ):
        node.attach_file(tmp_path / "x.npz", data_attribute="x", **how)
        assert {name for name in every if node.has_data(name)} == {*stays, expected}
