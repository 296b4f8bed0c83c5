"""A database whose object nobody has any more is no longer open."""

import gc
import sys

import numpy as np
import pytest

from lotdb import LOTDB, DatabaseBusyError

# The temporary file of a savepoint is closed by its destructor then, which complains. Pytest would keep the
# complaint, with the frames that it came up in, and the databases in those.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def nothing_of_earlier_tests():
    gc.collect()


def dropped_at_once(folder):
    LOTDB(folder)


def dropped_with_a_connection(folder):
    LOTDB(folder).open_connection().attrs["lost"] = 1


def dropped_in_the_middle_of_a_transaction(folder):
    db = LOTDB(folder)
    root = db.open_connection()
    root.get_data_node("lost").write_data(np.zeros(10))
    root.get_data_node("large").write_data(np.zeros(1 << 18))
    db.savepoint()
    root["lost"].append_data(np.ones(3))


def dropped_after_a_block(folder):
    with LOTDB(folder).connection() as root:
        root.attrs["kept"] = 1


def dropped_in_an_error(folder):
    def fail():
        db = LOTDB(folder)
        db.open_connection().get_data_node("lost").write_data(np.zeros(10))
        raise RuntimeError

    with pytest.raises(RuntimeError) as caught:
        fail()
    del caught


def dropped_as_a_reader(folder):
    LOTDB(folder).close()
    LOTDB(folder, read_only=True).open_connection()


CASES = [
    dropped_at_once,
    dropped_with_a_connection,
    dropped_in_the_middle_of_a_transaction,
    dropped_after_a_block,
    dropped_in_an_error,
    dropped_as_a_reader,
]


@pytest.mark.crossed
@pytest.mark.parametrize("drop", CASES)
@pytest.mark.parametrize("collect", [True, False], ids=["collected", "not collected"])
def test_a_database_that_was_dropped_is_opened_again(tmp_path, drop, collect):
    drop(tmp_path / "db")
    sys.last_value = None
    if collect:
        gc.collect()
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        assert list(root) == []
        assert "lost" not in root.attrs
        assert db.verify() == []
        db.pack()


def test_a_node_keeps_its_database_open(tmp_path):
    root = LOTDB(tmp_path / "db").open_connection()
    gc.collect()
    root.attrs["n"] = 1
    assert root.attrs["n"] == 1
    with pytest.raises(DatabaseBusyError, match="in use by this process"):
        LOTDB(tmp_path / "db")
    del root
    LOTDB(tmp_path / "db").close()
