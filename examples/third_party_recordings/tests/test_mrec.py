import numpy as np
import pytest
from lotdb_mrec import plugin as mrec
from lotdb_mrec.calibration import Calibration
from lotdb_mrec.subjects import Subjects

from lotdb import LOTDB, Plugins, ValueType, hookimpl
from lotdb.testing import IngesterTests, ListenerTests, NodeTypeTests, Sample, ValueTypeTests

TEXT = b"MREC1 S01\necg 250 4 0.5 0 mV\nresp 25 2 1 -1 V\n"
SAMPLES = np.array([1, -2, 3, 4, 50, 60], "<i2")


class TestIngester(IngesterTests):
    @pytest.fixture
    def plugin(self):
        return mrec

    @pytest.fixture
    def samples(self):
        return [
            Sample(
                "S01.mrec",
                content=TEXT,
                beside={"S01.mdat": SAMPLES.tobytes()},
                data={"ecg": SAMPLES[:4], "resp": SAMPLES[4:]},
                samplerate_hz={"ecg": 250, "resp": 25},
            )
        ]


class TestNodeType(NodeTypeTests):
    @pytest.fixture
    def plugin(self):
        return mrec

    @pytest.fixture
    def node_type(self):
        return "mrec.recording"


class TestCalibration(ValueTypeTests):
    @pytest.fixture
    def plugin(self):
        return mrec

    @pytest.fixture
    def values(self):
        return [Calibration(0.5, -1.0, "mV"), Calibration(1e300, 0.0, "")]


class TestSubjects(ListenerTests):
    @pytest.fixture
    def plugin(self, tmp_path):
        subjects = Subjects(tmp_path / "subjects.sqlite")
        yield subjects
        subjects.sql.close()

    @pytest.fixture
    def mirror(self, plugin):
        return lambda db: dict(plugin.rows(db))

    @pytest.fixture
    def known_of(self):
        return lambda node: node.attrs.get("subject")

    @pytest.fixture
    def watched(self):
        return {"subject": ["S01", "S02"]}

    @pytest.fixture
    def catch_up(self, plugin):
        return plugin.catch_up


@pytest.fixture
def plugins():
    plugins = Plugins()
    plugins.register(mrec, name="mrec")
    return plugins


def test_a_recording_is_calibrated_and_checked(tmp_path, plugins):
    (tmp_path / "S01.mrec").write_bytes(TEXT)
    (tmp_path / "S01.mdat").write_bytes(SAMPLES.tobytes())
    with LOTDB(tmp_path / "study", plugins=plugins) as db, db.connection() as root:
        node = root.get_node_path("S01", node_type="mrec.recording")
        node.attach_file(tmp_path / "S01.mrec")
        assert node.calibrated("ecg").tolist() == [0.5, -1, 1.5, 2]
        with pytest.raises(TypeError, match=r"calibration\.ecg is a Calibration"):
            node.attrs["calibration.ecg"] = 1
        assert node.attrs["calibration.ecg"] == Calibration(0.5, 0, "mV")


def test_the_first_version_of_a_calibration_is_read(tmp_path, plugins):
    class First:
        @hookimpl
        def lotdb_get_value_types(self):
            return [
                ValueType(
                    "mrec.calibration",
                    Calibration,
                    encode=lambda value: [value.gain, value.offset],
                    decode=lambda stored: Calibration(*stored, "V"),
                )
            ]

    old = Plugins(off=["mrec", "mrec.recording"])
    old.register(First())
    with LOTDB(tmp_path / "study", plugins=old) as db, db.connection() as root:
        root.attrs["calibration"] = Calibration(2.0, 1.0, "V")
    with LOTDB(tmp_path / "study", plugins=plugins) as db, db.connection() as root:
        assert root.attrs["calibration"] == Calibration(2.0, 1.0, "V")


def test_the_index_follows_commits_and_no_aborts(tmp_path, plugins):
    index = Subjects(tmp_path / "subjects.sqlite")
    plugins.register(index)
    with LOTDB(tmp_path / "study", plugins=plugins) as db:
        index.catch_up(db)
        with db.connection() as root:
            root.get_node_path("a/1").attrs["subject"] = "S01"
        with db.connection() as root:
            root["a"].branch("b")
            root["a"].rename("c")
        with pytest.raises(RuntimeError), db.connection() as root:
            root.get_node("d").attrs["subject"] = "never"
            raise RuntimeError
        assert sorted(index.rows(db)) == [("b/1", "S01"), ("c/1", "S01")]
    index.sql.close()
