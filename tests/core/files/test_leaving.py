"""What a node was exported as comes in again, value for value; what is damaged changes nothing."""

import datetime
import json
import os
import signal
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.services import forked

from lotdb import LOTDB, BaseNode, DataNode, ExportError, IngestError, InvalidOptionError
from lotdb.keys import is_plain_key

h5py = pytest.importorskip("h5py")

QUICK = settings.default is settings.get_profile("quick")
EXAMPLES = 5 if QUICK else 30  # 300 for a long run
TARGETS = ["out", "out.h5", "out.zarr"]

KEYS = st.sampled_from(["a", "a.b", "...", "é", "x" * 200, "__lotdb__", "data", " ", "a\\b", "a~"]) | st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=6
)
KEYS = KEYS.filter(lambda key: key not in (".", "..") and is_plain_key(key))
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.complex_numbers()
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
    | st.decimals(allow_nan=False)
    | st.sampled_from(
        [uuid.UUID(int=5), Decimal("1.10"), "", "\ud800", "x" * 70_000, b"", (), frozenset({1}), range(3)]
    )
    | st.sampled_from(
        [np.float32(2.5), np.arange(3), np.zeros((0, 2), "f4"), np.array(["a", "ü"]), np.str_("ü")]
    )
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
TABLE = [("i", "i4"), ("ü", "U3"), ("a b", "f8"), ("t", "M8[ms]"), ("s", "S2"), ("b", "?")]
ROWS = [(1, "ü", 0.5, 7, b"x", True), (2, "", np.nan, 8, b"", False)]
MASK: Any = [(0, 1) * 3, (1, 0) * 3]
PAYLOADS = st.sampled_from(
    [
        np.arange(6.0).reshape(3, 2),
        np.arange(4, dtype=">i2"),
        np.array([True, False]),
        np.array([1 + 2j], "c8"),
        np.array(["ab", "ü", "\U0001f600", "a\0b"]),
        np.array([b"a", b"a\0b"]),
        np.array(["2020-01-01", "NaT"], "M8[D]"),
        np.array([1, 2], "m8[3s]"),
        np.array([1], "f2"),
        np.array([1], np.longdouble),
        np.zeros((0, 3), "f4"),
        np.zeros((3, 0), "f4"),
        np.array(5),
        np.array("text", "U9"),
        np.array([(1, [2.0, 3.0])], [("x", "u1"), ("y", "f4", (2,))]),
        np.array([b"abc"], "V3"),
        "a text, ü",
        "",
        "a\ud800",
        b"bytes\0",
        b"",
        np.array(ROWS, TABLE),
        np.array([], TABLE),
        np.ma.array(np.array(ROWS, TABLE), mask=MASK),
    ]
)  # fmt: skip
NODES = st.lists(
    st.tuples(
        st.lists(KEYS, min_size=0, max_size=3),
        st.dictionaries(KEYS, VALUES, max_size=3),
        st.dictionaries(
            KEYS, st.tuples(PAYLOADS, st.booleans(), st.dictionaries(KEYS, VALUES, max_size=2)), max_size=3
        ),
        st.sampled_from([None, 50.0, 1e-3]),
    ),
    max_size=5,
)


def grow(top, nodes):
    for path, attributes, payloads, rate in nodes:
        node = top.get_data_node(["top", *path], samplerate_hz=rate)
        for name, value in attributes.items():
            if name not in node.attrs:
                node.attrs[name] = value
        for name, (data, has_rate, metadata) in payloads.items():
            if name not in node.attrs:
                rated = has_rate and not isinstance(data, str | bytes) and np.ndim(data)
                how = {"samplerate_hz": 12.5} if rated else {}
                node.write_data(data, data_attribute=name, metadata=metadata, content_type="x/y", **how)
    return top.get_node_path(["top"])


def stored(node):
    """All that a node and those below it hold, each value with its type."""
    depth = len(node.path)
    found = []
    for each in node.iterate_tree():
        payloads = []
        for name, payload in each.payloads.items():
            data = payload.read()
            data = (
                (
                    data.dtype.str,
                    data.dtype.descr,
                    data.shape,
                    data.tobytes(),
                    np.ma.getmaskarray(data).tobytes(),
                )
                if isinstance(data, np.ndarray)
                else data
            )
            about = (payload.kind, payload.shape, payload.samplerate_hz, payload.content_type)
            payloads.append((name, *about, data, payload.backend, repr(payload.metadata)))
        names = [name for name in each.attrs if name not in each.payloads]
        attributes = [(name, repr(each.attrs[name])) for name in names]
        rate = each.samplerate_hz if isinstance(each, DataNode) else None
        found.append(
            (
                each.path[depth:],
                type(each),
                rate,
                sorted(attributes),
                sorted(payloads, key=lambda one: one[0]),
            )
        )
    return found


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@given(nodes=NODES)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_leaves_comes_in_again(tmp_path_factory, target, nodes):
    root = BaseNode()
    top = grow(root, [([], {}, {}, None), *nodes])
    path = tmp_path_factory.mktemp("leaving") / target
    top.export(path)
    copy = root.get_node("copy")
    copy.ingest(path)
    assert stored(root["copy"]) == stored(top)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LOTDB("db") as db, db.connection() as root:
        node = root.get_data_node("S01/walk", samplerate_hz=50)
        node.write_data(np.arange(3000.0).reshape(-1, 3), backend="blob")
        node.write_data(
            np.ma.array(np.array(ROWS, TABLE), mask=[(0, 1) * 3, (1, 0) * 3]), data_attribute="tab"
        )
        node.attrs["subject"] = "S01"
        yield root


