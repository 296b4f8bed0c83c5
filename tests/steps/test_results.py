"""What a step gives is kept, read back, and computed again only if something changed."""

import numpy as np
import pytest

from lotdb import (
    CodeChangedWarning,
    InvalidStepError,
    LotdbError,
    NodeExistsError,
    NotAResultError,
    StaleResultError,
    StepAccessError,
    StepError,
    StepFailedError,
    StepResultError,
)
from lotdb.steps import Data, evict, lineage, load, pin, plan, provenance, run, step, unpin, why_stale


def counted(**options):
    """A step and the list of its calls."""
    calls = []

    @step(**options)
    def band_power(node, low=0.5, high=20.0):
        calls.append((node.get_attribute("label"), low))
        return np.abs(node.get_data("imu").read() * low).sum(axis=0) + high

    return band_power, calls


def test_a_step_is_the_plain_function_still(capture):
    band_power, _ = counted()
    expected = np.abs(capture.get_data("imu").read() * 2).sum(axis=0) + 20
    assert np.array_equal(band_power(capture, low=2), expected)
    assert "band_power" not in capture


def test_a_result_is_computed_once(capture):
    band_power, calls = counted()
    assert band_power.why_stale(capture) == "'band_power' was not computed yet"
    first = band_power.at(capture)
    second = band_power.at(capture)
    assert first == second == capture["band_power"]
    assert np.array_equal(first.read_data(), band_power(capture))
    assert calls == [("walk", 0.5)] * 2  # once by at, and once here
    assert band_power.why_stale(capture) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda node: node.write_data(np.ones((3, 6)), data_attribute="imu"), "input 'imu' was replaced"),
        (lambda node: node.append_data(np.ones((3, 6)), data_attribute="imu"), "input 'imu' was replaced"),
        (lambda node: node.delete_data("imu"), "input 'imu' is gone"),
        (lambda node: node.set_attribute("label", "run"), "attribute 'label' was 'walk' and is 'run'"),
        (lambda node: node.delete_attribute("label"), "attribute 'label' is gone"),
    ],
)
def test_what_was_read_and_has_changed_makes_it_stale(capture, change, said):
    band_power, _ = counted()
    band_power.at(capture)
    change(capture)
    assert band_power.why_stale(capture) == said
    assert why_stale(capture["band_power"]) == said


def test_what_was_not_read_does_not(capture):
    band_power, calls = counted()
    band_power.at(capture)
    capture.write_data([1, 2, 3], data_attribute="other")
    capture.attrs["note"] = "new"
    capture.get_node("below").attrs["x"] = 1
    capture.parent.attrs["x"] = 1
    band_power.at(capture)
    assert len(calls) == 1


def test_the_same_value_set_again_is_no_change(capture):
    band_power, calls = counted()
    band_power.at(capture)
    capture.attrs["label"] = "run"
    capture.attrs["label"] = "walk"
    band_power.at(capture)
    assert len(calls) == 1


def test_settings(capture):
    band_power, calls = counted()
    band_power.at(capture, low=0.5)
    assert band_power.why_stale(capture, low=1.0) == "setting 'low' was 0.5 and is 1.0"
    assert band_power.why_stale(capture, low=0.5, high=20.0) is None
    assert band_power.why_stale(capture, high=20) == "setting 'high' was 20.0 and is 20"
    band_power.at(capture, low=1.0)
    assert band_power.why_stale(capture) == "setting 'low' was 1.0 and is 0.5"
    assert [low for _, low in calls] == [0.5, 1.0]


def test_variants_have_nodes_of_their_own(capture):
    band_power, calls = counted()
    results = band_power.variants(capture, low=[0.5, 1.0], high=[1, 2])
    assert [node.key for node in results] == [
        "band_power_low_0.5_high_1", "band_power_low_0.5_high_2",
        "band_power_low_1.0_high_1", "band_power_low_1.0_high_2",
    ]  # fmt: skip
    assert len({node.read_data().tobytes() for node in results}) == 4
    band_power.variants(capture, low=[1.0, 0.5], high=[2])
    assert len(calls) == 4
    assert band_power.at(capture, low=3, key="low_3") == capture["low_3"]


