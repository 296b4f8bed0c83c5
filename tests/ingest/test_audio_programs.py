"""Sound files as other programs write them: taken in as those programs read them, and out and in again."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from lotdb import BaseNode, IngestError

FFMPEG, SOX, LAME, FLAC = (shutil.which(name) for name in ("ffmpeg", "sox", "lame", "flac"))
RATE, ROWS = 44100, 11025
#: Which part of the files is tried each time; 1 tries them all, which takes half a minute.
EVERY = 4

#: What is made of the same sound: by which program, and with which arguments.
FILES = {
    "ff.wav": (FFMPEG, "-metadata title=Größe -metadata IKEY=x"),
    "ff_bext.wav": (FFMPEG, "-write_bext 1 -metadata description=nest -metadata time_reference=172800"),
    "ff_u8.wav": (FFMPEG, "-c:a pcm_u8"),
    "ff_s24.wav": (FFMPEG, "-c:a pcm_s24le"),
    "ff_f64.wav": (FFMPEG, "-c:a pcm_f64le"),
    "ff_ulaw.wav": (FFMPEG, "-c:a pcm_mulaw"),
    "ff_ima.wav": (FFMPEG, "-c:a adpcm_ima_wav"),
    "ff_ms.wav": (FFMPEG, "-c:a adpcm_ms"),
    "ff_gsm.wav": (FFMPEG, "-ac 1 -ar 8000 -c:a gsm_ms"),
    "ff_always.rf64": (FFMPEG, "-rf64 always -f wav"),
    "ff.w64": (FFMPEG, ""),
    "ff.aiff": (FFMPEG, "-metadata title=T"),
    "ff.au": (FFMPEG, ""),
    "ff.caf": (FFMPEG, "-metadata title=T"),
    "ff.flac": (FFMPEG, "-metadata title=T -metadata CELL=4"),
    "ff.ogg": (FFMPEG, "-c:a libvorbis -metadata title=T -metadata CELL=4"),
    "ff.opus": (FFMPEG, "-c:a libopus -metadata title=T"),
    "ff.mp3": (FFMPEG, "-c:a libmp3lame -metadata title=T -metadata CELL=4"),
    "sox.wav": (SOX, ""),
    "sox_ima.wav": (SOX, "-e ima-adpcm"),
    "sox_ms.wav": (SOX, "-e ms-adpcm"),
    "sox_gsm.wav": (SOX, "-r 8000 -c 1 -e gsm-full-rate"),
    "sox.aiff": (SOX, ""),
    "sox_8.aiff": (SOX, "-b 8"),
    "sox_24.aiff": (SOX, "-b 24"),
    "sox_rate.aiff": (SOX, "-r 22254.545454"),
    "sox_float.aifc": (SOX, "-e float -b 64"),
    "sox.au": (SOX, ""),
    "sox.caf": (SOX, ""),
    "sox.w64": (SOX, ""),
    "lame.mp3": (LAME, ""),
    "lame_vbr.mp3": (LAME, "-V2"),
    "lame_crc.mp3": (LAME, "-p"),
    "lame_tags.mp3": (LAME, "--tt Größe --tc note --tv TBPM=120 --add-id3v2 --id3v2-utf16"),
    "lame_none.mp3": (LAME, "-t"),
    "flac.flac": (FLAC, "-T A=1 -T A=2"),
}
#: A few rows that a codec or a count of the program's adds are not known to others.
LOSSY = ("VORBIS", "OPUS", "MPEG_LAYER_III", "IMA_ADPCM", "MS_ADPCM", "GSM610")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("base") / "base.wav"
    sound = np.random.default_rng(5).normal(0, 0.05, (ROWS, 2)).cumsum(0) * 0.05
    soundfile.write(path, sound.clip(-0.9, 0.9), RATE)
    return path


def make(program, options, base, path):
    if program is None:
        pytest.skip("the program is not installed")
    words = options.split()
    command = {
        FFMPEG: [FFMPEG, "-v", "error", "-i", base, *words, path],
        SOX: [SOX, "-V1", base, *words, path],
        LAME: [LAME, "--quiet", *words, base, path],
        FLAC: [FLAC, "-s", *words, base, "-o", path],
    }[program]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"this one cannot make it: {done.stderr.decode(errors='replace')[-200:]}")


def as_ffmpeg_reads(path, channels):
    command = [FFMPEG, "-v", "error", "-i", path, "-f", "f64le", "-c:a", "pcm_f64le", "-"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return np.frombuffer(done.stdout, "<f8").reshape(-1, channels)


def as_float(payload):
    rows = payload.read().reshape(len(payload), -1)
    if payload.dtype.kind == "f":
        return rows.astype("f8")
    bits = payload.metadata["bits"]
    return (rows.astype("f8") - (128 if payload.dtype == "u1" else 0)) / (1 << bits - 1)


def own(payload):
    left = ("vendor", "length_from_file_size", "not_kept")
    return {n: v for n, v in payload.metadata.items() if not n.startswith("_source_") and n not in left}


@pytest.mark.parametrize("name", list(FILES)[::EVERY])
def test_what_programs_write_comes_in_as_they_read_it_and_goes_out_again(base, tmp_path, name):
    path = tmp_path / name
    make(*FILES[name], base, path)
    node = BaseNode("root").get_data_node("recording")
    first = node.attach_file(path)
    rate = {"sox_rate.aiff": 22254.545454, "ff.opus": 48000, "sox_gsm.wav": 8000, "ff_gsm.wav": 8000}.get(
        name, RATE
    )
    assert first.samplerate_hz == rate
    is_lossy = first.metadata["subtype"] in LOSSY
    if FFMPEG and not name.startswith("lame_none"):
        channels = 1 if first.ndim == 1 else first.shape[1]
        expected = as_ffmpeg_reads(path, channels)
        got = as_float(first)
        assert len(got) == len(expected) or (is_lossy and 0 <= len(expected) - len(got) < 1200)
        assert np.abs(got - expected[: len(got)]).max() < (0.02 if is_lossy else 1e-6)
    first.export(tmp_path / f"out_{name}")
    again = node.attach_file(tmp_path / f"out_{name}", data_attribute="again")
    assert (again.samplerate_hz, again.shape, again.dtype) == (rate, first.shape, first.dtype)
    if not is_lossy:
        assert again.read().tobytes() == first.read().tobytes()
    expected = own(first)
    if first.metadata["container"] == "AU":
        expected.pop("tags", None)
    assert own(again) == expected


@pytest.mark.crossed
@pytest.mark.parametrize("format", ["wav", "aiff", "au", "caf", "w64", "flac", "mp3", "ogg"])
@pytest.mark.parametrize("program", ["ffmpeg", "sox"])
def test_what_programs_write_into_a_pipe_comes_whole_or_is_refused(base, tmp_path, program, format):
    executable = {"ffmpeg": FFMPEG, "sox": SOX}[program]
    if executable is None:
        pytest.skip("the program is not installed")
    codec = ["-c:a", "libvorbis"] if format == "ogg" else []
    command = {
        "ffmpeg": [executable, "-v", "error", "-i", base, *codec, "-f", format, "-"],
        "sox": [executable, "-V1", base, "-t", format, "-"],
    }[program]
    # Through a pipe, or else the program goes back and fills its header in.
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip("this one cannot make it")
    (tmp_path / f"x.{format}").write_bytes(done.stdout)
    node = BaseNode("root").get_data_node("recording")
    try:
        payload = node.attach_file(tmp_path / f"x.{format}")
    except IngestError as error:
        refused = str(error)
    else:
        refused = None
    if refused:
        assert "from its source" in refused or "encode it again" in refused
        return
    assert len(payload) == ROWS or (format == "mp3" and ROWS < len(payload) < ROWS + 3000)


def test_what_exiftool_reads_of_what_we_write(base, tmp_path):
    exiftool = shutil.which("exiftool")
    if exiftool is None or FFMPEG is None:
        pytest.skip("exiftool or ffmpeg is not installed")
    make(*FILES["ff_bext.wav"], base, tmp_path / "x.wav")
    payload = BaseNode("root").get_data_node("recording").attach_file(tmp_path / "x.wav")
    payload.export(tmp_path / "out.wav")
    done = subprocess.run(
        [exiftool, "-s3", "-Description", "-TimeReference", tmp_path / "out.wav"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.decode().split() == ["nest", "172800"]
