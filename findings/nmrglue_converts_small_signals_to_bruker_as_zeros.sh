#!/usr/bin/env bash
# nmrglue converts a signal of small numbers to Bruker's format as zeros: 0.01, 0.02, ... become 0, 0, ...
#
# Version:     nmrglue 0.12, numpy 2.4.6, scipy 1.17.1
# Expectation: a signal of floats, as NMRPipe holds it, keeps its values when it is converted to Bruker's format. That
#              has a type for doubles (DTYPA 2). Or the converter says that it cannot keep them.
# Behaviour:   the converter gives complex doubles, and a dictionary without DTYPA. `bruker.write` takes a missing DTYPA
#              for integers of 32 bits, and cuts the fractions of the doubles off. Nothing is said. Agilent's and
#              NMRPipe's formats keep the same signal.
# Seen:        pipe: 0.01 0.02 0.03 0.04; pipe -> bruker: 0 0 0 0; 1.75 -> 1; with isfloat=True: 0.01 0.02 0.03 0.04
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nmrglue==0.12 numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import nmrglue as ng
import numpy as np


def pipe(signal):
    about = ng.fileiobase.create_blank_udic(1)
    about[0].update(size=len(signal), complex=True, sw=1000.0, obs=100.0, car=500.0, encoding="direct")
    about[0].update(time=True, freq=False, label="1H")
    convert = ng.convert.converter()
    convert.from_universal(about, signal.astype("complex64"))
    ng.pipe.write("x.fid", *convert.to_pipe(), overwrite=True)
    return ng.pipe.read("x.fid")


def bruker(about, signal, **options):
    convert = ng.convert.converter()
    convert.from_pipe(about, signal)
    about, signal = convert.to_bruker()
    assert signal.dtype == np.complex128 and about["acqus"].get("DTYPA") is None
    ng.bruker.write("bruker", about, signal, overwrite=True, big=False, **options)
    return ng.bruker.read_binary("bruker/fid", shape=signal.shape, big=False, **options)[1]


small = pipe(np.array([0.01, 0.02, 0.03, 0.04]))
assert np.allclose(small[1].real, [0.01, 0.02, 0.03, 0.04])
found = bruker(*small)
print("pipe", small[1].real, "-> bruker", found.real, "-> with isfloat", bruker(*small, isfloat=True).real)
assert np.array_equal(found, np.zeros(4))
assert np.allclose(bruker(*small, isfloat=True).real, small[1].real)
larger = bruker(*pipe(np.array([1.75, -1.75, 2.5, 1000.0])))
print("1.75 -1.75 2.5 1000 ->", larger.real)
assert larger.real.tolist() == [1, -1, 2, 1000]
PY
