"""LOTDB.run: commits, and calls the function again after a conflict."""

import threading

import numpy as np
import pytest
from tests.core.transactions.two_connections import conflict, fill, value

from lotdb import InvalidOptionError


def test_run_tries_again_until_every_increment_of_four_threads_is_there(db):
    fill(db, "counter")
    failures = []

    def increment(root):
        counter = root["counter"]
        counter.set_attribute("value", counter.get_attribute("value") + 1)
        log = root.get_data_node("log")
        log.append_data(np.array([counter.get_attribute("value")]))

    def work():
        try:
            for _ in range(25):
                db.run(increment, attempts=200)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert value(db, "counter") == 100
    with db.connection() as root:
        assert root["log"].read_data().tolist() == list(range(1, 101))
    assert db.verify() == []


def test_run_gives_what_the_function_gave(db):
    assert db.run(lambda root: root.get_node("a").path) == "a"


def test_run_gives_up_after_the_attempts_it_was_given(db):
    fill(db, "a")
    calls = []

    def collide(root):
        calls.append(None)
        root["a"].set_attribute("value", 1)
        with db.connection() as other:
            other["a"].set_attribute("value", -len(calls))

    with conflict():
        db.run(collide, attempts=3)
    assert len(calls) == 3
    assert value(db, "a") == -3


def test_run_does_not_try_again_after_another_error(db):
    calls = []

    def fail(root):
        calls.append(root.get_node("a"))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        db.run(fail)
    assert len(calls) == 1
    with db.connection() as root:
        assert "a" not in root


@pytest.mark.parametrize("attempts", [0, -1, 1.5, True, "2"])
def test_run_refuses_a_number_of_attempts_that_is_none(db, attempts):
    with pytest.raises(InvalidOptionError, match="attempts is"):
        db.run(lambda root: None, attempts=attempts)
