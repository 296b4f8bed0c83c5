"""The kit with an ingester of trees, of several rates, and of files that belong together."""

import numpy as np
import pytest
from tests.core.files.rig_plugin import Rigs, numbers, rig

from lotdb.testing import IngesterTests, Sample

EVENTS = np.array([(0.5, "x")], [("onset_s", "f8"), ("label", "U8")])
SEVERAL = {
    "": numbers(1, 2, rate=256),
    "b": numbers(3, rate=128, blocks=1),
    "note": {"kind": "text", "values": "fine"},
    "events": {"kind": "table", "values": [[0.5, "x"]]},
}
BELOW = {"payloads": {"": numbers(4, rate=8), "c": numbers(5)}, "attributes": {"side": "left"}}


class TestRigs(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return Rigs()

    @pytest.fixture
    def backends(self):
        return ["blob", "zarr"]

    @pytest.fixture
    def samples(self):
        several = {"data": np.array([1.0, 2]), "b": np.array([3.0]), "note": "fine", "events": EVENTS}
        tree = {"a/b": np.array([4.0]), "a/b/c": np.array([5.0])}
        return [
            Sample(
                "several.rig",
                rig(payloads=SEVERAL),
                several,
                samplerate_hz={"data": 256, "b": 128},
                options={"gain": 1},
                exported=False,
            ),
            Sample(
                "tree.rig", rig(children={"a": {"children": {"b": BELOW}}}), tree, samplerate_hz={"a/b": 8}
            ),
            Sample(
                "pair.rig",
                rig(payloads={"": {"from": ".dat"}, "more": {"from": "sub/more.dat", "required": False}}),
                {"data": np.array([1.0, 2]), "more": np.array([3.0])},
                beside={"pair.dat": b"\1\2", "sub/more.dat": b"\3"},
                open_ended=["pair.dat", "sub/more.dat"],
                exported=False,
            ),
        ]
