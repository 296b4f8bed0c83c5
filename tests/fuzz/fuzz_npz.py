"""Fuzz the ingester of .npz files: python tests/fuzz/fuzz_npz.py -max_total_time=600"""

import io
import zipfile

import harness  # type: ignore[import-not-found]
import numpy as np

from lotdb_ingest.npy import npz

ROWS = np.arange(12, dtype="int16").reshape(4, 3)


def saved(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


SEEDS = [
    saved(rows=ROWS),
    saved(columns=np.asfortranarray(ROWS), größe=np.array(1.5)),
    saved(np.savez_compressed, zeros=np.zeros((1000, 3)), words=np.array(["text", "æ"])),
    saved(),
]

if __name__ == "__main__":
    harness.run(npz, name="x.npz", seeds=SEEDS, instrument=[zipfile, np.lib._format_impl])
