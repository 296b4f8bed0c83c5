#!/usr/bin/env bash
# hickle gives a text of numpy's type back as the printed form of its single bytes.
#
# Version:     hickle 5.0.3, h5py 3.16.0, numpy 2.4.6
# Expectation: a unit that was taken out of an array of texts, np.str_("mV"), is loaded as "mV", as a str is.
# Behaviour:   such texts come out of every array or table of texts. hickle stores the bytes one by one, and loads the
#              text "[[b'm' b'V']]" in place of "mV", alone or within a dictionary or a list, of the same type np.str_.
#              Nothing is raised or warned of.
# Seen:        str 'mV' -> 'mV'; np.str_ 'mV' -> "[[b'm' b'V']]"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet hickle==5.0.3 h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import hickle
import numpy as np

units = np.array(["mV", "K"])
given = {"plain": "mV", "of_an_array": units[0]}
hickle.dump(given, "x.hkl", mode="w")
found = hickle.load("x.hkl")
for name, text in found.items():
    print(f"{name}: {type(text).__name__} {str(given[name])!r} -> {str(text)!r}")
assert given["plain"] == given["of_an_array"] == "mV"
assert found["plain"] == "mV"
assert type(found["of_an_array"]) is np.str_ and found["of_an_array"] == "[[b'm' b'V']]"
PY
