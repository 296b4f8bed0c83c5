#!/usr/bin/env bash
# Blosc with bit shuffling compresses nothing if the number of elements is no multiple of eight.
#
# Version:     numcodecs 0.16.6, which has c-blosc 1.21
# Expectation: one sample more makes the compressed bytes of a smooth series a little longer.
# Behaviour:   bits are shuffled only in blocks that hold a multiple of eight elements. Any other block is left as
#              it is, without a word; LZ4 then finds nothing in it. A series that is shorter than one block (256 KiB
#              here) is stored whole. Byte shuffling has no such limit. Whoever cuts arrays into chunks of any length
#              and chooses bit shuffling loses all of the compression for seven lengths of eight.
# Seen:        32496 int32: 5609 bytes; 32497 int32: 130004 bytes (raw: 129988)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numcodecs==0.16.6 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from numcodecs.blosc import BITSHUFFLE, SHUFFLE, Blosc

sizes = {}
for name, shuffle in (("bits", BITSHUFFLE), ("bytes", SHUFFLE)):
    for count in (32_496, 32_497):
        sizes[name, count] = len(Blosc("lz4", 5, shuffle).encode(np.arange(count, dtype="i4")))
        print(name, count, sizes[name, count])
assert sizes["bits", 32_497] > 20 * sizes["bits", 32_496]
assert sizes["bits", 32_497] > 4 * 32_497, "longer than what went in"
assert sizes["bytes", 32_497] < 1.1 * sizes["bytes", 32_496]
PY
