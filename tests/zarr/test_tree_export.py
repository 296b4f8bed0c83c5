"""A subtree as a zarr store: other programs read it, damage is noticed, and stores of others come in."""

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import warnings

import numcodecs
import numpy as np
import pytest
import zarr
from tests.services import forked

from lotdb import LOTDB, BaseNode, ExportError, FileSystemError, IngestError
from lotdb_backend_zarr import NodeStore

xarray = pytest.importorskip("xarray")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = BaseNode()
    node = root.get_data_node("S01/walk", samplerate_hz=50)
    node.write_data(np.arange(600_000.0).reshape(-1, 3), data_attribute="imu", metadata={"unit": "g"})
    node.write_data(
        np.ma.array(np.array([(1, "ü"), (2, "")], [("n", "i4"), ("s", "U3")]), mask=[(0, 1), (0, 0)]),
        data_attribute="tab",
    )
    node.write_data("a text", data_attribute="note")
    root["S01"].attrs["subject"] = "S01"
    root["S01"].attrs["gains"] = [1.0, float("nan")]
    return root


def test_zarr_opens_it(root):
    root["S01"].export("x.zarr")
    group = zarr.open_group("x.zarr", mode="r")
    assert dict(group.attrs) == {"subject": "S01", "gains": [1.0, "NaN"]}
    assert group.metadata.consolidated_metadata is not None
    imu = group["walk/imu"]
    np.testing.assert_array_equal(imu[:], root["S01/walk"].payloads["imu"].read())
    assert imu.metadata.dimension_names == ("time", "channel")
    assert (imu.attrs["samplerate_hz"], imu.attrs["unit"]) == (50, "g")
    assert imu.chunks[0] < 200_000
    assert group["walk/tab/n"][:].tolist() == [1, 2]
    assert bytes(group["walk/note"][:]) == b"a text"
    with open("x.zarr/zarr.json") as file:
        json.loads(file.read(), parse_constant=pytest.fail)


def test_xarray_opens_it(root):
    root["S01"].export("x.zarr")
    with warnings.catch_warnings(), xarray.open_datatree("x.zarr", engine="zarr") as tree:
        warnings.simplefilter("ignore")
        assert tree["walk/imu"].dims == ("time", "channel")
        assert float(tree["walk/imu"][-1, -1]) == 599_999
        assert tree.attrs["subject"] == "S01"


