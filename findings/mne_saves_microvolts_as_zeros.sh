#!/usr/bin/env bash
# MNE saves a recording in volts as zeros when it is asked for integers.
#
# Version:     mne 1.13.2, numpy 2.4.6
# Expectation: Raw.save(fmt="int") or fmt="short" keeps a signal with the precision of such numbers: it is
#              scaled, as in EDF, or refused.
# Behaviour:   the values, which MNE keeps in volts, are cut to whole numbers unless the recording came
#              with a scale of its own. An EEG of 100 microvolts becomes 0 throughout. There is no error
#              and no warning; the file is read as a flat line. The default, "single", is right to seven
#              digits.
# Seen:        -100 to 100 microvolts -> int: 0 to 0; short: 0 to 0; single and double: -100 to 100
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet mne==1.13.2 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys
import warnings

import mne
import numpy as np

mne.set_log_level("WARNING")
warnings.simplefilter("error")
signal = np.linspace(-1e-4, 1e-4, 1000)[None]  # volts
raw = mne.io.RawArray(signal, mne.create_info(["eeg"], 250.0, "eeg"))
path = os.path.join(sys.argv[1], "signal_raw.fif")
largest = {}
for number in ("double", "single", "int", "short"):
    raw.save(path, fmt=number, overwrite=True)
    largest[number] = float(np.abs(mne.io.read_raw_fif(path).get_data()).max())
    print(number, "largest value in microvolts:", round(largest[number] * 1e6, 3))
assert abs(largest["single"] - 1e-4) < 1e-10 and largest["double"] == 1e-4
assert largest["int"] == largest["short"] == 0
PY
