"""Fuzz the ingester of last resort: python tests/fuzz/fuzz_raw.py -max_total_time=600"""

import harness  # type: ignore[import-not-found]

from lotdb_ingest import raw

if __name__ == "__main__":
    harness.run(raw, name="x.bin", seeds=[b"", b"\0", bytes(range(256))])
