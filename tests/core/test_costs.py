"""What an operation costs does not grow with what it has no use for: calls are counted, and no time taken."""

import sys
from functools import partial

import numpy as np
import pytest

from lotdb import LOTDB, AttributeNotFoundError, BaseNode, DataNode, NodeNotFoundError, PayloadNotFoundError
from lotdb.records.entries import record_of
from lotdb.records.own import BOX_BYTES, EMPTY_OWN, get_value, may_grow, position, with_values
from lotdb.values.values import is_same

MANY = 100


def calls(function):
    """How many Python functions *function* calls, also within others."""
    count = 0

    def called(frame, event, argument):
        nonlocal count
        count += event == "call"

    function()  # what is made or loaded once, and for merge_tree also what its savepoint stores
    function()
    sys.setprofile(called)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def with_payloads(node, count):
    for number in range(count):
        node.write_data(np.arange(3.0), data_attribute=f"other_{number}")


def with_attributes(node, count):
    node.attrs.update({f"other_{number}": "some words" for number in range(count)})


def with_siblings(node, count):
    for number in range(count):
        node.parent.get_node(f"other_{number}")


OPERATIONS = {
    "set_attribute": lambda node: node.set_attribute("label", 1),
    "attrs.update": lambda node: node.attrs.update({"label": 2, "more": 3}),
    "set and delete": lambda node: (node.set_attribute("new", 1), node.delete_attribute("new")),
    "get_attribute": lambda node: (node.set_attribute("label", 1), node.get_attribute("label")),
    "configure_data": lambda node: node.configure_data(samplerate_hz=5),
    "write_data": lambda node: node.write_data(np.arange(4.0)),
    "append_data": lambda node: node.append_data(np.arange(4.0), data_attribute="log"),
    "read_data": lambda node: node.read_data(0, 2),
    "branch": lambda node: node.branch("copy").delete_tree(),
    "rename": lambda node: (node.rename("renamed"), node.rename("node")),
    "a child": lambda node: (node.get_node("child"), node.delete_node("child")),
    "merge_tree": lambda node: node.merge_tree(node.parent["source"], overwrite=True),
}


@pytest.mark.parametrize("beside", [with_payloads, with_attributes, with_siblings])
@pytest.mark.parametrize("in_memory", [True, False])
def test_an_operation_takes_as_many_calls_beside_many_as_beside_few(db, beside, in_memory):
    def counted(count):
        root = BaseNode("root") if in_memory else db.open_connection(str(count))
        node = root.get_data_node("a/node")
        root["a"].get_node("source").attrs["label"] = 0
        node.attrs["text"] = "x" * 600  # so that the node has a record of its own with few of them, too
        node.write_data(np.arange(9.0))
        beside(node, count)
        return {name: calls(partial(operation, node)) for name, operation in OPERATIONS.items()}

    few, many = counted(3), counted(MANY)
    assert {name: (few[name], many[name]) for name in few if many[name] > few[name] + 30} == {}


def test_making_and_deleting_a_child_takes_no_longer_below_many_ancestors():
    def steps(depth):
        """How many lines are run within functions that go up from a node."""
        node = BaseNode("root").get_node_path([f"level_{number}" for number in range(depth)])
        node.get_node("child")
        run = 0

        def called(frame, event, argument):
            nonlocal run
            run += event == "line" and frame.f_code.co_name in ("_keys", "_top", "_locate")
            return called

        sys.settrace(called)
        try:
            node.delete_node("child")
        finally:
            sys.settrace(None)
        return run

    assert steps(MANY) == steps(3)


def test_a_branch_that_holds_many_payloads_is_not_measured_either(db):
    def counted(count):
        node = db.open_connection(str(count)).get_data_node("node")
        node.get_node("child")
        with_payloads(node, count)
        return calls(lambda: node.set_attribute("label", 1))

    assert counted(MANY) <= counted(10) + 10


def test_many_names_are_found_where_they_are():
    names = {f"name_{number}": number for number in range(1000)}
    own = with_values(((),), names)
    assert [get_value(own, name) for name in names] == list(range(1000))
    assert get_value(own, "absent", "nothing") == "nothing"
    changed = with_values(own, {"name_7": "x", "name_999": "y"})
    assert (get_value(changed, "name_7"), get_value(changed, "name_999")) == ("x", "y")
    assert changed[0] is own[0]
    more = with_values(changed, {"new": 1, "name_0": 2})
    assert (more[0][-1], get_value(more, "new"), get_value(more, "name_0")) == ("new", 1, 2)


