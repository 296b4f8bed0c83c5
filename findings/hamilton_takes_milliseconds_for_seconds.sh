#!/usr/bin/env bash
# Hamilton's cache gives the result for one array to one of another shape, type or unit: 90 ms get that of 90 s.
#
# Version:     apache-hamilton 1.90.0, pandas 3.1.1, numpy 2.4.6
# Expectation: with_cache() gives out a stored result only if code and inputs are the same.
# Behaviour:   the key of an array is a hash of its bytes alone, and that of a table one of its rows, without the names
#              of the columns. So a block of 2 x 3 and one of 3 x 2, zeros of int64 and of float64, times in seconds and
#              in milliseconds, 1 and "1", and a table of volts and one of ohms with the same numbers are one. The
#              results are kept on disk for later sessions. Nothing is said. (A note in the source has doubts about
#              masked arrays.)
# Seen:        shape of 3 x 2 after 2 x 3: [2, 3]; 90 ms after 90 s: 90.0 s; sum of ohms after volts: {"volts": 3}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apache-hamilton==1.90.0 pandas==3.1.1 numpy==2.4.6
cd "$folder"
cat >steps.py <<'PY'
import numpy as np
import pandas as pd


def shape(block: np.ndarray) -> list:
    return list(block.shape)


def seconds(delay: np.ndarray) -> float:
    return float((delay / np.timedelta64(1, "s")).sum())


def kind(value: object) -> str:
    return type(value).__name__


def total(frame: pd.DataFrame) -> dict:
    return {name: int(column.sum()) for name, column in frame.items()}
PY
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import logging
import sys

import numpy as np
import pandas as pd
from hamilton import driver

sys.path.insert(0, ".")
import steps

messages = []
handler = logging.Handler(logging.WARNING)
handler.emit = messages.append
logging.getLogger().addHandler(handler)
logging.getLogger("hamilton").addHandler(handler)


def result(name, value):
    """What a new session with the same cache makes of the only input of a step."""
    argument = next(iter(getattr(steps, name).__annotations__))
    session = driver.Builder().with_modules(steps).with_cache(path="cache").build()
    return session.execute([name], inputs={argument: value})[name]


for name, first, second in (
    ("shape", np.zeros((2, 3)), np.zeros((3, 2), int)),
    ("seconds", np.array([90], "m8[s]"), np.array([90], "m8[ms]")),
    ("kind", 1, "1"),
    ("total", pd.DataFrame({"volts": [1, 2]}), pd.DataFrame({"ohms": [1, 2]})),
):
    right = [getattr(steps, name)(value) for value in (first, second)]
    found = [result(name, value) for value in (first, second)]
    print(f"{name}: right {right}, cached {found}")
    assert right[0] != right[1]
    assert found == [right[0]] * 2
assert result("total", pd.DataFrame({"ohms": [1, 3]})) == {"ohms": 4}
assert not messages
PY
