"""The defaults of a data node are no attributes: nothing sets them to nonsense, and nothing clears them."""

import numpy as np
import pytest

from lotdb import (
    LOTDB,
    AttributeNotFoundError,
    BaseNode,
    DataNode,
    InvalidKeyError,
    InvalidOptionError,
    InvalidRangeError,
    LotdbError,
    ReadOnlyError,
)
from lotdb.content.attributes import put

NAMES = ["_samplerate_hz", "_backend", "_data_attribute"]


def configured(root):
    backend = root.get_data_node("other").backend
    return root.get_data_node("node", samplerate_hz=100, backend=backend, data_attribute="imu")


def defaults(node):
    return node.samplerate_hz, node.backend, node.data_attribute


def test_attributes_do_not_show_the_defaults(root):
    node = configured(root)
    node.attrs["label"] = 1
    assert list(node.attrs) == ["label"]
    assert (len(node.attrs), dict(node.attrs)) == (1, {"label": 1})
    for name in NAMES:
        assert name not in node.attrs
        assert node.get_attribute(name, "none") == "none"
        with pytest.raises(AttributeNotFoundError, match=r"there: 'label'\)"):
            node.attrs[name]


@pytest.mark.parametrize("name", NAMES)
def test_no_attribute_can_be_set_in_their_place(root, name):
    node, plain = configured(root), root.get_node("plain")
    before = defaults(node)
    for change in (
        lambda n: n.set_attribute(name, "nonsense"),
        lambda n: n.attrs.update({"label": 1, name: 5}),
        lambda n: n.attrs.update(**{name: 5}),
        lambda n: n.attrs.__setitem__(name, None),
        lambda n: n.attrs.setdefault(name, None),
    ):
        for each in (node, plain):
            with pytest.raises(InvalidKeyError, match=f"'{name}'.*configure_data"):
                change(each)
    with pytest.raises(InvalidKeyError, match="configure_data"):
        node.delete_attribute(name)
    assert defaults(node) == before
    assert list(plain.attrs) == list(node.attrs) == []


def test_clearing_the_attributes_keeps_the_defaults(root):
    node = configured(root)
    before = defaults(node)
    node.attrs["label"] = 1
    node.write_data(np.zeros(3))
    node.attrs.clear()
    assert list(node.attrs) == ["imu"]
    assert defaults(node) == before


@pytest.mark.parametrize("unset", ["samplerate_hz", "backend", "data_attribute"])
def test_each_can_be_unset(root, unset):
    node, fresh = configured(root), root.get_data_node("fresh")
    before = defaults(node)
    node.configure_data(unset=unset)
    names = ["samplerate_hz", "backend", "data_attribute"]
    assert getattr(node, unset) == getattr(fresh, unset)
    for name, value in zip(names, before, strict=True):
        if name != unset:
            assert getattr(node, name) == value
    node.configure_data(unset=unset)  # it is gone already
    node.configure_data(unset=names)
    assert defaults(node) == defaults(fresh)


def test_one_is_set_while_another_is_unset(root):
    node = configured(root)
    node.configure_data(data_attribute="emg", unset=["samplerate_hz"])
    assert (node.samplerate_hz, node.data_attribute) == (None, "emg")


@pytest.mark.parametrize("unset", ["rate", "_backend", ["backend", "x"], 5, [5], None, [["backend"]]])
def test_what_is_no_default_cannot_be_unset(root, unset):
    node = configured(root)
    before = defaults(node)
    with pytest.raises(InvalidOptionError, match="unset is"):
        node.configure_data(data_attribute="other", unset=unset)
    assert defaults(node) == before


def test_none_can_be_set_and_unset_at_the_same_time(root):
    node = configured(root)
    with pytest.raises(InvalidOptionError, match="backend is set and unset"):
        node.configure_data(backend=node.backend, unset=["backend"])


