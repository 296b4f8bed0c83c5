#!/usr/bin/env bash
# PyTables appends the bytes of an array, not its values, if a column has another type: two rows become four others.
#
# Version:     tables 3.11.1, numpy 2.4.6
# Expectation: `Table.append` takes "any object which can be converted to a structured array compliant with the table
#              structure (otherwise, a ValueError is raised)": values are converted, as those of a list of tuples are.
# Behaviour:   the memory of a structured array whose columns have the same names and other types is read as if it had
#              the types of the table. Integers and floats of 64 bits for a table of 32 bits come out as twice as many
#              rows of other numbers. Big-endian ones come out with their bytes reversed, and columns in another order
#              as the bits of each other. `modify_rows` does the same. An error is raised only where the sizes of the
#              rows do not divide. Nothing is said.
# Seen:        (1, 1.5), (2, 2.5): list, int32 and float32 -> the same; int64 and float64 -> (1, 0.0), (0, 1.9375),
#              (2, 0.0), (0, 2.0625); big-endian -> (16777216, 6.9e-41), (33554432, 1.2e-41); other order ->
#              (1069547520, 1.4e-45), (1075838976, 2.8e-45)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tables==3.11.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import numpy as np
import tables

ROWS = [(1, 1.5), (2, 2.5)]


def appended(rows):
    with tables.open_file("x.h5", "w") as file:
        table = file.create_table("/", "log", np.zeros(0, [("count", "<i4"), ("volts", "<f4")]))
        table.append(rows)
    with tables.open_file("x.h5") as file:
        return file.root.log[:].tolist()


def array(counts, volts):
    return np.array(ROWS, [("count", counts), ("volts", volts)])


given = array("<i4", "<f4")
assert appended(ROWS) == appended(given) == ROWS
found = appended(array("<i8", "<f8"))
print("64 bits:", found)
assert found == [(1, 0.0), (0, 1.9375), (2, 0.0), (0, 2.0625)]
found = appended(array(">i4", ">f4"))
print("big-endian:", found)
assert [row[0] for row in found] == [16777216, 33554432] and found[0][1] < 1e-40
swapped = np.zeros(2, [("volts", "<f4"), ("count", "<i4")])
for name in swapped.dtype.names:
    swapped[name] = given[name]
found = appended(swapped)
print("other order:", found)
assert [row[0] for row in found] == [1069547520, 1075838976] and found[0][1] < 1e-40

with tables.open_file("x.h5", "w") as file:
    table = file.create_table("/", "log", np.zeros(4, [("count", "<i4"), ("volts", "<f4")]))
    table.modify_rows(0, 2, 1, ROWS)
    assert table[:].tolist() == ROWS + [(0, 0.0)] * 2
    table.modify_rows(0, 2, 1, array("<i8", "<f8"))
    assert table[:].tolist() == [(1, 0.0), (0, 1.9375)] + [(0, 0.0)] * 2
PY
