#!/usr/bin/env bash
# CAN FD frames that python-can has sent come back from a CSV or SQLite log as received classical frames.
#
# Version:     python-can 4.6.1
# Expectation: a log keeps what a message says of itself, or refuses the messages that it cannot hold:
#              whether it is CAN FD, whether it was sent or received, and on which channel.
# Behaviour:   CSV and SQLite keep none of the three, and nothing says so: a frame of 12 bytes comes back
#              as a classical one, which has at most 8, so that python-can itself calls it invalid and
#              cannot send it again. BLF and the log of candump keep all three.
# Seen:        blf, log: FD, sent; csv, db: not FD, received, no channel; the check of the message: DLC
#              was 12 but it should be <= 8 for normal CAN frames
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet python-can==4.6.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys

import can

sent = can.Message(
    timestamp=1700000000.0, arbitration_id=0x1ABCDE, data=bytes(range(12)), is_fd=True, channel=1, is_rx=False
)
seen = {}
for ending in ("blf", "log", "csv", "db"):
    path = os.path.join(sys.argv[1], "frames." + ending)
    writer = can.Logger(path)
    writer(sent)
    writer.stop()
    (back,) = can.LogReader(path)
    seen[ending] = (back.is_fd, back.is_rx, back.channel)
    print(ending, "FD, received, channel:", seen[ending])
    assert bytes(back.data) == bytes(sent.data)
    if ending in ("csv", "db"):
        fields = {"arbitration_id": back.arbitration_id, "data": back.data, "is_fd": back.is_fd, "check": True}
        try:
            can.Message(**fields)
        except ValueError as error:
            print("   its check:", error)
        else:
            raise SystemExit("the frame is valid")
for ending in ("blf", "log"):
    assert seen[ending][:2] == (True, False)
for ending in ("csv", "db"):
    assert seen[ending] == (False, True, None)
PY
