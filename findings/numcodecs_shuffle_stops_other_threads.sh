#!/usr/bin/env bash
# numcodecs' Shuffle and Fletcher32 keep Python's lock while they work; its compressors let other threads run.
#
# Version:     numcodecs 0.16.6, Python 3.11
# Expectation: All compiled codecs of one library let other threads run, as LZ4, Zstd and Blosc do: zarr and dask
#              decode chunks in threads because of that.
# Behaviour:   While Shuffle or Fletcher32 works on 64 MB, in either direction, no other thread runs a single line.
#              These are the filters of HDF5 files that are read as zarr, so chunks of such files are decoded one
#              after the other in threads, and a program that records or draws meanwhile stands still for as long.
# Seen:        turns of another thread meanwhile: LZ4 73 to 400; Shuffle 0 and 0; Fletcher32 0 and 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numcodecs==0.16.6 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import threading
import time

import numpy as np
from numcodecs import LZ4, Fletcher32, Shuffle

data = np.random.default_rng(0).integers(0, 4, 64_000_000, dtype=np.uint8)


def turns_meanwhile(call):
    """How often another thread had its turn while call() ran, and the seconds that this took."""
    done, times = [], []

    def other():
        while not done:
            times.append(time.perf_counter())
            time.sleep(0.0005)

    thread = threading.Thread(target=other)
    thread.start()
    time.sleep(0.05)
    begin = time.perf_counter()
    call()
    end = time.perf_counter()
    done.append(True)
    thread.join()
    # Not those at the edges, where the codec allocates and returns.
    edge = (end - begin) / 10
    return sum(begin + edge < each < end - edge for each in times), end - begin


for codec, is_held in ((LZ4(), False), (Shuffle(4), True), (Fletcher32(), True)):
    encoded = codec.encode(data)
    for name, call in (("encode", lambda: codec.encode(data)), ("decode", lambda: codec.decode(encoded))):
        turns, seconds = turns_meanwhile(call)
        print(f"{codec.codec_id} {name}: {turns} turns in {seconds * 1e3:.0f} ms")
        if is_held and turns > 2:
            raise SystemExit(f"{codec.codec_id} lets other threads run now")
        if not is_held and turns < 10:
            raise SystemExit(f"{codec.codec_id} keeps the lock now")
PY
