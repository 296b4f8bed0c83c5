"""Fields of the pattern as attributes, and metadata beside the files."""

import pytest
from tests.core.folders.recordings import PATTERN, settled

from lotdb import LOTDB, BaseNode, IngestError, InvalidOptionError


def test_fields_become_attributes_if_asked(folder):
    root = BaseNode("root")
    root.ingest_tree(folder, PATTERN, attributes=["speaker"])
    assert root["ben/s1/take1"].attrs["speaker"] == "ben"
    assert "session" not in root["ben/s1/take1"].attrs
    report = root.ingest_tree(folder, PATTERN, attributes=True)
    assert len(report.unchanged) == 4
    attrs = root["ben/s2/take1"].attrs
    assert {name: attrs[name] for name in ("speaker", "session", "take")} == {
        "speaker": "ben",
        "session": "s2",
        "take": "take1",
    }


@pytest.mark.parametrize("metadata", [5, [], "unit"])
def test_metadata_that_are_none_are_told_at_the_call(folder, metadata):
    root = BaseNode("root")
    with pytest.raises(InvalidOptionError, match="metadata is"):
        root.ingest_tree(folder, PATTERN, metadata=metadata)
    assert not list(root)


def test_attributes_that_are_there_are_not_stored_again(folder, tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.ingest_tree(folder, PATTERN, attributes=True)
        size = (tmp_path / "db" / "lotdb.fs").stat().st_size
        root.ingest_tree(folder, PATTERN, attributes=True)
        assert (tmp_path / "db" / "lotdb.fs").stat().st_size == size


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"attributes": ["who"]}, "attributes has 'who', which is no field"),
        ({"attributes": "speaker"}, "attributes is 'speaker'; use True, or names"),
        ({"attributes": True, "to": "{speaker}", "data_attribute": "{session}"}, "different values"),
        ({"pattern": "{_samplerate_hz}/{take}.npy", "attributes": True}, "names that begin with _"),
        ({"sidecar": "x.xlsx"}, "use the path of a csv, tsv or json file"),
        ({"sidecar": 5}, "sidecar is 5"),
        ({"sidecar": "{who}.json"}, r"sidecar has the field \{who\}, which the pattern has not"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_taken_in(folder, how, message):
    root = BaseNode("root")
    with pytest.raises(InvalidOptionError, match=message):
        root.ingest_tree(folder, **{"pattern": PATTERN, **how})
    assert not list(root)


def test_an_attribute_in_the_place_of_a_payload_fails_and_leaves_nothing(folder):
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN, attributes=True, data_attribute="take")
    assert len(report.failed) == 4
    assert "it is a payload" in str(report)
    assert not list(root)


SIDECARS = {
    "paths.csv": "file,age,left\nanna/s1_take1.npy,31,true\nben/s2_take1.npy,,false\n",
    "fields.csv": "speaker,session,age,left\nanna,s1,31,true\nben,s2,,false\n",
    "paths.tsv": "path\tage\tleft\nanna/s1_take1.npy\t31\ttrue\nben/s2_take1.npy\t\tfalse\n",
    "object.json": '{"anna/s1_take1.npy": {"age": 31, "left": true}, "ben/s2_take1.npy": {"left": false}}',
    "list.json": '[{"session": "s1", "speaker": "anna", "age": 31, "left": true},'
    ' {"speaker": "ben", "session": "s2", "left": false}]',
}


@pytest.mark.parametrize("name", SIDECARS)
def test_a_sidecar_says_more_of_the_files(folder, name):
    (folder / name).write_text(SIDECARS[name])
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN, sidecar=name, metadata={"study": 1})
    assert report.unmatched == ["readme.txt"]
    first, last = (root[path].get_data().metadata for path in ("anna/s1/take1", "ben/s2/take1"))
    assert (first["age"], first["left"], first["study"]) == (31, True, 1)
    assert ("age" in last, last["left"]) == (False, False)
    assert report.notes == {
        "anna/s2_take1.npy": ["nothing is said of it in a sidecar"],
        "ben/s1_take1.npy": ["nothing is said of it in a sidecar"],
    }
    assert "anna/s2_take1.npy and 1 more: nothing is said" in str(report)


