"""``Step.map``: who computes, what is stored, and what happens when something goes wrong."""

import io
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from tests.steps import mapped

from lotdb import (
    LOTDB,
    BaseNode,
    InvalidOptionError,
    InvalidStepError,
    NodeExistsError,
    StaleResultError,
    StepAccessError,
    StepFailedError,
    StepResultError,
    WrongNodeError,
)
from lotdb.steps import mapping, provenance, step

COUNT = 20
# So many times the program is killed.
KILLS = int(os.environ.get("LOTDB_TEST_MAP_KILLS", "3"))


def fill(root, count=COUNT):
    for number in range(count):
        node = root.get_data_node(("captures", f"{number:03}"))
        node.write_data(np.arange(10.0) + number, samplerate_hz=10)
        node.attrs["number"] = number


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as db:
        db.run(fill)
        yield db


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        yield pool


@pytest.fixture(params=["here", "processes", "threads"])
def workers(request):
    if request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        yield None if request.param == "here" else request.getfixturevalue("processes")


def counts(report):
    return report.computed, report.fresh, report.failed


def power(number):
    return (np.arange(10.0) + number) ** 2 * 0.5


def test_what_is_missing_or_stale_is_computed_and_all_is_committed(db, workers):
    with db.connection() as root:
        assert counts(mapped.band_power.map(root.find("captures/*"), workers=workers)) == (COUNT, 0, 0)
        for number, node in enumerate(root["captures"].values()):
            result = node["band_power"]
            assert np.array_equal(result.read_data(data_attribute="power"), power(number))
            assert result.attrs["mean"] == 4.5 + number
            assert provenance(result).settings == {"low": 0.5}
        root["captures/003"].write_data(np.zeros(10))
        del root["captures/007/band_power"]
    with LOTDB(db.path, read_only=True) as other, other.connection() as root:
        assert mapped.band_power.why_stale(root["captures/002"]) is None
        assert mapped.band_power.why_stale(root["captures/003"]) == "input 'data' was replaced"
    with db.connection() as root:
        assert counts(mapped.band_power.map(root.find("captures/*"), workers=workers)) == (2, COUNT - 2, 0)
        assert not root["captures/003/band_power"].read_data(data_attribute="power").any()
    assert next(db.history()).note == "step band_power"


def test_processes_of_its_own_compute(db):
    with db.connection() as root:
        assert counts(mapped.band_power.map(root.find("captures/*"), workers=2)) == (COUNT, 0, 0)
        made = {node.attrs["process"] for node in root.find("captures/*/band_power")}
        assert os.getpid() not in made
        assert 1 <= len(made) <= 2


def test_a_client_of_dask_computes(db):
    distributed = pytest.importorskip("distributed", reason="needs lotdb-core[dask]")
    with (
        distributed.Client(processes=False, n_workers=1, dashboard_address=None) as client,
        db.connection() as root,
    ):
        assert counts(mapped.band_power.map(root.find("captures/*"), workers=client)) == (COUNT, 0, 0)
        assert counts(mapped.band_power.map(root.find("captures/*"), workers=client)) == (0, COUNT, 0)


def test_results_of_results_are_computed_first(db, workers):
    with db.connection() as root:
        mapped.band_power.map(root.find("captures/*"), workers=workers)
        bands = list(root.find("captures/*/band_power"))
        assert counts(mapped.spectrum.map(bands, workers=workers)) == (COUNT, 0, 0)
        root["captures/004"].write_data(np.ones(10))
    with db.connection() as root:
        assert counts(mapped.spectrum.map(root.find("captures/*/band_power"), workers=workers)) == (
            1,
            COUNT - 1,
            0,
        )
        expected = np.abs(np.fft.rfft(np.full(10, 0.5)))[:4]
        assert np.array_equal(root["captures/004/band_power/spectrum"].read_data(), expected)
        assert mapped.band_power.why_stale(root["captures/004"]) is None


