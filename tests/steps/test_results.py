"""What a step gives is kept, read back, and computed again only if something changed."""

import numpy as np
import pytest

from lotdb import CodeChangedWarning, InvalidStepError, NotAResultError, StaleResultError
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


@pytest.mark.parametrize(
    "settings",
    [{"low": ["1", 1]}, {"low": [0.5, "0.5"]}, {"low": ["1", "1_high_1"], "high": ["1", "1_high_1"]}],
)
def test_variants_that_would_share_a_node_are_refused(root, settings):
    """The later one would take its place, and the first be given as what it is not."""

    @step
    def shown(node, low=0, high=0):
        return repr((low, high))

    with pytest.raises(InvalidStepError, match="would keep two variants under 'shown_low_"):
        shown.variants(root, **settings)
    assert list(root) == []
    first, second = shown.variants(root, low=[1, 1])
    assert first == second


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
    assert result.attrs["number"] == 3
    assert type(result.attrs["number"]) is int
    assert result.attrs["scalar"] == np.float32(1.5)
    back = load(result)
    assert list(back) == list(all_kinds(capture))
    assert back["text"] == "a text"
    assert back["dict"] == {"a": [1, 2]}
    assert back["none"] is None
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
    assert told.when.tzinfo is not None
    assert told.seconds >= 0
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
    capture.write_data(np.ones((3, 6)), data_attribute="imu")
    assert spectrum.why_stale(capture["band_power"]) == "its node is a stale result: input 'imu' was replaced"
    spectrum.at(capture["band_power"])  # which computes both
    assert calls == [("walk", 0.5), "spectrum", ("walk", 0.5), "spectrum"]
    assert band_power.why_stale(capture) is None
    assert spectrum.why_stale(capture["band_power"]) is None
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
    assert band_power.why_stale(branch) == "input 'imu' was replaced"
    assert band_power.why_stale(capture) is None
    capture.rename("renamed")
    band_power.at(capture)
    assert len(calls) == 1


def test_pinned_results_stay(capture):
    band_power, calls = counted()
    result = band_power.at(capture)
    pin(result)
    capture.attrs["label"] = "run"
    assert band_power.at(capture) == result
    assert band_power.why_stale(capture) is None
    assert result.provenance().pinned
    unpin(result)
    assert band_power.why_stale(capture) == "attribute 'label' was 'walk' and is 'run'"
    assert len(calls) == 1


def test_evicted_results_are_computed_anew_and_those_made_from_them_stay(capture):
    band_power, calls = counted()

    @step
    def total(band):
        return float(band.read_data().sum())

    result = band_power.at(capture)
    total.at(result)
    report = evict(capture, step=band_power)
    assert report.paths == ("S01/capture/band_power",)
    assert report.bytes == 48
    assert not result.payloads
    assert band_power.why_stale(capture) == "its payloads were evicted"
    assert total.why_stale(result) is None
    with pytest.raises(StaleResultError, match="evicted"):
        load(result)
    assert np.array_equal(load(band_power.at(capture)), band_power(capture))
    assert len(calls) == 3
    assert total.why_stale(result) is None  # it came out the same
    evict(capture)
    assert total.at(band_power.at(capture)).attrs["value"] == float(band_power(capture).sum())
    assert total.why_stale(result) is None
    capture.attrs["label"] = "run"
    evict(capture)
    band_power.at(capture)
    capture.write_data(np.ones((3, 6)), data_attribute="imu")
    evict(capture)
    band_power.at(capture)
    assert total.why_stale(result) == "input 'data' was replaced"


def test_evict_the_oldest_until_the_rest_is_small_enough(capture):
    band_power, _ = counted()
    results = band_power.variants(capture, low=[1, 2, 3])
    assert evict(capture, max_bytes=100).paths == (results[0].path,)
    assert evict(capture, max_bytes=100).paths == ()
    assert evict(capture, older_than=1000).paths == ()
    pin(results[1])
    assert evict(capture).paths == (results[2].path,)


def test_code_changes_as_the_user_wants(capture):
    band_power, _ = counted()
    result = band_power.at(capture)

    def other(**options):
        @step(**options)
        def band_power(node, low=0.5, high=20.0):
            return np.zeros(3)

        return band_power

    assert other().why_stale(capture) == "code of 'band_power' changed"
    assert other(on_code_change="ignore").why_stale(capture) is None
    said = "step 'band_power' at 'S01/capture': code of 'band_power' changed"
    with pytest.warns(CodeChangedWarning, match=said):
        assert other().at(capture, on_code_change="warn") == result
    assert other(version=2).why_stale(capture, on_code_change="ignore") == "version was None and is 2"
    assert not other().at(capture).read_data().any()


