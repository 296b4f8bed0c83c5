"""How long a sound file says that it is, against what is there: all rows, or a refusal and a remedy."""

import io
import math
import struct

import numpy as np
import pytest
import soundfile

from lotdb import BaseNode, ExportError, IngestError
from lotdb_ingest.audio.headers import extended, from_extended

ROWS = 1000
#: Which part of the combinations of container and subtype is tried each time; 1 tries them all.
EVERY = 2
SUFFIXES = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "rf64",
    "W64": "w64",
    "AIFF": "aiff",
    "AU": "au",
    "CAF": "caf",
}
#: Where each says its length behind this mark, how, and what it counts as well as the sound.
FIELDS = {
    "WAV": (b"data", 4, "<I", 0),
    "WAVEX": (b"data", 4, "<I", 0),
    "RF64": (b"ds64", 16, "<Q", 0),
    "W64": (b"data\xf3\xac\xd3\x11", 16, "<Q", 24),
    "AIFF": (b"SSND", 4, ">I", 8),
    "AU": (b".snd", 8, ">I", 0),
    "CAF": (b"data", 4, ">q", 4),
}
SUBTYPES = ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
REMEDIES = ("from its source", "repair its header", "ffmpeg", "write_data", "encode it again")


@pytest.fixture
def node():
    return BaseNode("root").get_data_node("recording")


def encoded(container, subtype, rows=ROWS, channels=2, rate=8000):
    file = io.BytesIO()
    sound = np.random.default_rng(5).integers(-9000, 9000, (rows, channels), "i2")
    soundfile.write(file, sound, rate, subtype, format=container)
    return file.getvalue()


def matrix():
    for container in SUFFIXES:
        for subtype in SUBTYPES:
            if soundfile.check_format(container, subtype):
                yield pytest.param(container, subtype, id=f"{container}-{subtype}")


def with_length(content, container, change):
    mark, offset, form, _ = FIELDS[container]
    place = content.index(mark) + offset
    width = struct.calcsize(form)
    (length,) = struct.unpack(form, content[place : place + width])
    most = (1 << 8 * width - (form[-1] == "q")) - 1
    changed = change(length, most)
    return content[:place] + struct.pack(form, changed) + content[place + width :]


def rows_or_remedy(node, path, content, right):
    """Either all rows come, or the file is refused with a remedy."""
    path.write_bytes(content)
    try:
        payload = node.attach_file(path)
    except IngestError as error:
        refused = str(error)
    else:
        assert payload.read().tobytes() == right
        return
    assert any(remedy in refused for remedy in REMEDIES), refused
    assert not node.has_data()


CHANGES = {
    "none": lambda length, most: 0,
    "only its own head": lambda length, most: 8,
    "unknown": lambda length, most: most,
    "two gigabytes": lambda length, most: min(0x7FFFF000, most),
    "stale": lambda length, most: length // 2,
    "wrapped": lambda length, most: length - 400,
    "too much": lambda length, most: length + 800,
}


@pytest.mark.sampled
@pytest.mark.parametrize(("container", "subtype"), list(matrix())[::EVERY])
def test_a_length_that_is_not_true(tmp_path, container, subtype):
    content = encoded(container, subtype)
    path = tmp_path / f"x.{SUFFIXES[container]}"
    path.write_bytes(content)
    right = BaseNode("root").get_data_node("whole").attach_file(path).read().tobytes()
    for change in CHANGES.values():
        node = BaseNode("root").get_data_node("recording")
        rows_or_remedy(node, path, with_length(content, container, change), right)


