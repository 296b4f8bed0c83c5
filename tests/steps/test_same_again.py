"""What is computed anew and comes out the same makes nothing stale that was made from it."""

import numpy as np
import pytest

from lotdb import StepAccessError, diff
from lotdb.steps import step


@pytest.mark.sampled(4)
@pytest.mark.parametrize("shape", [(5, 2), (300_000, 2)])
@pytest.mark.parametrize("kind", ["array", "text", "table"])
def test_a_payload_that_comes_out_the_same(capture, shape, kind):
    calls = []

    @step
    def rounded(node):
        calls.append("rounded")
        array = np.full(shape, np.round(node.get_data("imu").read().mean()))
        array[0, 0] = np.nan
        return {
            "array": array,
            "text": str(array),
            "table": np.array([(1, 2.0)], [("a", int), ("b", float)]),
        }[kind]

    @step
    def total(rounded):
        calls.append("total")
        return len(rounded.get_data())

    def both():
        return total.at(rounded.at(capture))

    both()
    where = [each.array_row for each in capture["rounded"].get_data().segments()]
    capture.write_data(np.full((100, 6), 299.5) + 0.01, data_attribute="imu")
    both()
    capture.write_data(np.full((100, 6), 300.4), data_attribute="imu")
    assert total.why_stale(capture["rounded"]) == "its node is a stale result: input 'imu' was replaced"
    both()
    assert calls == ["rounded", "total", "rounded", "rounded"]
    assert [each.array_row for each in capture["rounded"].get_data().segments()] == where
    capture.write_data(np.full((100, 6), 7.0), data_attribute="imu")
    both()
    assert calls[4:] == (["rounded"] if kind == "table" else ["rounded", "total"])


def test_other_metadata_is_not_the_same(capture):
    from lotdb.steps import Data

    @step
    def rounded(node):
        return Data(np.zeros(3), unit=node.attrs["label"])

    result = rounded.at(capture)
    capture.attrs["label"] = "V"
    rounded.at(capture)
    assert result.get_data().metadata == {"unit": "V"}


def test_what_a_function_of_the_library_reads_counts(capture):
    """`diff` looks at all that is below, and asks no method that would note a part."""
    other = capture.branch("other")

    @step
    def differs(node):
        return {"names": [str(change.kind) for change in diff(node, node.parent["other"])]}

    assert differs.at(capture).attrs["names"] == []
    assert differs.why_stale(capture) is None
    other.attrs["x"] = 1
    assert differs.why_stale(capture) == "the nodes and data below of '../other' changed"


def test_another_connection_is_refused(database):
    with database.connection() as root:
        node = root.get_node_path("S01/capture")
        node.attrs["x"] = 1
        database.commit(root)

        @step
        def elsewhere(node):
            with database.at(database.last_commit) as then:
                return then["S01/capture"].attrs["x"]

        with pytest.raises(
            StepAccessError, match="step 'elsewhere' at 'S01/capture' has opened another connection"
        ):
            elsewhere.at(node)
        assert "elsewhere" not in node