def test_the_defaults_are_copied_with_their_node(root):
    node = configured(root)
    copies = [node.branch("branch"), node.copy_tree(), root.add_tree(node, key="copy", copy=True)]
    for copy in copies:
        assert (copy.samplerate_hz, copy.data_attribute) == (100.0, "imu")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_merge_gives_defaults_to_data_nodes_only(root, overwrite):
    source = BaseNode("source")
    for key in ("plain", "data", "new"):
        node = source.get_data_node(key, samplerate_hz=100, data_attribute="imu")
        node.attrs["label"] = key
    plain, data = root.get_node("plain"), root.get_data_node("data")
    root.merge_tree(source, overwrite=overwrite)
    assert (list(plain.attrs), list(root["plain"].attrs)) == (["label"], ["label"])
    for node in (data, root["new"]):
        assert (node.samplerate_hz, node.data_attribute, list(node.attrs)) == (100, "imu", ["label"])
    again = root.get_data_node("plain")
    assert (again.samplerate_hz, again.data_attribute) == (None, "data")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_merge_makes_no_default_of_what_was_stored_as_an_attribute(root, overwrite):
    source = BaseNode("source")
    for key in ("plain", "data"):
        put(source.get_node(key), {"_samplerate_hz": "fast", "label": key})
    data, plain = root.get_data_node("data", samplerate_hz=5), root.get_node("plain")
    root.merge_tree(source, overwrite=overwrite)
    assert (data.samplerate_hz, dict(data.attrs)) == (5, {"label": "data"})
    assert dict(plain.attrs) == {"_samplerate_hz": "fast", "label": "plain"}


def test_a_name_of_another_type_is_stored_as_plain_text(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.get_data_node("node", backend=np.str_("blob"), data_attribute=np.str_("imu"))
        with db.connection() as root:
            assert type(root["node"].backend) is type(root["node"].data_attribute) is str


# -- what was stored before ----------------------------------------------------------------------------------

NONSENSE = {
    "_samplerate_hz": ["fast", -1, 0, float("nan"), True, ("l", 1)],
    "_backend": [5, ("l", 1)],
    "_data_attribute": [7, "a\0", ("l", 1)],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in NAMES for value in NONSENSE[name]])
def test_nonsense_that_was_stored_is_an_error_at_the_call_and_can_be_mended(root, name, value):
    node = root.get_data_node("node")
    put(node, {"label": 1, name: value})
    with pytest.raises(LotdbError, match=f"node 'node' keeps a default .*unset='{name[1:]}'"):
        getattr(node, name[1:])
    with pytest.raises(LotdbError, match="node 'node' keeps a default"):
        node.write_data(np.zeros(3))
    assert list(node.payloads) == []
    # Nothing that names what it wants is kept from working.
    backend = root.get_data_node("other").backend
    node.write_data(np.zeros(3), data_attribute="x", samplerate_hz=1, backend=backend)
    assert node.read_data(data_attribute="x").tolist() == [0, 0, 0]
    assert dict(node.attrs)["label"] == 1
    node.configure_data(unset=name[1:])
    assert defaults(node) == defaults(root.get_data_node("other"))


def test_nonsense_is_the_error_that_setting_it_would_have_been(root):
    node = root.get_data_node("node")
    put(node, {"_samplerate_hz": "fast"})
    with pytest.raises(InvalidRangeError):
        node.samplerate_hz  # noqa: B018


def test_a_plain_node_shows_and_gives_up_what_was_stored_under_these_names(root):
    node = root.get_node("plain")
    put(node, {"_backend": "mine", "label": 1})
    assert dict(node.attrs) == {"_backend": "mine", "label": 1}
    node.delete_attribute("_backend")
    assert dict(node.attrs) == {"label": 1}


def test_defaults_come_back_from_disk(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        configured(root)
    with LOTDB(tmp_path / "db", read_only=True) as db, db.connection() as root:
        node = root["node"]
        assert defaults(node) == (100.0, "blob", "imu")
        with pytest.raises(ReadOnlyError):
            node.configure_data(unset="backend")


def test_a_data_node_in_memory_has_no_attributes_but_its_own():
    node = DataNode("a", samplerate_hz=5, data_attribute="x")
    assert dict(node.attrs) == {}
