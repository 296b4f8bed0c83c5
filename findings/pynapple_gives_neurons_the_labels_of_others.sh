#!/usr/bin/env bash
# pynapple gives neurons the labels of others, if one row of a table of labels stands at the place of its neuron.
#
# Version:     pynapple 0.11.4, numpy 2.4.6, pandas 3.1.1
# Expectation: a table whose index names the neurons gives each of them its own row, or is refused with "Metadata index
#              does not match", as it is by set_info, and by TsGroup if all rows are in another order.
# Behaviour:   TsGroup compares the index of the table with the neurons in the order in which they were given, and
#              refuses it only if they differ at every place (`np.all` of the differences, not `np.any`). If a single
#              place agrees, all rows are taken by their place, and the index is thrown away. So a table that is sorted
#              by neuron gives labels to the wrong ones when the neurons are not. Nothing is said.
# Seen:        neurons 5, 3, 7, table of 3, 5, 7: 3 -> label of 5, 5 -> label of 3, 7 -> label of 7; set_info: right
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pynapple==0.11.4 numpy==2.4.6 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import numpy as np
import pandas as pd
import pynapple

spikes = {neuron: pynapple.Ts(np.arange(neuron) / 10) for neuron in (5, 3, 7)}


def table(*order):
    return pd.DataFrame({"label": [f"label of {neuron}" for neuron in order]}, index=list(order))


def labels(group):
    assert [len(group[neuron]) for neuron in (3, 5, 7)] == [3, 5, 7]
    return [(int(neuron), group["label"][neuron]) for neuron in group.index]


right = [(neuron, f"label of {neuron}") for neuron in (3, 5, 7)]
assert labels(pynapple.TsGroup(spikes, metadata=table(5, 3, 7))) == right
later = pynapple.TsGroup(spikes)
later.set_info(table(3, 5, 7))
assert labels(later) == right
found = labels(pynapple.TsGroup(spikes, metadata=table(3, 5, 7)))
print("set_info:", labels(later), "TsGroup:", found)
assert found == [(3, "label of 5"), (5, "label of 3"), (7, "label of 7")]
try:
    pynapple.TsGroup(spikes, metadata=table(3, 7, 5))
except ValueError as error:
    print("table of 3, 7, 5:", error)
    assert "does not match" in str(error)
else:
    raise AssertionError("the table of another order is not refused any more")
PY
