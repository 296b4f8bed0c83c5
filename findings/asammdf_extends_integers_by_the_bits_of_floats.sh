#!/usr/bin/env bash
# asammdf appends floats to a channel of integers by taking their bits for integers.
#
# Version:     asammdf 8.8.28, numpy 2.4.6
# Expectation: MDF.extend with samples of another type than the channel has converts them or refuses them.
# Behaviour:   the bytes of the new samples are put behind the old ones as they are. 3.5 becomes 4615063718147915776;
#              int64 samples behind int32 ones come back as each number followed by a 0, so half of them are lost.
#              Nothing is raised.
# Seen:        int64 + [3.5, 4.5, 5.5] -> [0, 1, 2, 4615063718147915776, 4616752568008179712, 4617878467915022336];
#              int32 + int64 [3, 4, 5] -> [0, 1, 2, 3, 0, 4]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet asammdf==8.8.28 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from asammdf import MDF, Signal


def extended(first, second):
    with MDF() as file:
        file.append([Signal(first, np.array([0.0, 1.0, 2.0]), name="count")])
        file.extend(0, [(np.array([3.0, 4.0, 5.0]), None), (second, None)])
        file.save("x.mf4", overwrite=True)
    with MDF("x.mf4") as file:
        found = file.get("count")
    assert found.timestamps.tolist() == [0, 1, 2, 3, 4, 5]
    return found.samples.tolist()


floats = np.array([3.5, 4.5, 5.5])
of_floats = extended(np.array([0, 1, 2]), floats)
of_wider = extended(np.array([0, 1, 2], "int32"), np.array([3, 4, 5]))
print(f"int64 + {floats.tolist()} -> {of_floats}")
print(f"int32 + int64 [3, 4, 5] -> {of_wider}")
assert of_floats == [0, 1, 2, *floats.view("int64").tolist()]
assert of_wider == [0, 1, 2, 3, 0, 4]
PY
