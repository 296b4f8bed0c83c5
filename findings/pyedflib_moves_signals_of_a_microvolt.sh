#!/usr/bin/env bash
# pyEDFlib writes a signal of one microvolt in volts half a range too high, without a word.
#
# Version:     pyEDFlib 0.1.42, numpy 2.4.6
# Expectation: a signal between -1e-6 and 1e-6 V comes back as it was, to a sixteen-bit step, or limits that do not fit
#              into the eight characters of the header are refused. (Of -0.00123456789 it keeps "-0.00123".)
# Behaviour:   the upper limit is written as 0.000001, the lower one, which needs one character more, as 0. So the
#              reader spreads all samples over 0 to 1 microvolt: no sample is below zero any more. Limits that were cut
#              in other places are warned of, this one is not.
# Seen:        limits -1e-06 to 1e-06 come back as 0.0 to 1e-06; samples -1.00e-06 to 1.00e-06 come back as 1.53e-11 to
#              1.00e-06
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyEDFlib==0.1.42 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import pyedflib
from pyedflib import highlevel

signal = np.sin(np.arange(2560) / 50) * 1e-6
header = highlevel.make_signal_header(
    "EEG", dimension="V", sample_frequency=256, physical_min=-1e-6, physical_max=1e-6
)
with warnings.catch_warnings():
    warnings.simplefilter("error")
    with pyedflib.EdfWriter("x.edf", 1) as writer:
        writer.setSignalHeaders([header])
        writer.writeSamples([signal])
    (found,), (told,), _ = highlevel.read_edf("x.edf")
low, high = told["physical_min"], told["physical_max"]
print(f"limits -1e-06 to 1e-06 come back as {low} to {high}")
print(f"samples {signal.min():.2e} to {signal.max():.2e} come back as {found.min():.2e} to {found.max():.2e}")
assert (low, high) == (0.0, 1e-6)
assert found.min() >= 0.0 and np.abs(found - signal).max() > 0.99e-6
PY
