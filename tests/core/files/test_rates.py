"""Which payload of a file gets which rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.files.rig_plugin import numbers, rig, with_rigs

from lotdb import (
    LOTDB,
    BaseNode,
    Blocks,
    DataMismatchError,
    DataNode,
    DataWriter,
    Ingested,
    IngestError,
    InvalidOptionError,
    InvalidRangeError,
    hookimpl,
)

SLEEP = rig(
    payloads={
        "eeg": numbers(1, 2, 3, 4, rate=256),
        "emg": numbers(1, 2, rate=128),
        "spo2": numbers(97, rate=1),
        "note": {"kind": "text", "values": "slept well"},
        "raw": {"kind": "bytes", "values": "abc"},
        "annotations": {"kind": "table", "values": [[0.5, "apnea"]]},
    }
)
OWN = {"eeg": 256, "emg": 128, "spo2": 1, "note": None, "raw": None, "annotations": None}


def data_node(**defaults):
    return DataNode("node", plugins=with_rigs(), **defaults)


def rates(node):
    return {name.removeprefix("data."): payload.samplerate_hz for name, payload in node.payloads.items()}


@pytest.fixture
def sleep(tmp_path):
    (tmp_path / "night.rig").write_bytes(SLEEP)
    return tmp_path / "night.rig"


@pytest.mark.parametrize("default", [None, 256, 128, 50])
def test_each_payload_keeps_its_own_rate_whatever_the_node_has_as_its_default(sleep, default):
    node = data_node(samplerate_hz=default)
    node.attach_file(sleep)
    assert rates(node) == OWN


@pytest.mark.parametrize("default", [None, 256, 50])
def test_one_rate_for_several_is_refused_and_what_the_message_offers_keeps_all_as_they_are(sleep, default):
    node = data_node(samplerate_hz=default)
    with pytest.raises(InvalidOptionError, match=r"3 payloads that may each") as refused:
        node.attach_file(sleep, samplerate_hz=256)
    assert len(node.payloads) == 0
    offered = str(refused.value).partition("samplerate_hz={")[2]
    node.attach_file(sleep, samplerate_hz=eval("{" + offered))
    assert rates(node) == OWN


def test_a_mapping_says_the_rates_of_those_that_it_names(sleep):
    node = data_node()
    node.attach_file(sleep, samplerate_hz={"emg": 100, "data.spo2": 2, "annotations": 4})
    assert rates(node) == {**OWN, "emg": 100, "spo2": 2, "annotations": 4}
    assert node.get_data("data.emg").metadata["_source_samplerate_hz"] == 128


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"eeq": 256}, "names 'eeq', .* did you mean 'eeg'"),
        ({"eeg": 256, "nothing of it": 1}, r"no such payload \(there: 'eeg', 'emg'"),
        ({"note": 256}, "'note' .* is a text, which has no rows"),
        ({"raw": 256}, "'raw' .* is bytes, which has no rows"),
        ({1: 256}, r"use names of payloads: \{'eeg': 256"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(sleep, asked, message):
    node = data_node()
    with pytest.raises(InvalidOptionError, match=message):
        node.attach_file(sleep, samplerate_hz=asked)
    assert list(node.attrs) == []


def test_a_mapping_with_a_rate_that_is_none_is_refused(sleep):
    with pytest.raises(InvalidRangeError, match=r"'eeg'.*above 0 Hz"):
        data_node().attach_file(sleep, samplerate_hz={"eeg": -1})


@pytest.mark.parametrize("default", [None, 50])
@pytest.mark.parametrize(("name", "content"), [("a.txt", b"words"), ("a.bin", b"\0\1")])
def test_texts_and_bytes_never_have_a_rate(tmp_path, default, name, content):
    (tmp_path / name).write_bytes(content)
    node = data_node(samplerate_hz=default)
    assert node.attach_file(tmp_path / name).samplerate_hz is None
    for asked in (100, {"data": 100}):
        with pytest.raises(InvalidOptionError, match="no rows that could be so many a second; leave"):
            node.attach_file(tmp_path / name, samplerate_hz=asked)
    with pytest.raises(InvalidOptionError, match="leave samplerate_hz= out"):
        DataWriter.attach_file(node, tmp_path / name, samplerate_hz=100)


@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_the_default_is_not_for_those_that_are_written_in_blocks_either(kind):
    node = DataNode("node", samplerate_hz=50)
    data = Blocks([np.frombuffer(b"words", "u1")], np.dtype("u1"), rows=5, kind=kind)
    assert node.write_data(data).samplerate_hz is None


def test_the_default_is_for_numbers_without_a_rate_and_for_nothing_else(tmp_path):
    (tmp_path / "x.rig").write_bytes(
        rig(
            payloads={
                "plain": numbers(1, 2),
                "sampled": numbers(1, 2, rate=8),
                "blocks": numbers(1, 2, blocks=1),
                "list": {"kind": "list", "values": [1, 2]},
                "words": {"kind": "list", "values": ["a", "b"]},
                "value": {"kind": "list", "values": 5},
                "table": {"kind": "table", "values": [[0, "x"]]},
                "text": {"kind": "text", "values": "x"},
            }
        )
    )
    node = data_node(samplerate_hz=4)
    node.attach_file(tmp_path / "x.rig")
    with_default = {"plain": 4, "sampled": 8, "blocks": 4, "list": 4}
    assert rates(node) == {**with_default, "words": None, "value": None, "table": None, "text": None}


def test_the_only_payload_with_a_rate_is_compared_with_the_default(tmp_path):
    (tmp_path / "x.rig").write_bytes(
        rig(payloads={"": numbers(1, 2, rate=8), "events": {"kind": "table", "values": []}})
    )
    node = data_node(samplerate_hz=4)
    with pytest.raises(DataMismatchError, match=r"at 8 Hz, the node's default is 4 Hz; pass samplerate_hz="):
        node.attach_file(tmp_path / "x.rig")
    assert node.attach_file(tmp_path / "x.rig", samplerate_hz=4).samplerate_hz == 4
    assert node.get_data("data.events").samplerate_hz is None


def test_what_is_appended_has_the_rate_that_is_there(tmp_path):
    (tmp_path / "x.rig").write_bytes(rig(payloads={"a": numbers(1, 2), "b": numbers(1, 2, rate=8)}))
    node = data_node()
    node.attach_file(tmp_path / "x.rig", if_exists="append")
    node.configure_data(samplerate_hz=4)
    node.attach_file(tmp_path / "x.rig", if_exists="append")
    assert rates(node) == {"a": None, "b": 8}
    assert node.get_data("data.b").shape == (4,)


def test_events_in_blocks_begin_later_when_they_are_appended(tmp_path):
    (tmp_path / "x.rig").write_bytes(
        rig(payloads={"": numbers(1, 2, rate=4), "events": {"kind": "table", "values": [[0.25, "x"]]}})
    )
    node = data_node()
    for _ in range(2):
        node.attach_file(tmp_path / "x.rig", if_exists="append")
    assert node.read_data(data_attribute="data.events")["onset_s"].tolist() == [0.25, 0.75]


def test_several_arrays_of_an_archive_need_a_rate_each(tmp_path):
    np.savez(tmp_path / "x.npz", acc=np.zeros(4), gyro=np.zeros(4))
    node = DataNode("node")
    with pytest.raises(InvalidOptionError, match=r"samplerate_hz=\{'acc': 50, 'gyro': 50\}"):
        node.attach_file(tmp_path / "x.npz", samplerate_hz=50)
    node.attach_file(tmp_path / "x.npz", samplerate_hz={"acc": 50, "gyro": 50})
    assert rates(node) == {"acc": 50, "gyro": 50}


def test_a_folder_is_taken_in_by_the_same_rules(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "night.rig").write_bytes(SLEEP)
    (tmp_path / "in" / "words.txt").write_text("words")
    root = BaseNode("root", plugins=with_rigs())
    report = root.ingest_tree(tmp_path / "in", samplerate_hz=256)
    assert {path: type(error) for path, error in report.failed.items()} == {
        "night.rig": InvalidOptionError,
        "words.txt": InvalidOptionError,
    }
    report = root.ingest_tree(tmp_path / "in", "{take}.rig", samplerate_hz={"eeg": 250})
    assert rates(root["night"])["eeg"] == 250


def test_other_rates_than_before_are_no_unchanged_file(sleep):
    node = data_node()
    for asked in ({"eeg": 250}, {"eeg": 250}, {"eeg": 240}, None):
        node.attach_file(sleep, samplerate_hz=asked, skip_unchanged=True)
        assert rates(node)["eeg"] == (asked or {"eeg": 256})["eeg"]


def test_a_rate_for_a_text_is_a_fault_of_the_plugin(tmp_path):
    class Careless:
        @hookimpl
        def lotdb_ingest_file(self, source):
            return Ingested("words", format="odd", samplerate_hz=5) if source.format == "odd" else None

    (tmp_path / "x.odd").write_bytes(b"x")
    node = DataNode("node", plugins=with_rigs(Careless()))
    with pytest.raises(IngestError, match=r"x\.odd' as odd: .*a rate of 5 Hz for a text"):
        node.attach_file(tmp_path / "x.odd")


def test_nodes_of_a_tree_are_named_by_their_paths(tmp_path):
    (tmp_path / "x.rig").write_bytes(
        rig(
            payloads={"left": numbers(1, rate=3)},
            children={
                "left": {"payloads": {"": numbers(1, rate=1), "acc": numbers(1, rate=2)}},
                "right": {"payloads": {"": numbers(1, rate=1)}},
            },
        )
    )
    node = data_node(samplerate_hz=100)
    node.attach_file(tmp_path / "x.rig", samplerate_hz={"left/acc": 20, "right": 10, "left/data": 30})
    assert node["left"].get_data("data.acc").samplerate_hz == 20
    assert (node["right"].get_data().samplerate_hz, node["left"].get_data().samplerate_hz) == (10, 30)
    assert node.get_data("data.left").samplerate_hz == 3
    with pytest.raises(InvalidOptionError, match="names 'left'"):  # which of the two?
        node.attach_file(tmp_path / "x.rig", samplerate_hz={"left": 7})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rates")


PAYLOAD = st.fixed_dictionaries(
    {"kind": st.sampled_from(["array", "text", "bytes", "table"]), "rate": st.sampled_from([None, 1, 4, 256])}
)


@given(
    found=st.dictionaries(st.sampled_from("abcdef"), PAYLOAD, min_size=1),
    default=st.sampled_from([None, 4, 100]),
    asked=st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from([1, 8, None])),
)
def test_every_payload_has_the_rate_asked_for_or_its_own_or_the_default(folder, found, default, asked):
    values = {"array": [1, 2], "text": "x", "bytes": "x", "table": [[0, "x"]]}
    said = {}
    for name, about in found.items():
        rate = about["rate"] if about["kind"] not in ("text", "bytes") else None
        said[name] = {"kind": about["kind"], "values": values[about["kind"]], "rate": rate}
    path = folder / "x.rig"
    path.write_bytes(rig(payloads=said))
    node = data_node(samplerate_hz=default)
    wrong = [
        name
        for name, rate in asked.items()
        if name not in said or (rate is not None and said[name]["kind"] in ("text", "bytes"))
    ]
    expected = {
        name: asked.get(name) or about["rate"] or (default if about["kind"] == "array" else None)
        for name, about in said.items()
    }
    try:
        node.attach_file(path, samplerate_hz=asked)
    except InvalidOptionError:
        assert wrong
    except DataMismatchError:
        sampled = [name for name, about in said.items() if about["rate"] or about["kind"] == "array"]
        assert len(sampled) == 1
        assert said[sampled[0]]["rate"] != default
    else:
        assert not wrong
        assert rates(node) == expected


def test_the_rates_are_in_the_database(sleep, tmp_path):
    with LOTDB(tmp_path / "db", plugins=with_rigs()) as db:
        with db.connection() as root:
            root.get_data_node("night", samplerate_hz=64).attach_file(sleep)
        with db.connection() as root:
            assert rates(root["night"]) == OWN
            assert root["night"].get_data("data.eeg").duration_s == 4 / 256
