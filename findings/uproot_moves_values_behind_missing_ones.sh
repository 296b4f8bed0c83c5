#!/usr/bin/env bash
# uproot writes other values behind a missing one: 1, missing, 3, 4 is in the file as 1, missing, 2, 3.
#
# Version:     uproot 5.7.7, awkward 2.14.0, pyarrow 26.0.1, numpy 2.4.6
# Expectation: a column with missing values comes back as it was from an RNTuple, the default of uproot.recreate(). A
#              column made from a list with None does.
# Behaviour:   the format stores the values that are there, and how many each row has. If the column keeps a mask, as
#              one from a masked array of numpy or from Arrow and Parquet does, uproot writes all values, those beneath
#              the mask included, and counts only the others. So each row behind a missing one has the value of an
#              earlier row: what lay beneath the mask is shown as measured, and the last ones are never seen. Other
#              columns of the same row are right. Texts and lists are moved, too. Nothing is raised or warned of.
# Seen:        list 1, None, 3, 4 -> 1, None, 3, 4; masked -> 1, None, 2, 3; Parquet -> 1, None, 0, 3; "a", None, "c",
#              "d" -> "a", None, "", "c"
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uproot==5.7.7 awkward==2.14.0 pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

pq.write_table(pa.table({"x": [1.0, None, 3.0, 4.0], "text": ["a", None, "c", "d"]}), "x.parquet")
table = ak.from_parquet("x.parquet")
given = {
    "list": ak.Array([1.0, None, 3.0, 4.0]),
    "masked": np.ma.masked_array([1.0, 2.0, 3.0, 4.0], mask=[False, True, False, False]),
    "parquet": table["x"],
    "texts": table["text"],
    "lists": ak.mask(ak.Array([[1], [2, 3], [4], []]), [True, False, True, True]),
}
seen, stored = {}, {}
for name, column in given.items():
    with uproot.recreate("x.root") as file:
        file["events"] = {"x": column, "y": np.arange(4)}
    with uproot.open("x.root") as file:
        events = file["events"]
        found = events.arrays()
        stored[name] = [sum(page.num_elements for page in each.pages) for each in events.page_link_list[0]]
    assert found["y"].tolist() == [0, 1, 2, 3]
    seen[name] = found["x"].tolist()
    print(f"{name}: {ak.Array(column).tolist()} -> {seen[name]}")
assert seen["list"] == [1.0, None, 3.0, 4.0]
assert seen["masked"] == [1.0, None, 2.0, 3.0]
assert seen["parquet"] == [1.0, None, 0.0, 3.0]
assert seen["texts"] == ["a", None, "", "c"]
assert seen["lists"] == [[1], None, [2, 3], [4]]
# The second column of the file holds the values: three are there, and four are written.
print("values in the file: list", stored["list"][1], "masked", stored["masked"][1])
assert stored["list"][1] == 3 and stored["masked"][1] == stored["parquet"][1] == 4
PY
