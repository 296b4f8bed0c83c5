#!/usr/bin/env bash
# obstore's LocalStore does not list a file whose name ends with `#` and digits, and nothing says so.
#
# Version:     obstore 0.12.1
# Expectation: list() of a folder names all files in it, or fails at one that it cannot name. Devices and
#              people number their takes in this way: `take #1`.
# Behaviour:   the library keeps such names for uploads that are under way, so list() leaves the files
#              out, without a warning. To copy or back up a folder through a LocalStore loses them. get()
#              and put() of the same name are refused with an error.
# Seen:        of `a.npy`, `take #1`, `take #2`, `take #3.npy` the list has `a.npy` and `take #3.npy`
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet obstore==0.12.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import os
import sys

from obstore.store import LocalStore

folder = os.path.join(sys.argv[1], "takes")
os.mkdir(folder)
for name in ("a.npy", "take #1", "take #2", "take #3.npy"):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(b"data")
store = LocalStore(folder)
listed = sorted(about["path"] for page in store.list() for about in page)
print(listed)
assert listed == ["a.npy", "take #3.npy"]
try:
    store.get("take #1")
except Exception as error:
    print(type(error).__name__, str(error).splitlines()[0])
else:
    raise SystemExit("it can be read now")
PY
