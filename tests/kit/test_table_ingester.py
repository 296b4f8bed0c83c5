"""The ingester of csv and tsv files keeps what an ingester promises."""

import numpy as np
import pytest

from lotdb.testing import IngesterTests, Sample
from lotdb_ingest.table import plugin as table


def cells(dtype, *rows):
    """A table of *rows*, in which None is a missing cell."""
    made = np.ma.zeros(len(rows), dtype)
    for number, row in enumerate(rows):
        made[number] = tuple(0 if cell is None else cell for cell in row)
        made.mask[number] = tuple(cell is None for cell in row)
    return made if any(cell is None for row in rows for cell in row) else made.data


PEOPLE = 'id,age,height,left,note\r\n001,31,1.75,True,"says ""hi"",\nand goes"\r\n002,,1.5,False,\r\n'
PEOPLE_TYPES = [("id", "U3"), ("age", "i8"), ("height", "f8"), ("left", "?"), ("note", "U19")]


class TestTableIngester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return table

    @pytest.fixture
    def samples(self):
        return [
            Sample(
                "people.csv",
                content=PEOPLE.encode(),
                data=cells(
                    PEOPLE_TYPES,
                    ("001", 31, 1.75, True, 'says "hi",\nand goes'),
                    ("002", None, 1.5, False, None),
                ),
                metadata={"delimiter": ",", "encoding": "utf-8", "newline": "\r\n"},
            ),
            Sample(
                "numbers.TSV",
                content="größe\tµV\n1\t-1e5\n18446744073709551615\t0.1\n".encode(),
                data=cells([("größe", "u8"), ("µV", "f8")], (1, -1e5), (2**64 - 1, 0.1)),
                metadata={"delimiter": "\t"},
            ),
            Sample(
                "european.csv",
                content="when;wert\n2024-02-29 12:00;1,5\n;-2\n".encode("utf-8-sig"),
                data=cells(
                    [("when", "M8[s]"), ("wert", "f8")],
                    (np.datetime64("2024-02-29T12:00"), 1.5),
                    (None, -2),
                ),
                options={"delimiter": ";", "decimal": ",", "dates": ["when"]},
                metadata={"encoding": "utf-8", "bom": True, "decimal": ","},
            ),
            Sample(
                "wide.tab",
                content="a\tb\n\ttext\n".encode("utf-16"),
                data=cells([("a", "f8"), ("b", "U4")], (None, "text")),
                metadata={"encoding": "utf-16-le", "bom": True},
            ),
            Sample(
                "single.csv",
                content=b"n\n1\n\n3\n",
                data=cells([("n", "i8")], (1,), (None,), (3,)),
            ),
            Sample(
                "noted.log",
                content=b"measured by\nus\nx,x\n1,n/a\n",
                data=cells([("left", "i8"), ("right", "f8")], (1, None)),
                format="csv",
                options={"skip_rows": 2, "columns": ["left", "right"], "na_values": ["n/a"]},
                metadata={"header": ["x", "x"], "preamble": "measured by\nus\n"},
            ),
            Sample(
                "bare.csv",
                content=b"1,2\r3,4\r",
                data=cells([("column_1", "i8"), ("column_2", "f8")], (1, 2.0), (3, 4.0)),
                options={"header": False, "types": {"column_2": "float"}},
            ),
            Sample(
                "no_rows.csv", content=b"a,,b\n", data=cells([("a", "f8"), ("column_2", "f8"), ("b", "f8")])
            ),
        ]

    @pytest.fixture
    def backends(self):
        return ["blob", "zarr"]
