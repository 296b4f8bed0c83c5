#!/usr/bin/env bash
# wfdb writes a signal in µV as one in V: the sign for a millionth is left out of the header, without a word.
#
# Version:     wfdb 4.3.1, numpy 2.4.6, pandas 3.1.1
# Expectation: the unit comes back as it was given, or is refused, as a unit with a space is ("deg C" raises).
# Behaviour:   the header is written in ASCII, and each character that is not ASCII is left out. Of "µV" that leaves
#              "V", of "Ω" nothing. A signal without a unit is read as one in mV, as WFDB has it. The samples are
#              right: so an EEG of 50 microvolts comes back as one of 50 volts, and a resistance as millivolts.
# Seen:        µV -> V, kΩ -> k, Ω -> mV; 50.0 -> 50.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet wfdb==4.3.1 numpy==2.4.6 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" -W ignore::FutureWarning -W ignore::DeprecationWarning - <<'PY'
import numpy as np
import wfdb

signal = 50 * np.sin(np.arange(1000)[:, np.newaxis] / 10)


def written(unit):
    wfdb.wrsamp("x", fs=250, units=[unit], sig_name=["Fz"], p_signal=signal, fmt=["16"])
    return wfdb.rdrecord("x")


assert written("uV").units == ["uV"]
for given, expected in (("\u00b5V", "V"), ("k\u2126", "k"), ("\u2126", "mV")):
    record = written(given)
    print(given, "->", record.units[0], f"; {signal.max():.1f} -> {record.p_signal.max():.1f}")
    assert record.units == [expected]
    assert np.allclose(record.p_signal, signal, atol=0.01)
try:
    written("deg C")
except ValueError as error:
    print("deg C:", error)
else:
    raise AssertionError("a unit with a space is taken now")
PY
