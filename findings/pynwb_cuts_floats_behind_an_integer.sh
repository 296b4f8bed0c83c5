#!/usr/bin/env bash
# pynwb cuts the fractions off a list of samples if the first of them is an integer.
#
# Version:     pynwb 4.2.0, hdmf 6.2.0, numpy 2.4.6
# Expectation: a list of samples is stored as numpy takes it: `[0, 0.25, -0.75]` are floating-point numbers.
# Behaviour:   the type of the whole list is that of its first entry. Samples that begin with a plain 0 are stored as
#              integers, and the others are cut towards zero, with no error and no warning. The same list with 0.0 in
#              front is kept.
# Seen:        [0, 0.25, -0.75, 1.5] -> [0, 0, 0, 1]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pynwb==4.2.0 hdmf==6.2.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import datetime
import warnings

from pynwb import NWBHDF5IO, NWBFile, TimeSeries


def written(samples):
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    session = NWBFile("a session", "x", start)
    session.add_acquisition(TimeSeries(name="x", data=samples, unit="mV", rate=10.0))
    with NWBHDF5IO("x.nwb", "w") as io:
        io.write(session)
    with NWBHDF5IO("x.nwb", "r") as io:
        return io.read().acquisition["x"].data[:].tolist()


with warnings.catch_warnings():
    warnings.simplefilter("error", UserWarning)
    whole, cut = written([0.0, 0.25, -0.75, 1.5]), written([0, 0.25, -0.75, 1.5])
print("[0.0, 0.25, -0.75, 1.5] ->", whole)
print("[0, 0.25, -0.75, 1.5] ->", cut)
assert whole == [0.0, 0.25, -0.75, 1.5]
assert cut == [0, 0, 0, 1]
PY
