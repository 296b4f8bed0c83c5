#!/usr/bin/env bash
# zarr's metadata say that blosc shuffled elements of four bytes, and it shuffled single bytes.
#
# Version:     zarr 3.1.0 with numcodecs 0.14.0 (both allowed by zarr's own requirements), Python 3.11 or newer
# Expectation: BloscCodec(shuffle="shuffle") on int32 gives chunks whose blosc header has a typesize of 4, as
#              zarr.json has it, and whose bytes are shuffled accordingly.
# Behaviour:   zarr hands numcodecs the chunk as bytes. Before numcodecs 0.16 the typesize is taken from there, so it
#              is 1, and shuffling elements of one byte does nothing. zarr.json says 4 all the same. The values are
#              right; the files are half as large again, and the metadata do not tell.
# Seen:        zarr.json typesize 4, header typesize 1, 162327 bytes; numcodecs 0.16.6: header typesize 4, 104087 bytes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/sizes.py" <<'PY'
import json
import numcodecs, numpy as np, zarr
from zarr.codecs import BloscCodec
from zarr.storage import MemoryStore

rows = np.random.default_rng(0).integers(-3, 4, 100_000).cumsum().astype("i4")
files = {}
codec = BloscCodec(cname="lz4", shuffle="shuffle")
zarr.create_array(MemoryStore(files), shape=rows.shape, chunks=rows.shape, dtype="i4", compressors=codec)[:] = rows
said = json.loads(files["zarr.json"].to_bytes())["codecs"][-1]["configuration"]["typesize"]
chunk = files["c/0"].to_bytes()
print(said, chunk[3], len(chunk))
PY
seen=()
for numcodecs in 0.14.0 0.16.6; do
    python3 -m venv --clear "$folder/venv"
    "$folder/venv/bin/pip" install --quiet zarr==3.1.0 "numcodecs[crc32c]==$numcodecs" numpy==2.0.2
    seen+=("$("$folder/venv/bin/python" "$folder/sizes.py")")
    echo "numcodecs $numcodecs: zarr.json's typesize, the header's, bytes: ${seen[-1]}"
done
read -r said header old <<< "${seen[0]}"
[ "$said" = 4 ] && [ "$header" = 1 ]
read -r said header new <<< "${seen[1]}"
[ "$said" = 4 ] && [ "$header" = 4 ] && [ "$old" -gt $((new * 5 / 4)) ]