def test_run_finds_the_order(capture):
    calls = []

    @step
    def band(node):
        calls.append("band")
        return node.get_data("imu").read()[:3]

    @step
    def spectrum(band):
        calls.append("spectrum")
        return band.read_data() * 2

    @step(takes=spectrum)
    def peak(node):
        return float(node.read_data().max())

    @step
    def report(node):
        return float(node["band/spectrum/peak"].attrs["value"] + node["band"].read_data().sum())

    steps = [peak, report, spectrum, band]
    ordered = ["band", "spectrum", "peak", "report"]
    assert [each.step for each in plan(capture, steps)] == ordered
    assert "band" not in capture
    assert [each.step for each in run(capture, steps)] == ordered
    assert run(capture, steps) == plan(capture, steps) == []
    capture.write_data(np.ones((5, 6)), data_attribute="imu")
    planned = plan(capture, steps)
    assert [each.step for each in planned] == ordered
    assert planned[0].why == "input 'imu' was replaced"
    assert run(capture, steps)[-1].path == "S01/capture/report"
    assert calls == ["band", "spectrum"] * 2


def test_run_computes_what_a_step_looks_for(capture):
    @step
    def band(node):
        return node.get_data("imu").read()[:3]

    @step
    def report(node):
        return float(node["band"].read_data().sum())

    assert [each.step for each in run(capture, [report, band])] == ["band", "report"]
    assert report.why_stale(capture) is None


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
        there = then["S01/capture"]
        assert np.array_equal(band_power.at(there).read_data(), node["band_power"].read_data())
        with pytest.raises(
            StaleResultError, match="step 'band_power' at 'S01/capture' cannot be computed here"
        ):
            band_power.at(there, low=3)
        assert band_power.why_stale(there, low=3) == "setting 'low' was 0.5 and is 3"
    assert len(calls) == 2


def test_very_many_reads_become_one_of_all_that_is_below(root):
    from lotdb.steps import calls

    top = root.get_node("top")
    for at in range(30):
        top.get_node(f"{at:02}").attrs["x"] = at
    root.get_node("beside").attrs["y"] = 1

    @step
    def total(node):
        return sum(each.attrs["x"] for each in node.values()) + node.parent["beside"].attrs["y"]

    assert len(total.at(top).provenance().reads) == 32
    assert total.why_stale(top) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "_MOST_CHARACTERS", 1000)
        result = total.at(top, key="another")
        assert [(read.path, read.kind) for read in sorted(result.provenance().reads, key=str)] == [
            (".", "all"), ("..", "all"),
        ]  # fmt: skip
        assert total.why_stale(top, key="another") is None
        top["07"].attrs["x"] = 100
        assert total.why_stale(top, key="another") == "the nodes and data below changed"
        assert total.at(top, key="another").attrs["value"] == sum(range(30)) + 1 + 93
        assert total.why_stale(top, key="another") is None


def test_very_many_results_that_were_read_may_be_stale(root):
    """That all below is the same does not say that the results in it are fresh."""
    from lotdb.steps import calls

    root.get_node("scale").attrs["x"] = 1
    top = root.get_node("top")
    for at in range(3):
        top.get_node(f"s{at}").attrs["x"] = at

    @step
    def score(node):
        return node.attrs["x"] * node.parent.parent["scale"].attrs["x"]

    @step
    def total(top):
        return sum(score.at(node).attrs["value"] for node in top.values())

    for node in top.values():
        score.at(node)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "_MOST_CHARACTERS", 100)
        assert total.at(top).attrs["value"] == 3
    assert {read.kind for read in total.at(top).provenance().reads} == {"all", "results"}
    assert total.why_stale(top) is None
    root["scale"].attrs["x"] = 10
    because = "attribute 'x' of '../../scale' was 1 and is 10"
    assert total.why_stale(top) == f"result 's0/score' is stale: {because}"
    assert total.at(top).attrs["value"] == 30
    assert total.why_stale(top) is None


def test_very_many_reads_do_not_hide_where_the_node_is(root):
    from lotdb.steps import calls

    node = root.get_node_path("top/node")
    for at in range(3):
        node.get_node(f"s{at}").attrs["x"] = at

    @step
    def named(node):
        total = sum(each.attrs["x"] for each in node.values())
        return {"key": node.key, "path": node["s0"].path, "sum": total}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "_MOST_CHARACTERS", 100)
        named.at(node)
        assert named.why_stale(node) is None
        root["top"].rename("above")
        node = root["above/node"]
        assert named.why_stale(node) == "the path was 'top/node' and is 'above/node'"
        assert named.at(node).attrs["path"] == "above/node/s0"
        node.rename("other")
        assert named.at(node).attrs["key"] == "other"


def test_what_a_user_put_into_a_result_goes_with_it(capture):
    band_power, _ = counted()

    def put():
        result = band_power.at(capture)
        result.attrs["mine"] = 1
        result.write_data(np.ones(3), data_attribute="own")
        result.get_node_path("below").attrs["mine"] = 2
        return result

    result = put()
    evict(capture)
    assert (list(result.payloads), result.attrs["mine"]) == ([], 1)
    put()
    capture.write_data(np.ones((3, 6)), data_attribute="imu")
    result = band_power.at(capture)
    assert (list(result.payloads), "mine" in result.attrs) == (["data"], False)
    assert result["below"].attrs["mine"] == 2
    pin(put())
    capture.write_data(np.zeros((3, 6)), data_attribute="imu")
    assert band_power.at(capture).attrs["mine"] == 1
