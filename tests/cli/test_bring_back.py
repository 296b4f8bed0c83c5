"""bring-back: a node as it was, at the command line; and verify --history."""

import pytest

from lotdb import LOTDB


@pytest.fixture
def then(database):
    """The id of the moment before a sensor was spoiled, and another one deleted."""
    with LOTDB(database) as db:
        commit = db.last_commit
        with db.connection() as root:
            root["sensor/capture_0"].attrs["label"] = "spoiled"
            root["sensor/capture_1"].delete_tree()
    return commit


def test_a_node_becomes_what_it_was(database, then, printed):
    printed("bring-back", database, "sensor/capture_0", then)
    assert printed("get", database, "sensor/capture_0", "label") == "walk\n"
    assert printed("ls", database, "sensor").split() == ["capture_0", "capture_2"]
    assert printed("history", database, "--limit", 1).rstrip().endswith("lotdb bring-back")


def test_a_node_that_is_gone_comes_back(database, then, printed):
    printed("bring-back", database, "/sensor/capture_1/", then)
    assert "imu" in printed("show", database, "sensor/capture_1")
    printed("bring-back", database, ".", then)
    assert printed("diff", database, ".", "--since", then) == ""


def test_what_was_not_there_is_an_error_and_changes_nothing(database, then, lotdb, printed):
    before = printed("tree", database)
    for path, when in (("sensor/other", then), ("sensor", "nothing"), ("no/where", then)):
        code, _, err = lotdb("bring-back", database, path, when)
        assert code == 1
        assert path in err or when in err
    assert printed("tree", database) == before


def test_verify_reads_earlier_moments_if_it_is_asked_to(database, then, lotdb, printed, tmp_path):
    with LOTDB(database) as db:
        with db.connection() as root:
            del root["sensor"], root["variant"]  # small arrays share a file
        with db.at(then) as root:
            (segment,) = root["sensor/capture_2"].payloads["imu"].segments()
            ((file, _),) = segment.files
    (tmp_path / "results" / file).unlink()
    assert printed("verify", database) == "no damage\n"
    code, out, _ = lotdb("verify", database, "--history")
    assert code == 1
    assert "at commit" in out
