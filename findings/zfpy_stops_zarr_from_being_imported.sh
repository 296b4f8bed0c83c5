#!/usr/bin/env bash
# zarr cannot be imported any more where the newest zfpy is installed, although nothing uses zfpy.
#
# Version:     zarr 3.1.6, numcodecs 0.16.6, zfpy 1.0.1.post0, numpy 2.4.6
# Expectation: a codec that is optional does not matter to arrays that have another one; at most it is left out with a
#              warning, as an old zfpy is. "1.0.1.post0" is a valid version of a Python package.
# Behaviour:   numcodecs, when it is imported, takes the version of zfpy for three whole numbers, and stops at "post0".
#              zarr imports numcodecs, so that no array can be opened, whatever codec it has. Without zfpy the same
#              array is read.
# Seen:        ValueError: invalid literal for int() with base 10: 'post0'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet zarr==3.1.6 numcodecs==0.16.6 numpy==2.4.6
cd "$folder"
cat > write.py <<'PY'
import zarr

array = zarr.create_array("x.zarr", shape=(3,), dtype="int32")
array[:] = [1, 2, 3]
PY
cat > read.py <<'PY'
import sys

try:
    import zarr
except ValueError as error:
    print(f"ValueError: {error}")
    sys.exit(7)
print(zarr.open_array("x.zarr", mode="r")[:].tolist())
PY
"$folder/venv/bin/python" write.py
test "$("$folder/venv/bin/python" read.py)" = "[1, 2, 3]"
"$folder/venv/bin/pip" install --quiet zfpy==1.0.1.post0
"$folder/venv/bin/python" -c "import zfpy, numpy; zfpy.compress_numpy(numpy.arange(9.0))"
code=0
said=$("$folder/venv/bin/python" read.py) || code=$?
echo "$said"
test "$code" = 7 && test "$said" = "ValueError: invalid literal for int() with base 10: 'post0'"
