#!/usr/bin/env bash
# npTDMS writes a missing time (NaT) as a day in the year 294181, and reads nanoseconds as microseconds.
#
# Version:     npTDMS 1.13.0, numpy 2.4.6
# Expectation: a time that TDMS cannot hold is refused by TdmsWriter; others come back as they were: TDMS keeps 2^-64 s.
# Behaviour:   NaT is the smallest number of numpy's 64 bits, and is converted like any other: it comes back as a day of
#              the far future, which no test for missing values finds. Of the nanoseconds of the others,
#              microseconds come back, unless they are asked for by `raw_timestamps=True`.
# Seen:        2024-01-01T00:00:00.123456789, NaT -> 2024-01-01T00:00:00.123456, 294181-01-08T04:00:54.775808
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet npTDMS==1.13.0 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/x.tdms" <<'PY'
import sys

import numpy as np
from nptdms import ChannelObject, TdmsFile, TdmsWriter

given = np.array(["2024-01-01T00:00:00.123456789", "NaT"], "M8[ns]")
with TdmsWriter(sys.argv[1]) as writer:
    writer.write_segment([ChannelObject("group", "channel", given)])
found = TdmsFile.read(sys.argv[1])["group"]["channel"][:]
print(given, "->", found)
assert found.dtype == "M8[us]"
assert str(found[0]) == "2024-01-01T00:00:00.123456"
assert not np.isnat(found[1])
assert found[1] > np.datetime64("9999-12-31")
PY
