"""history, tag, undo, --at, --since and --keep: moments at the command line."""

import json

import pytest

from lotdb import LOTDB


@pytest.fixture
def past(database):
    """The ids of three commits: as it was, with another label, and without a sensor."""
    with LOTDB(database) as db:
        ids = [db.last_commit]
        with db.connection(note="label \x1b[31m") as root:
            root["sensor/capture_0"].attrs["label"] = "run"
        ids.append(db.last_commit)
        with db.connection(note="drop") as root:
            root["sensor/capture_1"].delete_tree()
        ids.append(db.last_commit)
    return ids


def test_commits_are_listed_the_newest_first(database, past, printed):
    listed = printed("history", database).splitlines()
    assert [each.split()[0] for each in listed[:3]] == past[::-1]
    assert listed[0].endswith("drop")
    assert listed[1].endswith("label \\x1b[31m")
    found = [json.loads(each) for each in printed("history", database, "--json", "--limit", 2).splitlines()]
    assert [each["id"] for each in found] == past[:0:-1]
    assert found[0]["note"] == "drop"
    assert found[0]["time"].endswith("+00:00")
    found = printed("history", database, "sensor/capture_0", "--since", past[1]).splitlines()
    assert [each.split()[0] for each in found] == [past[1]]
    found = printed("history", database, "--until", past[1]).splitlines()
    assert found[0].startswith(past[1])


def test_a_path_where_nothing_ever_was_is_an_error(database, past, lotdb, printed):
    code, out, err = lotdb("history", database, "sensor/capture_9")
    assert (code, out) == (1, "")
    assert "there is no node 'sensor/capture_9'; did you mean 'sensor/capture_" in err
    assert printed("history", database, "sensor", "--until", past[0]) is not None
    with LOTDB(database) as db, db.connection() as root:
        del root["sensor/capture_0"]
    assert len(printed("history", database, "sensor/capture_0").splitlines()) > 1


def test_commands_look_at_a_moment(database, past, printed, lotdb):
    assert printed("get", database, "sensor/capture_0", "label") == "run\n"
    assert printed("get", database, "sensor/capture_0", "label", "--at", past[0]) == "walk\n"
    assert printed("ls", database, "sensor").split() == ["capture_0", "capture_2"]
    there = printed("ls", database, "sensor", "--at", past[1]).split()
    assert there == ["capture_0", "capture_1", "capture_2"]
    assert printed("cat", database, "sensor/capture_1", "--rows", "0:1", "--at", past[0]) == "0.0,1.0,2.0\n"
    assert "capture_1" in printed("tree", database, "--at", past[0])
    assert printed("find", database, "--where", "label == 'run'") == "sensor/capture_0\n"
    assert lotdb("find", database, "--where", "label == 'run'", "--at", past[0])[1] == ""
    code, out, err = lotdb("tree", database, "--at", "nothing")
    assert (code, out) == (1, "")
    assert "nothing" in err
    assert lotdb("tree", database, "--at", "1990-01-01")[0] == 1
    assert "capture_0" in printed("tree", database, "--at", "2999-01-01T12:00:00+01:00")


def test_diff_tells_what_has_changed_since(database, past, printed, lotdb):
    shown = printed("diff", database, "sensor", "--since", past[0]).splitlines()
    assert shown == ["~ capture_0: attribute 'label' 'walk' -> 'run'", "- capture_1"]
    assert printed("diff", database, "sensor", "--since", past[2]) == ""
    assert lotdb("diff", database, "sensor")[0] == 2


def test_tags_are_set_listed_used_and_deleted(database, past, printed, lotdb):
    printed("tag", database, "before", past[0])
    printed("tag", database, "now")
    assert [each.split()[0] for each in printed("tag", database).splitlines()] == ["tag", "before", "now"]
    assert json.loads(printed("tag", database, "--json"))["before"]["id"] == past[0]
    assert "[before]" in printed("history", database)
    assert printed("get", database, "sensor/capture_0", "label", "--at", "before") == "walk\n"
    printed("tag", database, "now", "--delete")
    assert list(json.loads(printed("tag", database, "--json"))) == ["before"]
    assert lotdb("tag", database, "now", "--delete")[0] == 1
    assert lotdb("tag", database, "--delete")[0] == 2
    assert lotdb("tag", database, "0123456789abcdef")[0] == 2


def test_a_tag_that_exists_is_given_to_another_moment_only_on_request(database, past, printed, lotdb):
    printed("tag", database, "paper", past[0])
    code, out, err = lotdb("tag", database, "paper", past[1])
    assert (code, out) == (1, "")
    assert f"tag 'paper' exists, and names {past[0]}; add --replace" in err
    assert json.loads(printed("tag", database, "--json"))["paper"]["id"] == past[0]
    said = printed("tag", database, "paper", past[1], "--replace")
    assert said == f"paper was {past[0]}, and is {past[1]} now\n"
    assert json.loads(printed("tag", database, "--json"))["paper"]["id"] == past[1]
    assert printed("tag", database, "new", "--replace") == ""
    assert lotdb("tag", database, "--replace")[0] == 2
    assert lotdb("tag", database, "new", "--replace", "--delete")[0] == 2


def test_a_commit_is_undone(database, past, printed, lotdb):
    printed("undo", database, past[2])
    assert printed("ls", database, "sensor").split() == ["capture_0", "capture_1", "capture_2"]
    assert printed("history", database, "--limit", 1).rstrip().endswith("lotdb undo")
    with LOTDB(database) as db, db.connection() as root:
        root["sensor/capture_0"].attrs["label"] = "later"
    code, _, err = lotdb("undo", database, past[1])
    assert code == 1
    assert "sensor/capture_0" in err


def test_pack_keeps_what_is_asked_for(database, past, printed, lotdb):
    free = json.loads(printed("stats", database, "--json", "--keep", "30d"))["free_payload_bytes"]
    assert free == 0
    printed("pack", database, "--keep", "1h")
    printed("ls", database, "--at", past[0])
    printed("pack", database, "--keep", past[1])
    assert lotdb("ls", database, "--at", past[0])[0] == 1
    assert printed("get", database, "sensor/capture_0", "label", "--at", past[1]) == "run\n"
    assert lotdb("pack", database, "--keep", "nothing")[0] == 1
    printed("pack", database)
    assert lotdb("ls", database, "--at", past[1])[0] == 1
