#!/usr/bin/env bash
# pyABF reads a recording of 6000 Hz as one of 5999 Hz, and a copy of a copy of one of 24 000 Hz as one of 23 997 Hz.
#
# Version:     pyabf 2.3.8, neo 0.14.6, numpy 2.4.6
# Expectation: a recording that pyABF writes comes back with its rate and its times, to the precision of the interval
#              in the file (32 bits, seven digits). neo reads it so: 5999.9998 Hz.
# Behaviour:   the file holds the interval in microseconds. The rate that follows from it is cut to a whole number, not
#              rounded, and a new interval is made of that. Where the interval is stored a little too long, the rate is
#              one hertz too low, and all times grow: by half a second in an hour at 6000 Hz. `saveABF1` writes the
#              lower rate, so that a copy may lose the next hertz. Nothing is said. The sweepX of ABF2 files is made
#              in the same way.
# Seen:        6000 -> 5999 (neo: 5999.9998), 7000 -> 6999, 44100 -> 44099, 8000 -> 8000; a sample of 60 s at 60.01 s;
#              24000 -> 23999 -> 23998 -> 23997
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyabf==2.3.8 neo==0.14.6 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import logging

import neo
import numpy as np
import pyabf
from pyabf.abfWriter import writeABF1

logging.disable()
current = np.linspace(-1, 1, 6000 * 60 + 1)[np.newaxis]
for rate in (6000, 7000, 44100, 8000):
    writeABF1(current, "x.abf", rate)
    found = pyabf.ABF("x.abf")
    of_neo = float(neo.io.AxonIO("x.abf").read_segment().analogsignals[0].sampling_rate.rescale("Hz"))
    print(f"{rate} -> {found.dataRate} (neo: {of_neo:.4f}); last sample: {found.sweepX[-1]:.4f} s")
    assert found.sweepPointCount == current.size and abs(of_neo - rate) < 1e-3
    assert found.dataRate == (8000 if rate == 8000 else rate - 1)
    if rate == 6000:
        assert 60.009 < found.sweepX[-1] < 60.011

rates = [24000]
writeABF1(current[:, :6000], "x.abf", rates[0])
for _ in range(3):
    copied = pyabf.ABF("x.abf")
    rates.append(copied.dataRate)
    copied.saveABF1("x.abf")
print(*rates, sep=" -> ")
assert rates == [24000, 23999, 23998, 23997]
PY