def test_names_that_a_stranger_wrote_are_passed_over():
    names = (*(f"name_{number}" for number in range(50)), ["a list"], 7)
    assert (position(names, "name_49"), position(names, "absent")) == (49, -1)


def test_an_error_names_a_few_of_many(db):
    node = db.open_connection().get_data_node("node")
    with_attributes(node, MANY)
    with_payloads(node.get_data_node("data"), MANY)
    with pytest.raises(AttributeNotFoundError, match=r"there: 'other_0', .*'other_4', …") as attribute:
        node.attrs["absent"]
    with pytest.raises(PayloadNotFoundError, match=r"there: 'other_0', .*'other_4', …") as payload:
        node["data"].get_data("absent")
    with pytest.raises(NodeNotFoundError, match="its children are 'data'"):
        node["absent"]
    assert len(str(attribute.value)) < 200
    assert len(str(payload.value)) < 200


def test_renamed_nodes_take_the_first_number_that_is_free():
    root = BaseNode("root")
    for _ in range(20):
        root.add_tree(BaseNode("a"), if_exists="rename")
    del root["a_7"]
    assert root.add_tree(BaseNode("a"), if_exists="rename").key == "a_7"
    assert root.add_tree(BaseNode("a"), if_exists="rename").key == "a_21"


# -- what is equal is not written ----------------------------------------------------------------------------


def size_of(db):
    return (db.path / db.name).stat().st_size


def grown(db, change):
    """By how many bytes the data file grows when *change* is committed."""
    before = size_of(db)
    change()
    db.commit()
    return size_of(db) - before


def filled(root, key):
    for number in range(60):
        node = root.get_data_node(f"{key}/{number // 10}/{number:03}")
        node.write_data(np.arange(number, number + 10))
        node.attrs.update({"number": number, "nan": float("nan"), "list": [1, {"a": 2.5}]})
    return root[key]


@pytest.mark.parametrize("how", ["a branch", "a branch changed there and back", "a tree in memory"])
def test_merging_what_is_equal_writes_nothing(db, how):
    root = db.open_connection()
    raw = filled(root, "raw")
    db.commit()
    other = filled(BaseNode("other"), "raw") if how == "a tree in memory" else raw.branch("other")
    if how == "a branch changed there and back":
        for node in list(raw.iterate_tree_leaves()):
            node.attrs["number"] = -1
            node.attrs["number"] = int(node.key)
    db.commit()
    files = {path for path in db.path.rglob("*") if path.is_file()}
    assert grown(db, lambda: raw.merge_tree(other, overwrite=True)) == 0
    assert {path for path in db.path.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize("backend", ["blob", "zarr"])
def test_merging_an_equal_database_reads_it_and_writes_nothing(db, tmp_path, backend):
    with LOTDB(tmp_path / "other", default_backend=backend) as other:
        source = filled(other.open_connection(), "raw")
        other.commit()
        root = db.open_connection()
        root.get_node("raw").merge_tree(source)
        db.commit()
        assert grown(db, lambda: root["raw"].merge_tree(source, overwrite=True)) == 0
        source["3/035"].write_data(np.arange(10) - 1)
        root["raw"].merge_tree(source, overwrite=True)
    assert root["raw/3/035"].read_data().tolist() == list(range(-1, 9))
    assert root["raw/3/036"].read_data().tolist() == list(range(36, 46))


@pytest.mark.parametrize(
    "change",
    [
        {"samplerate_hz": 5},
        {"metadata": {"unit": "V"}},
        {"content_type": "a/b"},
        {"data": np.arange(4, dtype="int32")},
        {"data": np.arange(5)},
        {"data": np.arange(4) + 1},
        {"data": np.arange(4).reshape(4, 1)},
        {"data": "text"},
    ],
)
def test_a_payload_that_differs_in_anything_is_taken(db, change):
    root = db.open_connection()
    root.get_data_node("a").write_data(np.arange(4))
    other = DataNode("a")
    written = other.write_data(**{"data": np.arange(4), **change})
    root["a"].merge_tree(other, overwrite=True)
    there = root["a"].get_data()
    for name in ("kind", "shape", "dtype", "samplerate_hz", "metadata", "content_type"):
        assert getattr(there, name) == getattr(written, name), name
    assert np.array_equal(there.read(), written.read())


def test_a_payload_in_pieces_equals_one_in_one_piece(db):
    root = db.open_connection()
    node = root.get_data_node("a")
    for number in range(3):
        node.append_data(np.arange(number, number + 200_000.0))
        db.commit()
    other = DataNode("a")
    other.write_data(node.read_data())
    assert len(node.get_data().segments()) > 1
    assert grown(db, lambda: node.merge_tree(other, overwrite=True)) == 0
    changed = node.read_data()
    changed[-1] = -1
    other.write_data(changed)
    node.merge_tree(other, overwrite=True)
    assert np.array_equal(node.read_data(), changed)


def test_a_damaged_payload_is_mended_by_merging_what_it_was(tmp_path):
    data = np.arange(1000.0)
    with LOTDB(tmp_path / "db", backends={"blob": {"record_bytes": 0}}) as db, db.connection() as root:
        root.get_data_node("a").write_data(data)
    [blob] = (tmp_path / "db").rglob("*.blob")
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-8] + b"12345678")
    good = DataNode("a")
    good.write_data(data)
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root["a"].merge_tree(good, overwrite=True)
        assert np.array_equal(root["a"].read_data(), data)


