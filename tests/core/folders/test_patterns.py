"""ingest_tree: which file goes where, and which is left out."""

import os

import pytest
from tests.core.folders.recordings import PATTERN, leaves

from lotdb import LOTDB, BaseNode, IngestError, InvalidOptionError


def test_each_field_is_a_level_of_the_tree(folder):
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN)
    assert leaves(root) == [
        f"{speaker}/{session}/take1" for speaker in ("anna", "ben") for session in ("s1", "s2")
    ]
    assert root["ben/s2/take1"].read_data().tolist() == [0, 1, 2, 3, 4, 5]
    assert report.added == [
        f"{speaker}/{session}_take1.npy" for speaker in ("anna", "ben") for session in ("s1", "s2")
    ]
    assert report.unmatched == ["readme.txt"]
    assert not report.failed


def test_without_a_pattern_each_file_gets_a_node_at_its_own_path(folder):
    root = BaseNode("root")
    root.ingest_tree(folder)
    assert "anna/s1_take1.npy" in root
    assert root["readme.txt"].read_data() == "about these"
    assert ".hidden" not in root


def test_the_node_and_the_payload_may_be_said_with_fields(folder):
    root = BaseNode("root")
    root.ingest_tree(folder, PATTERN, to="all/{speaker}", data_attribute="{session}-{take}")
    assert leaves(root) == ["all/anna", "all/ben"]
    assert root["all/anna"].has_data("s1-take1")
    assert root["all/anna"].has_data("s2-take1")


def test_wildcards_stand_for_parts_of_a_path(folder):
    root = BaseNode("root")
    root.ingest_tree(folder, "*/s2_*.npy")
    assert leaves(root) == ["anna/s2_take1.npy", "ben/s2_take1.npy"]
    other = BaseNode("root")
    other.ingest_tree(folder, "**/{name}.txt")
    assert leaves(other) == ["readme"]


def test_a_field_that_stands_twice_must_be_the_same_twice(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a_1.txt").write_text("fits")
    (tmp_path / "a" / "b_1.txt").write_text("does not")
    root = BaseNode("root")
    report = root.ingest_tree(tmp_path, "{who}/{who}_{number}.txt")
    assert leaves(root) == ["a/1"]
    assert report.unmatched == ["a/b_1.txt"]
    assert str(report).endswith("1 not matched by the pattern\n  a/b_1.txt: does not fit the pattern")


def test_of_many_files_that_do_not_fit_a_report_names_ten_and_counts_the_rest(tmp_path):
    for number in range(100):
        (tmp_path / f"{number:03}.png").write_bytes(b"")
    report = BaseNode("root").ingest_tree(tmp_path, "{take}.wav")
    assert len(report.unmatched) == 100
    first, *named, rest = str(report).splitlines()
    assert named == [f"  {number:03}.png: does not fit the pattern" for number in range(10)]
    assert first.endswith(", 100 not matched by the pattern")
    assert rest == "  and 90 more do not fit the pattern"


def test_what_many_files_fail_with_is_said_once(folder):
    (folder / "anna" / "a_b.txt").write_text("who takes another option")
    report = BaseNode("root").ingest_tree(folder, "{who}/{session}_{take}.*", encoding="utf-8")
    assert len(report.failed) == 4
    (line,) = (line for line in str(report).splitlines() if "encoding" in line)
    assert line.startswith("  anna/s1_take1.npy and 3 more: format 'npy' takes no option 'encoding'")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"patern": "{take}.npy"}, r"ingest_tree has no argument 'patern'; did you mean 'pattern'\?"),
        ({"on_eror": "raise"}, r"no argument 'on_eror'; did you mean 'on_error'\?"),
        ({"samplerate": 100}, r"no argument 'samplerate'; did you mean 'samplerate_hz'\?"),
        ({"membr": "a"}, "takes no option 'membr'"),
    ],
)
def test_an_argument_that_nothing_knows_is_an_error_of_the_call(folder, wrong, message):
    root = BaseNode("root")
    with pytest.raises(InvalidOptionError, match=message):
        root.ingest_tree(folder, **wrong)
    assert not list(root)


