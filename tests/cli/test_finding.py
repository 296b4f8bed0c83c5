"""find and diff: nodes that meet a condition, and what differs between two."""

import json

import numpy as np

from lotdb import LOTDB


def test_find_prints_the_paths_that_match(database, printed):
    assert printed("find", database, "sensor/capture_[01]") == "sensor/capture_0\nsensor/capture_1\n"
    assert printed("find", database, "--under", "sensor", "capture_2") == "sensor/capture_2\n"


def test_find_takes_a_condition_as_a_text(database, printed):
    where = "label == 'walk' and subject.height_m > 1.7 and payload('imu').rows == 2000"
    assert printed("find", database, "--where", where) == "sensor/capture_2\nvariant/capture_2\n"
    assert printed("find", database, "--where", where, "--count") == "2\n"
    assert printed("find", database, "--limit", 1, "--where", where) == "sensor/capture_2\n"


def test_find_as_json_gives_an_object_a_line(database, printed):
    (line,) = printed("find", database, "sensor/capture_0", "--json", "--type", "data").splitlines()
    assert json.loads(line) == {"path": "sensor/capture_0", "type": "data", "attributes": {"label": "walk"}}


def test_distinct_counts_values(database, printed):
    assert json.loads(printed("find", database, "--distinct", "label", "--json")) == {
        "value": "walk",
        "count": 6,
    }
    assert printed("find", database, "--distinct", "label").split() == ["count", "label", "6", "walk"]


def test_distinct_counts_what_payloads_are_like(database, lotdb, printed):
    shown = printed("find", database, "--distinct", "payload('imu').dtype", "--json")
    assert json.loads(shown) == {"value": "float32", "count": 6}
    code, out, err = lotdb("find", database, "--distinct", "payload('imu').dtyp")
    assert (code, out) == (2, "")
    assert "dtype" in err


def test_a_condition_that_means_nothing_is_misuse(database, lotdb):
    code, out, err = lotdb("find", database, "--where", "label = 3")
    assert (code, out, err.count("\n")) == (2, "", 1)
    code, out, err = lotdb("find", database, "--count", "--limit", 3)
    assert (code, out) == (2, "")
    assert "one of --count" in err


def test_diff_says_what_differs(database, printed):
    assert printed("diff", database, "sensor", "variant") == ""
    with LOTDB(database) as db, db.connection() as root:
        root["variant/capture_0"].attrs["label"] = "run"
        root["variant/capture_1"].append_data(np.zeros((5, 3), "f4"))
        root["variant"].delete_node("capture_2")
    lines = printed("diff", database, "sensor", "variant").splitlines()
    assert lines[0] == "~ capture_0: attribute 'label' 'walk' -> 'run'"
    assert "rows 2000:2005" in lines[1]
    assert lines[2] == "- capture_2"
    first, second, third = map(
        json.loads, printed("diff", database, "sensor", "variant", "--json").splitlines()
    )
    assert (first["before"], first["after"]) == ("walk", "run")
    assert (second["rows"], second["after"]["shape"]) == ([[2000, 2005]], [2005, 3])
    assert (third["kind"], third["path"]) == ("removed", "capture_2")


def test_diff_compares_two_databases(database, tmp_path, printed):
    with (
        LOTDB(database, read_only=True) as db,
        db.connection() as root,
        LOTDB(tmp_path / "copy") as other,
        other.connection() as there,
    ):
        there.add_tree(root["sensor"], copy=True)
        there["sensor/capture_1"].attrs["label"] = "sit"
    out = printed("diff", database, "sensor", "sensor", "--other", tmp_path / "copy")
    assert out == "~ capture_1: attribute 'label' 'walk' -> 'sit'\n"


def test_diff_as_json_tells_arrays_and_none(database, printed):
    with LOTDB(database) as db, db.connection() as root:
        root["variant/capture_0"].attrs["gains"] = np.array([1.5, 2.5])
        root["variant/capture_1"].attrs["label"] = None
    first, second = map(json.loads, printed("diff", database, "sensor", "variant", "--json").splitlines())
    assert (first["kind"], first["after"]) == ("attribute_added", [1.5, 2.5])
    assert (second["before"], second["after"]) == ("walk", None)
