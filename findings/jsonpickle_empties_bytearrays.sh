#!/usr/bin/env bash
# jsonpickle gives a bytearray back empty, and with it all texts of a pandas series.
#
# Version:     jsonpickle 4.1.4, pandas 3.1.1, pyarrow 26.0.1, numpy 2.4.6
# Expectation: a bytearray comes back as it was, as bytes do, or is refused. A series of texts comes back as well, since
#              jsonpickle has handlers for pandas.
# Behaviour:   bytes are written in base 64. A bytearray is taken for an object without a state: only its type is
#              written. The buffers of pyarrow are pickled by way of a bytearray, and texts in pandas 3 are kept in
#              pyarrow if that is installed. So the names of a series come back as missing ones, or as empty texts. The
#              number of rows is right. Nothing is said. (Pull request 606, after this release, mends it.)
# Seen:        bytes b'abc' -> b'abc'; bytearray b'abc' -> b''; series 'Na', 'K', None -> nan, nan, nan
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jsonpickle==4.1.4 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import jsonpickle
import jsonpickle.ext.numpy
import jsonpickle.ext.pandas
import pandas as pd

jsonpickle.ext.numpy.register_handlers()
jsonpickle.ext.pandas.register_handlers()


def there_and_back(value):
    return jsonpickle.decode(jsonpickle.encode(value, keys=True), keys=True)


for given, expected in ((b"abc", b"abc"), (bytearray(b"abc"), bytearray())):
    found = there_and_back({"raw": given})["raw"]
    print(given, "->", found)
    assert type(found) is type(given) and found == expected
numbers = there_and_back(pd.Series([1.5, 2.5], name="x"))
assert numbers.tolist() == [1.5, 2.5]
for given, missing in ((pd.Series(["Na", "K", None]), 3), (pd.Series(["Na", "K", "Ca"], dtype="string"), 0)):
    found = there_and_back(given)
    print(given.tolist(), "->", found.tolist())
    assert len(found) == 3 and found.dtype == given.dtype
    assert found.isna().sum() == missing and not any(found.dropna())
PY