def test_what_is_said_otherwise_later_is_taken_over(folder):
    settled(folder)
    root = BaseNode("root")
    (folder / "about.csv").write_text("speaker,gain\nanna,0.5\nben,1.5\n")
    root.ingest_tree(folder, PATTERN, sidecar="about.csv")
    assert len(root.ingest_tree(folder, PATTERN, sidecar="about.csv").unchanged) == 4
    (folder / "about.csv").write_text("speaker,gain\nanna,0.5\nben,2.5\n")
    report = root.ingest_tree(folder, PATTERN, sidecar="about.csv")
    assert report.replaced == ["ben/s1_take1.npy", "ben/s2_take1.npy"]
    assert root["ben/s1/take1"].get_data().metadata["gain"] == 2.5


def test_files_are_named_by_their_names_where_that_is_enough(tmp_path):
    for name in ("x/a.txt", "y/b.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    (tmp_path / "about.csv").write_text("file_name,n\na.txt,1\nb.txt,2\nc.txt,3\n")
    root = BaseNode("root")
    report = root.ingest_tree(tmp_path, "{where}/{name}.txt", sidecar=tmp_path / "about.csv")
    assert root["y/b"].get_data().metadata["n"] == 2
    assert list(report.notes.values()) == [["it says something of 'c.txt', which is not there"]]
    (tmp_path / "y" / "a.txt").write_text("another")
    report = BaseNode("root").ingest_tree(tmp_path, "{where}/{name}.txt", sidecar="about.csv")
    assert "name files by their paths" in str(report.failed["y/a.txt"])


def test_each_file_may_have_a_sidecar_of_its_own(folder):
    (folder / "anna" / "s1_take1.json").write_text('\ufeff{"hand": {"left": true}}', encoding="utf-8")
    (folder / "anna" / "s2_take1.json").write_text("{cut")
    (folder / "ben" / "s1_take1.json").write_text('{"_source_format": "mine"}')
    root = BaseNode("root")
    report = root.ingest_tree(folder, PATTERN, sidecar="{speaker}/{session}_{take}.json")
    assert root["anna/s1/take1"].get_data().metadata["hand"] == {"left": True}
    assert report.unmatched == ["readme.txt"]
    assert "anna/s2_take1.json" in str(report.failed["anna/s2_take1.npy"])
    assert "LOTDB uses the names that begin with _" in str(report.failed["ben/s1_take1.npy"])
    assert report.notes == {"ben/s2_take1.npy": ["nothing is said of it in a sidecar"]}
    assert "anna/s2" not in root


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "age\n31\n", "no column says which file a row is about"),
        ("a.csv", "file,file\n1,2\n", "both called"),
        ("a.csv", "", "it is empty"),
        ("a.csv", "file,age\n,1\n", "row 1 has no text as 'file'"),
        ("a.csv", "speaker,age\nanna,1\nanna,2\n", "two rows are about anna"),
        ("a.json", "{", "Expecting"),
        ("a.json", "5", "it holds no object"),
        ("a.json", "[5]", "5 stands where an object"),
        ("a.json", '{"x": {"a": 1, "a": 2}}', "'a' twice"),
        ("nowhere.csv", None, "there is no sidecar 'nowhere.csv'"),
    ],
)
def test_a_sidecar_that_makes_no_sense_is_told_before_anything_is_taken_in(folder, name, content, message):
    if content is not None:
        (folder / name).write_text(content)
    root = BaseNode("root")
    with pytest.raises(IngestError, match=message):
        root.ingest_tree(folder, PATTERN, sidecar=name)
    assert not list(root)
