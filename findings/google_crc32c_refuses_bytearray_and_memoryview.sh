#!/usr/bin/env bash
# google-crc32c sums a numpy array that can be written to, but neither a bytearray nor a memoryview, even a read-only one.
#
# Version:     google-crc32c 1.9.0 (the C implementation), Python 3.11
# Expectation: value() takes every bytes-like object, or refuses every one that can be written to.
# Behaviour:   bytes and arrays of any dtype are taken, writable ones included. A bytearray is a TypeError, "must be
#              read-only bytes-like object", and so is memoryview(b"..."), which is read-only. So a part of a buffer
#              can be summed without a copy only if it is wrapped in an array first.
# Seen:        bytes ok; ndarray ok; bytearray TypeError; memoryview TypeError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet google-crc32c==1.9.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import google_crc32c
import numpy as np

data = b"123456789"
assert google_crc32c.implementation == "c"
assert google_crc32c.value(data) == 0xE3069283
writable = np.frombuffer(bytearray(data), np.uint8)
assert writable.flags.writeable
assert google_crc32c.value(writable) == 0xE3069283
assert google_crc32c.value(np.frombuffer(data, np.uint8)[:]) == 0xE3069283
for other in (bytearray(data), memoryview(data)):
    try:
        google_crc32c.value(other)
    except TypeError as error:
        print(type(other).__name__, error)
    else:
        raise SystemExit(f"{type(other).__name__} is taken now")
assert memoryview(data).readonly
PY
