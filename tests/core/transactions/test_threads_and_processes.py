"""Connections in several threads and processes."""

import threading

import numpy as np
import pytest
from tests.core.transactions.two_connections import LARGE, NEW, OLD, value
from tests.services import forked

from lotdb import LOTDB, WrongThreadError


def error_in_thread(function):
    caught = []

    def call():
        try:
            function()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return caught[0] if caught else None


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda db, root: root["a"], id="getitem"),
        pytest.param(lambda db, root: root["a"].get_attribute("value"), id="get_attribute"),
        pytest.param(lambda db, root: root["a"].set_attribute("value", 1), id="set_attribute"),
        pytest.param(lambda db, root: root["a"].read_data(), id="read_data"),
        pytest.param(lambda db, root: root["a"].write_data(OLD), id="write_data"),
        pytest.param(lambda db, root: root.get_node("new"), id="get_node"),
        pytest.param(lambda db, root: list(root), id="list"),
        pytest.param(lambda db, root: db.commit("mine"), id="commit"),
        pytest.param(lambda db, root: db.abort("mine"), id="abort"),
        pytest.param(lambda db, root: db.savepoint("mine"), id="savepoint"),
        pytest.param(lambda db, root: db.close_connection("mine"), id="close_connection"),
        pytest.param(lambda db, root: db.open_connection("mine"), id="open_connection"),
    ],
)
def test_another_thread_cannot_use_a_connection_and_does_it_no_harm(db, mine, use):
    mine.get_data_node("a").write_data(NEW)
    db.commit("mine")
    mine["a"].set_attribute("value", 7)
    error = error_in_thread(lambda: use(db, mine))
    assert isinstance(error, WrongThreadError)
    assert "belongs to another thread; open one in each thread" in str(error)
    assert "payload.for_threads()" in str(error)
    assert list(mine) == ["a"]
    db.commit("mine")
    assert value(db, "a") == 7


def test_a_handle_and_a_payload_cannot_be_used_by_another_thread_either(db, mine):
    node = mine.get_data_node("a")
    payload = node.write_data(LARGE)
    node.get_attribute("value")
    for use in (
        lambda: node.get_attribute("value"),
        lambda: node.set_attribute("value", 1),
        payload.read,
        lambda: payload[3],
        lambda: np.asarray(payload),
    ):
        assert isinstance(error_in_thread(use), WrongThreadError)


def test_closing_the_database_from_another_thread_is_refused_and_changes_nothing(db, mine):
    mine.set_attribute("value", 7)
    error = error_in_thread(db.close)
    assert isinstance(error, WrongThreadError)
    assert mine.get_attribute("value") == 7
    db.commit("mine")
    with db.connection() as root:
        assert root.get_attribute("value") == 7


FORK = """
import os, sys, lotdb
db = lotdb.LOTDB(sys.argv[1])
root = db.open_connection()
root.get_node("before")
db.commit()
root.get_node("parent")
child = os.fork()
if child == 0:
    refused = 0
    uses = (
        lambda: root["before"],
        lambda: root.get_node("child"),
        lambda: db.commit(),
        lambda: db.abort(),
        lambda: db.open_connection("child"),
        lambda: db.run(list),
        lambda: db.pack(),
        lambda: db.verify(),
    )
    for use in uses:
        try:
            use()
        except lotdb.WrongThreadError as error:
            refused += "before this one was forked from it" in str(error)
    db.close()
    os._exit(0 if refused == len(uses) else 1)
assert os.waitpid(child, 0)[1] == 0, "the child was not refused"
assert sorted(root) == ["before", "parent"]
db.commit()
assert db.verify() == []
db.close()
"""


def test_a_forked_child_is_refused_and_the_database_of_its_parent_is_fine(folder):
    forked.run(["-W", "ignore", "-c", FORK, folder], check=True)
    with LOTDB(folder) as db, db.connection() as root:
        assert sorted(root) == ["before", "parent"]