@pytest.mark.parametrize("target", TARGETS)
def test_values_that_other_programs_do_not_have_leave_and_come_in_again(root, target):
    top = root["S01"]
    for number, value in enumerate(
        [
            np.str_("ü"),
            np.str_(""),
            np.float16(2),
            np.datetime64("NaT", "s"),
            np.array("a"),
            np.zeros(0, "U2"),
        ]
    ):
        top.attrs[f"value_{number}"] = value
        root["S01/walk"].write_data(b"", data_attribute=f"p{number}", metadata={"value": value})
    big = {"x": [10**5000], 10**5000: 1}  # which Python does not write
    root["S01/walk"].get_node("big").attrs["big"] = big
    top.export(target)
    root.get_node("copy").ingest(target)
    assert root["copy/walk"].get_node("big").attrs.pop("big") == big
    del root["S01/walk/big"].attrs["big"]
    assert stored(root["copy"]) == stored(top)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_that_exists_is_replaced_only_when_asked(root, target):
    root["S01"].export(target)
    with pytest.raises(ExportError, match="if_exists='replace'"):
        root["S01"].export(target)
    root["S01"].attrs["new"] = 1
    root["S01"].export(target, if_exists="replace")
    root.get_node("copy").ingest(target)
    assert root["copy"].attrs["new"] == 1
    assert not [name for name in os.listdir() if "lotdb-export" in name]


def test_a_folder_of_something_else_is_never_replaced(root):
    os.mkdir("mine")
    with open("mine/notes.txt", "w") as file:
        file.write("x")
    with pytest.raises(ExportError, match="no exported folder"):
        root["S01"].export("mine", if_exists="replace")
    assert os.listdir("mine") == ["notes.txt"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_node_that_holds_something_is_refused(root, target):
    root["S01"].export(target)
    before = stored(root)
    with pytest.raises(IngestError, match="holds something already"):
        root["S01"].ingest(target)
    assert stored(root) == before


@pytest.mark.sampled(4)
@pytest.mark.parametrize("where", range(0, 100, 9))
def test_a_damaged_folder_changes_nothing(root, where):
    root["S01"].export("out")
    files = ["out/index.json", *(f"out/payloads/{name}" for name in sorted(os.listdir("out/payloads")))]
    for path in files:
        with open(path, "rb") as file:
            data = file.read()
        at = len(data) * where // 100
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
            with open(path, "wb") as file:
                file.write(damaged)
            with pytest.raises(IngestError):
                root.get_node("copy").ingest("out")
            assert stored(root["copy"])[0][1:] == (BaseNode, None, [], [])
            assert len(root["copy"]) == 0
        with open(path, "wb") as file:
            file.write(data)
    root["copy"].ingest("out")
    assert stored(root["copy"]) == stored(root["S01"])


def test_a_cut_hdf5_file_changes_nothing(root):
    root["S01"].export("out.h5")
    with open("out.h5", "rb") as file:
        data = file.read()
    for size in (1, 8, 100, len(data) // 2, len(data) - 1):
        with open("out.h5", "wb") as file:
            file.write(data[:size])
        with pytest.raises(IngestError):
            root.get_node("copy").ingest("out.h5")
        assert len(root["copy"]) == 0


def test_an_index_cannot_name_a_file_elsewhere(root):
    import hashlib

    root["S01"].export("out")
    with open("secret", "wb") as file:
        file.write(b"x")
    with open("out/index.json", "rb") as file:
        index = json.loads(file.read().rpartition(b"\nsha256 ")[0])
    index["nodes"][1]["payloads"][0]["where"]["file"] = "../secret"
    text = json.dumps(index).encode()
    with open("out/index.json", "wb") as file:
        file.write(text + b"\nsha256 " + hashlib.sha256(text).hexdigest().encode() + b"\n")
    with pytest.raises(IngestError, match="secret"):
        root.get_node("copy").ingest("out")


KILLED = """
import os, signal, sys
import numpy as np
from lotdb import BaseNode
root = BaseNode()
for number in range(3):
    root.get_data_node(str(number)).write_data(np.arange(10.0))
kill = lambda done, count, path: done == 2 and os.kill(os.getpid(), signal.SIGKILL)
root.export(sys.argv[1], progress=kill)
"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize("target", TARGETS)
def test_a_killed_export_leaves_nothing_that_looks_whole(tmp_path, target):
    done = forked.run(["-c", KILLED, target], cwd=tmp_path, timeout=60, needs=["lotdb_backend_zarr.backend"])
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / target).exists()
    for left in tmp_path.iterdir():
        with pytest.raises(IngestError):
            BaseNode().ingest(left)


@pytest.mark.parametrize("target", TARGETS)
def test_progress_counts_the_payloads(root, target):
    told = []
    root.export(target, progress=lambda *said: told.append(said))
    assert [said[:2] for said in told] == [(1, 2), (2, 2)]
    back = []
    root.get_node("copy").ingest(target, progress=lambda *said: back.append(said))
    assert back == told


def test_an_option_that_a_folder_does_not_know_is_refused(root):
    with pytest.raises(InvalidOptionError, match="if_exists"):
        root["S01"].export("out", if_exist="replace")


def test_a_backend_can_be_chosen(root):
    root["S01"].export("out")
    root.get_node("copy").ingest("out", backend="zarr")
    assert root["copy/walk"].get_data().backend == "zarr"
    assert root["S01/walk"].get_data().backend == "blob"
