#!/usr/bin/env bash
# pyubx2 sets a limit of 0.3 in a receiver as 0.2: one third of all tenths are written one step too low.
#
# Version:     pyubx2 1.4.0
# Expectation: a value that the message can hold exactly is written as that. pDop of CFG-NAV5 counts in tenths, and 0.3
#              is three of them.
# Behaviour:   the value is divided by the scale and then cut to an integer, not rounded. 0.3 / 0.1 is a little less
#              than 3, so 2 is written, and sent to the receiver. The message object itself shows 0.3; only parsing its
#              bytes shows 0.2. Angles in units of 1e-5 degrees are one step low for half of all hundredths. Nothing
#              is said. Parsing rounds, and so is right.
# Seen:        pDop 0.3 -> 0.2, 0.6 -> 0.5, 0.7 -> 0.6; 348 of 1000 tenths; headMot 0.03 -> 0.02999
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyubx2==1.4.0
"$folder/venv/bin/python" -W error - <<'PY'
import struct

from pyubx2 import GET, SET, UBXMessage, UBXReader


def sent(kind, identity, mode, **value):
    message = UBXMessage(kind, identity, mode, **value)
    [(name, given)] = value.items()
    assert getattr(message, name) == given
    return message.payload, getattr(UBXReader.parse(message.serialize(), msgmode=mode), name)


low = []
for tenths in range(1000):
    payload, found = sent("CFG", "CFG-NAV5", SET, pDop=tenths / 10)
    (stored,) = struct.unpack_from("<H", payload, 14)
    assert found == stored / 10 and stored in (tenths, tenths - 1)
    if stored < tenths:
        low.append((tenths / 10, found))
print(len(low), "of 1000:", *low[:3])
assert low[:3] == [(0.3, 0.2), (0.6, 0.5), (0.7, 0.6)] and len(low) == 348
_, found = sent("NAV", "NAV-PVT", GET, headMot=0.03)
print("headMot 0.03 ->", found)
assert found == 0.02999
PY
