"""A process that was forked while a database was open: the child ends as it likes, and harms nothing.

A child has the same open files as its parent, with one place in each and one lock on each for both.
"""

import pytest
from tests.services import forked

from lotdb import LOTDB

START = """
import os, sys, threading
import numpy as np
from lotdb import LOTDB, ConflictError

folder, storage = sys.argv[1:]
db = LOTDB(folder, storage=None if storage == "file" else storage)
root = db.open_connection()

def child_ends():
    child = os.fork()
    if child == 0:
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0

def child_lives():
    ends, living = os.pipe()
    if os.fork() == 0:
        os.close(living)
        os.read(ends, 1)  # until the parent ends
        os._exit(0)
    os.close(ends)
"""

AFTER_A_CONFLICT = """
root.get_node_path("a/x")
db.commit()
one, two = db.open_connection("one"), db.open_connection("two")
one["a/x"].attrs["number"] = 1
del two["a"]
db.commit(two)
try:
    db.commit(one)
except ConflictError:
    child_ends()
one.attrs["later"] = 1
db.commit(one)
assert db.verify() == []
"""

BESIDE_CLOSED_ONES = """
several = [LOTDB(f"{folder}_{number}", storage=storage if storage != "file" else None) for number in range(9)]
for each in several[::2]:
    each.close()
readers = [LOTDB(folder, read_only=True) for _ in range(2)]
readers[0].close()
root.attrs["later"] = 1
child_ends()
db.commit()
for each in several[1::2]:
    with each.connection() as other:
        other.attrs["a"] = 1
    assert each.verify() == []
    each.close()
readers[1].close()
"""

IN_THE_MIDDLE = """
root.get_data_node("before").write_data(np.arange(500_000.0))
for number in range(3):
    root.get_node(f"n{number}").attrs["text"] = "x" * 900_000
db.savepoint()
root.get_data_node("large").write_data(np.arange(500_000.0))  # in a file that is not committed yet
root.attrs["later"] = 1
child_ends()
db.commit()
assert db.verify() == []
assert root["large"].read_data()[-1] == root["before"].read_data()[-1] == 499_999
"""

IN_A_COMMIT = """
def fork_at_vote(transaction, vote=db._storage.opened.__class__.tpc_vote):
    child_ends()
    return vote(db._storage.opened, transaction)

for number in range(3):  # more than is gathered in memory
    root.get_node(f"n{number}").attrs["text"] = "x" * 900_000
root.attrs["later"] = 1
db._storage.opened.tpc_vote = fork_at_vote
db.commit()
del db._storage.opened.tpc_vote
root.attrs["more"] = 2
db.commit()
assert db.verify() == []
"""

IN_A_PACK = """
with db._storage.announcing_pack():
    child_lives()
db.pack()
with db._storage.publishing(exclusive=True):
    child_lives()
root.get_data_node("small").write_data(np.arange(100.0))
root.attrs["later"] = 1
db.commit()
"""

IN_A_BACKUP = """
root.attrs["later"] = 1
db.commit()
forked = []

def fork_once(*_):
    if not forked:
        forked.append(True)
        child_lives()

db.backup(folder + "_copy", progress=fork_once)
assert forked
db.backup(folder + "_copy")
"""


@pytest.mark.parametrize("storage", ["file", "sqlite"])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(AFTER_A_CONFLICT, id="after a conflict"),
        pytest.param(BESIDE_CLOSED_ONES, id="beside closed ones"),
        pytest.param(IN_THE_MIDDLE, id="in the middle of a transaction"),
        pytest.param(IN_A_COMMIT, id="in a commit"),
        pytest.param(IN_A_PACK, id="in a pack"),
        pytest.param(IN_A_BACKUP, id="in a backup"),
    ],
)
def test_a_child_harms_nothing(tmp_path, script, storage):
    if script is IN_A_COMMIT and storage != "file":
        pytest.skip("it is about the data file")
    script = f"{START}{script}db.close()\n"
    arguments = ["-W", "ignore", "-c", script, str(tmp_path / "db"), storage]
    done = forked.run(arguments, check=True, timeout=50, capture_output=True, text=True)
    assert done.stderr == ""
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        assert root.attrs["later"] == 1
        assert db.verify() == []