def test_two_files_for_one_payload_are_refused_before_anything_is_taken_in(folder):
    root = BaseNode("root")
    with pytest.raises(
        InvalidOptionError, match=r"'anna/s1_take1.npy' and 'anna/s2_take1.npy' .* node 'anna'"
    ):
        root.ingest_tree(folder, PATTERN, to="{speaker}")
    assert not list(root)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pattern": "{a"}, "pattern is '{a'"),
        ({"pattern": "{0}.npy"}, "no field"),
        ({"pattern": "{}.npy"}, "no field"),
        ({"pattern": "{take:d}.npy"}, "fields are taken as they are; use {take} without more"),
        ({"pattern": PATTERN, "to": "{take!r}"}, "use {take} without more"),
        ({"pattern": 5}, "pattern is 5"),
        ({"pattern": PATTERN, "to": "{who}"}, r"\{who\}, which the pattern has not"),
        ({"pattern": PATTERN, "data_attribute": "{who}"}, "which the pattern has not"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": "10"}, "batch_size is '10'"),
        ({"if_exists": "repace"}, "if_exists is 'repace'"),
        ({"max_bytes": "many"}, "max_bytes is 'many'"),
    ],
)
def test_a_wrong_argument_is_told_at_the_call(folder, wrong, message):
    root = BaseNode("root")
    with pytest.raises(InvalidOptionError, match=message):
        root.ingest_tree(folder, **wrong)
    assert not list(root)


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(IngestError, match="not a folder"):
        BaseNode("root").ingest_tree(tmp_path / "nowhere")
    with pytest.raises(InvalidOptionError, match="folder is 5"):
        BaseNode("root").ingest_tree(5)


def test_two_ways_to_write_one_name_are_not_taken_for_two_nodes(tmp_path):
    for name in ("\u00e9", "e\u0301"):
        (tmp_path / f"{name}.txt").write_text(name)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes them for one")
    with pytest.raises(InvalidOptionError, match="would be the same payload"):
        BaseNode("root").ingest_tree(tmp_path)


def test_what_is_left_out_is_told(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "s9_take1.npy").write_bytes(b"")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder)
    report = BaseNode("root").ingest_tree(folder, PATTERN)
    assert report.unmatched == ["linked", "loop", "readme.txt"]
    assert str(report).splitlines()[1:] == [
        "  linked and 1 more: a link to a folder",
        "  readme.txt: does not fit the pattern",
    ]
    assert not report.failed


def test_a_database_in_the_folder_does_not_take_itself_in(folder):
    with LOTDB(folder / "db") as db, db.connection() as root:
        for _ in range(2):
            report = root.ingest_tree(folder)
            assert len(report.added) + len(report.unchanged) == 5
        assert "db/lotdb.fs" in report.unmatched
        assert str(report).splitlines()[1:] == [
            f"  db/lotdb.fs and {len(report.unmatched) - 1} more: part of a database"
        ]
        assert list(root) == ["anna", "ben", "readme.txt"]


def test_a_folder_that_cannot_be_listed_is_reported(folder, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("anna"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN)
    assert isinstance(report.failed["anna"], IngestError)
    assert "anna: cannot list the folder" in str(report)
    assert len(report.added) == 2
    with pytest.raises(IngestError, match="Permission denied"):
        BaseNode("root").ingest_tree(folder, PATTERN, on_error="raise")


def test_names_that_would_spoil_a_terminal_are_printed_harmless(tmp_path):
    for name in (b"line\nbreak.txt", b"\x1b[31m.txt", b"\xff.txt"):
        with open(os.path.join(os.fsencode(tmp_path), name), "w"):
            pass
    report = BaseNode("root").ingest_tree(tmp_path)
    assert len(report.failed) == 3
    assert len(str(report).splitlines()) == 4
    assert "\x1b" not in str(report)
    str(report).encode()
