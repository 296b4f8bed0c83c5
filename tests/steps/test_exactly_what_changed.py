"""A small graph of steps, and random changes: every result is right, and only what has to be is computed."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lotdb import LOTDB, BaseNode
from lotdb.steps import evict, step

calls: list[tuple[str, str]] = []
scale = [1]


def helper_of(number):
    """A helper of another code for each number, as an edit of its source would make one."""
    names = {"__name__": __name__}
    exec(compile(f"def helper(x):\n    return x * {number}\n", f"<helper {number}>", "exec"), names)
    return names["helper"]


helper = helper_of(1)


@step
def level(node, gain=1):
    calls.append(("level", node._itself()._path()))
    total = float(node.get_data("x").read().sum()) if node.has_data("x") else 0.0
    return {"value": helper(total) * gain, "sign": bool(total > 0)}


@step
def sign(level):
    calls.append(("sign", level._itself()._path()))
    return "above" if level.attrs["sign"] else "below"


@step
def chosen(node):
    """It reads *b* only if *a* says so."""
    calls.append(("chosen", node._itself()._path()))
    return node.get_attribute("b", 0) if node.get_attribute("a", 0) > 1 else -1


@step
def total(top):
    calls.append(("total", top._itself()._path()))
    return float(sum(level.at(node).attrs["value"] for node in top.find("s*")))


SOURCES = ["s0", "s1", "s2"]


class Graph(RuleBasedStateMachine):
    """The model notes what each result depends on, and whether it was computed since that was another."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.db = LOTDB(Path(self.folder.name) / "db")
        self.root: BaseNode = self.db.open_connection()
        self.data = {}  # the number of the write, and the values, by source
        self.attrs = {}
        self.helper = 1
        self.writes = 0
        self.was = {}  # what each result was made from, by its path
        self.saved = None
        global helper
        helper = helper_of(1)

    @initialize()
    def start(self):
        for key in SOURCES:
            self.root.get_data_node(key)
        self.db.commit()
        self.save()

    def save(self):
        self.saved = dict(self.data), dict(self.attrs), dict(self.was)

    def teardown(self):
        self.db.close()
        self.folder.cleanup()

    # -- changes -------------------------------------------------------------------------------------

    @rule(key=st.sampled_from(SOURCES), value=st.integers(-2, 2))
    def write(self, key, value):
        self.root[key].write_data(np.full(3, value), data_attribute="x")
        self.writes += 1
        self.data[key] = self.writes, value

    @rule(key=st.sampled_from(SOURCES), name=st.sampled_from("ab"), value=st.integers(0, 3))
    def set_attribute(self, key, name, value):
        self.root[key].attrs[name] = value
        self.attrs[key, name] = value

    @precondition(lambda self: self.data)
    @rule(data=st.data())
    def delete(self, data):
        key = data.draw(st.sampled_from(sorted(self.data)))
        self.root[key].delete_data("x")
        del self.data[key]

    @rule(number=st.integers(1, 3))
    def edit_the_helper(self, number):
        global helper
        helper = helper_of(number)
        self.helper = number

    @rule()
    def unrelated(self):
        self.root["s0"].attrs["note"] = self.writes
        self.root.get_node("other").attrs["x"] = self.writes

    @rule()
    def commit(self):
        self.db.commit()
        self.save()

    @rule()
    def abort(self):
        self.db.abort()
        self.data, self.attrs, self.was = (dict(each) for each in self.saved)

    @rule()
    def reopen(self):
        self.commit()
        self.db.close()
        self.db = LOTDB(Path(self.folder.name) / "db")
        self.root = self.db.open_connection()

    @rule()
    def drop_payloads(self):
        """Texts alone are payloads; values are not."""
        dropped = evict(self.root).paths
        assert set(dropped) == {f"{path}/sign" for name, path in self.was if name == "sign"}
        for name, path in [each for each in self.was if each[0] == "sign"]:
            del self.was[name, path]

    # -- results -------------------------------------------------------------------------------------

    def level_of(self, key):
        """What `level` reads, and its value."""
        write, value = self.data.get(key, (None, 0))
        return (write, self.helper), float(value * 3) * self.helper

    def expect(self, name, path, inputs):
        """Whether the result is computed."""
        if self.was.get((name, path)) == inputs:
            return []
        self.was[name, path] = inputs
        return [(name, path)]

    @rule(key=st.sampled_from(SOURCES))
    def ask_level(self, key):
        calls.clear()
        result = level.at(self.root[key])
        inputs, value = self.level_of(key)
        assert result.attrs["value"] == value
        assert calls == self.expect("level", key, inputs)

    @rule(key=st.sampled_from(SOURCES))
    def ask_sign(self, key):
        calls.clear()
        result = sign.at(level.at(self.root[key]))
        inputs, _ = self.level_of(key)
        above = self.data.get(key, (0, 0))[1] > 0
        assert result.read_data() == ("above" if above else "below")
        assert calls == [*self.expect("level", key, inputs), *self.expect("sign", f"{key}/level", above)]

    @rule(key=st.sampled_from(SOURCES))
    def ask_chosen(self, key):
        calls.clear()
        result = chosen.at(self.root[key])
        a, b = self.attrs.get((key, "a")), self.attrs.get((key, "b"))
        inputs = (a, b) if (a or 0) > 1 else (a,)
        assert result.attrs["value"] == ((b or 0) if (a or 0) > 1 else -1)
        assert calls == self.expect("chosen", key, inputs)

    @rule()
    def ask_total(self):
        calls.clear()
        stale = total.why_stale(self.root)
        assert calls == []
        result = total.at(self.root)
        values = [self.level_of(key)[1] for key in SOURCES]
        assert result.attrs["value"] == sum(values)
        expected = [("level", key) for key in SOURCES if self.expect("level", key, self.level_of(key)[0])]
        # The total is computed anew only if a value that it adds is another one now.
        asks = self.expect("total", "", tuple(map(repr, values)))
        assert sorted(calls) == sorted([*expected, *asks])
        assert (stale is None) == (calls == [])

    @invariant()
    def asking_why_computes_nothing(self):
        calls.clear()
        for key in SOURCES:
            node = self.root.get(key)
            if node is not None:
                is_fresh = self.was.get(("level", key)) == self.level_of(key)[0]
                assert (level.why_stale(node) is None) == is_fresh
        assert calls == []


Graph.TestCase.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
test_graph = Graph.TestCase


@pytest.mark.slow
def test_many_graphs():
    run_state_machine_as_test(
        Graph, settings=settings(max_examples=100, stateful_step_count=25, deadline=None)
    )
