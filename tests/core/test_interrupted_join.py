"""Ctrl-C at the moment when a new blob makes the connection a part of the transaction."""

import signal

import numpy as np
import pytest
from transaction import Transaction
from ZODB.Connection import Connection

from lotdb import LOTDB


def test_who_catches_the_interrupt_can_commit(tmp_path, monkeypatch):
    monkeypatch.setattr("lotdb.storage.waiting.WAIT_S", 2.0)
    join = Transaction.join
    left = [1]

    def interrupted_join(self, resource):
        join(self, resource)
        if isinstance(resource, Connection) and left:
            left.pop()
            signal.raise_signal(signal.SIGINT)

    with LOTDB(tmp_path, durability="process") as db:
        root = db.open_connection()
        root.get_data_node("a")
        db.commit()
        monkeypatch.setattr(Transaction, "join", interrupted_join)
        with pytest.raises(KeyboardInterrupt):
            root["a"].write_data(np.arange(3))
        root["a"].write_data(np.arange(4))
        db.commit()
        with db.connection() as other:
            assert other["a"].read_data().tolist() == [0, 1, 2, 3]
        assert db.verify() == []
