"""A process is killed while it undoes, tags and packs: each moment is as it was, or clearly gone."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.services import forked

from lotdb import LOTDB, MomentGoneError

WORKER = Path(__file__).with_name("killed_worker.py")
# So many times it is killed; LOTDB_TEST_MOMENT_KILLS=1000 takes five minutes.
KILLS = int(os.environ.get("LOTDB_TEST_MOMENT_KILLS", "8"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


class Worker:
    def __init__(self, folder):
        self.process = forked.Popen(
            [WORKER, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, kill_at):
        """What the child told until its end."""
        self.process.stdin.write(f"{kill_at}\n")
        self.process.stdin.flush()
        told = []
        while (line := self.process.stdout.readline().split())[:1] != ["end"]:
            assert line, "the worker is gone; it says why on its standard error"
            told.append(line)
        assert line[1] in ("0", "-9"), "the worker failed; it says why on its standard error"
        return told

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def number_of(root):
    number = root["a/b"].attrs["number"]
    np.testing.assert_array_equal(root["payload"].read_data(), np.full(number % 50 + 1, number))
    np.testing.assert_array_equal(root["large"].read_data(), np.full(70_000, number))
    return number


def test_each_moment_is_what_it_was_or_clearly_gone(folder):
    worker = Worker(folder)
    try:
        told = worker.run(0)
        count = int(told[-1][1])
        committed, kept = {}, ""
        for kill_at in [0, *sorted({int(each) for each in np.linspace(1, count, KILLS)})]:
            told = worker.run(kill_at) if kill_at else told
            committed |= {each[1]: int(each[2]) for each in told if each[0] == "commit"}
            kept = max([kept, *(each[1] for each in told if each[0] == "pack")])
            with LOTDB(folder, durability="process") as db:
                last = max(committed)
                assert db.last_commit >= last
                listed = {each.id for each in db.history()}
                for commit, number in committed.items():
                    try:
                        with db.at(commit) as root:
                            assert number_of(root) == number
                        assert commit in listed
                    except MomentGoneError:
                        assert commit not in listed
                        assert commit < min(listed)
                assert last in listed
                for name, commit in db.tags.items():
                    with db.at(name) as root:
                        assert number_of(root) == committed.get(commit.id, root["a/b"].attrs["number"])
                with db.connection() as root:
                    number_of(root)
                assert db.verify() == []
            committed = {commit: number for commit, number in committed.items() if commit in listed}
    finally:
        worker.close()
