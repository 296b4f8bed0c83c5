"""The rate that each payload gets, for files of all kinds, whatever the node and the user say."""

import struct
import wave

import numpy as np
import pytest
from PIL import Image
from tests.services import forked

from lotdb import LOTDB, BaseNode, DataMismatchError, DataNode, InvalidOptionError


def _wave(path):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.arange(80, dtype="<i2").tobytes())


def _wave_with_cues(path):
    _wave(path)
    cue = struct.pack("<III4sIII", 1, 1, 10, b"data", 0, 0, 10)
    content = bytearray(path.read_bytes()) + b"cue " + struct.pack("<I", len(cue)) + cue
    content[4:8] = struct.pack("<I", len(content) - 8)
    path.write_bytes(content)


def _npz(**arrays):
    return lambda path: np.savez(path, **arrays)


def _npy(array):
    return lambda path: np.save(path, array)


def _text(text):
    return lambda path: path.write_text(text)


D, A = "the default", "what is asked for"
REFUSED, MISMATCH = InvalidOptionError, DataMismatchError

# The file; what its payloads get if nothing is asked for; and if one rate is.
FILES = [
    ("v1.npy", _npy(np.zeros(4)), {"data": D}, {"data": A}),
    ("v2.npy", _npy(np.zeros((4, 2))), {"data": D}, {"data": A}),
    ("flags.npy", _npy(np.zeros(4, bool)), {"data": D}, {"data": A}),
    ("v0.npy", _npy(np.float64(3)), {"data": None}, REFUSED),
    ("words.npy", _npy(np.array(["a", "b"])), {"data": None}, {"data": A}),
    ("dates.npy", _npy(np.zeros(3, "M8[s]")), {"data": None}, {"data": A}),
    ("columns.npy", _npy(np.zeros(3, [("a", "f8"), ("b", "i4")])), {"data": D}, {"data": A}),
    ("several.npz", _npz(acc=np.zeros(4), gyro=np.zeros((4, 3))), {"acc": D, "gyro": D}, REFUSED),
    ("one.npz", _npz(acc=np.zeros(4)), {"acc": D}, {"acc": A}),
    (
        "mixed.npz",
        _npz(acc=np.zeros(4), names=np.array(["a"]), one=np.float64(5)),
        {"acc": D, "names": None, "one": None},
        {"acc": A, "names": None, "one": None},
    ),
    ("samples.csv", _text("x,y\n1,2\n3,4\n"), {"data": D}, {"data": A}),
    ("gaps.csv", _text("x,y\n1,\n3,4\n"), {"data": D}, {"data": A}),
    ("events.csv", _text("onset_s,code\n1,5\n3,6\n"), {"data": None}, {"data": A}),
    ("labels.csv", _text("at,label\n1,a\n3,b\n"), {"data": None}, {"data": A}),
    ("words.txt", _text("words"), {"data": None}, REFUSED),
    ("about.json", _text('{"a": 1}'), {"data": None}, REFUSED),
    ("raw.bin", _text("abc"), {"data": None}, REFUSED),
    ("grey.png", lambda path: Image.new("L", (5, 4)).save(path), {"data": None}, {"data": A}),
    ("sound.wav", _wave, {"data": 8000}, {"data": A}),
    ("cues.wav", _wave_with_cues, {"data": 8000, "events": None}, {"data": A, "events": None}),
]
NAMES = [name for name, *_ in FILES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, write, *_ in FILES:
        write(folder / name)
    return folder


def rates(node):
    return {name.removeprefix("data."): payload.samplerate_hz for name, payload in node.payloads.items()}


def expected(name, asked, default):
    """What the payloads of a file get, or the error."""
    alone, told = next(rest for each, _, *rest in FILES if each == name)
    if asked is None and name.endswith(".wav") and default not in (None, 8000):
        return MISMATCH
    if (answer := alone if asked is None else told) is REFUSED:
        return REFUSED
    return {payload: {D: default, A: asked}.get(rate, rate) for payload, rate in answer.items()}


@pytest.mark.crossed
@pytest.mark.parametrize("default", [None, 8000, 30])
@pytest.mark.parametrize("asked", [None, 40])
@pytest.mark.parametrize("name", NAMES)
def test_the_rates_of_a_file(folder, name, asked, default):
    node = DataNode("node", samplerate_hz=default)
    if isinstance(wanted := expected(name, asked, default), type):
        with pytest.raises(wanted):
            node.attach_file(folder / name, samplerate_hz=asked)
        assert rates(node) == {}
    else:
        node.attach_file(folder / name, samplerate_hz=asked)
        assert rates(node) == wanted


@pytest.mark.crossed
@pytest.mark.parametrize("default", [None, 8000, 30])
@pytest.mark.parametrize("name", NAMES)
def test_a_mapping_names_one_payload_and_leaves_the_others(folder, name, default):
    alone, told = next(rest for each, _, *rest in FILES if each == name)
    first = next(iter(alone))
    node = DataNode("node", samplerate_hz=default)
    with pytest.raises(InvalidOptionError, match=r"names 'nope', and .* has no such payload"):
        node.attach_file(folder / name, samplerate_hz={"nope": 1})
    if told is REFUSED and len(alone) == 1:
        with pytest.raises(InvalidOptionError, match="no rows"):
            node.attach_file(folder / name, samplerate_hz={first: 50})
        return
    node.attach_file(folder / name, samplerate_hz={first: 50})
    assert rates(node) == {**{each: {D: default}.get(rate, rate) for each, rate in alone.items()}, first: 50}


@pytest.mark.parametrize("asked", [pytest.param(None, marks=pytest.mark.slow), 40])
def test_a_folder_and_the_command_do_the_same(folder, tmp_path, asked):
    nodes = BaseNode("root")
    for name in NAMES:
        nodes.get_data_node(name, samplerate_hz=30)
    report = nodes.ingest_tree(folder, samplerate_hz=asked)
    for name in NAMES:
        if isinstance(wanted := expected(name, asked, 30), type):
            assert isinstance(report.failed.pop(name), wanted)
        else:
            assert rates(nodes[name]) == wanted
    assert report.failed == {}

    database = tmp_path / "db"
    with LOTDB(database) as db, db.connection() as root:
        for name in NAMES:
            root.get_data_node(name, samplerate_hz=30)
    more = [] if asked is None else ["--samplerate-hz", str(asked)]
    command = ["-m", "lotdb_ingest", database, folder, *more]
    assert forked.run(command, capture_output=True, timeout=120).returncode == 1  # some were refused
    with LOTDB(database) as db, db.connection() as root:
        assert {name: rates(root[name]) for name in NAMES} == {name: rates(nodes[name]) for name in NAMES}


def test_a_sidecar_says_nothing_of_rates(folder, tmp_path):
    (tmp_path / "v.npy").write_bytes((folder / "v1.npy").read_bytes())
    (tmp_path / "about.csv").write_text("file,samplerate_hz\nv.npy,12\n")
    root = BaseNode("root")
    root.get_data_node("v.npy", samplerate_hz=30)
    root.ingest_tree(tmp_path, sidecar="about.csv")
    assert rates(root["v.npy"]) == {"data": 30}
    assert root["v.npy"].get_data().metadata["samplerate_hz"] == 12
