#!/usr/bin/env bash
# asdf stores records that have bytes between their fields, and reads their numbers from the wrong bytes.
#
# Version:     asdf 6.0.0, numpy 2.4.6
# Expectation: an array of records comes back as it was, or is refused, as one whose fields overlap is.
# Behaviour:   the whole memory of the array is stored, but of its fields only names and types, not where they lie.
#              The reader takes them as lying side by side. That is right for packed records alone. Two columns chosen
#              out of three (which numpy gives out as a view), and records aligned as in C, come back as other
#              numbers, with the right length, names and types. Nothing is said. Packed copies of the same records are
#              right.
# Seen:        columns "volts", "ohms" of ("time", "volts", "ohms"), second row: (3.5, 200.0) -> (100.0, 2.0);
#              aligned, first row: (1, 2.5) -> (1, 1.8e-312), made of the bytes in between
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet asdf==6.0.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import asdf
import numpy as np
from numpy.lib.recfunctions import repack_fields


def stored(records):
    asdf.AsdfFile({"a": records}).write_to("x.asdf")
    with asdf.open("x.asdf", memmap=False) as file:
        return np.array(file["a"])


table = np.array([(1.0, 2.5, 100.0), (2.0, 3.5, 200.0)], [("time", "f8"), ("volts", "f8"), ("ohms", "f8")])
chosen = table[["volts", "ohms"]]
aligned = np.array([(1, 2.5), (2, 3.5)], np.dtype([("n", "i1"), ("volts", "f8")], align=True))
for given in (chosen, aligned):
    found = stored(given)
    print(given.tolist(), "->", found.tolist())
    assert found.dtype == repack_fields(given).dtype
    assert found.tolist() != given.tolist()
    assert stored(repack_fields(given)).tolist() == given.tolist()
PY
