"""tree, ls, show and get: what is in a database."""

import json
import os

from tests.services import forked

from lotdb import LOTDB, attr, diff


def test_tree_shows_nodes_payloads_and_how_many_more_there_are(database, printed):
    assert printed("tree", database, "--depth", 2, "--max-children", 2).splitlines() == [
        ".  3 children",
        "├── kinds  text: text (12,) uint8, bytes: bytes (6,) uint8, "
        "fields: array (2,) [('n', '<i4'), ('x', '<f8')], number: array () float64, … 5 payloads",
        "├── sensor  3 children",
        "│   ├── capture_0  imu: array (2000, 3) float32 1000 Hz, 1 attribute",
        "│   ├── capture_1  imu: array (2000, 3) float32 1000 Hz, 1 attribute",
        "│   └── … and 1 more",
        "└── … and 1 more",
    ]


def test_tree_of_a_node_begins_with_it(database, printed):
    assert printed("tree", database, "sensor", "--depth", 0) == "sensor  3 children\n"


def test_tree_as_json_nests_the_children(database, printed):
    tree = json.loads(printed("tree", database, "--json", "--depth", 2, "--max-children", 2))
    kinds, sensor = tree["children"]
    assert (tree["path"], tree["more"], tree["number_of_children"]) == ("", 1, 3)
    assert [child["path"] for child in sensor["children"]] == ["sensor/capture_0", "sensor/capture_1"]
    assert sensor["children"][0]["payloads"] == ["imu"]
    assert sensor["children"][0]["attributes"] == ["label"]
    assert kinds["children"] == []
    assert "children" not in sensor["children"][0]


def test_ls_lists_keys_and_as_json_an_object_a_line(database, printed):
    assert printed("ls", database) == "kinds\nsensor\nvariant\n"
    lines = printed("ls", database, "sensor", "--json").splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["capture_0", "capture_1", "capture_2"]
    assert "imu: array (2000, 3)" in printed("ls", database, "sensor", "--long")


def test_show_lists_attributes_and_payloads_with_rate_seconds_unit_and_size(database, printed):
    out = printed("show", database, "sensor/capture_2")
    assert "sensor/capture_2  data node, 0 children" in out
    assert "subject    {'id': 'S01', 'height_m': 1.78}" in out
    row = next(line for line in out.splitlines() if line.startswith("imu"))
    for part in ("array", "(2000, 3)", "float32", "1000 Hz", "2 ", "mV", "23.4 KiB", "blob"):
        assert part in row


def test_show_as_json_is_one_document(database, printed):
    about = json.loads(printed("show", database, "sensor/capture_2", "--json"))
    assert about["attributes"] == {"label": "walk", "subject": {"id": "S01", "height_m": 1.78}}
    imu = about["payloads"]["imu"]
    assert (imu["shape"], imu["dtype"], imu["samplerate_hz"], imu["seconds"], imu["unit"]) == (
        [2000, 3],
        "float32",
        1000,
        2,
        "mV",
    )
    assert imu["bytes"] == 24_000
    assert imu["bytes_on_disk"] >= 24_000


def test_get_prints_a_value_as_text_or_as_json(database, printed):
    assert printed("get", database, "sensor/capture_0", "label") == "walk\n"
    assert json.loads(printed("get", database, "sensor/capture_2", "subject", "--json"))["id"] == "S01"
    assert printed("get", database, "sensor/capture_0") == "label=walk\n"
    assert json.loads(printed("get", database, "sensor/capture_0", "--json")) == {"label": "walk"}


def test_an_integer_of_more_digits_than_python_writes_is_shown_in_hexadecimal(tmp_path, printed):
    folder = tmp_path / "results"
    with LOTDB(folder) as db, db.connection() as root:
        root.get_node("n").attrs.update(modulus=2**20_000, several=[-(2**20_000), {"a": 1}], number=5)
        root.get_node("m").attrs["modulus"] = 5
        assert "0x1000" in str(diff(root["m"], root["n"]))
        assert "0x1000" in repr(attr("modulus") > 2**20_000)
    whole = "0x1" + "0" * 5000
    assert printed("get", folder, "n", "modulus") == f"{whole}\n"
    assert json.loads(printed("get", folder, "n", "modulus", "--json")) == whole
    assert printed("get", folder, "n").splitlines()[1] == f"several=['-{whole}', {{'a': 1}}]"
    assert json.loads(printed("get", folder, "n", "--json"))["several"] == [f"-{whole}", {"a": 1}]
    assert "0x1000" in printed("show", folder, "n")
    assert whole in printed("find", folder, "--distinct", "modulus")
    for command in (["find", folder], ["diff", folder, "m", "n"]):
        assert whole in printed(*command, "--json")


def test_set_reads_json_and_takes_anything_else_as_text(database, printed):
    printed("set", database, "sensor", "n=3", "x=[1, 2.5]", "text=a b", "nan=NaN", "ok=true", "equal=a=b")
    with LOTDB(database, read_only=True) as db, db.connection() as root:
        assert dict(root["sensor"].attrs) == {
            "n": 3, "x": [1, 2.5], "text": "a b", "nan": "NaN", "ok": True, "equal": "a=b",
        }  # fmt: skip


def test_set_takes_a_type_deletes_and_creates(database, printed):
    printed("set", database, "new/node", "serial=0042", "--type", "text", "--create")
    printed("set", database, "sensor/capture_0", "--delete", "label")
    printed("set", database, ".", "begun=2026-03-01T09:30", "--type", "datetime")
    assert printed("get", database, "new/node", "serial", "--json") == '"0042"\n'
    assert printed("get", database, "sensor/capture_0") == ""
    assert printed("get", database, ".", "begun", "--json") == '"2026-03-01T09:30:00"\n'


def test_set_changes_all_attributes_or_none(database, lotdb, printed):
    code, _, _ = lotdb("set", database, "sensor/capture_0", "label=run", "--delete", "gone")
    assert code == 1
    assert printed("get", database, "sensor/capture_0", "label") == "walk\n"


def test_what_commands_a_terminal_is_shown_as_what_it_is(tmp_path, printed):
    with LOTDB(tmp_path / "evil") as db, db.connection() as root:
        root.get_node("a\u202eb").attrs.update({"x\u202e": "\x1b]0;title\x07\x9b31m", "l": ["\x1b[2J"]})
    for arguments in (
        ["tree"], ["ls", "--long"], ["show", "a\u202eb"], ["get", "a\u202eb"], ["ls", "--json"],
        ["tree", "--json"], ["show", "a\u202eb", "--json"], ["du", "--children"],
    ):  # fmt: skip
        out = printed(arguments[0], tmp_path / "evil", *arguments[1:])
        assert out.replace("\n", "").isprintable(), arguments


def test_show_tells_what_a_payload_is_when_its_backend_is_not_there(database):
    def show(*how):
        command = ["-m", "lotdb.cli", "show", database, "sensor/capture_0", *how]
        switched_off = {**os.environ, "LOTDB_PLUGINS_OFF": "blob"}
        return forked.run(command, capture_output=True, text=True, check=True, env=switched_off).stdout

    assert "float32  1000 Hz" in show()
    about = json.loads(show("--json"))["payloads"]["imu"]
    assert (about["shape"], about["backend"], about["bytes_on_disk"]) == ([2000, 3], "blob", None)