def test_values_that_python_takes_for_equal_are_not_the_same(db):
    root = db.open_connection()
    for mine, theirs in [(1, True), (1, 1.0), (0.0, -0.0), ([1], [True]), ((1,), [1]), ("a", b"a")]:
        root.get_node("a").attrs["x"] = mine
        root.get_node("b").attrs["x"] = theirs
        root["a"].merge_tree(root["b"], overwrite=True)
        assert type(root["a"].attrs["x"]) is type(theirs)
        assert repr(root["a"].attrs["x"]) == repr(theirs)


def test_deep_values_are_compared_without_recursion():
    one = other = 1
    for _ in range(5000):
        one, other = ("l", one), ("l", other)
    assert is_same(one, other)
    assert not is_same(one, ("l", other))


def test_a_merge_in_memory_that_fails_leaves_everything_as_it_was(monkeypatch):
    root, source = filled(BaseNode("root"), "raw"), filled(BaseNode("source"), "raw")
    for number in range(60):
        source[f"{number // 10}/{number:03}"].attrs["number"] = -1
    source.get_node("new")
    before = [(node.path, dict(node.attrs.items())["number"]) for node in root.iterate_tree_leaves()]
    put, left = type(root)._put_own, [20]

    def failing(self, own, **how):
        left[0] -= 1
        if not left[0]:
            raise MemoryError
        put(self, own, **how)

    monkeypatch.setattr("lotdb.tree.handle.Handle._put_own", failing)
    with pytest.raises(MemoryError):
        root.merge_tree(source, overwrite=True)
    monkeypatch.undo()
    assert [(node.path, dict(node.attrs.items())["number"]) for node in root.iterate_tree_leaves()] == before


def test_what_may_grow_is_measured_and_what_cannot_is_not():
    short = with_values(EMPTY_OWN, {"label": 1, "text": "words", "level": 0.5, "held": (1, 2)})
    for name, value in (("label", 0), ("label", -1), ("text", "word"), ("text", ""), ("level", 1e300)):
        assert not may_grow(short, with_values(short, {name: value}))
    for name, value in (
        ("label", 2),
        ("label", 2**63),
        ("label", 0.5),
        ("text", "words!"),
        ("text", "wörds"),
        ("held", (1,)),
        ("new", 1),
    ):
        assert may_grow(short, with_values(short, {name: value}))
    assert may_grow(EMPTY_OWN, with_values(EMPTY_OWN, {"label": 1}))


def test_a_text_that_grows_little_by_little_gets_a_record_of_its_own(db):
    root = db.open_connection()
    node = root.get_data_node("a/node")
    node.write_data(np.arange(3.0))
    for length in range(0, 2 * BOX_BYTES, 7):
        node.set_attribute("text", "x" * length)
        node.set_attribute("label", length)
    assert record_of(node._entry()) is not None
    assert node.get_attribute("text") == "x" * length
    assert node.get_attribute("label") == length
