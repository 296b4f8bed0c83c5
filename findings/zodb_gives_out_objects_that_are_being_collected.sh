#!/usr/bin/env bash
# ZODB gives out an object that the garbage collector is about to clear; it is then empty, and counts as up to date.
#
# Version:     ZODB 6.4, persistent 6.9, transaction 5.1 (Python 3.11)
# Expectation: an object that connection.get() gives has its state, and has it a moment later, too. Nobody else has it,
#              and nothing has changed it.
# Behaviour:   the cache of a connection does not keep a ghost, an object without its state. If only garbage refers to
#              one, and a destructor that runs while Python clears that garbage uses the connection, the cache gives
#              out the ghost and its state is loaded. Then the collector goes on and clears it. The object is still
#              what the connection gives, says that it is unchanged, and has no attributes. A change of it stores it
#              without them. A destructor that lets another thread go on, such as one that closes a file, is enough if
#              that thread has the connection.
# Seen:        while garbage is collected: a year of results; afterwards: {}; after a commit, seen by others: {'note':
#              'new'}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ZODB==6.4 persistent==6.9 transaction==5.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import gc

import transaction
import ZODB
from persistent import Persistent
from ZODB.MappingStorage import MappingStorage


class Box(Persistent):
    def __init__(self):
        self.own = "a year of results"


class Last:
    """What does something when it goes, as the last reference to a file or a lock does."""

    def __init__(self, do):
        self.do = do

    def __del__(self):
        self.do()


gc.disable()  # it is called by hand, so that it comes at the moment that is to be shown
db = ZODB.DB(MappingStorage())
connection = db.open()
connection.root()["box"] = Box()
transaction.commit()
oid = connection.root()["box"]._p_oid
used = []


def use():
    used.append(connection.get(oid))
    print("while garbage is collected:", used[0].own)
    assert used[0].own == "a year of results"


last = Last(use)
gc.collect()  # what is there is old now; only what comes is looked at by collect(0)
first = [last]
first.append(first)
connection.cacheMinimize()
ghost = connection.get(oid)
second = [ghost]
second.append(second)
del last, ghost, first, second
gc.collect(0)

box = connection.get(oid)
print("afterwards:", box.__dict__, "- changed:", box._p_changed)
assert box is used[0] and box.__dict__ == {} and box._p_changed is False
box.note = "new"
transaction.commit()
others = db.open(transaction.TransactionManager()).get(oid)
others._p_activate()
print("after a commit, seen by others:", others.__dict__)
assert others.__dict__ == {"note": "new"}
PY
