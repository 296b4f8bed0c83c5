"""What commands say when there is nothing to show, or when they do not know."""

import json

import numpy as np
import pytest

from lotdb import LOTDB


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--where", "labell == 'walk'"), "no node meets"),
        (("--type", "no.such"), "no node is of type 'no.such'"),
        (("sensor/x*", "--type", "data"), "no node has a path like 'sensor/x*' and is of type 'data'"),
        (("--distinct", "labell"), "no node has 'labell'"),
        (("nothing", "--under", "sensor", "--json"), "no node below 'sensor' has a path like"),
    ],
)
def test_find_says_that_nothing_was_found(database, lotdb, asked, said):
    code, out, err = lotdb("find", database, *asked)
    assert code == 0
    assert out.strip() in ("", "count  labell", f"count  {asked[-1]}")
    assert err.startswith(f"lotdb: {said}")
    assert err.count("\n") == 1


def test_find_says_nothing_else(database, lotdb):
    assert lotdb("find", database, "--where", "label == 'walk'", "--count") == (0, "6\n", "")
    code, out, err = lotdb("find", database, "--type", "no.such", "--count")
    assert (code, out) == (0, "0\n")
    assert "no node is of type" in err


def test_export_names_the_option_and_the_formats(database, lotdb, tmp_path):
    code, out, err = lotdb("export", database, "sensor/capture_0", str(tmp_path / "x.nothing"))
    assert (code, out) == (1, "")
    assert "as 'nothing'; choose another suffix or --format (there are: aif, " in err
    for name in ("csv", "npy", "npz", "png", "raw", "txt", "wav"):
        assert f"{name}" in err.partition("there are: ")[2].rstrip(")\n").split(", ")
    (tmp_path / "x.npy").write_bytes(b"")
    code, out, err = lotdb("export", database, "sensor/capture_0", str(tmp_path / "x.npy"))
    assert (code, out) == (1, "")
    assert err.endswith("pass --replace to replace it\n")


def test_du_says_that_a_size_is_not_known(tmp_path, lotdb, monkeypatch):
    folder = tmp_path / "db"
    with LOTDB(folder) as db, db.connection() as root:
        root.get_data_node("a").write_data(np.zeros(200_000), backend="zarr")
        root["a"].branch("b")
        root.get_data_node("c").write_data(np.zeros(200_000))
    monkeypatch.setenv("LOTDB_PLUGINS_OFF", "zarr")
    from lotdb.registry.registry import installed

    installed.cache_clear()
    try:
        code, out, err = lotdb("du", folder, "a")
        assert code == 0
        assert out.splitlines()[1].split()[-3:] == ["unknown", "1", "a"]
        assert "1 stored arrays are not counted, since their backend is not installed" in err
        code, out, _ = lotdb("du", folder)
        assert "> 1.6 MB" in out or "> 1.5 MiB" in out
        code, out, _ = lotdb("du", folder, "--json")
        assert json.loads(out)["unknown_arrays"] == 1
    finally:
        monkeypatch.undo()
        installed.cache_clear()
    code, out, err = lotdb("du", folder, "a")
    assert (code, err) == (0, "")
    assert "unknown" not in out
