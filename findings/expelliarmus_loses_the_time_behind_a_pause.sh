#!/usr/bin/env bash
# expelliarmus saves events behind a pause of more than 4 ms at another time in EVT3: 70 ms comes back as 0.368 ms.
#
# Version:     expelliarmus 1.1.12, numpy 2.4.6
# Expectation: the time of each event of a camera is kept, as it is in the two other formats of the library (DAT, EVT2).
#              EVT3 counts microseconds in 24 bits, so it can hold a pause of some seconds.
# Behaviour:   EVT3 stores the lower and the upper 12 bits of a time as words of their own. The upper ones are written
#              once, for the first event, and never again when they change. The reader guesses that they went on by one
#              whenever the lower ones are smaller than before. So each pause of 4.096 ms or more is cut by a multiple
#              of that, and all later events are too early. Nothing is said. (Issue 20 reports such times.)
# Seen:        events at 0, 70000, 140000 us: dat and evt2 -> the same; evt3 -> 0, 368, 736 us
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet expelliarmus==1.1.12 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from expelliarmus import Wizard


def there_and_back(encoding, times):
    events = np.zeros(len(times), [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "u1")])
    events["t"] = times
    events["x"] = np.arange(len(times))
    path = "x.dat" if encoding == "dat" else "x.raw"
    Wizard(encoding=encoding).save(path, events)
    found = Wizard(encoding=encoding).read(path)
    assert np.array_equal(found["x"], events["x"])
    return found["t"].tolist()


PAUSES = [0, 70000, 140000]
for encoding in ("dat", "evt2", "evt3"):
    found = there_and_back(encoding, PAUSES)
    print(encoding, PAUSES, "->", found)
    assert found == ([0, 368, 736] if encoding == "evt3" else PAUSES)
    assert there_and_back(encoding, [0, 1000, 2000, 5000, 8000]) == [0, 1000, 2000, 5000, 8000]
with open("x.raw", "rb") as file:
    there_and_back("evt3", PAUSES)
    data = file.read()
while data.startswith(b"% "):
    data = data[data.index(b"\n") + 1 :]
upper = [word & 0xFFF for word in np.frombuffer(data, "<u2").tolist() if word >> 12 == 8]
print("upper bits in the file:", upper, "of the times:", [time >> 12 for time in PAUSES])
assert set(upper) == {0}
PY
