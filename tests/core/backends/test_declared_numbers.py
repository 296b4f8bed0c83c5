"""A number that a backend declares, and that makes no sense, harms no database."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from lotdb import PluginError

raw_backend = runpy.run_path(str(Path(__file__).with_name("raw_backend.py")))
fresh, opened = raw_backend["fresh"], raw_backend["opened"]

WRONG = ["2", None, 2.5, 0, -1, True, np.int64(2)]


@pytest.mark.sampled(3)
@pytest.mark.crossed
@pytest.mark.parametrize("number", WRONG)
@pytest.mark.parametrize("where", ["class", "instance"])
@pytest.mark.parametrize("name", ["format_version", "concurrent_reads"])
def test_it_is_refused_before_anything_is_written(tmp_path, name, where, number):
    def init(self, context):
        super(wrong, self).__init__(context)
        setattr(self, name, number)

    wrong = fresh(**({name: number} if where == "class" else {"__init__": init}))
    with opened(tmp_path, "blob") as db, db.connection() as root:
        root.get_data_node("a").write_data(np.arange(5))
    with pytest.raises(PluginError, match=f"'raw' has {name}"):  # noqa: SIM117
        with opened(tmp_path, wrong) as db, db.connection() as root:
            root.get_data_node("b").write_data(np.arange(5))
    with opened(tmp_path, fresh()) as db, db.connection() as root:
        assert root["a"].read_data().tolist() == [0, 1, 2, 3, 4]
        assert "b" not in root
        root.get_data_node("b").write_data(np.arange(5))
        assert db.verify() == []
