"""What there is to know of files that were taken in."""

from PIL import Image, PngImagePlugin

from lotdb import BaseNode, Ingested, Plugins, hookimpl


def test_what_is_kept_as_bytes_and_what_is_empty_is_told(tmp_path):
    contents = {
        "table.parquet": b"PAR1....",
        "cells.bin": b"PAR1....",
        "other.dta": b"abc",
        "strange.odd": b"abc",
        "wrongly.called": b"\x89PNG\r\n\x1a\n....",
        "no-suffix": b"abc",
        "music": b"wvpk....",
        "photo.odd": b"....ftypheic",
        "empty.odd": b"",
        "empty.txt": b"",
        "empty.npy": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    report = BaseNode("root").ingest_tree(tmp_path)
    notes = {name: " ".join(said) for name, said in report.notes.items()}
    assert "a Parquet file, which no installed plugin reads" in notes["table.parquet"]
    assert "a Stata file, which no installed plugin reads" in notes["other.dta"]
    assert "a file called .odd" in notes["strange.odd"]
    assert "a PNG image, and format='auto' reads it" in notes["wrongly.called"]
    assert "no suffix" in notes["no-suffix"]
    assert notes["music"].endswith("reads it: it is a WavPack file, which ffmpeg converts to wav or flac")
    assert notes["photo.odd"].endswith("reads it: it is a HEIF or AVIF image")
    assert notes["empty.odd"] == notes["empty.txt"] == "it is empty"
    assert "cells.bin" not in notes
    assert "the file is empty (0 bytes): it does not begin as an .npy file" in str(report.failed["empty.npy"])
    assert "empty.odd and 1 more: it is empty" in str(report)


def test_what_an_ingester_could_not_keep_is_told(tmp_path):
    class Loses:
        @hookimpl
        def lotdb_ingest_file(self, source):
            about = {"not_kept": ["a thumbnail", "private tags"]}
            return {"": Ingested(b"", format="t", metadata=about), "more": Ingested(b"", format="t")}

    plugins = Plugins()
    plugins.register(Loses())
    (tmp_path / "a.t").write_bytes(b"1")
    report = BaseNode("root", plugins=plugins).ingest_tree(tmp_path)
    assert report.notes == {"a.t": ["not kept: a thumbnail", "not kept: private tags"]}
    assert "a.t: not kept: a thumbnail" in str(report)


def test_what_was_not_kept_of_sound_and_images_is_told(tmp_path):
    form, sound = b"fmt \x10\0\0\0\1\0\1\0@\x1f\0\0\x80>\0\0\2\0\x10\0", b"data\4\0\0\0\1\0\2\0"
    wav = b"WAVE" + form + sound + b"PEAK\x10\0\0\0" + bytes(16)
    (tmp_path / "a.wav").write_bytes(b"RIFF" + len(wav).to_bytes(4, "little") + wav)
    picture = PngImagePlugin.PngInfo()
    picture.add(b"abCd", bytes(300_000))
    Image.new("L", (2, 2)).save(tmp_path / "b.png", pnginfo=picture)
    picture = PngImagePlugin.PngInfo()
    picture.add(b"abCd", bytes(300))
    Image.new("L", (2, 2)).save(tmp_path / "c.png", pnginfo=picture)
    report = BaseNode("root").ingest_tree(tmp_path)
    assert not report.failed
    assert report.notes == {
        "a.wav": ["not kept: wav chunk 'PEAK'"],
        "b.png": ["not kept: PNG chunk abCd"],
    }


def test_notes_are_those_of_the_file_that_was_appended(tmp_path):
    class Loses:
        @hookimpl
        def lotdb_ingest_file(self, source):
            text = source.file.read().decode()
            return Ingested(text, format="t", metadata={"not_kept": [text]} if len(text) > 1 else {})

    plugins = Plugins()
    plugins.register(Loses())
    for name, text in (("1", "one"), ("2", "two"), ("3", "3")):
        (tmp_path / f"a_{name}.t").write_text(text)
    root = BaseNode("root", plugins=plugins)
    notes = {}
    for name in "123":
        how = {"to": "{who}", "data_attribute": "all", "if_exists": "append"}
        notes |= root.ingest_tree(tmp_path, "{who}_" + name + ".t", **how).notes
    assert root["a"].read_data(data_attribute="all") == "onetwo3"
    assert notes == {"a_1.t": ["not kept: one"], "a_2.t": ["not kept: two"]}
