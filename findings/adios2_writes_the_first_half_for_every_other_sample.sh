#!/usr/bin/env bash
# adios2 writes every other sample as the first half of all samples, and a transposed matrix as another one.
#
# Version:     adios2 2.12.1.1001, numpy 2.4.6
# Expectation: the values of an array are written, also those of a view of another one; or the view is refused, as the
#              library's own error has it ("type is not supported or is not memory contiguous").
# Behaviour:   shape and type are those of the view, but the numbers are taken from memory one after the other, from
#              the place of its first one. Of every second sample that makes all samples of the first half. A matrix in
#              Fortran's order, as each transposed one is, has its numbers in other places. Nothing is said.
#              `Stream.write` and `Engine.put` do the same, in Mode.Sync and Mode.Deferred.
# Seen:        [0, 1, ..., 11][::2] -> [0, 1, 2, 3, 4, 5]; [[0, 1, 2], [3, 4, 5]] in Fortran's order ->
#              [[0, 3, 1], [4, 2, 5]]; copies in C's order -> the same
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet adios2==2.12.1.1001 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import adios2
import numpy as np


def written(values):
    with adios2.Stream("x.bp", "w") as stream:
        stream.write("x", values, values.shape, [0] * values.ndim, values.shape)
    with adios2.FileReader("x.bp") as file:
        return file.read("x")


def put(values, mode):
    io = adios2.Adios().declare_io("io")
    variable = io.define_variable("x", values, values.shape, [0] * values.ndim, values.shape)
    with io.open("x.bp", adios2.bindings.Mode.Write) as engine:
        engine.begin_step()
        engine.put(variable, values, mode)
        engine.end_step()
    with adios2.FileReader("x.bp") as file:
        return file.read("x")


series = np.arange(12.0)
matrix = np.asfortranarray(np.arange(6.0).reshape(2, 3))
for given, expected in ((series[::2], [0, 1, 2, 3, 4, 5]), (matrix, [[0, 3, 1], [4, 2, 5]])):
    found = written(given)
    print(given.tolist(), "->", found.tolist())
    assert found.dtype == given.dtype and found.shape == given.shape
    assert found.tolist() == expected
    for mode in (adios2.bindings.Mode.Sync, adios2.bindings.Mode.Deferred):
        assert put(given, mode).tolist() == expected
    assert np.array_equal(written(given.copy(order="C")), given)
PY
