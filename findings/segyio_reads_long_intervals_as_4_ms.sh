#!/usr/bin/env bash
# segyio writes traces that are sampled each 40 ms, and says that they are sampled each 4 ms.
#
# Version:     segyio 1.9.14, obspy 1.5.1, numpy 2.4.6
# Expectation: segyio.tools.from_array(..., dt=40000) makes a SEG-Y file with a sample interval of 40 000 us.
#              segyio.tools.dt() says 40000, as it does for 32000 and less, and as obspy does.
# Behaviour:   the interval lies in 16 bits. segyio writes 40000, takes it for the negative number -25536 when it reads
#              it, finds that impossible, and gives its default, 4000 us, without a warning. So the times of all
#              samples are a tenth of what they were. obspy reads the same file as 0.04 s.
# Seen:        dt=32000: segyio 32000, obspy 32000; dt=40000: segyio 4000, obspy 40000; third sample at 8 ms, not at 80
#              ms
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet segyio==1.9.14 obspy==1.5.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import obspy
import segyio

traces = np.arange(200, dtype="float32").reshape(4, 50)
seen = {}
for given in (32_000, 40_000):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        segyio.tools.from_array("x.sgy", traces, dt=given)
        with segyio.open("x.sgy", ignore_geometry=True) as file:
            interval, times = segyio.tools.dt(file), file.samples[:3].tolist()
            assert np.array_equal(file.trace.raw[:], traces)
    other = round(obspy.read("x.sgy", format="SEGY")[0].stats.delta * 1e6)
    print(f"dt={given}: segyio {interval}, obspy {other}; samples at {times} ms")
    seen[given] = (interval, other, times)
assert seen[32_000] == (32_000, 32_000, [0.0, 32.0, 64.0])
assert seen[40_000] == (4_000, 40_000, [0.0, 4.0, 8.0])
PY