def test_a_mapping_of_arrays_tables_texts_and_values(capture):
    @step
    def all_kinds(node):
        return {
            "array": Data(np.arange(4.0), samplerate_hz=10, unit="V", metadata={"band": [1, 2]}),
            "table": np.array([(1, 2.5)], [("a", int), ("b", float)]),
            "long": "x" * 100_000,
            "text": Data("a text"),
            "label": "walk",
            "number": 3,
            "scalar": np.float32(1.5),
            "dict": {"a": [1, 2]},
            "none": None,
        }

    result = all_kinds.at(capture)
    assert sorted(result.payloads) == ["array", "long", "table", "text"]
    array = result.get_data("array")
    assert (array.samplerate_hz, array.metadata) == (10, {"band": [1, 2], "unit": "V"})
    assert result.attrs["number"] == 3 and type(result.attrs["number"]) is int
    assert result.attrs["scalar"] == np.float32(1.5)
    back = load(result)
    assert list(back) == list(all_kinds(capture))
    assert back["text"] == "a text" and back["dict"] == {"a": [1, 2]} and back["none"] is None
    assert back["table"]["b"][0] == 2.5


@pytest.mark.parametrize("value", [np.arange(3), "a text", b"bytes", 3, 2.5, True, [1, 2], np.float32(2)])
def test_what_is_returned_alone_comes_back(capture, value):
    @step
    def give(node):
        return value

    back = load(give.at(capture))
    assert type(back) is type(value)
    assert np.array_equal(back, value)


def test_a_result_holds_nothing_of_the_one_before(capture):
    @step
    def give(node):
        return {"a": np.arange(3), "b": 1} if node.attrs["label"] == "walk" else {"b": np.arange(3), "c": 2}

    result = give.at(capture)
    below = result.get_node("below")
    capture.attrs["label"] = "run"
    give.at(capture)
    assert {name for name in result.attrs if not name.startswith("_")} == {"b", "c"}
    assert list(result.payloads) == ["b"]
    assert below == result["below"]


def test_provenance(capture):
    band_power, _ = counted(version=3, depends=[np])
    result = band_power.at(capture, low=1)
    told = result.provenance()
    assert (told.step, told.version, told.node) == ("band_power", 3, "S01/capture")
    assert told.settings == {"low": 1, "high": 20.0}
    assert [(read.path, read.kind, read.name) for read in told.reads] == [
        (".", "attribute", "label"), (".", "payload", "imu"),
    ]  # fmt: skip
    assert told.packages == {"numpy": np.__version__}
    assert told.when.tzinfo is not None and told.seconds >= 0
    assert "payload 'imu' of ." in str(told)
    with pytest.raises(NotAResultError):
        provenance(capture)


def test_results_of_results(capture):
    band_power, calls = counted()

    @step
    def spectrum(band):
        calls.append("spectrum")
        return band.read_data() * 2

    result = spectrum.at(band_power.at(capture))
    assert result.path == "S01/capture/band_power/spectrum"
    capture.attrs["label"] = "run"
    assert spectrum.why_stale(capture["band_power"]) == (
        "its node is a stale result: attribute 'label' was 'walk' and is 'run'"
    )
    spectrum.at(capture["band_power"])  # which computes both
    assert calls == [("walk", 0.5), "spectrum", ("run", 0.5), "spectrum"]
    assert band_power.why_stale(capture) is None and spectrum.why_stale(capture["band_power"]) is None
    graph = lineage(capture["band_power"])
    assert (graph.up, graph.down) == (("S01/capture",), ("S01/capture/band_power/spectrum",))


