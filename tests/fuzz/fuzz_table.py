"""Fuzz the ingester of tables: python tests/fuzz/fuzz_table.py -max_total_time=600

With the first argument "options", files are read with most of the options that there are.
"""

import sys

import harness  # type: ignore[import-not-found]

from lotdb_ingest.table import plugin as table

SEEDS = [
    b"id,age,left\n001,31,True\n002,,False\n",
    b'a,b\r\n"says ""hi"",\r\nand goes",1.50\r\n,-2e-3\r\n',
    b"n\n1\n\n18446744073709551615\n",
    b"x,y\n9007199254740993,0.1234567890123456789\n-1,5e-324\n",
    b"x\n-9223372036854775808\n1.000000000000000056e-01\n",
    b",,\n1,+1,.5\n",
    "größe,µV\n1,ä\n".encode("utf-8-sig"),
    "a,b\n1,ä\n".encode("utf-16"),
    b"a;b\n1;2\n",
    b"true\rTRUE\rfalse\r",
]

OPTIONS = {
    "format": "csv",
    "delimiter": ";",
    "decimal": ",",
    "header": False,
    "types": {"column_1": "int", "column_2": "float", "column_3": "bool", "column_5": "U3"},
    "dates": ["column_4"],
    "na_values": ["-", "n/a"],
    "comment": "#",
    "skip_rows": 1,
}

ROWS = [
    b"above\n#left out\n 007;1,5e3;true;2024-02-29T12:00:00.5;text;1,5\n-;-inf;0;NaT;-;-1,000001\n",
    b"\n+18446744073709551615;,5;1;2024-02-29;long text;n/a\n",
    b"\n1;1;1;2262-01-01 00:00:00.123456789;#;\n",
]


if __name__ == "__main__":
    if sys.argv[1:2] == ["options"]:
        del sys.argv[1]
        harness.run(table, name="x.csv", seeds=ROWS, options=OPTIONS)
    harness.run(table, name="x.csv", seeds=SEEDS)
