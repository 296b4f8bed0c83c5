"""lotdb plot: a payload as a picture in a file, and what is said of mistakes."""

import os
import sys

import pytest

from lotdb import LOTDB

pytest.importorskip("matplotlib", reason="matplotlib is not installed: lotdb-core[plot]")

BEGINNINGS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "suffix", ["png", *(pytest.param(suffix, marks=pytest.mark.slow) for suffix in ("svg", "pdf"))]
)
def test_the_picture_has_the_format_of_its_suffix(suffix, database, printed, tmp_path):
    target = tmp_path / f"imu.{suffix}"
    assert printed("plot", database, "sensor/capture_0", "--output", target) == f"{target}\n"
    assert target.read_bytes().startswith(BEGINNINGS[suffix])
    assert os.listdir(tmp_path)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".plot")]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", ["waveform", "spectrogram", "table"])
def test_kind_window_and_channel_are_chosen(kind, database, printed, tmp_path):
    chosen = [] if kind == "table" else ["--channel", "1"]
    target = tmp_path / "x.svg"
    arguments = ("--payload", "imu", "--kind", kind, "--start", 0.5, "--stop", 1.5, "--output", target)
    printed("plot", database, "sensor/capture_0", *arguments, *chosen)
    assert b"</svg>" in target.read_bytes()


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(database, lotdb, tmp_path):
    target = tmp_path / "x.png"
    target.write_text("mine")
    code, out, err = lotdb("plot", database, "sensor/capture_0", "--output", target)
    assert (code, out) == (1, "")
    assert "--replace" in err
    assert target.read_text() == "mine"
    assert lotdb("plot", database, "sensor/capture_0", "--output", target, "--replace")[0] == 0
    assert target.read_bytes().startswith(b"\x89PNG")


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("arguments", "expected", "words"),
    [
        (["sensor/capture_0", "--kind", "wave"], 2, "'wave' is not one of"),
        (["sensor/capture_0", "--kind", "image", "--start", "1"], 2, "single image"),
        (["sensor/capture_0", "--payload", "ium"], 1, "did you mean 'imu'?"),
        (["sensr/capture_0"], 1, "did you mean 'sensor'?"),
        (["kinds"], 1, "name one: text, bytes"),
        (["kinds", "--payload", "text"], 2, "is a text (text/plain), which has no plot; lotdb cat prints it"),
        (
            ["kinds", "--payload", "number"],
            2,
            "single value of float64, which has no plot; lotdb cat prints it",
        ),
        (["kinds", "--payload", "small", "--start", "1"], 2, "rate"),
        (["sensor/capture_0", "--start", "x"], 2, "'--start': 'x'; use a number of seconds from 0 on"),
        (["sensor/capture_0", "--payload", "imu", "--start", "100"], 2, "it has "),
        (["sensor/capture_0", "--channel", "7"], 2, "from 0 to 2"),
        (["sensor/capture_0", "--kind", "table", "--channel", "0"], 2, "no --channel can be named: a table"),
        (
            ["sensor/capture_0", "--kind", "spectrogram", "--channel", "0", "--channel", "1"],
            2,
            "several --channel were named: a spectrogram shows one channel",
        ),
        (["sensor/capture_0", "--output", "x.bmp"], 2, ".png, .svg, .pdf"),
        (["sensor/capture_0", "--output", "none/x.png"], 1, "cannot be written: No such file"),
    ],
    ids=lambda each: str(each)[:50],
)
def test_a_mistake_is_one_line(arguments, expected, words, database, lotdb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = lotdb("plot", database, *arguments)
    assert (code, out) == (expected, "")
    assert words in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.png"))


def test_without_matplotlib_it_says_how_to_get_it(database, lotdb, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, out, err = lotdb("plot", database, "sensor/capture_0", "--output", tmp_path / "x.png")
    assert (code, out) == (1, "")
    assert 'pip install "lotdb-core[plot]"' in err


@pytest.mark.slow
def test_a_picture_beside_a_writer(database, printed, tmp_path):
    with LOTDB(database):
        printed("plot", database, "sensor/capture_0", "--output", tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000
