"""Uses that nobody planned: changes meanwhile, executors that are shut down, notes written over."""

import contextlib
import platform
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from tests.steps import mapped

from lotdb import LOTDB, InvalidOptionError, InvalidStepError, LotdbError, NotAResultError, StepAccessError
from lotdb.steps import evict, lineage, load, plan, provenance, run, step, why_stale


@step
def twice(node, factor=2):
    return {"twice": node.get_data("x").read() * factor, "n": 1}


@step
def takes_list(node, weights=[1, 2]):  # noqa: B006
    weights.append(3)
    return float(sum(weights))


@step
def takes_dict(node, how):
    how["seen"] = True
    return sorted(how)


@step
def on_dict(takes_dict):
    return len(takes_dict.attrs["value"])


@pytest.fixture
def node(root):
    node = root.get_data_node("a")
    node.write_data(np.arange(5.0), data_attribute="x")
    return node


# -- settings -------------------------------------------------------------------------------------


def test_a_function_that_changes_its_settings_changes_a_copy(node):
    how = {"low": [1]}
    result = takes_dict.at(node, how=how)
    assert how == {"low": [1]}
    assert provenance(result).settings == {"how": {"low": [1]}}
    assert takes_dict.why_stale(node, how={"low": [1]}) is None
    on_dict.at(result)
    evict(node)
    assert on_dict.why_stale(result) is None
    for _ in range(2):
        assert takes_list.at(node).attrs["value"] == 6.0
        assert takes_list.why_stale(node) is None
        del node["takes_list"]


# Python writes no number of more than 4300 digits.
LONG = 10**5000


@step
def remainder(node, big=LONG):
    return {
        "of setting": (big if isinstance(big, int) else big[0]) % 7,
        "of all": (LONG + node.attrs["n"]) % 7,
    }


def test_numbers_that_python_does_not_write(node):
    """As settings, as constants of a module, and as attributes that are read."""
    node.attrs["n"] = LONG + 1
    result = remainder.at(node)
    assert load(result) == {"of setting": LONG % 7, "of all": (2 * LONG + 1) % 7}
    assert remainder.why_stale(node) is None
    assert remainder.why_stale(node, big=LONG + 1) == "setting 'big' changed"
    assert provenance(result).settings == {"big": LONG}
    assert "constant LONG" in str(provenance(result))
    assert remainder.at(node, big=[LONG, {LONG: {LONG}}]) == result
    assert remainder.why_stale(node, big=[LONG, {LONG: {LONG + 1}}]) == "setting 'big' changed"
    node.attrs["n"] = LONG + 2
    assert remainder.why_stale(node, big=[LONG, {LONG: {LONG}}]) == "attribute 'n' changed"
    with pytest.raises(InvalidStepError, match="key="):
        remainder.variants(node, big=[LONG])
    with pytest.raises(InvalidStepError, match="version of step 'remainder'"):
        step(version=LONG)(remainder.function)


def test_each_node_of_a_map_gets_the_settings_that_were_given(root):
    nodes = [root.get_node(f"n{number}") for number in range(3)]
    takes_list.map(nodes, weights=[5])
    assert [each["takes_list"].attrs["value"] for each in nodes] == [8.0, 8.0, 8.0]


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (2, np.int64(2), "setting 'factor' was 2 and is np.int64(2)"),
        (np.float32(0.5), 0.5, "setting 'factor' was np.float32(0.5) and is 0.5"),
        ([1, 2], (1, 2), "setting 'factor' was [1, 2] and is (1, 2)"),
        ({"a": 1}, None, "setting 'factor' was {'a': 1} and is None"),
        ("('l', 1)", 2, "setting 'factor' was \"('l', 1)\" and is 2"),
    ],
)
def test_settings_are_shown_as_python_writes_them(node, then, now, said):
    @step
    def takes(node, factor):
        return 1

    takes.at(node, factor=then)
    assert takes.why_stale(node, factor=now) == said


# -- maps -----------------------------------------------------------------------------------------


def filled(root, count=4):
    for number in range(count):
        node = root.get_data_node(f"captures/{number}")
        node.write_data(np.arange(10.0) + number)
        node.attrs["number"] = number


def test_what_is_changed_while_a_map_runs_is_never_dropped(database):
    """A map ends the transaction of the nodes' connection, and so did what was changed in it meanwhile."""
    database.run(filled)
    root = database.open_connection()

    def changing():
        for number, node in enumerate(root["captures"].values()):
            root.attrs["last"] = number
            yield node

    with pytest.raises(StepAccessError, match=r"'band_power'.*commit"):
        mapped.band_power.map(changing())
    assert root.attrs["last"] == 1
    database.commit()
    assert root.attrs["last"] == 1

    def committing():
        for number in range(4):
            node = root.get_data_node(f"new/{number}")
            node.write_data(np.full(10, float(number)))
            database.commit()
            yield node
        root.attrs["ended"] = True

    assert mapped.band_power.map(committing()).computed == 4
    assert root.attrs["ended"]
    database.commit()
    assert root.attrs["ended"]
    assert [each.attrs["mean"] for each in root.find("new/*/band_power")] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_an_executor_that_is_shut_down(database, kind):
    database.run(filled)
    executor = kind(1)
    executor.shutdown()
    with database.connection() as root:
        with pytest.raises(InvalidOptionError, match=r"'band_power'.*not shut down"):
            mapped.band_power.map(root.find("captures/*"), workers=executor)
        assert mapped.band_power.map(root.find("captures/*")).computed == 4


