"""Works with a database while it is interrupted at random: python -m torture.storm FOLDER INTERRUPTS SEED."""

import faulthandler
import random
import signal
import sys
import time

import numpy as np

from lotdb import LOTDB, BaseNode, ClosedError

NODES = 20
# Seconds after which it hangs, and those for each interrupt; then it ends, and shows where all threads are.
HANGS_S, EACH_S = 240, 1


class Storm:
    def __init__(self, folder, total, seed):
        self.folder, self.total = folder, total
        self.random = random.Random(seed)
        self.hits = self.done = self.commits = 0
        self.armed = False
        self.db = LOTDB(folder, durability="process")
        root = self.db.open_connection()
        self.values = dict.fromkeys(range(NODES), 0)
        for number in self.values:
            self.write(root, number, 0)
        self.db.commit()
        signal.signal(signal.SIGALRM, self.strike)
        # What is started in the background by a shell ignores it.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def strike(self, signum, frame):
        if self.armed:
            self.armed = False
            signal.raise_signal(signal.SIGINT)

    def run(self):
        actions = [self.read, self.read, self.windows, self.commit, self.commit, self.abort, self.block]
        actions += [self.move, self.savepoint, self.memory, self.open_again]
        while self.hits < self.total:
            number = self.random.randrange(NODES)
            new = self.values[number] + 1
            try:
                try:
                    self.armed = True
                    signal.setitimer(signal.ITIMER_REAL, 10 ** self.random.uniform(-5, -2))
                    self.random.choice(actions)(number, new)
                    self.armed = False
                finally:
                    self.armed = False
            except KeyboardInterrupt:
                self.hits += 1
            self.done += 1
            self.check(number, new)
        assert self.db.verify() == []
        self.db.close()

    def check(self, number, new):
        """Whether what is there is old or new, and nothing else."""
        try:
            self.db.abort()
        except ClosedError:  # interrupted while it was closed, opened, or before a connection was
            self.db.close()
            self.db = LOTDB(self.folder, durability="process")
        root = self.db.open_connection()
        found = self.value(root, number)
        assert found in (self.values[number], new), (number, found, self.values[number], new)
        self.commits += found != self.values[number]
        self.values[number] = found
        if self.done % 50 == 0:
            assert {each: self.value(root, each) for each in self.values} == self.values
            assert sorted(root["nodes"]) == sorted(map(str, self.values)), list(root["nodes"])
            assert list(root) == ["nodes"], list(root)

    def value(self, root, number):
        node = root["nodes"][str(number)]
        value = node.attrs["value"]
        assert (node.read_data() == value).all()
        assert len(node) == value % 3
        return value

    # -- what is interrupted ----------------------------------------------------------------------

    def write(self, root, number, value):
        node = root.get_data_node(f"nodes/{number}")
        node.attrs["value"] = value
        node.write_data(np.full(100 + number, value))
        for key in list(node):
            node.delete_node(key)
        for child in range(value % 3):
            node.get_node(f"child{child}").attrs["value"] = value

    def read(self, number, new):
        connection = self.db._sessions["standard"].connection
        connection.cacheMinimize()
        self.value(self.db.open_connection(), number)

    def windows(self, number, new):
        node = self.db.open_connection()[f"nodes/{number}"]
        for first in range(0, 100, 10):
            node.read_data(first, first + 10)

    def commit(self, number, new):
        self.write(self.db.open_connection(), number, new)
        self.db.commit()

    def abort(self, number, new):
        self.write(self.db.open_connection(), number, new)
        self.db.abort()

    def block(self, number, new):
        with self.db.connection() as root:
            self.write(root, number, new)

    def move(self, number, new):
        nodes = self.db.open_connection()["nodes"]
        nodes[str(number)].rename("elsewhere")
        nodes.get_node("folder")
        nodes["elsewhere"].move(nodes["folder"])
        nodes["folder/elsewhere"].move(nodes, str(number))
        del nodes["folder"]
        self.db.commit()

    def savepoint(self, number, new):
        root = self.db.open_connection()
        savepoint = self.db.savepoint()
        del root["nodes"][str(number)]
        savepoint.rollback()
        self.write(root, number, new)
        self.db.commit()

    def memory(self, number, new):
        tree = BaseNode("tree")
        tree.get_data_node("data").write_data(np.arange(10))
        self.db.open_connection().add_tree(tree)
        self.db.abort()

    def open_again(self, number, new):
        self.db.close()
        self.db = LOTDB(self.folder, durability="process")
        self.db.open_connection()


if __name__ == "__main__":
    began = time.monotonic()
    faulthandler.dump_traceback_later(HANGS_S + EACH_S * int(sys.argv[2]), exit=True)
    storm = Storm(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    storm.run()
    took = f"{time.monotonic() - began:.1f} s"
    print(f"{storm.hits} interrupts in {storm.done} actions, {storm.commits} commits, {took}")