@pytest.mark.parametrize(("container", "subtype"), list(matrix())[::EVERY])
def test_a_file_that_is_cut_anywhere_in_its_sound(node, tmp_path, container, subtype):
    content = encoded(container, subtype)
    for length in (len(content) // 3, len(content) // 2, len(content) - 9):
        path = tmp_path / f"x.{SUFFIXES[container]}"
        path.write_bytes(content[:length])
        with pytest.raises(IngestError, match="|".join(REMEDIES)):
            node.attach_file(path)


@pytest.mark.parametrize("frames", [0, 10, ROWS - 1, ROWS + 1, 0xFFFFFFFF])
@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24", "FLOAT"])
def test_an_aiff_file_whose_two_lengths_contradict_each_other(node, tmp_path, subtype, frames):
    content = bytearray(encoded("AIFF", subtype))
    place = content.index(b"COMM") + 10
    content[place : place + 4] = frames.to_bytes(4, "big")
    (tmp_path / "x.aiff").write_bytes(content)
    with pytest.raises(IngestError, match=f"announces {frames} rows of sound, {ROWS} are present"):
        node.attach_file(tmp_path / "x.aiff")


def test_what_may_go_to_the_end_of_the_file_does(node, tmp_path):
    for container, ends in (("AU", lambda length, most: most), ("CAF", lambda length, most: -1)):
        changed = with_length(encoded(container, "PCM_16"), container, ends)
        (tmp_path / f"x.{SUFFIXES[container]}").write_bytes(changed)
        payload = node.attach_file(tmp_path / f"x.{SUFFIXES[container]}")
        assert payload.shape == (ROWS, 2)
        assert payload.metadata["length_from_file_size"] is True


@pytest.mark.parametrize("change", ["ds64", "both"])
def test_a_large_wav_that_was_not_finished(node, tmp_path, change):
    content = bytearray(encoded("RF64", "PCM_16"))
    place = content.index(b"ds64")
    content[place + 8 : place + 32] = bytes(24)
    if change == "both":
        data = content.index(b"data")
        content[data + 4 : data + 8] = bytes(4)
    (tmp_path / "x.rf64").write_bytes(content)
    with pytest.raises(IngestError, match="announces no sound, and 4000 more bytes"):
        node.attach_file(tmp_path / "x.rf64")


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU", "CAF"])
def test_bytes_that_make_no_row_are_named(node, tmp_path, container):
    content = encoded(container, "PCM_24", channels=1)
    content = with_length(content, container, lambda length, most: length - 1)
    (tmp_path / f"x.{SUFFIXES[container]}").write_bytes(content)
    if container == "AIFF":
        with pytest.raises(IngestError, match=f"announces {ROWS} rows"):
            node.attach_file(tmp_path / "x.aiff")
        return
    payload = node.attach_file(tmp_path / f"x.{SUFFIXES[container]}")
    assert len(payload) == ROWS - 1
    assert payload.metadata["not_kept"] == ["2 bytes of sound behind the last whole row"]


# -- what contradicts itself within a header -------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (2, 0, "0 channels"),
        (2, 1100, "1100 channels, libsndfile reads 1024"),
        (2, 3, "contradicts itself: 3 channels of 16 bits, and rows of 4 bytes"),
        (12, 6, "contradicts itself: 2 channels of 16 bits, and rows of 6 bytes"),
        (12, 0, "contradicts itself"),
        (14, 24, "contradicts itself: 2 channels of 24 bits, and rows of 4 bytes"),
        (14, 0, "contradicts itself"),
        (0, 0x0161, "WMA 2"),
    ],
)
def test_a_wav_header_that_contradicts_itself(node, tmp_path, offset, value, message):
    content = bytearray(encoded("WAV", "PCM_16"))
    content[20 + offset : 22 + offset] = value.to_bytes(2, "little")
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(IngestError, match=message):
        node.attach_file(tmp_path / "x.wav")


def test_two_sounds_in_one_file(node, tmp_path):
    content = encoded("WAV", "PCM_16")
    (tmp_path / "x.wav").write_bytes(content + content[content.index(b"data") :])
    with pytest.raises(IngestError, match="2 data chunks"):
        node.attach_file(tmp_path / "x.wav")


