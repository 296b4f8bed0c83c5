#!/usr/bin/env bash
# ZODB opens the commit before the one whose time it is given, for about two of three commits.
#
# Version:     ZODB 6.4, persistent 6.7 (Python 3.11)
# Expectation: `db.open(at=t)` with the time of a commit, as its transaction id says it, shows that commit: "at" is
#              documented as including it.
# Behaviour:   a transaction id counts in units of 60 s / 2^32, about 14 ns. A datetime has microseconds, so the time of
#              a commit is rounded, as often down as up, and what is rounded down shows the commit before it. Of the
#              first commit, the database without anything in it. Opening by the transaction id itself is exact.
# Seen:        by time 112 to 136 of 200 commits show the one before; by id none
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ZODB==6.4
"$folder/venv/bin/python" - "$folder/x.fs" <<'PY'
import datetime
import sys
import time

import transaction
import ZODB
from persistent.TimeStamp import TimeStamp

database = ZODB.DB(sys.argv[1])
commits = []
for number in range(200):
    manager = transaction.TransactionManager(explicit=True)
    manager.begin()
    connection = database.open(manager)
    connection.root()["number"] = number
    manager.commit()
    connection.close()
    commits.append((number, database.lastTransaction()))
    time.sleep(0.002)


def wrong(moment):
    shown = 0
    for number, tid in commits[:-1]:
        connection = database.open(at=moment(tid))
        shown += connection.root().get("number") != number
        connection.close()
    return shown


def time_of(tid):
    """The time that the transaction id says, in UTC and without a zone, as ZODB wants it."""
    utc = datetime.datetime.fromtimestamp(TimeStamp(tid).timeTime(), datetime.timezone.utc)
    return utc.replace(tzinfo=None)


by_time, by_id = wrong(time_of), wrong(lambda tid: tid)
print("commits that show another one: by time", by_time, "by id", by_id)
assert by_id == 0
assert by_time > 20
PY
