#!/usr/bin/env bash
# gwpy reads 1000.07 Hz from its own text of a series of 1000 Hz, and so finds a tone of 100 Hz at 100.007 Hz.
#
# Version:     gwpy 4.1.0, astropy 8.0.2, numpy 2.4.6
# Expectation: a CSV file has the time of each sample. The rate of ten thousand of them comes back as 1000 Hz.
# Behaviour:   the times are seconds since 1980, which doubles hold to 0.2 microseconds. The reader takes the
#              difference of the first two alone for the interval of all. So the rate is wrong by 7e-5 at 1 kHz, and
#              by a thousandth at 44.1 kHz, and with it the duration and all frequencies. Nothing is said. Rates that
#              are powers of two, and series that begin at zero, are right. So is HDF5, which stores the rate.
# Seen:        1000 Hz -> 1000.0725 Hz; 44100 Hz -> 44150.57 Hz; 10 s -> 9.99928 s; a tone of 100.0 Hz -> 100.00725 Hz
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gwpy==4.1.0 astropy==8.0.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from gwpy.timeseries import TimeSeries


def written(rate, start):
    times = np.arange(10 * rate) / rate
    tone = TimeSeries(np.sin(2 * np.pi * 100 * times), sample_rate=rate, t0=start)
    tone.write("x.csv")
    return TimeSeries.read("x.csv")


today = 1_400_000_000  # May 2024
found = written(1000, today)
spectrum = found.asd()
peak = spectrum.frequencies.value[spectrum.value.argmax()]
print(f"1000 Hz, 10 s, tone of 100 Hz -> {found.sample_rate}, {found.duration}, {peak} Hz")
assert abs(found.sample_rate.value - 1000.0725) < 1e-4
assert abs(found.duration.value - 9.99928) < 1e-5
assert abs(peak - 100.00725) < 1e-5
rate = written(44100, today).sample_rate
print("44100 Hz ->", rate)
assert abs(rate.value - 44150.57) < 0.01
assert written(4096, today).sample_rate.value == 4096
assert abs(written(1000, 0).sample_rate.value - 1000) < 1e-9
PY
