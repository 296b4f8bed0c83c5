#!/usr/bin/env bash
# pynrrd writes the second line of a note into the header as a line of its own, and then cannot read its own file.
#
# Version:     pynrrd 1.1.3, numpy 2.4.6
# Expectation: a text of several lines in the header that is given to nrrd.write() is escaped, as the
#              format describes it, or refused.
# Behaviour:   it is written as it is. The file cannot be read (ValueError: not enough values to unpack),
#              or has a field that nobody gave, if the second line looks like one. write() also changes
#              the dictionary that it was given.
# Seen:        a note `first, newline, second` -> ValueError at read(); `first, newline, spacing:=9` -> a
#              field spacing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pynrrd==1.1.3 numpy==2.4.6
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys

import nrrd
import numpy as np

path = os.path.join(sys.argv[1], "x.nrrd")
image = np.arange(6).reshape(2, 3)
given = {"note": "one line"}
nrrd.write(path, image, given)
assert nrrd.read(path)[1]["note"] == "one line"
assert given["type"] == "int64"
nrrd.write(path, image, {"note": "first\nspacing:=9"})
header = nrrd.read(path)[1]
print({key: header[key] for key in ("note", "spacing")})
assert header["note"] == "first" and header["spacing"] == "9"
nrrd.write(path, image, {"note": "first\nsecond"})
try:
    nrrd.read(path)
except ValueError as error:
    print("ValueError:", error)
else:
    raise SystemExit("it can be read now")
PY