@pytest.mark.parametrize("rate", [0.0, -8000.0, math.nan, math.inf])
def test_a_rate_that_is_none(node, tmp_path, rate):
    content = bytearray(encoded("CAF", "PCM_16"))
    place = content.index(b"desc") + 12
    content[place : place + 8] = struct.pack(">d", rate)
    (tmp_path / "x.caf").write_bytes(content)
    with pytest.raises(IngestError, match="a sample rate of"):
        node.attach_file(tmp_path / "x.caf")


# -- rates that are no whole numbers ---------------------------------------------------------------


@pytest.mark.parametrize(
    "rate", [22254.545454545454, 11127.272727272728, 44100.5, 250.5, 0.5, 0.25, 1e-3, 3e9, 8000.0]
)
@pytest.mark.parametrize("container", ["AIFF", "CAF"])
def test_rates_are_what_the_header_says_and_go_out_again(node, tmp_path, container, rate):
    content = bytearray(encoded(container, "PCM_16"))
    mark, offset, made = {
        "AIFF": (b"COMM", 16, extended(rate)),
        "CAF": (b"desc", 12, struct.pack(">d", rate)),
    }[container]
    place = content.index(mark) + offset
    content[place : place + len(made)] = made
    path = tmp_path / f"x.{SUFFIXES[container]}"
    path.write_bytes(content)
    payload = node.attach_file(path)
    assert (payload.samplerate_hz, payload.shape) == (rate, (ROWS, 2))
    if rate < 1 << 31:
        payload.export(tmp_path / f"out.{SUFFIXES[container]}")
        again = node.attach_file(tmp_path / f"out.{SUFFIXES[container]}", data_attribute="again")
        assert (again.samplerate_hz, again.read().tobytes()) == (rate, payload.read().tobytes())


@pytest.mark.parametrize("container", ["WAV", "W64", "AU"])
def test_rates_beyond_31_bits(node, tmp_path, container):
    content = bytearray(encoded(container, "PCM_16", rate=0x11223344))
    order = "big" if container == "AU" else "little"
    place = content.index((0x11223344).to_bytes(4, order))
    content[place : place + 4] = (3_000_000_000).to_bytes(4, order)
    (tmp_path / f"x.{SUFFIXES[container]}").write_bytes(content)
    payload = node.attach_file(tmp_path / f"x.{SUFFIXES[container]}")
    assert (payload.samplerate_hz, payload.shape) == (3e9, (ROWS, 2))


def test_numbers_of_80_bits():
    for value in (1.0, 44100.0, 22254.545454545454, 0.25, 3e9):
        assert from_extended(extended(value)) == value
    assert extended(44100.0) == b"\x40\x0e\xac\x44\0\0\0\0\0\0"


@pytest.mark.parametrize(
    ("name", "rate"),
    [("x.flac", 65536), ("x.flac", 123456), ("x.flac", 700_000), ("x.opus", 44100), ("x.mp3", 12345)],
)
def test_a_rate_that_a_format_cannot_hold_is_named_before_anything_is_written(node, tmp_path, name, rate):
    data = np.zeros(100, "i2" if name.endswith("flac") else "f4")
    payload = node.write_data(data, samplerate_hz=rate)
    with pytest.raises(ExportError, match=f"a sample rate of {rate} Hz"):
        payload.export(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [1, 44100, 65535, 88200, 192000, 384000, 655350])
def test_rates_that_flac_can_hold(node, tmp_path, rate):
    node.write_data(np.arange(100, dtype="i2"), samplerate_hz=rate).export(tmp_path / "x.flac")
    assert node.attach_file(tmp_path / "x.flac", data_attribute="again").samplerate_hz == rate


# -- what fills up a block -------------------------------------------------------------------------


@pytest.mark.crossed
@pytest.mark.parametrize("rows", [1, 319, 320, 1000, 4000])
@pytest.mark.parametrize(
    "subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_32"]
)
def test_rows_that_fill_up_a_block_are_left_out(node, tmp_path, subtype, rows):
    sound = (np.sin(np.arange(rows) / 9) * 0.3).astype("f4")
    node.write_data(sound, samplerate_hz=8000).export(tmp_path / "x.wav", subtype=subtype)
    payload = node.attach_file(tmp_path / "x.wav", data_attribute="again")
    assert payload.shape == (rows,)
    assert "filler_rows_at_most" not in payload.metadata
    assert payload.read().tolist() == soundfile.read(tmp_path / "x.wav", dtype="float32")[0][:rows].tolist()


