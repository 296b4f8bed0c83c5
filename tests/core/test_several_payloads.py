"""Nodes with several payloads: in which order they are, and what is said if none of them is named."""

import numpy as np
import pytest

from lotdb import LOTDB, Ingested, PayloadNotFoundError, Plugins, hookimpl


class Several:
    @hookimpl
    def lotdb_ingest_file(self, source):
        if source.format != "several":
            return None
        return {name: Ingested(np.arange(3), format="several") for name in ("z", "b", "a")}


@pytest.fixture
def plugins():
    plugins = Plugins()
    plugins.register(Several())
    return plugins


def test_payloads_are_in_the_order_in_which_the_ingester_gave_them(tmp_path, plugins):
    path = tmp_path / "a.several"
    path.write_bytes(b"")
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        assert root.get_data_node("n").attach_file(path).name == "data.z"
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        assert list(root["n"].payloads) == ["data.z", "data.b", "data.a"]


def test_data_that_nobody_named_are_asked_for_by_name(tmp_path, plugins):
    path = tmp_path / "a.several"
    path.write_bytes(b"")
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        node = root.get_data_node("n")
        node.attach_file(path)
        told = r"no payload 'data' \(there: 'data.z', 'data.b', 'data.a'\); say which one, with data_attr"
        for read in (node.get_data, node.read_data):
            with pytest.raises(PayloadNotFoundError, match=told):
                read()
        with pytest.raises(PayloadNotFoundError, match=r"no payload 'x' \(there: [^;]*$"):
            node.get_data("x")
