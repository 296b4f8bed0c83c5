"""The search index of the examples is right through random transactions, aborts, conflicts and kills."""

import importlib
import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.services import forked

from lotdb import LOTDB, Payload

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("index_worker.py")
# Pairs of transactions of two connections, for each kind of end; 500 makes a thousand.
PAIRS = 25
KILLS = 1

sys.path.insert(0, str(ROOT / "examples"))
example = importlib.import_module("search_index")


def expected(database):
    """What is to be in the index, by a walk through all of the tree."""
    found = {"nodes": [], "attributes": [], "payloads": []}
    with database.connection() as root:
        for node in root.iterate_tree():
            found["nodes"].append((node.path, node.node_type))
            for name, value in node.attrs.items():
                if isinstance(value, Payload):
                    row = (node.path, name, value.kind, value.shape[0], value.samplerate_hz)
                    found["payloads"].append(row)
                else:
                    found["attributes"].append((node.path, name, json.dumps(value)))
    return {table: sorted(rows) for table, rows in found.items()}


def work(folder, seed, kill, *, kill_after=None):
    """Let the worker change the database; how it ended."""
    command = ["-W", "error", WORKER, folder, str(seed), str(PAIRS), kill]
    worker = forked.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        if kill_after is not None:
            for line in worker.stdout:
                if int(line) == kill_after:
                    worker.kill()
        _, said = worker.communicate(timeout=600)
    finally:
        worker.kill()
        worker.wait()
    assert "Traceback" not in said, said
    return worker.returncode


def check(folder, *, caught_up):
    """Whether the index is right; *caught_up* if it may have missed the last commit and is asked to look."""
    index = example.SearchIndex(folder / "index.sqlite")
    if caught_up:
        example.open_with_index(folder / "db", index).close()
    with LOTDB(folder / "db") as db:
        assert {table: sorted(rows) for table, rows in index.rows().items()} == expected(db)
        assert db.verify() == []
    index.close()


def test_it_is_right_after_aborts_and_conflicts_without_a_second_look(tmp_path):
    assert work(tmp_path, 1, "none") == 0
    check(tmp_path, caught_up=False)


@pytest.mark.parametrize("kill", ["before", "after"])
def test_it_is_right_after_kills_at_a_commit(tmp_path, kill):
    for seed in range(KILLS):
        assert work(tmp_path, seed, kill) == -signal.SIGKILL
        check(tmp_path, caught_up=kill == "before")


def test_it_is_right_after_kills_anywhere(tmp_path):
    dice = random.Random(0)
    for seed in range(KILLS):
        work(tmp_path, seed, "none", kill_after=dice.randrange(PAIRS // 2))
        check(tmp_path, caught_up=True)


def test_it_finds_nodes(tmp_path):
    command = [sys.executable, "-W", "error", ROOT / "examples/search_index.py", "--database", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("freeze: ['S02 again/walk', 'S02/walk']\n", "")
