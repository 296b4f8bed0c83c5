"""Nothing goes to stderr beside what LOTDB says, and it says everything once."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from tests.services import forked

from lotdb import LOTDB

npy_backend = runpy.run_path(str(Path(__file__).with_name("npy_backend.py")))


def run(script):
    done = forked.run(["-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def damaged(tmp_path):
    with LOTDB(tmp_path / "db", backends={"blob": {"record_bytes": 0}}) as db:
        for name in ("b", "a", "c/d", "c", "e"):
            with db.connection() as root:
                root.get_data_node(name).write_data(np.zeros(len(name) + 10))
    for file in (tmp_path / "db").rglob("*.blob"):
        file.unlink()
    return tmp_path / "db"


def test_verify_says_each_damage_once_in_the_order_of_the_tree_and_names_the_file(damaged):
    done = run(
        f"from lotdb import LOTDB\nwith LOTDB({str(damaged)!r}, read_only=True) as db:\n"
        "    for damage in db.verify(): print(damage.path, damage.reason)"
    )
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["a", "b", "c", "c/d", "e"]
    assert all(re.search(rf"{re.escape(str(damaged))}.*\.blob is missing$", line) for line in lines)
    assert done.stderr == ""


def test_who_configures_logging_gets_what_zodb_says(damaged):
    done = run(
        f"import logging; logging.basicConfig()\nfrom lotdb import LOTDB\n"
        f"with LOTDB({str(damaged)!r}, read_only=True) as db: db.verify()"
    )
    assert "ERROR:ZODB.Connection:Couldn't load state" in done.stderr


def test_a_reader_beside_the_first_writer_says_nothing(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        with db.connection() as root:
            root.attrs["a"] = 1
        done = run(
            "from lotdb import LOTDB\n"
            f"with LOTDB({str(tmp_path / 'db')!r}, read_only=True) as db: db.refresh()"
        )
    assert done.stderr == ""


def test_a_damaged_record_has_no_internal_id_in_its_reason(tmp_path):
    with LOTDB(tmp_path / "db") as db:
        for name in ("a", "b"):
            with db.connection() as root:
                root.get_node_path(f"{name}/child").attrs["text"] = f"some text of {name}"
    data = (tmp_path / "db/lotdb.fs").read_bytes()
    (tmp_path / "db/lotdb.fs").write_bytes(data.replace(b"some text of a", b"some next of a"))
    with LOTDB(tmp_path / "db") as db:
        damages = db.verify()
    assert [damage.path for damage in damages] == ["a"]
    assert "its bytes are not the ones that were stored" in damages[0].reason
    assert "0x" not in damages[0].reason


def test_a_missing_backend_is_told_once(tmp_path):
    plugins = npy_backend["plugins_with"](npy_backend["NpyBackend"])
    with LOTDB(tmp_path / "db", plugins=plugins) as db, db.connection() as root:
        for name in ("a", "b", "c"):
            root.get_data_node(name, backend="npy").write_data(np.arange(5))
    with LOTDB(tmp_path / "db") as db, pytest.warns(RuntimeWarning) as told:
        assert db.verify() == []
    assert len(told) == 1
    said = "payload 'data' of 'a' and 2 more were not verified: no backend named 'npy'"
    assert said in str(told[0].message)
