"""What a user wrote is not taken away, nor changed, when files come again; and what files gave is."""

import pytest
from tests.core.files.rig_plugin import numbers, rig, with_rigs

from lotdb import LOTDB, BaseNode, DataNode, Plugins

CHILD = {"payloads": {"": numbers(1)}}


@pytest.fixture
def node():
    return DataNode("node", plugins=with_rigs())


@pytest.fixture
def attach(node, tmp_path):
    def attach(file, said, **how):
        path = tmp_path / f"{file}.rig"
        path.write_bytes(rig(payloads={"": numbers(1)}, **said))
        node.attach_file(path, data_attribute=file, **how)

    return attach


@pytest.mark.parametrize("before", [{}, {"attributes": {"other": 1}}], ids=["no attributes", "another one"])
def test_an_attribute_that_a_user_added_stays_when_a_later_file_says_it(node, attach, before):
    attach("f", before)
    node.attrs["subject"] = "mine"
    attach("f", {"attributes": {"subject": "the file's"}})
    assert node.attrs["subject"] == "mine"
    attach("f", {})
    assert node.attrs["subject"] == "mine"


def test_what_one_file_gave_another_may_say_otherwise(node, attach):
    attach("f", {"attributes": {"subject": "f's"}})
    attach("g", {"attributes": {"subject": "g's"}})
    assert node.attrs["subject"] == "g's"
    attach("g", {"attributes": {"subject": "again g's"}})
    assert node.attrs["subject"] == "again g's"


def test_an_attribute_that_two_files_give_goes_with_the_last_of_them(node, attach):
    for file in "fg":
        attach(file, {"attributes": {"subject": "S01"}, "children": {"c": {**CHILD, "attributes": {"a": 1}}}})
    attach("g", {})
    assert node.attrs["subject"] == "S01"
    assert node["c"].attrs["a"] == 1
    attach("f", {})
    assert "subject" not in node.attrs
    assert list(node) == []


@pytest.mark.parametrize("order", ["fg", "gf"])
def test_a_node_that_two_files_give_goes_with_the_last_of_them(node, attach, order):
    for file in "fg":
        attach(file, {"children": {"c": CHILD}})
    attach(order[0], {})
    assert list(node["c"].payloads) == [order[1]]
    attach(order[1], {})
    assert list(node) == []


@pytest.mark.parametrize("default", [{"samplerate_hz": 5}, {"backend": "memory"}])
def test_a_node_with_a_default_of_the_users_stays(node, attach, default):
    attach("f", {"children": {"c": CHILD}})
    node["c"].configure_data(**default)
    attach("f", {})
    assert list(node) == ["c"]


def test_a_file_is_taken_in_again_for_another_backend(tmp_path):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "x.rig"
    path.write_bytes(rig(**CHILD))
    with LOTDB(tmp_path / "db", plugins=with_rigs(), durability="process") as db, db.connection() as root:

        def ingest(**how):
            report = root.ingest_tree(tmp_path / "in", batch_size=None, **how)
            return len(report.unchanged), root["x.rig"].get_data().backend

        assert ingest() == (0, "blob")
        assert ingest(backend="zarr") == (0, "zarr")
        assert ingest(backend="zarr") == (1, "zarr")
        assert ingest() == (1, "zarr")
        node = root["x.rig"]
        node.attach_file(path, backend="blob", skip_unchanged=True)
        assert node.get_data().backend == "blob"


def test_ingesters_that_are_switched_off_are_named(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.odd").write_bytes(b"x")
    everything = {point.name for point in Plugins().listing() if point.kind == "ingester"}
    root = BaseNode("root", plugins=Plugins(off=everything))
    report = root.ingest_tree(tmp_path / "in")
    message = str(report.failed["x.odd"])
    assert "no ingester reads it, and some are switched off: 'audio', " in message
    assert "pip install" not in message
