"""Trees as texts, the line of a node, and what the Tab key offers."""

import numpy as np
import pytest

from lotdb import LOTDB, BaseNode, InvalidOptionError
from lotdb.looking.wording import duration_text, value_text


@pytest.fixture
def root():
    root = BaseNode("study")
    for number in range(3):
        node = root.get_data_node(f"sensor/capture_{number}", samplerate_hz=1000)
        node.write_data(np.zeros((20, 3), "f4"), data_attribute="imu")
    node.attrs["label"] = "walk"
    root.get_node("empty")
    return root


@pytest.fixture(scope="module")
def wide():
    root = BaseNode("r")
    for number in range(1200):
        root.get_node(f"n{number:06}")
    return root


def test_print_shows_the_nodes_with_what_they_have(root):
    assert str(root.tree()).splitlines() == [
        ".  2 children",
        "├── empty",
        "└── sensor  3 children",
        "    ├── capture_0  imu: array (20, 3) float32 1000 Hz",
        "    ├── capture_1  imu: array (20, 3) float32 1000 Hz",
        "    └── capture_2  imu: array (20, 3) float32 1000 Hz, 1 attribute",
    ]
    assert repr(root.tree()) == str(root.tree())


def test_depth_and_children_are_limited(root):
    assert str(root.tree(0)) == ".  2 children"
    assert str(root["sensor"].tree(1, 1)).splitlines() == [
        "sensor  3 children",
        "├── capture_0  imu: array (20, 3) float32 1000 Hz",
        "└── … and 2 more",
    ]
    assert str(root.tree(1, 0)).splitlines() == [".  2 children", "└── … and 2 more"]


@pytest.mark.parametrize("wrong", [-1, 1.5, "2", True, None])
def test_a_wrong_limit_is_an_error_at_the_call(root, wrong):
    with pytest.raises(InvalidOptionError, match="depth"):
        root.tree(depth=wrong)
    with pytest.raises(InvalidOptionError, match="max_children"):
        root.tree(max_children=wrong)


def test_a_tree_shows_what_is_there_when_it_is_printed(root):
    tree = root.tree(1)
    del root["empty"]
    assert "empty" not in str(tree)


def test_a_deep_tree_is_no_recursion():
    root = node = BaseNode("r")
    for _ in range(2000):
        node = node.get_node("n")
    assert len(str(root.tree(depth=1500)).splitlines()) == 1501


def test_the_line_of_a_node_tells_the_number_of_children(root):
    assert repr(root) == "<BaseNode 'study' of a tree in memory, 2 children>"
    assert repr(root["sensor/capture_0"]).endswith(", 0 children>")
    assert ", 1 child>" in repr(root["sensor"].branch("other").parent["empty"].get_node("x").parent)


def test_of_very_many_children_only_some_are_counted(wide, monkeypatch):
    for module in ("wording", "first_children", "markup"):
        monkeypatch.setattr(f"lotdb.looking.{module}.COUNTED", 500)
    assert "over 500 children" in repr(wide)
    lines = str(wide.tree()).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "└── … and over 500 more"
    assert "over 500 children" in wide._repr_html_()


def test_counting_reads_no_more_records_than_needed(tmp_path):
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            for number in range(3000):
                root.get_node(f"n{number:05}")
        with db.connection() as root:
            assert root._count_children(3000) == 3000
            assert root._count_children(5000) == 3000
            assert 100 < root._count_children(100) < 400


# -- the Tab key ----------------------------------------------------------------------------------


def test_keys_and_paths_are_offered(root):
    offered = root._ipython_key_completions_()
    assert offered[:2] == ["empty", "sensor"]
    assert "sensor/capture_2" in offered
    assert root["sensor/capture_2"].attrs._ipython_key_completions_() == ["imu", "label"]
    assert root["sensor/capture_2"].payloads._ipython_key_completions_() == ["imu"]


def test_so_many_are_offered_at_most(wide):
    assert len(wide._ipython_key_completions_()) == 1000
    wide.attrs.update({f"a{each}": 1 for each in range(1200)})
    assert len(wide.attrs._ipython_key_completions_()) == 1000


def test_of_a_closed_database_nothing_is_offered(tmp_path):
    with LOTDB(tmp_path) as db:
        root = db.open_connection()
    assert root._ipython_key_completions_() == []
    assert root.attrs._ipython_key_completions_() == []


@pytest.fixture(scope="module")
def ipython(tmp_path_factory):
    shell = pytest.importorskip("IPython.core.interactiveshell", reason="IPython is not installed")
    with pytest.MonkeyPatch.context() as patch:  # it keeps its history there
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield shell.InteractiveShell.instance()
        shell.InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ('root["', ["empty", "sensor"]),
        ('root["sen', ["sensor"]),
        ('root["sensor/', [f"sensor/capture_{number}" for number in range(3)]),
        ("root['sensor/capture_1", ["sensor/capture_1"]),
        ('root["nothing/', []),
        ('root["sensor"]; root["sensor/capture_0', ["sensor/capture_0"]),
    ],
)
def test_ipython_completes_the_next_key_of_a_path(typed, expected, root, ipython):
    ipython.user_ns["root"] = root
    assert offered(ipython, typed) == expected


def test_ipython_completes_within_very_many_children(wide, ipython):
    ipython.user_ns["wide"] = wide
    assert offered(ipython, 'wide["n00119') == [f"n00119{each}" for each in range(10)]


def offered(shell, typed):
    """What IPython offers between the quotes; it may close them."""
    from IPython.core.completer import provisionalcompleter

    with provisionalcompleter():
        found = [each.text for each in shell.Completer.completions(typed, len(typed))]
    return [each.strip("\"'[]") for each in found if not each.startswith((".", "%"))]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (60, "1 min 0 s"), (119.9999, "2 min 0 s"), (3600, "1 h 0 min 0 s")],
)
def test_durations_for_people(seconds, text):
    assert duration_text(seconds) == text


def test_a_value_that_cannot_be_shown_spoils_no_view():
    class Strange:
        def __repr__(self):
            raise RuntimeError("never")

    assert value_text(Strange(), 60) == "a value of type Strange"
    assert value_text([2**20_000, Strange()], 60).startswith("[0x1000")
