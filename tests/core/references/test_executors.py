"""References in the pools of processes that people use: concurrent.futures, joblib, dask, data loaders."""

import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from tests.core.references import work

from lotdb import LOTDB, StaleNodeError

ROWS = np.arange(1000.0)
COUNT = 12
STARTS = [each for each in ("fork", "forkserver", "spawn") if each in multiprocessing.get_all_start_methods()]

# A process that has several threads warns when it forks; the pools of Python do so.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def pool_of(start, processes=2):
    return ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context(start))


@pytest.fixture(scope="module", params=[
    each if each != "spawn" else pytest.param(each, marks=pytest.mark.slow) for each in STARTS
])  # fmt: skip
def pool(request):
    with pool_of(request.param) as pool:
        yield pool


@pytest.fixture
def db(tmp_path):
    with LOTDB(tmp_path / "db", durability="process") as db:
        db.run(fill)
        yield db


def fill(root):
    for number in range(COUNT):
        node = root.get_data_node(("recordings", f"{number:02}"))
        node.write_data(ROWS + number, samplerate_hz=100)
        node.write_data(ROWS[:20] + number, data_attribute="chunked", backend="zarr")
        node.attrs.update(label=number % 2, name=f"{number:02}")
        node.get_node("child").attrs["name"] = f"child {number:02}"


@pytest.fixture
def nodes(db):
    return list(db.open_connection()["recordings"].values())


@pytest.fixture
def means(nodes):
    return [float(node.read_data().mean()) for node in nodes]


def test_workers_read_and_the_parent_writes_meanwhile(pool, db, nodes, means):
    for node, mean in zip(nodes, pool.map(work.mean, nodes), strict=True):
        node.attrs["mean"] = mean  # others are still to be sent
        if node.key == "05":
            db.commit()
    db.commit()
    assert [node.attrs["mean"] for node in nodes] == means
    windows = [float((ROWS[10:20] + int(node.key)).mean()) for node in nodes]
    for name in ("data", "chunked"):
        assert list(pool.map(work.mean_of_window, [node.payloads[name] for node in nodes])) == windows


def test_a_worker_opens_the_database_once(pool, nodes):
    seen = dict(pool.map(work.opened, nodes * 2))
    assert set(seen.values()) <= {1, 2, 3, 4}  # and one for each test before this one
    again = dict(pool.map(work.opened, nodes * 2))
    assert all(again[process] == seen[process] for process in again.keys() & seen.keys())


def test_threads_of_a_worker_share_one_reference(pool, nodes):
    for node, read in zip(nodes[:2], pool.map(work.in_threads, nodes[:2]), strict=True):
        start = float(node.key)
        assert [rows for rows, *_ in read] == [[start + first, start + first + 1] for first in range(4)]
        assert {name for _, *names in read for name in names} == {f"child {node.key}", node.key}


def test_what_is_wrong_is_told_by_a_typed_error_and_the_pool_lives_on(pool, db, nodes, means):
    kept = [pickle.dumps(node) for node in nodes]
    for node in nodes:
        node.write_data(ROWS)
    db.commit()
    db.pack()
    gone = pickle.loads(kept[0])
    name, text = pool.submit(work.error_of, gone).result()
    assert name == "MomentGoneError"
    assert "pack" in text
    with pytest.raises(LookupError, match="pack"):
        pool.submit(work.mean, gone).result()
    stale = nodes[0].get_data()
    nodes[0].write_data(ROWS + 7)
    db.commit()
    with pytest.raises(StaleNodeError, match="replaced"):
        pool.submit(work.mean_of_window, stale).result()
    nodes[1].attrs["x"] = 1
    with pytest.raises(TypeError, match="not committed"):
        pool.submit(work.mean, nodes[1]).result()
    db.abort()
    assert pool.submit(work.mean, nodes[1]).result() == ROWS.mean()


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_data_loader_with_worker_processes(nodes, start):
    context = multiprocessing.get_context(start)
    items = work.Recordings([node.reference() for node in nodes], rows=5)
    assert items[3][0].tolist() == [3, 4, 5, 6, 7]  # in this process first, as people do
    batches = context.Queue()
    workers = [
        context.Process(target=work.load, args=(items, range(first, COUNT, 2), batches)) for first in range(2)
    ]
    for worker in workers:
        worker.start()
    found = sorted(batches.get(timeout=120) for _ in range(COUNT))
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert found == [(number, [number + k for k in range(5)], number % 2) for number in range(COUNT)]


@pytest.mark.slow
def test_joblib(db, nodes, means):
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    with joblib.parallel_config(backend="loky", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(work.process_and_mean)(node) for node in nodes)
    assert [mean for _, mean in found] == means
    assert os.getpid() not in {process for process, _ in found}
    with joblib.parallel_config(backend="threading", n_jobs=2):
        references = [node.reference() for node in nodes]
        assert joblib.Parallel()(joblib.delayed(work.mean)(node) for node in references) == means


@pytest.mark.slow
def test_dask(nodes, means):
    dask = pytest.importorskip("dask", reason="dask is not installed")
    bag = pytest.importorskip("dask.bag", reason="dask.bag is not installed")
    with pool_of("forkserver" if "forkserver" in STARTS else "spawn", 1) as pool:
        how = {"scheduler": "processes", "pool": pool}
        assert bag.from_sequence(nodes, npartitions=3).map(work.mean).compute(**how) == means
        assert list(dask.compute(*(dask.delayed(work.mean)(node) for node in nodes), **how)) == means
        array = nodes[4].get_data().to_dask(chunks=100)
        assert float(array.mean().compute(**how)) == means[4]
        labelled = nodes[5].get_data("chunked").to_xarray(chunks={})
        assert float(labelled.mean().compute(**how)) == float((ROWS[:20] + 5).mean())
    references = [node.reference() for node in nodes]
    assert bag.from_sequence(references).map(work.mean).compute(scheduler="threads") == means