def test_a_dataset_of_xarray_leaves_as_it_came(root):
    times = np.array(["2020-01-01", "2020-01-02", "2020-01-04"], "M8[ns]")
    data = xarray.Dataset({"t": (("time", "x"), np.ones((3, 2)))}, {"time": times, "x": [5, 7]})
    root.get_data_node("ds").write_xarray(data)
    root["ds"].export("ds.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with xarray.open_dataset("ds.zarr", engine="zarr") as found:
            assert found["t"].dims == ("time", "x")
            np.testing.assert_array_equal(found["x"], data["x"])
            np.testing.assert_array_equal(found["time"], data["time"])


def test_any_flipped_bit_and_any_missing_file_is_noticed(root):
    root["S01"].export("x.zarr")
    files = [os.path.join(top, name) for top, _, names in os.walk("x.zarr") for name in names]
    chunks = [path for path in files if not path.endswith("zarr.json")]
    assert len(chunks) > 6
    copy = root.get_node("copy")
    for path in chunks:
        with open(path, "rb") as file:
            data = file.read()
        for at in (0, len(data) - 1):
            with open(path, "wb") as file:
                file.write(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
            with pytest.raises(IngestError, match="CRC32C"):
                copy.ingest("x.zarr")
        os.remove(path)
        with pytest.raises(IngestError, match="is missing"):
            copy.ingest("x.zarr")
        with open(path, "wb") as file:
            file.write(data)
        assert len(copy) == 0
    copy.ingest("x.zarr")
    assert copy["walk"].payloads["tab"].read().tolist() == [(1, None), (2, "")]


def test_links_are_not_followed(root):
    root["S01"].export("x.zarr")
    os.rename("x.zarr/walk", "elsewhere")
    os.symlink("../elsewhere", "x.zarr/walk")
    with pytest.raises(IngestError, match="walk is a link"):
        root.get_node("copy").ingest("x.zarr")


def test_a_store_of_something_else_is_never_replaced(root):
    zarr.create_array("mine.zarr", data=np.arange(3))
    with pytest.raises(ExportError, match="no exported folder"):
        root["S01"].export("mine.zarr", if_exists="replace")
    assert zarr.open_array("mine.zarr", mode="r")[:].tolist() == [0, 1, 2]


def test_a_store_to_which_something_was_added_is_never_replaced(root):
    root["S01"].export("x.zarr")
    root["S01"].export("x.zarr", if_exists="replace")
    zarr.open_group("x.zarr", mode="a", use_consolidated=False).create_group("mine")
    with pytest.raises(ExportError, match="no exported folder"):
        root["S01"].export("x.zarr", if_exists="replace")
    assert os.path.exists("x.zarr/mine/zarr.json")


def test_a_backslash_in_a_name_of_a_live_store():
    root = BaseNode()
    root.get_data_node(["a\\b"]).write_data(np.arange(3), data_attribute="c\\d")
    group = zarr.open_group(NodeStore(root), mode="r", use_consolidated=False)
    assert group["a%5Cb/c%5Cd"][:].tolist() == [0, 1, 2]


def test_a_payload_is_no_store(root):
    with pytest.raises(ExportError, match="'zarr'"):
        root["S01/walk"].payloads["imu"].export("x.zarr")


def test_names_that_zarr_or_the_disk_do_not_allow(root):
    top = root.get_node("top")
    for key in ("__x", "zarr.json", "a\\b", "ü" * 120, "lotdb-index", "c"):
        top.get_data_node([key]).write_data(np.arange(3), data_attribute=key)
    top.export("x.zarr")
    root.get_node("copy").ingest("x.zarr")
    there = [each.path.partition("/")[2] for each in root["copy"].iterate_tree()]
    assert there == [each.path.partition("/")[2] for each in top.iterate_tree()]
    assert len(list(zarr.open_group("x.zarr", mode="r").members(max_depth=None))) == 13


# -- stores of others -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_of_another_program(tmp_path, version):
    path = tmp_path / "other.zarr"
    arrays = {
        "numbers": np.arange(10_000, dtype=">i2").reshape(-1, 2),
        "flags": np.array([True, False]),
        "texts": np.array(["a", "längst"]),
        "bytes": np.array([b"a", b"bc"]),
        "times": np.array(["2020-01-01", "NaT"], "M8[s]"),
        "scalar": np.array(2.5),
        "none": np.zeros((0, 2)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group = zarr.open_group(path, mode="w", zarr_format=version)
        group.attrs.update({"who": "x", "_x": 1, "x": 2, "list": [1, {"a": None}]})
        for name, data in arrays.items():
            array = group.create_array(
                f"g/{name}",
                shape=data.shape,
                dtype=data.dtype,
                chunks=tuple(max(1, size // 3) for size in data.shape),
            )
            if data.size:
                array[...] = data
        words = group.create_array("g/words", shape=(2,), dtype=str, chunks=(1,))
        words[:] = np.array(["ü", "a longer one"], object)
        group["g/numbers"].attrs["unit"] = "V"
    root = BaseNode()
    root.ingest(path)
    assert dict(root.attrs) == {"who": "x", "x": 2, "x~": 1, "list": [1, {"a": None}]}
    for name, data in arrays.items():
        read = root["g"].payloads[name].read()
        if version == 3:  # which has no types of the other byte order
            data = data.astype(data.dtype.newbyteorder("="))
        assert (read.dtype, read.shape, read.tobytes()) == (data.dtype, data.shape, data.tobytes()), name
        assert root["g"].payloads[name].samplerate_hz is None
    assert root["g"].payloads["words"].read().tolist() == ["ü", "a longer one"]
    assert root["g"].payloads["numbers"].metadata["unit"] == "V"


@pytest.mark.parametrize("version", [2, 3])
def test_a_dataset_of_xarray_comes_in_with_its_axes(tmp_path, version):
    data = xarray.Dataset({"t": (("time", "x"), np.ones((3, 2)))}, {"x": [5, 7]})
    data.to_zarr(tmp_path / "ds", zarr_format=version, consolidated=version == 2)
    root = BaseNode()
    root.ingest(tmp_path / "ds")
    assert root.payloads["t"].metadata["dims"] == ["time", "x"]


def test_an_array_alone(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=np.arange(5))
    root = BaseNode()
    root.ingest(tmp_path / "a.zarr")
    assert root.payloads["data"].read().tolist() == [0, 1, 2, 3, 4]


def test_a_node_with_both_an_attribute_and_an_array_of_a_name(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("x", data=np.arange(2))
    group.attrs["x"] = 5
    root = BaseNode()
    root.ingest(tmp_path / "a.zarr")
    assert (root.attrs["x~"], root.payloads["x"].read().tolist()) == (5, [0, 1])


def test_a_store_with_pickles_is_refused_and_none_is_run(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / "x").mkdir()
    about = {
        "zarr_format": 2,
        "shape": [1],
        "chunks": [1],
        "dtype": "|O",
        "compressor": None,
        "fill_value": None,
        "order": "C",
        "filters": [{"id": "pickle", "protocol": 5}],
    }
    (path / "x" / ".zarray").write_text(json.dumps(about))
    (path / "x" / "0").write_bytes(pickle.dumps(np.array(["safe"], object)))
    numcodecs.Pickle  # the codec that would read it is there  # noqa: B018
    root = BaseNode()
    with pytest.raises(IngestError):
        root.ingest(path)
    assert len(root) == 0


def test_a_damaged_store_of_others_changes_nothing(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("x", data=np.arange(2))
    group.create_array("y", data=np.arange(2))
    (tmp_path / "a.zarr/y/c/0").write_bytes(b"no zstd")
    root = BaseNode()
    with pytest.raises(IngestError, match=r"a\.zarr"):
        root.ingest(tmp_path / "a.zarr")
    assert not root.payloads
    (tmp_path / "a.zarr/y/zarr.json").write_text("{")
    with pytest.raises(IngestError, match=r"a\.zarr"):
        root.ingest(tmp_path / "a.zarr")
    assert not root.payloads


# -- no space, and kills ---------------------------------------------------------------------------


ZARR = ["lotdb_backend_zarr.backend"]
FULL = """
import resource, signal, sys
import numpy as np
from lotdb import LOTDB, BaseNode, LotdbError
root = BaseNode()
root.get_data_node("a").write_data(np.arange(500_000.0))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
for target in sys.argv[1:]:
    try:
        root.export(target, if_exists="replace")
    except LotdbError as error:
        print(type(error).__name__)
"""


def test_what_cannot_be_written_leaves_the_old_one(root):
    targets = ["x", "x.h5", "x.zarr"]
    for target in targets:
        root["S01"].export(target)
    done = forked.run(["-c", FULL, *targets], capture_output=True, text=True, timeout=60, needs=ZARR)
    assert len(done.stdout.split()) == 3, done.stderr
    assert set(done.stdout.split()) <= {"ExportError", "FileSystemError"}
    for number, target in enumerate(targets):
        copy = root.get_node(f"copy{number}")
        copy.ingest(target)
        assert copy.attrs["subject"] == "S01"
    assert not [name for name in os.listdir() if "lotdb-export" in name]


@pytest.mark.parametrize("target", ["x", "x.zarr"])
def test_a_full_disk_is_said(root, target, monkeypatch):
    from lotdb.storage.durable import Disk

    def full(self, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Disk, "sync_file", full)
    with pytest.raises(FileSystemError, match="No space left"):
        root["S01"].export(target)
    assert not [name for name in os.listdir() if name != target and "export" in name]
    assert not os.path.exists(target)


KILLED = """
import os, signal, sys
import numpy as np
from lotdb import BaseNode
from lotdb.content import new_folder
new_folder._exchange = lambda one, other: False  # a file system that cannot
rename, count = os.rename, 0
def killed(one, other):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    rename(one, other)
os.rename = killed
root = BaseNode()
root.get_data_node("new").write_data(np.arange(10.0))
root.export(sys.argv[1], if_exists="replace")
"""


@pytest.mark.parametrize(
    ("target", "next_call"),
    [("x", "ingest"), pytest.param("x.zarr", "export", marks=pytest.mark.slow), ("x.zarr", "replace")],
)
def test_a_kill_between_the_two_renames_loses_nothing(root, target, next_call):
    root["S01"].export(target)
    done = forked.run(["-c", KILLED, target, "2"], timeout=60, needs=ZARR)
    assert done.returncode == -signal.SIGKILL
    assert not os.path.exists(target)
    if next_call == "export":
        with pytest.raises(ExportError, match="replace"):
            root["S01"].export(target)
    if next_call == "replace":
        root["S01"].export(target, if_exists="replace")
    root.get_node("copy").ingest(target)
    assert root["copy"].attrs["subject"] == "S01"
    assert not [name for name in os.listdir() if "replaced" in name]


def test_where_names_can_be_exchanged_there_is_no_such_moment(root, monkeypatch):
    from lotdb.content import new_folder

    os.mkdir("one")
    os.mkdir("other")
    if not new_folder._exchange("one", "other"):
        pytest.skip("the file system cannot")
    root["S01"].export("x")
    monkeypatch.setattr(os, "rename", pytest.fail)
    root["S01"].attrs["new"] = 1
    root["S01"].export("x", if_exists="replace")
    root.get_node("copy").ingest("x")
    assert root["copy"].attrs["new"] == 1


@pytest.mark.slow
def test_the_command_line_does_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LOTDB("db") as db, db.connection() as root:
        root.get_data_node("S01/walk", samplerate_hz=50).write_data(np.arange(6.0))
    lotdb = [sys.executable, "-m", "lotdb.cli"]
    out, into = ["export", "db", "S01", "--tree", "x.zarr"], ["ingest", "db", "x.zarr", "--at", "copy"]
    for arguments in (out, into):
        done = subprocess.run([*lotdb, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    with LOTDB("db") as db, db.connection() as root:
        assert root["copy/walk"].payloads["data"].samplerate_hz == 50