# -- notes ----------------------------------------------------------------------------------------


@pytest.mark.sampled(12)
@pytest.mark.parametrize("name", ["_step_check", "_step", "_step_evicted", "_step_same"])
@pytest.mark.parametrize(
    "value", ["", "no json", "{}", "[]", "null", '{"name": "twice"}', '{"payloads": {"twice": 1}}', 5, None]
)
def test_notes_that_somebody_has_written_over_are_a_typed_error(node, name, value):
    result = twice.at(node)
    if name == "_step_same":
        evict(node)
        result = twice.at(node)
    if value is None:
        result.attrs.pop(name, None)
    else:
        result.attrs[name] = value
    uses = {
        "at": lambda: twice.at(node),
        "of another": lambda: twice.at(node, factor=3),
        "why_stale": lambda: twice.why_stale(node),
        "of a result": lambda: why_stale(result),
        "provenance": lambda: provenance(result),
        "load": lambda: load(result),
        "lineage": lambda: lineage(node),
        "plan": lambda: plan(node, [twice]),
        "run": lambda: run(node, [twice]),
        "map": lambda: twice.map([node]),
        "evict": lambda: evict(node),
        "taken": lambda: mapped.spectrum.at(result),
    }
    for use in uses.values():
        with contextlib.suppress(LotdbError):
            use()
    node.delete_node("twice", False)
    assert twice.at(node).attrs["n"] == 1


def test_such_an_error_names_the_node_and_what_to_do(node):
    twice.at(node).attrs["_step_check"] = "mine"
    with pytest.raises(NotAResultError, match=r"'a/twice'.*'_step_check'.*delete the node"):
        twice.why_stale(node)


# -- other releases of Python ---------------------------------------------------------------------


def made_elsewhere(node, release):
    """Have the result be one that another release of Python has made, whose bytecode is other."""
    attrs = node["alone"].attrs
    here = f'"python":"{platform.python_version()}"'
    attrs["_step_check"] = attrs["_step_check"].replace(here, f'"python":"{release}"')
    before = attrs["_step_check"]
    digest = provenance(node["alone"]).code["alone"]
    attrs["_step_check"] = before.replace(digest, "0" * 24).replace('"digest":"', '"digest":"0')
    assert attrs["_step_check"] != before


def test_without_source_another_python_is_named(node):
    names = {"__name__": __name__}
    exec("from lotdb.steps import step\n@step\ndef alone(node):\n    return 1\n", names)
    alone = names["alone"]
    alone.at(node)
    assert alone.why_stale(node) is None
    made_elsewhere(node, "3.4.9")
    why = alone.why_stale(node)
    assert why.startswith("code of 'alone' cannot be compared: Python was 3.4.9 and is 3.")
    assert "source" in why
    node["alone"].attrs["_step_check"] = node["alone"].attrs["_step_check"].replace(
        '"python":"3.4.9"', f'"python":"{platform.python_version()}"'
    )
    assert alone.why_stale(node) == "code of 'alone' changed"


def default():
    return [1]


@dataclass(order=True)
class Options:
    low: float = 0.5
    high: float = 2.0
    several: list[int] = field(default_factory=default)


@step
def with_options(node):
    return Options(low=1.0).high


def test_a_dataclass_counts_by_its_fields(node, monkeypatch):
    """Its methods have no source, and their code differs between releases of Python."""
    parts = with_options.code().parts
    assert all(source is not None for source, _ in parts.values())
    assert "default" in parts
    with_options.at(node)

    @dataclass(order=True)
    class Options:
        low: float = 0.5
        high: float = 3.0
        several: list[int] = field(default_factory=default)

    Options.__qualname__ = "Options"
    monkeypatch.setitem(with_options.function.__globals__, "Options", Options)
    assert "Options" in with_options.why_stale(node)


def test_a_program_that_maps_in_a_moment_that_was_undone(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        db.run(filled)
        with db.connection() as root:
            assert mapped.band_power.map(root.find("captures/*")).computed == 4
        db.run(lambda root: db.undo(db.last_commit, root))
        with db.connection() as root:
            assert mapped.band_power.why_stale(root["captures/1"]) == "'band_power' was not computed yet"
            assert mapped.band_power.map(root.find("captures/*")).computed == 4
