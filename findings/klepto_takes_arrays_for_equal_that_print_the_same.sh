#!/usr/bin/env bash
# klepto gives the result for one array to another one that looks the same when it is printed.
#
# Version:     klepto 0.2.8, numpy 2.4.6
# Expectation: the cache of a function, kept in a file or in memory, gives out a result only for equal arguments, unless
#              it was told to round them (tol). What cannot be a key is computed anew, as klepto.safe has it.
# Behaviour:   the default key of klepto.safe, and stringmap and picklemap in klepto, are made of the text of the
#              arguments. numpy shortens that: of an array of more than 1000 samples only the first and the last three
#              are left, and of each number eight decimals. So the mean of another recording is that of the first one,
#              and stays so in the file. The documentation tells nothing of arrays. Nothing is said.
# Seen:        mean of 5000 zeros: 0.0; of 4999 zeros and a 5000: 0.0 (safe), 1.0 (not cached); 1.000000001 -> 1.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet klepto==0.2.8 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import klepto
import klepto.safe
import numpy as np
from klepto.archives import file_archive


def mean(samples):
    return float(samples.mean())


quiet = np.zeros(5000)
loud = quiet.copy()
loud[2500] = 5000
assert (mean(quiet), mean(loud)) == (0.0, 1.0)
cached = klepto.safe.inf_cache(cache=file_archive("results.py"))(mean)
found = [cached(quiet), cached(loud), cached(np.array([1.0])), cached(np.array([1.000000001]))]
print("klepto.safe:", found, cached.info())
assert found == [0.0, 0.0, 1.0, 1.0]
assert cached.info().miss == 2
for keymap in (klepto.keymaps.stringmap(), klepto.keymaps.picklemap(), klepto.keymaps.stringmap(typed=True)):
    cached = klepto.lru_cache(maxsize=10, keymap=keymap)(mean)
    assert [cached(quiet), cached(loud)] == [0.0, 0.0]
PY
