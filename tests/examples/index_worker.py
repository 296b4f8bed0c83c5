"""Changes a database at random, with its search index listening; tells each commit, and may be killed.

    python index_worker.py FOLDER SEED TRANSACTIONS KILL

Two connections of one thread take turns, so that some lose conflicts. With KILL ``before`` or ``after`` the
process kills itself at a commit, before or after the index has heard of it; with ``none`` it does not.
"""

import contextlib
import importlib
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np

from lotdb import LOTDB, BaseNode, ConflictError, LotdbError, Plugins, hookimpl

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
SearchIndex = importlib.import_module("search_index").SearchIndex

MOST_NODES = 60


class Killer:
    """Ends the process when it hears of a commit for the *left*-th time."""

    def __init__(self, left):
        self.left = left

    @hookimpl
    def lotdb_committed(self):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def change(root, dice, plugins):
    nodes = list(root.iterate_tree())
    one, other = dice.choice(nodes), dice.choice(nodes)
    few = len(nodes) < MOST_NODES
    key = dice.choice("abcdefgh")
    what = dice.randrange(12)
    with contextlib.suppress(LotdbError):
        if what <= 1 and few:
            one.get_node(key)
        elif what == 2 and few:
            one.get_data_node(key).append_data(np.zeros(dice.randrange(5)), samplerate_hz=10)
        elif what == 3:
            one.attrs[dice.choice("xyz")] = dice.choice([1, [2], "long" * 200])
        elif what == 4:
            del one.attrs[dice.choice("xyz")]
        elif what == 5:
            other.add_tree(one, key=key, if_exists=dice.choice(["error", "replace"]))
        elif what == 6:
            one.rename(key)
        elif what == 7 and few:
            one.branch(key)
        elif what == 8 and few:
            one.merge_tree(other, overwrite=True)
        elif what == 9 and few:
            tree = BaseNode(key, plugins=plugins)
            tree.get_data_node("in/memory").write_data([1])
            one.add_tree(tree)
        elif what == 10 and one.path:
            one.delete_tree(only_node=dice.random() < 0.5)
        elif one.path:
            one.delete_tree()


def transaction(db, root, dice):
    """A few changes, some rolled back, and the end that *dice* give."""
    for _ in range(dice.randrange(1, 5)):
        change(root, dice, db.plugins)
        if dice.random() < 0.1:
            savepoint = db.savepoint(root)
            change(root, dice, db.plugins)
            savepoint.rollback()


def main(folder, seed, transactions, kill):
    dice = random.Random(seed)
    index = SearchIndex(folder / "index.sqlite")
    plugins = Plugins()
    killer, left = Killer(dice.randrange(2, 15)), kill in ("before", "after")
    # The last one that was registered is called first.
    for each in (killer, index) if kill == "after" else (index, killer):
        if each is index or left:
            plugins.register(each)
    with LOTDB(folder / "db", durability="process", plugins=plugins) as db:
        index.catch_up(db)
        roots = [db.open_connection("one"), db.open_connection("other")]
        for number in range(transactions):
            for root in roots:
                transaction(db, root, dice)
            for root in dice.sample(roots, 2):
                if dice.random() < 0.2:
                    db.abort(root)
                else:
                    with contextlib.suppress(ConflictError):
                        db.commit(root)
            print(number, flush=True)
    index.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
