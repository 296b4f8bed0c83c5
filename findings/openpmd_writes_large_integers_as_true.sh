#!/usr/bin/env bash
# openPMD-api writes integers beyond 63 bits, and complex numbers, as True, and nothing (None) as False.
#
# Version:     openPMD-api 0.17.1.post4, numpy 2.4.6
# Expectation: an attribute comes back as it was (the standard has 64-bit unsigned and complex ones: both are kept if
#              they are given as numpy's types), or is refused with TypeError, as a dictionary is.
# Behaviour:   what fits none of the types that are tried first falls through to the last one: a truth value. So a
#              seed or an identifier of 64 bits, as Python has it, is stored as True, and so is 1+2j. A time of numpy
#              is stored as eight small numbers, its bytes. Nothing is said.
# Seen:        9223372036854775808 -> True; (1+2j) -> True; None -> False; 2024-01-01 -> [11, 77, 0, 0, 0, 0, 0, 0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openPMD-api==0.17.1.post4 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import openpmd_api as io

given = {
    "small": 2**63 - 1,
    "typed": np.uint64(2**63),
    "seed": 2**63,
    "impedance": 1 + 2j,
    "absent": None,
    "day": np.datetime64("2024-01-01"),
}
series = io.Series("x.json", io.Access.create)
for name, value in given.items():
    series.set_attribute(name, value)
series.iterations[0]
series.flush()
series.close()
series = io.Series("x.json", io.Access.read_only)
found = {name: series.get_attribute(name) for name in given}
for name, value in given.items():
    print(f"{name}: {value} -> {found[name]}")
assert found["small"] == 2**63 - 1 and found["typed"] == 2**63
assert found["seed"] is True
assert found["impedance"] is True
assert found["absent"] is False
assert found["day"] == [11, 77, 0, 0, 0, 0, 0, 0]
try:
    io.Series("y.json", io.Access.create).set_attribute("a", {"b": 1})
except TypeError:
    pass
else:
    raise AssertionError("a dictionary is taken now")
PY
