"""branch, move, rm, verify and pack: changes, and upkeep."""

import json
from pathlib import Path

import pytest

from lotdb import LOTDB


def paths_of(database):
    with LOTDB(database, read_only=True) as db, db.connection() as root:
        return [node.path for node in root.iterate_tree_level(1)]


def test_branch_copies_beside_the_node(database, printed):
    printed("branch", database, "sensor", "third")
    assert paths_of(database) == ["kinds", "sensor", "third", "variant"]
    assert printed("cat", database, "third/capture_0", "--rows", ":1") == "0.0,1.0,2.0\n"


def test_move_renames_and_moves(database, printed, lotdb):
    printed("move", database, "variant", "renamed")
    printed("move", database, "renamed", "kinds/below")
    assert paths_of(database) == ["kinds", "sensor"]
    assert "capture_0" in printed("ls", database, "kinds/below")
    code, _, err = lotdb("move", database, "kinds", "sensor")
    assert code == 1
    assert "sensor" in err


def test_rm_deletes_all_or_none_and_asks_for_recursive(database, printed, lotdb):
    code, _, err = lotdb("rm", database, "sensor/capture_0", "variant")
    assert code == 2
    assert "--recursive" in err
    assert "capture_0" in printed("ls", database, "sensor")
    printed("rm", database, "sensor/capture_0", "variant", "--recursive")
    assert printed("ls", database, "sensor") == "capture_1\ncapture_2\n"
    assert paths_of(database) == ["kinds", "sensor"]


@pytest.mark.parametrize(
    "paths", [("sensor", "sensor/capture_0"), ("sensor/capture_0", "sensor"), ("sensor", "sensor")], ids=str
)
def test_rm_deletes_once_what_is_named_twice(database, printed, paths):
    printed("rm", database, *paths, "--recursive")
    assert printed("ls", database) == "kinds\nvariant\n"


def test_rm_deletes_a_payload_or_an_attribute_and_leaves_the_node(database, printed):
    printed("rm", database, "sensor/capture_0", "--payload", "imu")
    printed("rm", database, "sensor/capture_1", "--attribute", "label")
    assert json.loads(printed("show", database, "sensor/capture_0", "--json"))["payloads"] == {}
    assert json.loads(printed("show", database, "sensor/capture_1", "--json"))["attributes"] == {}
    assert printed("cat", database, "variant/capture_0", "--rows", ":1") == "0.0,1.0,2.0\n"


def test_rm_does_not_delete_the_root(database, lotdb):
    code, _, err = lotdb("rm", database, "/", "-r")
    assert code == 2
    assert "root" in err


def test_pack_says_what_it_freed(database, printed):
    printed("rm", database, "sensor", "variant", "-r")
    freed = json.loads(printed("pack", database, "--json"))["freed_bytes"]
    assert freed > 20_000
    assert "freed" in printed("pack", database)


def test_pack_beside_another_one_says_how_to_wait(tmp_path, lotdb):
    pytest.importorskip("relstorage", reason="the extra lotdb-core[sqlite] is not installed")
    with LOTDB(tmp_path / "db", storage="sqlite", durability="process") as db:
        with db._storage.announcing_pack():
            code, out, err = lotdb("pack", tmp_path / "db", "--timeout", 0.1)
        assert (code, out) == (1, "")
        assert "is being packed already" in err
        assert err.endswith("; to wait for the other one, add --timeout SECONDS\n")
        assert lotdb("pack", tmp_path / "db")[0] == 0


def test_verify_finds_damage_and_says_so_by_its_exit_code(database, printed, lotdb):
    assert printed("verify", database) == "no damage\n"
    assert printed("verify", database, "--json") == ""
    largest = max(Path(database).rglob("*.blob"), key=lambda path: path.stat().st_size)
    largest.chmod(0o644)
    content = bytearray(largest.read_bytes())
    content[-1] ^= 1
    largest.write_bytes(content)
    code, out, _ = lotdb("verify", database, "--json")
    assert code == 1
    assert json.loads(out.splitlines()[0])["name"] == "imu"


@pytest.mark.parametrize(
    "command", [["set", "sensor", "a=1"], ["rm", "kinds"], ["branch", "kinds", "k"], ["pack"]]
)
def test_a_command_that_changes_creates_no_database(command, lotdb, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = lotdb(command[0], tmp_path / "empty", *command[1:])
    assert code == 1
    assert "there is no database" in err
    assert list((tmp_path / "empty").iterdir()) == []
