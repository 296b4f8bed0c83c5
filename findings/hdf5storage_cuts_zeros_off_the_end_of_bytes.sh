#!/usr/bin/env bash
# hdf5storage cuts zero bytes off the end of bytes: of three integers of 16 bits, 1, 2, 0, it gives back three bytes.
#
# Version:     hdf5storage 0.2.2, h5py 3.16.0, numpy 2.4.6
# Expectation: bytes and bytearray come back as they were. They are on the list of the types that are stored and read
#              back, of the same type, and zeros within them do come back.
# Behaviour:   bytes become a text of numpy of a fixed length, whose zeros at the end count as padding. So whatever is
#              packed ends at its last byte that is not zero, alone and within lists and dictionaries: little-endian
#              integers and doubles, keys, blocks of audio that end in silence. b"\x00" becomes b"". Nothing is raised
#              or warned of. The file holds the zeros, and the length beside them; the reader drops them.
# Seen:        01 00 02 00 00 00 -> 01 00 02; 00 -> (nothing); 61 00 62 -> 61 00 62
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet hdf5storage==0.2.2 h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import warnings

import h5py
import hdf5storage
import numpy as np

warnings.simplefilter("error", UserWarning)
packed = np.array([1, 2, 0], "<i2").tobytes()
given = {"packed": packed, "buffer": bytearray(packed), "listed": [packed, 5], "zero": b"\x00", "within": b"a\x00b"}
hdf5storage.writes({"/given": given}, filename="x.h5")
found = hdf5storage.read("/given", filename="x.h5")
for name in ("packed", "buffer", "zero", "within"):
    print(f"{name}: {given[name].hex(' ')} -> {found[name].hex(' ') or '(nothing)'}")
    assert type(found[name]) is type(given[name])
assert len(packed) == 6 and found["packed"] == found["buffer"] == packed[:3]
assert found["listed"] == [packed[:3], 5]
assert found["zero"] == b"" and found["within"] == b"a\x00b"
hdf5storage.writes({"/packed": packed}, filename="alone.h5")
with h5py.File("alone.h5") as file:
    stored = file["packed"]
    print("in the file:", *stored[()].ravel(), "as", stored.attrs["Python.numpy.UnderlyingType"].decode())
    assert stored[()].ravel().tolist() == list(packed)
    assert stored.attrs["Python.numpy.UnderlyingType"] == b"bytes48"  # bits, six bytes
assert hdf5storage.read("/packed", filename="alone.h5") == packed[:3]
PY
