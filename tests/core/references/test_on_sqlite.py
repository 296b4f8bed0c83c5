"""References to a database that many processes write."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from tests.core.references import work

from lotdb import LOTDB, MomentGoneError, UnsupportedValueError
from lotdb.database import shared

pytest.importorskip("relstorage", reason="RelStorage is not installed: lotdb-core[sqlite]")

ROWS = np.arange(1000.0)


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", new=True, storage="sqlite", durability="process") as db:
        with db.connection() as root:
            for number in range(4):
                node = root.get_data_node(("takes", str(number)))
                node.write_data(ROWS + number)
                node.write_data(ROWS[:20] + number, data_attribute="chunked", backend="zarr")
        yield db
    shared._close_all()
    shared._warm.clear()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_workers_read_while_others_write(db):
    root = db.open_connection()
    takes = list(root["takes"].values())
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        for take, mean in zip(takes, pool.map(work.mean, takes), strict=True):
            take.attrs["mean"] = mean
        db.commit()
        windows = list(pool.map(work.mean_of_window, [take.get_data("chunked") for take in takes]))
    assert [take.attrs["mean"] for take in takes] == [499.5 + number for number in range(4)]
    assert windows == [14.5 + number for number in range(4)]


def test_a_moment_stays_until_nobody_reads_it_and_is_an_error_afterwards(db):
    root = db.open_connection()
    node = root["takes/1"].reference()
    pickled = pickle.dumps(node)
    assert node.read_data(0, 2).tolist() == [1, 2]
    root["takes/1"].write_data(ROWS * 3)
    with pytest.raises(UnsupportedValueError, match="not committed"):
        pickle.dumps(root["takes/1"])
    db.commit()
    db.pack()
    assert node.read_data(0, 2).tolist() == [1, 2]
    assert root["takes/1"].reference().read_data(0, 2).tolist() == [0, 3]
    del node
    shared._close_all()
    shared._warm.clear()
    db.pack()
    with pytest.raises(MomentGoneError, match="pack"):
        pickle.loads(pickled).read_data()
