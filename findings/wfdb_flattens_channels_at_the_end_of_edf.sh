#!/usr/bin/env bash
# wfdb converts the end of a record to EDF wrongly: all channels but the first are flat in the last block.
#
# Version:     wfdb 4.3.1, edfio 0.4.18, numpy 2.4.6, pandas 3.1.1
# Expectation: wfdb_to_edf() keeps the samples of all channels, and fills the last block of the file, as EDF needs.
# Behaviour:   the file is written in blocks, here of ten seconds. In a last one that is not full, the first channel is
#              kept, and the samples of the others are all the smallest number that EDF has. So is the filling. A record
#              that is shorter than a block has one channel in the end; a whole number of blocks is right, but for one
#              more block of filling. edfio and wfdb read the same. Nothing is raised or warned of.
# Seen:        14 s of 1 to 2 and 2 to 3 mV: I right, II right up to 10 s, then 2.0 to the end; 20 s: both right
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet wfdb==4.3.1 edfio==0.4.18 numpy==2.4.6 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" -W ignore::FutureWarning -W ignore::DeprecationWarning - <<'PY'
import contextlib
import io

import edfio
import numpy as np
import wfdb
from wfdb.io.convert.edf import read_edf, wfdb_to_edf

RATE = 100


def errors(seconds):
    """The largest error of each channel within the first ten seconds, and behind them."""
    length = seconds * RATE
    given = np.array([[1.0], [2.0]]) + np.arange(length) / length
    wfdb.wrsamp("x", fs=RATE, units=["mV"] * 2, sig_name=["I", "II"], p_signal=given.T, fmt=["16"] * 2)
    assert np.allclose(wfdb.rdrecord("x").p_signal.T, given, atol=0.001)
    with contextlib.redirect_stdout(io.StringIO()):
        wfdb_to_edf("x")
    file = edfio.read_edf("x.edf")
    found = np.array([signal.data for signal in file.signals])
    assert np.allclose(found, read_edf("x.edf", rdedfann_flag=False).p_signal.T, atol=0.001)
    print(f"{seconds} s: {file.num_data_records} blocks of {file.data_record_duration} s;", end=" ")
    print("at the end", given[:, -1].round(3), "->", found[:, length - 1].round(3))
    wrong = np.abs(found[:, :length] - given) > 0.001
    return wrong[:, : 10 * RATE].mean(axis=1), wrong[:, 10 * RATE :].mean(axis=1) if seconds > 10 else None


first, rest = errors(20)
assert not first.any() and not rest.any()
first, rest = errors(14)
assert not first.any() and rest[0] == 0 and rest[1] > 0.99
first, _ = errors(4)
assert first[0] == 0 and first[1] > 0.99
PY
