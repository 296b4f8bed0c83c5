"""One transaction may read more than is kept in memory."""

import pytest

from lotdb import LOTDB

LIMIT = 200_000
GROUPS, LEAVES = 200, 100


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr("lotdb.storage.zodb._CACHE_BYTES", LIMIT)
    with LOTDB(tmp_path, durability="process") as db:
        with db.connection() as root:
            for group in range(GROUPS):
                node = root.get_node(f"g{group:03d}")
                for leaf in range(LEAVES):
                    node.get_node(f"n{leaf:03d}").set_attribute("x", group * LEAVES + leaf)
        yield db.open_connection()


def test_what_was_looked_up_is_let_go_within_the_transaction(root):
    connection = root._tree._session.connection
    early = root["g000/n005"]
    held = root["g001"]
    for group in range(GROUPS):
        for leaf in range(0, LEAVES, 10):
            assert root[f"g{group:03d}/n{leaf:03d}"].get_attribute("x") == group * LEAVES + leaf
        assert connection._cache.total_estimated_size < 2 * LIMIT
    assert early.get_attribute("x") == 5
    assert held["n099"].get_attribute("x") == 199


def test_what_was_changed_stays(root):
    for group in range(0, GROUPS, 2):
        root[f"g{group:03d}/n050"].set_attribute("x", "changed")
        root[f"g{group:03d}"].get_node("new").set_attribute("x", group)
    list(root.iterate_tree_leaves())
    for group in range(GROUPS):
        expected = group * LEAVES + 50 if group % 2 else "changed"
        assert root[f"g{group:03d}/n050"].get_attribute("x") == expected
        assert ("new" in root[f"g{group:03d}"]) == (group % 2 == 0)
    root._tree.database.commit(root)
    assert root["g198/new"].get_attribute("x") == 198