@pytest.mark.parametrize(("fact", "rows"), [(1000, 1000), (961, 961), (960, 1280), (0, 1280), (1280, 1280)])
def test_a_count_is_believed_that_can_be_true(node, tmp_path, fact, rows):
    content = bytearray(encoded("WAV", "GSM610", channels=1))
    place = content.index(b"fact") + 8
    content[place : place + 4] = fact.to_bytes(4, "little")
    (tmp_path / "x.wav").write_bytes(content)
    payload = node.attach_file(tmp_path / "x.wav")
    assert payload.shape == (rows,)
    assert payload.metadata.get("announced_rows") == (None if fact == rows else fact)
    assert payload.metadata.get("filler_rows_at_most") == (None if fact == rows else 319)


def test_a_count_of_more_than_there_is(node, tmp_path):
    content = bytearray(encoded("WAV", "GSM610", channels=1))
    place = content.index(b"fact") + 8
    content[place : place + 4] = (5000).to_bytes(4, "little")
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(IngestError, match="announces 5000 rows of sound, 1280 are present"):
        node.attach_file(tmp_path / "x.wav")


def test_where_nothing_counts_the_rows_it_is_said(node, tmp_path):
    (tmp_path / "x.au").write_bytes(encoded("AU", "G721_32", channels=1))
    assert node.attach_file(tmp_path / "x.au").metadata["filler_rows_at_most"] == 119


# -- tags before, between and behind ---------------------------------------------------------------


def id3(length):
    return b"ID3\3\0\0" + bytes(length >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(length)


APE = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0xA0000000) + bytes(8)
APE += b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0x80000000) + bytes(8)


@pytest.mark.crossed
@pytest.mark.parametrize(
    "tags", [id3(100), id3(100) + id3(100_000), APE, id3(5) + APE], ids=["one", "two", "APE", "both"]
)
@pytest.mark.parametrize("suffix", ["wav", "rf64", "w64", "aiff", "au", "caf", "flac", "ogg", "opus", "mp3"])
def test_a_file_behind_tags_is_what_it_is_without_them(node, tmp_path, suffix, tags):
    container = {"opus": "OGG"}.get(suffix, suffix.upper())
    subtype = {"ogg": "VORBIS", "opus": "OPUS", "mp3": "MPEG_LAYER_III"}.get(suffix, "PCM_16")
    content = encoded(container, subtype, rows=4800, rate=48000)
    (tmp_path / f"a.{suffix}").write_bytes(content)
    (tmp_path / f"b.{suffix}").write_bytes(tags + content)
    right = node.attach_file(tmp_path / f"a.{suffix}")
    for format in (None, "auto"):
        got = node.attach_file(tmp_path / f"b.{suffix}", data_attribute="again", format=format)
        assert got.read().tobytes() == right.read().tobytes()
        assert got.samplerate_hz == right.samplerate_hz
        assert got.metadata["_source_format"] == right.metadata["_source_format"]


def mp3(rows=30_000, mode="CONSTANT"):
    file = io.BytesIO()
    sound = np.sin(np.arange(rows) / 9) * np.linspace(0.1, 0.5, rows)
    soundfile.write(file, sound, 44100, format="MP3", bitrate_mode=mode)
    return file.getvalue()


def frames_of(content):
    _, *rests = content.split(content[:2])
    return [content[:2] + rest for rest in rests]


