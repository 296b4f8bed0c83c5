#!/usr/bin/env bash
# obspy reads the sampling rate of a SAC file wrong as soon as its sample interval is no whole number of microseconds.
#
# Version:     obspy 1.5.1, numpy 2.4.6
# Expectation: the file holds the interval as a float32, good to seven digits: 44 100 Hz comes back as
#              about 44 100 Hz.
# Behaviour:   the reader rounds the interval to six decimals, so to whole microseconds, and divides.
#              Above some kHz, as in acoustic emission, ultrasound and audio, the rate is off by percents,
#              and times drift by as much; at 2 MHz the rate is 0. round_sampling_interval=False gives the
#              rate of the file. At the usual 100 Hz nothing is seen.
# Seen:        6300 -> 6289.3, 16 000 -> 15 873.0, 44 100 -> 43 478.3 Hz; 2 MHz -> 0.0, with a warning of
#              numpy alone
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet obspy==1.5.1 numpy==2.4.6 'setuptools<81'
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys
import warnings

import numpy as np
from obspy import Trace, read

warnings.simplefilter("ignore")  # SAC files without a start time, and the division at 2 MHz
path = os.path.join(sys.argv[1], "x.sac")
seen = {}
for rate in (100, 6300, 16000, 44100, 2_000_000):
    Trace(np.arange(10, dtype="f4"), header={"sampling_rate": rate}).write(path, format="SAC")
    stored = 1 / float(np.fromfile(path, "<f4", 1)[0])
    assert abs(stored / rate - 1) < 1e-6
    seen[rate] = read(path)[0].stats.sampling_rate
    if rate < 1_000_000:
        exact = read(path, round_sampling_interval=False)[0].stats.sampling_rate
        assert abs(exact / rate - 1) < 1e-6
    print(rate, "->", round(seen[rate], 1))
assert seen[100] == 100.0
assert [round(seen[rate], 1) for rate in (6300, 16000, 44100, 2_000_000)] == [6289.3, 15873.0, 43478.3, 0.0]
PY