def test_a_step_may_ask_another_one(capture):
    band_power, calls = counted()

    @step
    def summary(node):
        calls.append("summary")
        return float(band_power.at(node).read_data().sum())

    value = summary.at(capture).attrs["value"]
    assert value == pytest.approx(float(band_power(capture).sum()))
    capture.write_data(np.ones((3, 6)), data_attribute="imu")
    assert summary.why_stale(capture) == "result 'band_power' is stale: input 'imu' was replaced"
    summary.at(capture)
    assert [call for call in calls if call == "summary"] == ["summary"] * 2


def test_reads_of_absence(capture):
    @step
    def look(node):
        found = node.get("calibration")
        return {
            "there": found is not None,
            "children": len(node),
            "has": node.has_data("x"),
            "in": "y" in node.attrs,
        }

    look.at(capture)
    assert look.why_stale(capture) is None
    for change, said in [
        (lambda: capture.write_data([1], data_attribute="x"), "payload 'x' is there now"),
        (lambda: capture.set_attribute("y", 1), "attribute 'y' is there now"),
        (lambda: capture.get_node("calibration"), "node 'calibration' is there now"),
        (lambda: capture.get_node("one"), "the children changed"),
    ]:
        change()
        assert look.why_stale(capture) == said
        look.at(capture)
        assert look.why_stale(capture) is None


def test_reads_of_find_and_of_other_nodes(root, capture):
    @step
    def mean(node):
        return float(np.mean([each.attrs["weight"] for each in node.find("*/trial", where="weight > 0")]))

    for at, weight in enumerate([1.0, 3.0, -5.0]):
        root.get_node_path(f"{at}/trial").attrs["weight"] = weight
    assert mean.at(root).attrs["value"] == 2
    root["2/trial"].attrs["weight"] = -6.0
    assert mean.why_stale(root) is None
    root["0/trial"].attrs["weight"] = 2.0
    assert mean.why_stale(root) == "attribute 'weight' of '0/trial' was 1.0 and is 2.0"
    root["0/trial"].attrs["weight"] = 1.0
    root["2/trial"].attrs["weight"] = 5.0
    assert mean.why_stale(root) == "the nodes that find() finds changed"


def test_another_result_does_not_make_one_stale_that_lists_nodes(capture):
    @step
    def listed(node):
        return {
            "keys": list(node),
            "found": [each.key for each in node.find("*")],
            "all": len(list(node.iterate_tree())),
        }

    band_power, _ = counted()
    listed.at(capture)
    band_power.at(capture)
    assert listed.why_stale(capture) is None
    assert capture["listed"].attrs["keys"] == []


def test_a_sibling_of_the_node_is_an_input(capture):
    @step
    def scaled(node):
        return node.get_data("imu").read() * node.parent["calibration"].attrs["gain"]

    capture.parent.get_node("calibration").attrs["gain"] = 2.0
    scaled.at(capture)
    capture.parent["calibration"].attrs["gain"] = 3.0
    assert scaled.why_stale(capture) == "attribute 'gain' of '../calibration' was 2.0 and is 3.0"


def test_a_node_as_a_setting(capture):
    @step
    def difference(node, other):
        return node.get_data("imu").read()[:3] - other.get_data("imu").read()[:3]

    other = capture.parent.get_data_node("other")
    other.write_data(np.ones((3, 6)), data_attribute="imu")
    result = difference.at(capture, other=other)
    assert result.provenance().settings == {"other": "node ../other"}
    assert difference.why_stale(capture, other=other) is None
    other.write_data(np.zeros((3, 6)), data_attribute="imu")
    assert difference.why_stale(capture, other=other) == "input 'imu' of '../other' was replaced"
    assert why_stale(result) is not None


def test_a_branch_brings_its_results_and_they_are_fresh(capture):
    band_power, calls = counted()
    band_power.at(capture)
    branch = capture.branch("loud")
    assert band_power.why_stale(branch) is None
    branch.write_data(np.ones((3, 6)), data_attribute="imu")
    assert isinstance(error.__cause__, ValueError)


