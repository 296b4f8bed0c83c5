#!/usr/bin/env bash
# starfile cuts the rest of a row behind a number sign within a name, and turns the apostrophe of O5' into a quote.
#
# Version:     starfile 0.5.13, pandas 3.1.1, numpy 2.4.6
# Expectation: a table that starfile has written comes back. In STAR a comment starts at a number sign that follows a
#              blank, and a quotation mark within a word is a letter like others.
# Behaviour:   the table is read by pandas with `comment="#"`, which takes each number sign for a comment, even one in
#              the middle of a word. The name ends there, and all cells to the right of it are missing. Before that,
#              all apostrophes of the table are replaced by quotation marks. So the names of files and of atoms are
#              others, and the measured numbers of the row are gone. Nothing is said.
# Seen:        a.mrc 1.5 2, b#2.mrc 2.5 3, O5' 3.5 4 -> a.mrc 1.5 2, b nan nan, O5" 3.5 4
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet starfile==0.5.13 pandas==3.1.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import numpy as np
import pandas as pd
import starfile

given = pd.DataFrame({"micrograph": ["a.mrc", "b#2.mrc", "O5'"], "defocus": [1.5, 2.5, 3.5], "group": [2, 3, 4]})
starfile.write(given, "x.star")
with open("x.star") as file:
    text = file.read()
assert "b#2.mrc\t2.5" in text and "O5'\t3.5" in text
found = starfile.read("x.star")
print(given.values.tolist(), "->", found.values.tolist())
assert found["micrograph"].tolist() == ["a.mrc", "b", 'O5"']
assert np.array_equal(found["defocus"], [1.5, np.nan, 3.5], equal_nan=True)
assert np.array_equal(found["group"], [2, np.nan, 4], equal_nan=True)
found = starfile.read("x.star", parse_as_string=["micrograph"])
assert found["micrograph"].tolist() == ["a.mrc", "b", 'O5"']
PY