@pytest.mark.parametrize(
    "between", [id3(50), id3(100_000), b"TAG" + bytes(125), APE], ids=["ID3", "large", "ID3v1", "APE"]
)
def test_tags_between_the_frames_of_an_mp3(node, tmp_path, between):
    frames = frames_of(mp3())
    (tmp_path / "a.mp3").write_bytes(b"".join(frames))
    (tmp_path / "b.mp3").write_bytes(b"".join(frames[:9]) + between + b"".join(frames[9:]))
    right = node.attach_file(tmp_path / "a.mp3")
    got = node.attach_file(tmp_path / "b.mp3", data_attribute="again")
    assert got.read().tobytes() == right.read().tobytes()


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("kind", ["Xing", "Info", "counts itself", "no count", "VBRI", "none"])
def test_whatever_a_first_frame_tells_of_an_mp3_all_of_it_is_read(node, tmp_path, kind, mode):
    frames = frames_of(mp3(mode=mode))
    head, rests = bytearray(frames[0]), b"".join(frames[1:])
    place = max(head.find(b"Xing"), head.find(b"Info"))
    count = len(frames) - 1
    assert int.from_bytes(head[place + 8 : place + 12], "big") == count
    if kind in ("Xing", "Info"):
        head[place : place + 4] = kind.encode()
    elif kind == "counts itself":
        head[place + 8 : place + 12] = (count + 1).to_bytes(4, "big")
    elif kind == "no count":
        head[place:] = b"Xing".ljust(len(head) - place, b"\0")
    elif kind == "VBRI":
        about = b"VBRI" + struct.pack(">HHHII", 1, 0, 50, len(rests), count)
        head[4:] = (bytes(32) + about).ljust(len(head) - 4, b"\0")
    (tmp_path / "a.mp3").write_bytes(b"".join(frames))
    (tmp_path / "b.mp3").write_bytes((b"" if kind == "none" else bytes(head)) + rests)
    right = node.attach_file(tmp_path / "a.mp3").read()
    got = node.attach_file(tmp_path / "b.mp3", data_attribute="again").read()
    if kind in ("Xing", "Info", "counts itself"):
        assert got.tobytes() == right.tobytes()
        return
    # Nothing says which rows are the encoder's own silence.
    assert len(got) == count * 1152 - 529
    delay = 576
    assert np.allclose(got[delay : delay + 29_000], right[:29_000], atol=1e-4)


def test_a_vbri_header_that_counts_other_frames(node, tmp_path):
    frames = frames_of(mp3())
    about = b"VBRI" + struct.pack(">HHHII", 1, 0, 50, 0, 77)
    head = (frames[0][:4] + bytes(32) + about).ljust(len(frames[0]), b"\0")
    (tmp_path / "x.mp3").write_bytes(head + b"".join(frames[1:]))
    with pytest.raises(IngestError, match="announces 77 frames"):
        node.attach_file(tmp_path / "x.mp3")


@pytest.mark.parametrize("length", [100, 200_000])
def test_a_gap_between_the_frames_of_an_mp3_is_noticed_however_long_it_is(node, tmp_path, length):
    frames = frames_of(mp3())
    head = frames[0].replace(b"Info", b"none").replace(b"Xing", b"none")
    (tmp_path / "x.mp3").write_bytes(b"".join([head, *frames[1:9]]) + bytes(length) + b"".join(frames[9:]))
    with pytest.raises(IngestError, match="is interrupted at byte"):
        node.attach_file(tmp_path / "x.mp3")


# -- refusals say what to do -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.wav", b"", "it is empty"),
        ("x.wav", b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(100), "MP4.*ffmpeg converts"),
        ("x.mp3", b"\xff\xf1\x50\x80" + bytes(100), "AAC in ADTS frames"),
        ("x.wav", b"wvpk" + bytes(100), "WavPack"),
        ("x.au", b".snd" + struct.pack(">IIIII", 24, 100, 99, 8000, 1) + bytes(100), "encoding 99.*ffmpeg"),
        (
            "x.flac",
            b"fLaC\x80\0\0\x22" + bytes(10) + (8000 << 44 | 19 << 36 | 9).to_bytes(8, "big") + bytes(100),
            "20 bit",
        ),
    ],
)
def test_refusals_name_cause_and_remedy(node, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IngestError, match=words):
        node.attach_file(tmp_path / name)