def test_settings_and_keys_and_settings_that_are_nodes(db, workers):
    with db.connection() as root:
        nodes = list(root["captures"].values())
        first = nodes[0]
        assert counts(mapped.relative.map(nodes, workers=workers, key="rel", to=first)) == (COUNT, 0, 0)
        assert [node["rel"].attrs["value"] for node in nodes] == list(range(COUNT))
        assert counts(mapped.relative.map(nodes, workers=workers, key="rel", to=first)) == (0, COUNT, 0)
        with pytest.raises(InvalidStepError, match="'high'"):
            mapped.band_power.map(nodes, workers=workers, high=1)


def test_errors_are_collected_by_node(db, workers):
    with db.connection() as root:
        root["captures/002"].get_node("fails_at_odd").attrs["mine"] = 1
        report = mapped.fails_at_odd.map(root.find("captures/*"), workers=workers)
        assert counts(report) == (COUNT // 2 - 1, 0, COUNT // 2 + 1)
        odd = report.errors["captures/003"]
        assert isinstance(odd, StepFailedError)
        assert "captures/003" in str(odd)
        assert "3 is odd" in str(odd)
        assert odd.node == "captures/003"
        assert isinstance(report.errors["captures/002"], NodeExistsError)
        assert "fails_at_odd" not in root["captures/003"]
        assert root["captures/004/fails_at_odd"].attrs["value"] == 1.0
        assert "3 is odd" in str(report)


def test_an_error_that_cannot_be_told_is_one_of_its_node_alone(db, workers):
    with db.connection() as root:
        report = mapped.fails_untold_at_odd.map(root.find("captures/*"), workers=workers)
        assert counts(report) == (COUNT // 2, 0, COUNT // 2)
        assert all(isinstance(error, StepFailedError) for error in report.errors.values())
        assert "failed: UntoldError: (it cannot be told: RuntimeError)" in str(report)
        with pytest.raises(StepFailedError, match="captures/001"):
            mapped.fails_untold_at_odd.at(root["captures/001"])


def test_an_error_may_end_it_and_what_was_computed_is_stored(db, workers):
    with db.connection() as root, pytest.raises(StepFailedError, match="is odd") as raised:
        mapped.fails_at_odd.map(root.find("captures/*"), workers=workers, on_error="raise")
    assert raised.value.node in {f"captures/{number:03}" for number in range(1, COUNT, 2)}
    with db.connection() as root:
        stored = root.find("captures/*/fails_at_odd").count()
        if workers is None:
            assert (stored, raised.value.node) == (1, "captures/001")
        assert counts(mapped.fails_at_odd.map(root.find("captures/*"))) == (
            COUNT // 2 - stored,
            stored,
            COUNT // 2,
        )


def test_what_cannot_be_sent_back_or_stored_is_an_error_of_its_node(db, workers):
    with db.connection() as root:
        report = mapped.unsendable.map(list(root["captures"].values())[:2], workers=workers)
        assert sorted(report.errors) == ["captures/000", "captures/001"]
        assert all(isinstance(error, StepResultError | StepFailedError) for error in report.errors.values())
        assert "unsendable" not in root["captures/000"]


def test_a_worker_that_is_killed_is_an_error(db):
    with db.connection() as root:
        with pytest.raises(StepFailedError, match=r"'dies' was killed.* at 'captures/000'"):
            mapped.dies.map(root.find("captures/*"), workers=2)
        assert not list(root.find("captures/*/dies"))


def test_ctrl_c_keeps_what_was_computed(db, monkeypatch):
    calls = []

    @step
    def interrupted(capture):
        calls.append(capture.path)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return 1.0

    with db.connection() as root, pytest.raises(KeyboardInterrupt):
        interrupted.map(root.find("captures/*"))
    with db.connection() as root:
        assert counts(interrupted.map(root.find("captures/*"))) == (COUNT - 5, 5, 0)


def test_the_map_never_meets_what_it_stores(db):
    seen = []

    @step
    def everywhere(node):
        seen.append(node.path)
        return 1.0

    mapping_batch, mapping._BATCH = mapping._BATCH, 3
    try:
        with db.connection() as root:
            assert counts(everywhere.map(root.find("**"))) == (COUNT + 2, 0, 0)
    finally:
        mapping._BATCH = mapping_batch
    assert len(seen) == COUNT + 2  # the root, too


def test_workers_store_what_they_compute_where_many_processes_write(tmp_path, processes):
    pytest.importorskip("relstorage", reason="needs lotdb-core[sqlite]")
    with LOTDB(tmp_path / "db", new=True, storage="sqlite", durability="process") as db:
        db.run(fill)
        db.run(lambda root: root["captures/002"].get_node("relative"))
        with db.connection() as root:
            nodes = list(root["captures"].values())
            report = mapped.relative.map(nodes, workers=processes, workers_store=True, to=nodes[0])
            assert counts(report) == (COUNT - 1, 0, 1)
            assert isinstance(report.errors["captures/002"], NodeExistsError)
            assert [node["relative"].attrs.get("value") for node in nodes[3:]] == list(range(3, COUNT))
            assert all(
                provenance(node["relative"]).process.split(":")[1] != str(os.getpid()) for node in nodes[3:]
            )
            with pytest.raises(InvalidOptionError, match="no workers"):
                mapped.band_power.map(nodes, workers_store=True)


def test_one_process_writes_to_a_file(db, processes):
    with db.connection() as root, pytest.raises(InvalidOptionError, match="one process that writes"):
        mapped.band_power.map(root.find("captures/*"), workers=processes, workers_store=True)


@pytest.mark.parametrize(
    ("argument", "value"), [("workers_store", "no"), ("progress", 5), ("progress", True)]
)
def test_what_is_no_answer_is_refused_before_anything_is_computed(db, argument, value):
    with db.connection() as root:
        with pytest.raises(InvalidOptionError, match=f"{argument} is {value!r}; use"):
            mapped.band_power.map(root.find("captures/*"), **{argument: value})
        assert not any(list(node) for node in root["captures"].values())


def test_in_memory_it_computes_here():
    root = BaseNode("root")
    fill(root)
    assert counts(mapped.band_power.map(root["captures"].values())) == (COUNT, 0, 0)
    assert counts(mapped.band_power.map(root.find("captures/*"))) == (0, COUNT, 0)
    with pytest.raises(InvalidOptionError, match="in memory"):
        mapped.band_power.map(root["captures"].values(), workers=2)


def test_what_others_change_meanwhile_makes_no_wrong_result(db):
    """A result of the older input is stored as that, and is stale."""

    @step
    def overtaken(capture):
        return float(capture.get_data().read().sum())

    deleted = []

    def others(done, total, path):
        """Called when a result was computed, and is not stored yet."""
        if path == "captures/003":
            db.run(lambda root: root["captures/003"].write_data(np.zeros(10)))
        if path == "captures/005" and not deleted:
            deleted.append(path)  # it is told of again, as a failure
            db.run(lambda root: root["captures"].delete_node("005", False))

    with db.connection() as root:
        report = overtaken.map(list(root["captures"].values()), progress=others)
        assert counts(report) == (COUNT - 1, 0, 1)
        assert "deleted" in str(report.errors["captures/005"])
        assert overtaken.why_stale(root["captures/003"]) == "input 'data' was replaced"
        assert counts(overtaken.map(root.find("captures/*"))) == (1, COUNT - 2, 0)


def test_results_that_are_large_are_committed_in_smaller_batches(db, monkeypatch):
    monkeypatch.setattr(mapping, "_BATCH_BYTES", 4 << 20)
    monkeypatch.setattr(mapping, "_BATCH_S", 3600)
    before = len(list(db.history()))
    with db.connection() as root:
        assert counts(mapped.large.map(root.find("captures/*"))) == (COUNT, 0, 0)
        assert root["captures/019/large"].read_data()[-1] == 19
    assert len(list(db.history())) - before == 7  # 1.6 MB each: three in a batch


def test_a_moment_is_read_only(db):
    with db.connection() as root:
        mapped.band_power.map(list(root["captures"].values())[:3])
    with db.at(db.last_commit) as root:
        done = list(root["captures"].values())
        assert counts(mapped.band_power.map(done[:3])) == (0, 3, 0)
        with pytest.raises(StaleResultError, match="captures/003"):
            mapped.band_power.map(done)


def test_what_is_not_committed_is_committed_first(db, workers):
    with db.connection() as root:
        root.get_data_node("captures/new").write_data(np.ones(10))
        assert counts(mapped.band_power.map(root.find("captures/new"), workers=workers)) == (1, 0, 0)
        assert root["captures/new/band_power"].attrs["mean"] == 1.0


def test_bad_arguments_are_refused_by_name(db):
    def inner(node):
        return 1

    local = step(inner)
    with db.connection() as root, db.connection() as other:
        nodes = list(root["captures"].values())
        with pytest.raises(WrongNodeError, match="give several"):
            mapped.band_power.map(nodes[0])
        with pytest.raises(WrongNodeError, match="5 is no node"):
            mapped.band_power.map([5])
        with pytest.raises(WrongNodeError, match="another connection"):
            mapped.band_power.map([nodes[0], other["captures/001"]])
        with pytest.raises(InvalidOptionError, match="'many'"):
            mapped.band_power.map(nodes, workers="many")
        with pytest.raises(InvalidOptionError, match="0"):
            mapped.band_power.map(nodes, workers=0)
        with pytest.raises(InvalidOptionError, match="'ignore'"):
            mapped.band_power.map(nodes, on_error="ignore")
        with pytest.raises(InvalidOptionError, match="progress"):
            mapped.band_power.map(nodes, progress=5)
        with pytest.raises(InvalidStepError, match="define it at the top of a module"):
            local.map(nodes, workers=2)

        @step
        def maps(node):
            mapped.band_power.map([node])
            return 1.0

        with pytest.raises(StepAccessError, match="within another step"):
            maps.at(nodes[0])
        assert mapped.band_power.map([]).computed == 0


def test_progress_is_told(db, monkeypatch):
    told = []
    with db.connection() as root:
        nodes = list(root["captures"].values())
        mapped.band_power.map(nodes, progress=lambda *args: told.append(args))
        assert told[0] == (1, COUNT, "captures/000")
        assert told[-1] == (COUNT, COUNT, f"captures/{COUNT - 1:03}")

        class Terminal(io.StringIO):
            def isatty(self):
                return True

        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr("lotdb.steps.progress._EVERY_S", 0)
        mapped.relative.map(nodes, to=nodes[0])
        assert f"relative: {COUNT} of {COUNT}" in terminal.getvalue()
        assert terminal.getvalue().endswith("\r")
        monkeypatch.setattr(sys, "stderr", quiet := Terminal())
        mapped.large.map(nodes, progress=False)
        assert quiet.getvalue() == ""


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["file", "sqlite", "postgresql"])
def test_a_program_that_is_killed_while_it_maps_goes_on(tmp_path, storage, request):
    """Each time some more is stored, all that is stored is right, and no worker is left behind."""
    folder, count, about = tmp_path / "db", 60 * KILLS, {"storage": storage}
    if storage != "file":
        pytest.importorskip("relstorage", reason="needs lotdb-core[sqlite]")
    if storage == "postgresql":
        folder, about = request.getfixturevalue("postgresql_url"), {"payloads": tmp_path / "payloads"}
    with LOTDB(folder, new=True, durability="process", **about) as db:
        db.run(lambda root: fill(root, count))
    done = 0
    command = [sys.executable, mapped.__file__, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for _ in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as program:
            deadline = time.monotonic() + 600  # a loaded machine is slow; this ends what hangs
            while time.monotonic() < deadline and program.poll() is None:
                time.sleep(0.2)
                with LOTDB(folder, read_only=True) as db, db.connection() as root:
                    stored = root.find("captures/*/slow").count()
                if stored > done:
                    break
            program.kill()
        with LOTDB(folder, read_only=True) as db, db.connection() as root:
            results = list(root.find("captures/*/slow"))
            assert len(results) > done or len(results) == count
            for result in results:
                number = result.parent.attrs["number"]
                assert np.array_equal(result.read_data(), np.arange(10.0) + 2 * number)
            done = len(results)
            assert db.verify() == []
    ended = subprocess.run(command, capture_output=True, env=environment, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) == count - done
