#!/usr/bin/env bash
# lasio rewrites texts of a column that look like numbers: the sample "007" comes back as "7.0", "1E5" as "100000.0".
#
# Version:     lasio 0.32, numpy 2.4.6
# Expectation: a column of texts, which it writes as they are, is read as those texts.
# Behaviour:   the reader sees that the column is one of texts, and gives out texts. But it turned each cell that could
#              be a number into one before, and makes the text from that. So "007" and "7" are one, and an identifier
#              of 18 digits loses its end. `dtypes={"SAMPLE": str}` changes nothing. Nothing is said.
# Seen:        a, 007, 1E5, 123456789012345678 -> a, 7.0, 100000.0, 1.2345678901234568e+17
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lasio==0.32 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import lasio
import numpy as np

given = ["a", "007", "1E5", "123456789012345678"]
log = lasio.LASFile()
log.append_curve("DEPT", np.arange(4.0), unit="m")
log.append_curve("SAMPLE", np.array(given))
log.write("x.las", version=2)
with open("x.las") as file:
    text = file.read()
assert all(cell in text.split() for cell in given)
for kw in ({}, {"dtypes": {"SAMPLE": str}}, {"engine": "normal"}):
    found = lasio.read("x.las", **kw)["SAMPLE"]
    print(kw, given, "->", found.tolist())
    assert found.tolist() == ["a", "7.0", "100000.0", "1.2345678901234568e+17"]
PY
