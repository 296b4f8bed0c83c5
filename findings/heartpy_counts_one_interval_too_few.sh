#!/usr/bin/env bash
# HeartPy finds a rate that is too high in the times of samples: five samples a second apart have 1.25 Hz.
#
# Version:     heartpy 1.2.7, numpy 2.4.6
# Expectation: the rate that get_samplerate_mstimer and get_samplerate_datetime find in the times of samples is that at
#              which they were taken: one sample per second is 1 Hz.
# Behaviour:   the number of the samples is divided by the time from the first to the last one, and there is one
#              interval less than samples. So the rate depends on how long the piece is: of 1 Hz, five samples give
#              1.25 Hz, and a minute 1.017 Hz. Times that are computed from it drift by one sample, and beats per minute
#              are too many by as much. Nothing is said.
# Seen:        1 Hz: 5 samples -> 1.25 Hz, 60 samples -> 1.0169 Hz; by date: 5 samples -> 1.25 Hz
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet heartpy==1.2.7 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import heartpy
import numpy as np

for count in (5, 60, 1000):
    found = heartpy.get_samplerate_mstimer(np.arange(count) * 1000.0)
    print(count, "samples at 1 Hz ->", found, "Hz")
    assert np.isclose(found, count / (count - 1))
times = [f"10:00:{second:02d}.000" for second in range(5)]
found = heartpy.get_samplerate_datetime(times, timeformat="%H:%M:%S.%f")
print(times[0], "to", times[-1], "->", found, "Hz")
assert np.isclose(found, 1.25)
PY