def test_a_step_whose_result_fails_half_way_leaves_the_old_one(capture):
    @step
    def give(node):
        more = {"b": object()} if node.attrs["label"] == "run" else {}
        return {"a": np.arange(3), **more}

    result = give.at(capture)
    before = result.provenance()
    capture.attrs["label"] = "run"
    with pytest.raises(StepResultError, match="step 'give' at 'S01/capture'"):
        give.at(capture)
    assert result.provenance() == before and list(result.payloads) == ["a"]


def test_what_no_step_can_be_made_of():
    with pytest.raises(InvalidStepError, match="a lambda"):
        step(lambda node: 1)
    with pytest.raises(InvalidStepError, match="takes no node"):

        @step
        def nothing():
            return 1

    with pytest.raises(InvalidStepError, match="a setting 'key'"):

        @step
        def named(node, key=1):
            return 1

    with pytest.raises(InvalidStepError, match="generator"):

        @step
        def generates(node):
            yield 1

    with pytest.raises(InvalidStepError, match="depends on 3"):

        @step(depends=3)
        def depends(node):
            return 1

    with pytest.raises(InvalidStepError, match="no function"):
        step(np.fft.fft if not hasattr(np.fft.fft, "__code__") else len)


def test_wrong_settings(capture):
    band_power, _ = counted()
    with pytest.raises(InvalidStepError, match="step 'band_power' at 'S01/capture' has no setting 'lo'"):
        band_power.at(capture, lo=1)
    with pytest.raises(InvalidStepError, match="setting 'low' of step 'band_power' at 'S01/capture'"):
        band_power.at(capture, low=object())

    @step
    def needs(node, low):
        return low

    with pytest.raises(InvalidStepError, match="needs the setting 'low'"):
        needs.at(capture)


def test_something_else_is_in_the_place_of_the_result(capture):
    band_power, _ = counted()
    capture.get_node("band_power")
    with pytest.raises(NodeExistsError, match="step 'band_power' at 'S01/capture'"):
        band_power.at(capture)
    assert band_power.at(capture, key="other") == capture["other"]


def test_a_step_that_was_defined_twice_in_a_notebook(capture):
    names = {"__name__": "__main__"}
    cell = "from lotdb.steps import step\n@step\ndef twice(node):\n    return {}\n"
    exec(compile(cell.format("{'a': 1}"), "<cell 1>", "exec"), names)
    old = names["twice"]
    old.at(capture)
    exec(compile(cell.format("{'a': 2}"), "<cell 1>", "exec"), names)
    with pytest.raises(InvalidStepError, match=r"step 'twice' at 'S01/capture' .* defined again"):
        old.at(capture)
    assert names["twice"].at(capture).attrs["a"] == 2


def test_the_transaction_is_the_callers(database):
    band_power, calls = counted()
    root = database.open_connection()
    node = root.get_data_node("S01/capture")
    node.write_data(np.ones((4, 6)), data_attribute="imu")
    database.commit()
    band_power.at(node)
    database.abort()
    assert "band_power" not in node
    band_power.at(node)
    database.commit()
    with database.at(database.last_commit) as then:
        assert np.array_equal(band_power.at(then["S01/capture"]).read_data(), node["band_power"].read_data())
        with pytest.raises(
            StaleResultError, match="step 'band_power' at 'S01/capture' cannot be computed here"
        ):
            band_power.at(then["S01/capture"], low=3)
        assert band_power.why_stale(then["S01/capture"], low=3) == "setting 'low' was 0.5 and is 3"
    assert len(calls) == 2


def test_a_step_that_ends_the_transaction(database):
    with database.connection() as root:
        node = root.get_data_node("S01/capture")
        database.commit(root)

        @step
        def commits(node):
            database.commit(root)
            return 1

        with pytest.raises(
            StepAccessError, match="step 'commits' at 'S01/capture' has ended the transaction"
        ):
            commits.at(node)
        assert "commits" not in node
