"""What a step may not do, and cannot be: each error names the step and the node, and nothing has changed."""

import numpy as np
import pytest

from lotdb import (
    InvalidStepError,
    LotdbError,
    NodeExistsError,
    StepAccessError,
    StepError,
    StepFailedError,
    StepResultError,
    steps,
)
from lotdb.steps import step


def simple():
    @step
    def band_power(node, low=0.5, high=20.0):
        return np.abs(node.get_data("imu").read() * low).sum(axis=0) + high

    return band_power


def refused(kind, give, capture, match):
    """The step *give* raises at the capture, names itself and the node, and changes nothing."""
    before = list(capture), list(capture.attrs), list(capture.parent)
    with pytest.raises(kind, match=match) as caught:
        give.at(capture)
    assert (list(capture), list(capture.attrs), list(capture.parent)) == before
    assert isinstance(caught.value, LotdbError)
    assert give.name in str(caught.value)
    assert "S01/capture" in str(caught.value)
    if isinstance(caught.value, StepError):
        assert (caught.value.step, caught.value.node) == (give.name, "S01/capture")
    return caught.value


OBJECTS = [
    object(), {"a": 1, "b": object()}, {"a": np.array([object()])}, None, {1: 2}, {"_step": 1}, lambda: 1,
    {"a": {"b": object()}},
]  # fmt: skip


@pytest.mark.parametrize("value", OBJECTS)
def test_a_step_that_returns_objects(capture, value):
    @step
    def give(node):
        return value

    refused(StepResultError, give, capture, "returned")


def test_a_step_that_returns_nodes_or_generators(capture):
    @step
    def itself(node):
        return node

    @step
    def lazily(node):
        return (each for each in [1, 2])

    refused(StepResultError, itself, capture, "return arrays")
    refused(StepResultError, lazily, capture, "return arrays")


CHANGES = {
    "attribute": lambda node: node.attrs.update(x=1),
    "set_attribute": lambda node: node.set_attribute("x", 1),
    "del": lambda node: node.attrs.__delitem__("label"),
    "payload": lambda node: node.write_data([1]),
    "delete": lambda node: node.delete_data("imu"),
    "child": lambda node: node.get_node("new"),
    "path": lambda node: node.get_node_path("a/b"),
    "data node": lambda node: node.get_data_node("new"),
    "above": lambda node: node.parent.attrs.update(x=1),
    "branch": lambda node: node.branch("copy"),
    "delete tree": lambda node: node.delete_tree(),
    "rename": lambda node: node.rename("x"),
    "key": lambda node: setattr(node, "key", "x"),
    "configure": lambda node: node.configure_data(samplerate_hz=3),
    "compact": lambda node: node.compact_data("imu"),
    "add": lambda node: node.add_tree(node.copy_tree(), key="x"),
}


@pytest.mark.sampled
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_step_that_changes_the_tree(capture, change):
    @step
    def give(node):
        change(node)
        return 1

    refused(StepAccessError, give, capture, "changes nothing itself")


@pytest.mark.sampled
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_step_that_changes_the_tree_by_another_handle(capture, change):
    others = [capture]  # of which nobody sees that it holds a node

    @step
    def give(node):
        change(others[0])
        return 1

    refused(StepAccessError, give, capture, "has changed the tree, which was undone")
    assert capture.read_data(data_attribute="imu").shape == (100, 6)


def test_a_step_that_names_a_node_or_a_payload_which_it_was_not_given(root, capture):
    payload = capture.get_data("imu")

    @step
    def of_node(node):
        return float(capture.read_data(data_attribute="imu").sum())

    @step
    def of_payload(node):
        return float(payload.read().sum())

    def helper():
        return float(root["S01/capture"].get_data("imu").read().sum())

    @step
    def by_helper(node):
        return helper()

    @step
    def given(node, other):
        return float(other.get_data("imu").read().sum())

    for each, named in ((of_node, "capture"), (of_payload, "payload"), (by_helper, "root")):
        refused(StepAccessError, each, capture, f"would read '{named}', which it was not given")
    assert given.at(capture, other=capture).attrs["value"] == 179700


def test_a_step_that_reads_when_it_has_ended(capture):
    kept = []

    @step
    def give(node):
        kept.append(node)
        return 1

    give.at(capture)
    for read in (lambda n: n.attrs["label"], lambda n: n.get_data("imu"), list, lambda n: n.path):
        with pytest.raises(StepAccessError, match="step 'give' at 'S01/capture' has ended"):
            read(kept[0])


def test_a_step_that_raises_half_way(capture):
    @step
    def give(node):
        node.get_data("imu").read()
        raise ValueError("no good")

    error = refused(
        StepFailedError, give, capture, "step 'give' at 'S01/capture' failed: ValueError: no good"
    )
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
    assert result.provenance() == before
    assert list(result.payloads) == ["a"]


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
    band_power = simple()
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
    band_power = simple()
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


def test_a_step_that_ends_the_transaction(database):
    with database.connection() as root:
        node = root.get_data_node("S01/capture")
        database.commit(root)
        roots = [root]

        @step
        def commits(node):
            database.commit(roots[0])
            return 1

        with pytest.raises(
            StepAccessError, match="step 'commits' at 'S01/capture' has ended the transaction"
        ):
            commits.at(node)
        assert "commits" not in node


def test_two_steps_of_one_name(capture):
    """The result of one is not taken for that of the other, as long as both are there."""
    names = [{"__name__": "module_a"}, {"__name__": "module_b"}]
    for each in names:
        exec("from lotdb.steps import step\n@step\ndef twin(node):\n    return __name__\n", each)
    names[0]["twin"].at(capture)
    with pytest.raises(NodeExistsError, match=r"step 'twin' at 'S01/capture', of module 'module_b'"):
        names[1]["twin"].at(capture)
    assert names[1]["twin"].at(capture, key="twin_b").read_data() == "module_b"


def test_a_name_that_is_no_key():
    with pytest.raises(InvalidStepError, match="a step cannot be called 'a/b'"):

        @step(name="a/b")
        def named(node):
            return 1


class Unshown:
    """A value that Python has no text for."""

    def __repr__(self):
        raise RuntimeError("no text")


ODD = [5, True, 10**5000, Unshown(), np.array(3), np.array(["a", "b"]), np.zeros(0), np.zeros(1, "i4,f4")[0]]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_what_is_no_node_no_step_and_no_setting(capture, odd):
    give = simple()
    for call in [
        steps.why_stale,
        steps.provenance,
        steps.lineage,
        steps.load,
        steps.pin,
        steps.unpin,
        steps.evict,
        give.at,
        give.why_stale,
        give.variants,
        lambda x: give.map([x], on_error="raise"),
        lambda x: steps.run([x], [give]),
        lambda x: steps.run([capture], [x]),
        lambda x: steps.run([capture], [give], settings=x),
        lambda x: steps.run([capture], [give], settings={"band_power": x}),
        lambda x: steps.plan([capture], [give], settings={x if isinstance(x, int) else 5: {}}),
        lambda x: give.map([capture], on_error=x),
        lambda x: give.map([capture], workers=-1 if x is ODD[0] or x is True else [x] if x is ODD[2] else x),
        lambda x: give.at(capture, on_code_change=x),
        lambda x: give.variants(capture, key=None if x is ODD[0] else x, low=[[x]]),
        lambda x: steps.evict(capture, max_bytes=[x], step="a"),
        lambda x: steps.evict(capture, step=x),
    ]:
        with pytest.raises(LotdbError):
            call(odd)
    assert list(capture) == []
