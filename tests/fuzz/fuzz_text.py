"""Fuzz the ingester of text files: python tests/fuzz/fuzz_text.py -max_total_time=600

The encoding is that of the byte order mark; another one is tried with a first argument like encoding=cp932.
"""

import sys

import harness  # type: ignore[import-not-found]

from lotdb_ingest import text

WORDS = "Größe: 12 µm\r\n日本 𝄞\n"

if __name__ == "__main__":
    options = {}
    if sys.argv[1:] and sys.argv[1].startswith("encoding="):
        options["encoding"] = sys.argv.pop(1).partition("=")[2]
    seeds = [WORDS.encode(encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32")]
    harness.run(text, name="x.txt", seeds=[*seeds, b"", b"plain\n"], options=options)
