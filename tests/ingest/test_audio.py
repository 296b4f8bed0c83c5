"""Audio files: every sample as it was, rates and tags kept, damage and lies refused."""

import contextlib
import io
import re
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lotdb import LOTDB, BaseNode, DataMismatchError, ExportError, IngestError, InvalidOptionError
from lotdb_ingest.audio.ogg import with_checksum
from lotdb_ingest.audio.read import BITS, dtype_of

RNG = np.random.default_rng(11)
CONTAINERS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "rf64",
    "W64": "w64",
    "AIFF": "aiff",
    "AU": "au",
    "CAF": "caf",
    "FLAC": "flac",
    "OGG": "ogg",
    "MP3": "mp3",
}
#: Written by libsndfile 1.2, they are not read back as the same by it, whoever asks.
BROKEN = {"ALAC_20", "ALAC_32", "DWVW_16", "DWVW_24"}
#: Decoding and encoding once more gives other samples.
LOSSY = {
    "VORBIS",
    "OPUS",
    "MPEG_LAYER_I",
    "MPEG_LAYER_II",
    "MPEG_LAYER_III",
    "GSM610",
    "MS_ADPCM",
    "NMS_ADPCM_16",
    "NMS_ADPCM_24",
    "NMS_ADPCM_32",
}


def writable():
    """What libsndfile writes; of the two numbers of channels, one with each kind of samples is quick."""
    for container, suffix in CONTAINERS.items():
        for subtype in soundfile.available_subtypes(container):
            possible = []
            for channels in (1, 2):
                with contextlib.suppress(soundfile.LibsndfileError, ValueError):
                    soundfile.write(
                        io.BytesIO(), np.zeros((8, channels)), rate_for(subtype), subtype, format=container
                    )
                    possible.append(channels)
            for number, channels in enumerate(possible):
                is_quick = number == len(container + subtype) % len(possible)
                yield pytest.param(
                    container,
                    suffix,
                    subtype,
                    channels,
                    id=f"{container}-{subtype}-{channels}",
                    marks=[] if is_quick else pytest.mark.slow,
                )


def rate_for(subtype):
    return 8000 if subtype.startswith(("GSM", "G72", "NMS")) else 48000


@pytest.fixture
def node():
    return BaseNode("root").get_data_node("recording")


def refused(node, path, **how):
    with pytest.raises(IngestError) as caught:
        node.attach_file(path, **how)
    assert str(path) in str(caught.value)
    assert not node.has_data()
    assert "_source_filename" not in node.attrs
    return str(caught.value)


# -- in, out, and in again ------------------------------------------------------------------------


@pytest.mark.sampled
@pytest.mark.parametrize(("container", "suffix", "subtype", "channels"), list(writable()))
def test_what_came_in_goes_out_again(node, tmp_path, container, suffix, subtype, channels):
    if subtype in BROKEN:
        pytest.skip("libsndfile does not read what it writes")
    name = "opus" if subtype == "OPUS" else suffix
    # The same sound whatever ran before: what libsndfile does not keep of others, the next tests say.
    sound = (np.random.default_rng(4).standard_normal((4800, channels)) * 0.2).astype("f4")
    soundfile.write(tmp_path / f"in.{name}", sound, rate_for(subtype), subtype, format=container)
    first = node.attach_file(tmp_path / f"in.{name}", data_attribute="first")
    first.export(tmp_path / f"out.{name}")
    second = node.attach_file(tmp_path / f"out.{name}", data_attribute="second")
    assert second.samplerate_hz == first.samplerate_hz == rate_for(subtype)
    assert second.metadata["subtype"] == first.metadata["subtype"] == subtype
    assert second.dtype == first.dtype
    assert second.shape == first.shape
    if subtype in LOSSY:
        assert np.abs(first.read() - second.read()).mean() < 0.25
    else:
        assert first.read().tobytes() == second.read().tobytes()


#: Those that keep every sample, or ought to, by the format that has them.
LOSSLESS = [
    (suffix, subtype)
    for container, suffix in CONTAINERS.items()
    if container not in ("WAVEX", "OGG", "MP3")
    for subtype in soundfile.available_subtypes(container)
    if subtype.startswith(("PCM_", "ALAC_", "DWVW_", "FLOAT", "DOUBLE")) and subtype not in BROKEN
]


@settings(max_examples=30)
@given(
    kind=st.sampled_from(LOSSLESS),
    seed=st.integers(0, 1 << 32),
    rows=st.integers(1, 5000),
    channels=st.integers(1, 2),
    loudness=st.sampled_from([0.001, 0.1, 1.0]),
)
@example(kind=("caf", "ALAC_24"), seed=0, rows=4800, channels=2, loudness=1.0)  # which is not kept
@example(kind=("caf", "ALAC_24"), seed=0, rows=4800, channels=2, loudness=0.001)  # which is
@example(kind=("aiff", "PCM_S8"), seed=0, rows=4801, channels=1, loudness=1.0)
def test_a_noise_goes_out_as_it_is_or_not_at_all(kind, seed, rows, channels, loudness):
    suffix, subtype = kind
    rng = np.random.default_rng(seed)
    if subtype in ("FLOAT", "DOUBLE"):
        noise = (rng.standard_normal((rows, channels)) * loudness).astype(dtype_of(subtype))
    else:
        most = max(1, int((1 << BITS[subtype] - 1) * loudness))
        noise = rng.integers(-most, most, (rows, channels), endpoint=False) + 128 * (subtype == "PCM_U8")
        noise = noise.astype(dtype_of(subtype))
    node = BaseNode("root").get_data_node("recording")
    payload = node.write_data(noise if channels > 1 else noise[:, 0], samplerate_hz=8000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{suffix}"
        try:
            payload.export(path, subtype=subtype)
        except ExportError as error:
            refused = str(error)
            assert not list(Path(folder).iterdir())
        else:
            refused = ""
            again = node.attach_file(path, data_attribute="again").read()
    if "libsndfile cannot write" in refused:
        assert "DWVW" in subtype  # which it lists all the same
    elif refused:
        assert re.search(rf"keep it as {subtype} in {suffix}: row \d+ .* subtype='PCM_(16|24)'", refused)
        assert subtype.startswith("ALAC")
    else:
        assert again.tobytes() == payload.read().tobytes()


def test_what_alac_does_not_keep_leaves_what_was_there_and_can_go_out_otherwise(node, tmp_path):
    noise = np.random.default_rng(0).integers(-(1 << 23), 1 << 23, (4800, 2)).astype("i4")
    noise[:4000] //= 1000
    payload = node.write_data(noise, samplerate_hz=8000)
    (tmp_path / "x.caf").write_bytes(b"before")
    with pytest.raises(ExportError, match=r"ALAC_24 in caf: row \d+ is read back otherwise") as caught:
        payload.export(tmp_path / "x.caf", subtype="ALAC_24", if_exists="replace")
    assert [path.name for path in tmp_path.iterdir()] == ["x.caf"]
    assert (tmp_path / "x.caf").read_bytes() == b"before"
    subtype = re.search(r"subtype='(\w+)'", str(caught.value))[1]
    payload.export(tmp_path / "x.caf", subtype=subtype, if_exists="replace")
    expected = soundfile.read(tmp_path / "x.caf", dtype="int32")[0] >> 8
    assert expected.tolist() == noise.tolist()


@pytest.mark.parametrize(
    ("subtype", "dtype", "container"),
    [
        ("PCM_U8", "u1", "WAV"),
        ("PCM_S8", "i1", "AIFF"),
        ("PCM_16", "i2", "WAV"),
        ("PCM_24", "i4", "WAV"),
        ("PCM_32", "i4", "WAV"),
        ("FLOAT", "f4", "WAV"),
        ("DOUBLE", "f8", "WAV"),
        ("PCM_S8", "i1", "FLAC"),
        ("PCM_24", "i4", "FLAC"),
        ("ALAC_16", "i2", "CAF"),
    ],
)
def test_samples_keep_their_own_width(node, tmp_path, subtype, dtype, container):
    path = tmp_path / f"x.{CONTAINERS[container]}"
    values = np.array([0, 1, -1, 100, -100, 5, 127, -128])
    bits = int(subtype[-2:].strip("USP_")) if subtype[-1].isdigit() else 0
    given = (values << (32 - bits)).astype("i4") if bits else values.astype(dtype)
    soundfile.write(path, given, 8000, subtype, format=container)
    payload = node.attach_file(path)
    assert payload.dtype == dtype
    expected = values + 128 if subtype == "PCM_U8" else values
    assert payload.read().tolist() == expected.tolist()
    assert payload.metadata.get("bits") == (bits or None)


@pytest.mark.crossed
@pytest.mark.parametrize("endian", ["LITTLE", "BIG"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU", "CAF"])
def test_the_order_of_bytes_is_kept(node, tmp_path, container, subtype, endian):
    if not soundfile.check_format(container, subtype, endian):
        pytest.skip("libsndfile does not write it")
    suffix = CONTAINERS[container]
    sound = RNG.standard_normal((50, 2)).clip(-1, 1)
    soundfile.write(tmp_path / f"in.{suffix}", sound, 48000, subtype, endian, container)
    first = node.attach_file(tmp_path / f"in.{suffix}", data_attribute="first")
    first.export(tmp_path / f"out.{suffix}")
    second = node.attach_file(tmp_path / f"out.{suffix}", data_attribute="second")
    assert second.metadata["endian"] == first.metadata["endian"]
    assert second.read().tobytes() == first.read().tobytes()
    expected = soundfile.read(tmp_path / f"in.{suffix}", dtype="float64")[0]
    assert soundfile.read(tmp_path / f"out.{suffix}", dtype="float64")[0].tolist() == expected.tolist()


def test_channels_are_columns_and_one_channel_is_none(node, tmp_path):
    sound = np.arange(30, dtype="i2").reshape(10, 3)
    soundfile.write(tmp_path / "three.wav", sound, 100)
    soundfile.write(tmp_path / "one.wav", sound[:, 0], 100)
    assert node.attach_file(tmp_path / "three.wav").read().tolist() == sound.tolist()
    assert node.attach_file(tmp_path / "one.wav").read().shape == (10,)


def test_an_odd_number_of_bytes_does_not_become_an_even_one(node, tmp_path):
    payload = node.write_data(np.array([1, -2, 3], "i1"), samplerate_hz=100)
    payload.export(tmp_path / "x.aiff")
    assert node.attach_file(tmp_path / "x.aiff").read().tolist() == [1, -2, 3]


def test_loud_vorbis_does_not_wrap_around(node, tmp_path):
    loud = (np.sign(np.sin(np.arange(20000) / 30)) * 0.99).astype("f4")
    soundfile.write(tmp_path / "x.ogg", loud, 44100, "VORBIS", format="OGG")
    sound = node.attach_file(tmp_path / "x.ogg").read()
    assert sound.dtype == "f4"
    assert np.abs(sound - loud).mean() < 0.2


@pytest.mark.parametrize("suffix", ["wav", "rf64", "aiff", "caf", "flac", "ogg", "mp3"])
def test_tags_are_kept_and_written(node, tmp_path, suffix):
    with soundfile.SoundFile(tmp_path / f"in.{suffix}", "w", 8000, 1) as file:
        file.title, file.artist = "Größe", "nobody"
        file.write(np.zeros(1000))
    first = node.attach_file(tmp_path / f"in.{suffix}", data_attribute="first")
    assert first.metadata["tags"]["title"] == "Größe"
    assert first.metadata["tags"]["artist"] == "nobody"
    first.export(tmp_path / f"out.{suffix}")
    second = node.attach_file(tmp_path / f"out.{suffix}", data_attribute="second")
    assert second.metadata["tags"] == first.metadata["tags"]


def test_the_rate_is_the_payloads_and_is_noted(node, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(10, "i2"), 22050)
    payload = node.attach_file(tmp_path / "x.wav")
    assert payload.samplerate_hz == 22050
    assert payload.metadata["_source_samplerate_hz"] == 22050
    assert node.attrs["_source_samplerate_hz"] == 22050
    assert payload.content_type == "audio/wav"


def test_a_rate_that_contradicts_the_nodes_is_an_error_unless_it_is_given(tmp_path):
    node = BaseNode("root").get_data_node("recording", samplerate_hz=16000)
    soundfile.write(tmp_path / "x.wav", np.zeros(10, "i2"), 22050)
    with pytest.raises(DataMismatchError, match="22050 Hz, the node's default is 16000 Hz"):
        node.attach_file(tmp_path / "x.wav")
    assert not node.has_data()
    assert node.attach_file(tmp_path / "x.wav", samplerate_hz=22050).samplerate_hz == 22050
    assert node.attach_file(tmp_path / "x.wav", samplerate_hz=1000).metadata["_source_samplerate_hz"] == 22050


def test_a_long_file_comes_in_blocks_and_is_one_segment(tmp_path):
    sound = RNG.integers(-30000, 30000, (3_000_000, 2), "i2")
    soundfile.write(tmp_path / "x.wav", sound, 48000)
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        payload = root.get_data_node("a").attach_file(tmp_path / "x.wav")
        assert len(payload.segments()) == 1
        assert np.array_equal(payload.read(), sound)
        payload.export(tmp_path / "y.wav")
    assert (tmp_path / "x.wav").stat().st_size == (tmp_path / "y.wav").stat().st_size


# -- what is not what it says ---------------------------------------------------------------------


def wav(data=b"\0" * 100, *, announced=None, channels=1, rate=8000, bits=16):
    block = channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block, block, bits)
    chunk = struct.pack("<4sI", b"data", len(data) if announced is None else announced) + data
    return b"RIFF" + struct.pack("<I", 4 + len(form) + len(chunk)) + b"WAVE" + form + chunk


@pytest.mark.parametrize("announced", [0xFFFFFFF0, 102, 1 << 30])
def test_a_wav_header_that_announces_more_than_there_is(node, tmp_path, announced):
    (tmp_path / "x.wav").write_bytes(wav(announced=announced))
    assert f"announces {announced} bytes of sound, 100 are present" in refused(node, tmp_path / "x.wav")


@pytest.mark.parametrize("suffix", ["wav", "rf64", "w64", "aiff", "au", "caf", "flac", "ogg", "opus", "mp3"])
def test_a_file_that_is_cut_in_the_middle(node, tmp_path, suffix):
    container = {"ogg": "OGG", "opus": "OGG"}.get(suffix, suffix.upper())
    subtype = {"ogg": "VORBIS", "opus": "OPUS"}.get(suffix)
    sound = (RNG.standard_normal(48000) * 0.1).astype("f4")
    soundfile.write(tmp_path / f"x.{suffix}", sound, 48000, subtype, format=container)
    whole = (tmp_path / f"x.{suffix}").read_bytes()
    (tmp_path / f"x.{suffix}").write_bytes(whole[: len(whole) // 2])
    refused(node, tmp_path / f"x.{suffix}")


def ogg_pages(subtype="VORBIS", rows=100_000):
    file = io.BytesIO()
    sound = (np.random.default_rng(5).standard_normal(rows) * 0.1).astype("f4")
    soundfile.write(file, sound, 48000, subtype, format="OGG")
    first, *rests = file.getvalue().split(b"OggS")
    assert first == b""
    return [b"OggS" + rest for rest in rests]


def as_other_stream(page):
    return with_checksum(page[:14] + b"\1\2\3\4" + page[18:])


@pytest.mark.sampled(4)
@pytest.mark.crossed
@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda pages: [*pages[:3], pages[3][:-1] + b"\xa5", *pages[4:]], "does not match its checksum"),
        (lambda pages: [*pages[:3], *pages[4:]], "page 3 should be at byte"),
        (lambda pages: [*pages[:4], *pages[3:]], "page 4 should be at byte"),
        (lambda pages: [*pages[:3], b"x", *pages[3:]], "no page begins at byte"),
        (lambda pages: pages[:-1], "its last page is missing"),
        (lambda pages: [*pages[:-1], pages[-1][:20]], "no page begins at byte"),
        (lambda pages: [*pages[:-1], pages[-1][:-1]], "is announced up to byte"),
        (lambda pages: [*pages, *map(as_other_stream, pages)], "where another stream follows"),
        (lambda pages: [pages[0], as_other_stream(pages[0]), *pages[1:]], "several streams side by side"),
    ],
)
def test_an_ogg_file_that_is_not_one_whole_stream(node, tmp_path, subtype, damage, message):
    (tmp_path / "x.ogg").write_bytes(b"".join(damage(ogg_pages(subtype))))
    assert message in refused(node, tmp_path / "x.ogg")


def test_what_follows_the_last_page_of_an_ogg_file_does_no_harm(node, tmp_path):
    (tmp_path / "x.ogg").write_bytes(b"".join(ogg_pages()) + bytes(100_000))
    assert node.attach_file(tmp_path / "x.ogg").shape == (100_000,)


def test_a_recording_of_a_broadcast_begins_in_its_middle(node, tmp_path):
    head, tables, *_, last = ogg_pages()
    (tmp_path / "x.ogg").write_bytes(head + tables + last)
    assert node.attach_file(tmp_path / "x.ogg").ndim == 1


def mp3_frames(rate, rows=20_000):
    file = io.BytesIO()
    sound = (np.random.default_rng(5).standard_normal(rows) * 0.1).astype("f4")
    soundfile.write(file, sound, rate, format="MP3", bitrate_mode="CONSTANT")
    first, *rests = file.getvalue().split(file.getvalue()[:2])
    assert first == b""
    return [file.getvalue()[:2] + rest for rest in rests]


def without_count(frames):
    return [frames[0].replace(b"Info", b"none").replace(b"Xing", b"none"), *frames[1:]]


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda frames: [*frames[:-1], frames[-1][:-1]], "is announced up to byte"),
        (lambda frames: [*frames[:4], bytes(100), *frames[4:]], "is interrupted at byte"),
        (lambda frames: [*frames[:4], b"\0" + frames[4][1:], *frames[5:]], "is interrupted at byte"),
        (lambda frames: [frames[0]], "there is no frame"),
    ],
)
def test_an_mp3_file_that_is_not_whole(node, tmp_path, damage, message, counted):
    frames = mp3_frames(44100) if counted else without_count(mp3_frames(44100))
    (tmp_path / "x.mp3").write_bytes(b"".join(damage(frames)))
    assert message in refused(node, tmp_path / "x.mp3")


def test_an_mp3_header_that_counts_other_frames(node, tmp_path):
    frames = mp3_frames(44100)
    count = len(frames) - 1
    (tmp_path / "x.mp3").write_bytes(b"".join(frames[:-2]))
    assert f"announces {count} frames, {count - 2} are present" in refused(node, tmp_path / "x.mp3")
    (tmp_path / "x.mp3").write_bytes(b"".join(frames + frames))
    assert f"announces {count} frames, {2 * count + 1} are present" in refused(node, tmp_path / "x.mp3")


@pytest.mark.sampled(1)
@pytest.mark.crossed
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_an_mp3_that_does_not_count_its_frames_is_read_to_its_end(node, tmp_path, rate, channels):
    sound = RNG.standard_normal((200_000, channels)) * np.linspace(0.2, 0, 200_000)[:, np.newaxis]
    soundfile.write(tmp_path / "x.mp3", sound, rate, format="MP3", bitrate_mode="VARIABLE")
    content = (tmp_path / "x.mp3").read_bytes()
    second = content.index(content[:2], 4)
    tag = b"ID3\4\0\0\0\0\1\0" + bytes(128)
    (tmp_path / "y.mp3").write_bytes(tag + content[second:])
    assert soundfile.info(tmp_path / "y.mp3").frames < 190_000  # by the length of the first frame
    first = node.attach_file(tmp_path / "x.mp3", data_attribute="counted").read()
    read = node.attach_file(tmp_path / "y.mp3", data_attribute="not counted").read()
    assert 200_000 < len(read) < 205_000
    delay = 576  # of the encoder, which its header tells of
    assert np.allclose(read[delay:][:190_000], first[:190_000], atol=1e-4)


@pytest.mark.parametrize("layer", [1, 2])
def test_other_layers_of_mpeg_are_read_to_their_end(node, tmp_path, layer):
    head, length, rows = {
        1: (b"\xff\xff\x54\xc0", 160, 384),
        2: (b"\xff\xfd\x54\xc0", 240, 1152),
    }[layer]
    silence = head.ljust(length, b"\0")
    (tmp_path / "x.mp3").write_bytes(silence * 50)
    assert not node.attach_file(tmp_path / "x.mp3").read().any()
    assert node.get_data().shape == (50 * rows,)


@pytest.mark.sampled(3)
@pytest.mark.crossed
@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000])
def test_mp3_of_any_rate_is_known_to_be_whole(node, tmp_path, rate, mode):
    sound = RNG.standard_normal((20_000, 2)) * 0.1
    soundfile.write(tmp_path / "x.mp3", sound, rate, format="MP3", bitrate_mode=mode)
    assert node.attach_file(tmp_path / "x.mp3").shape == (20_000, 2)


@pytest.mark.parametrize("counted", [True, False])
def test_tags_around_the_frames_of_an_mp3_do_no_harm(node, tmp_path, counted):
    frames = mp3_frames(44100) if counted else without_count(mp3_frames(44100))
    before, behind = b"ID3\4\0\0\0\0\1\0" + bytes(128), b"TAG" + bytes(125)
    (tmp_path / "x.mp3").write_bytes(before + b"".join(frames) + behind)
    assert len(node.attach_file(tmp_path / "x.mp3")) >= 20_000


def test_a_wav_file_that_was_not_finished(node, tmp_path):
    (tmp_path / "x.wav").write_bytes(wav(announced=0))
    assert "was not finished" in refused(node, tmp_path / "x.wav")


@pytest.mark.parametrize("samples", [(1 << 36) - 1, 10**9])
def test_a_flac_header_that_announces_what_cannot_be(node, tmp_path, samples):
    soundfile.write(tmp_path / "x.flac", np.zeros(100, "i2"), 8000)
    content = bytearray((tmp_path / "x.flac").read_bytes())
    content[21:26] = ((content[21] >> 4 << 36) | samples).to_bytes(5, "big")
    (tmp_path / "x.flac").write_bytes(content)
    assert f"announces {samples} samples" in refused(node, tmp_path / "x.flac")


def test_a_flac_header_that_leaves_open_how_much_there_is(node, tmp_path):
    soundfile.write(tmp_path / "x.flac", np.zeros(100, "i2"), 8000)
    content = bytearray((tmp_path / "x.flac").read_bytes())
    content[21:26] = (content[21] >> 4 << 36).to_bytes(5, "big")
    (tmp_path / "x.flac").write_bytes(content)
    assert "does not say how many samples" in refused(node, tmp_path / "x.flac")


def test_an_aiff_header_that_announces_more_than_there_is(node, tmp_path):
    soundfile.write(tmp_path / "x.aiff", np.zeros(100, "i2"), 8000)
    content = bytearray((tmp_path / "x.aiff").read_bytes())
    place = content.index(b"COMM") + 10
    content[place : place + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "x.aiff").write_bytes(content)
    assert "announces 4294967295 rows of sound, 100 are present" in refused(node, tmp_path / "x.aiff")


def test_a_flac_file_with_altered_samples(node, tmp_path):
    soundfile.write(tmp_path / "x.flac", RNG.integers(-9000, 9000, 20000, "i2"), 8000)
    content = bytearray((tmp_path / "x.flac").read_bytes())
    content[len(content) // 2] ^= 0x10
    (tmp_path / "x.flac").write_bytes(content)
    assert "of 20000" in refused(node, tmp_path / "x.flac")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"just some text, and no sound at all", "does not begin as"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 100, "does not begin as .*; its content is a JPEG image"),
        (b"RIFF\x24\0\0\0WAVE", "no fmt chunk"),
        (wav(channels=0), "it has 0 channels"),
        (wav(rate=0), "a sample rate of 0 Hz"),
    ],
)
def test_what_is_no_wav_file(node, tmp_path, content, message):
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(IngestError, match=message):
        node.attach_file(tmp_path / "x.wav")
    assert not node.has_data()


def test_one_format_under_the_name_of_another(node, tmp_path):
    sound = np.arange(100, dtype="i2")
    soundfile.write(tmp_path / "x.wav", sound, 8000, "PCM_16", format="FLAC")
    assert "its content is flac; pass format='auto'" in refused(node, tmp_path / "x.wav")
    payload = node.attach_file(tmp_path / "x.wav", format="auto")
    assert payload.metadata["_source_format"] == "flac"
    assert payload.read().tolist() == sound.tolist()


def test_chunks_before_and_behind_the_sound_do_no_harm(node, tmp_path):
    content = wav(b"\1\0\2\0")
    extra = b"junk" + struct.pack("<I", 3) + b"abc\0"
    (tmp_path / "x.wav").write_bytes(content[:12] + extra + content[12:] + extra)
    assert node.attach_file(tmp_path / "x.wav").read().tolist() == [1, 2]


def test_too_much_is_refused_before_it_is_read(node, tmp_path):
    soundfile.write(tmp_path / "x.flac", np.zeros(100_000, "i2"), 8000)
    assert "announces 200000 bytes of data, the limit is 100000" in refused(
        node, tmp_path / "x.flac", max_bytes=100_000
    )


def test_an_unknown_option_is_named(node, tmp_path):
    (tmp_path / "x.wav").write_bytes(wav())
    with pytest.raises(InvalidOptionError, match="takes no option 'channels'"):
        node.attach_file(tmp_path / "x.wav", channels=1)


# -- what cannot go out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "options", "message"),
    [
        (np.zeros(4, "i8"), "x.wav", {}, "cannot hold samples of int64 without loss"),
        (np.zeros(4, "f4"), "x.flac", {}, "cannot hold samples of float32 without loss"),
        (np.zeros(4, "i4"), "x.flac", {}, "cannot hold samples of int32 without loss"),
        (np.zeros((4, 2, 2), "i2"), "x.wav", {}, "is not that of sound"),
        (
            np.zeros(4, "f4"),
            "x.wav",
            {"subtype": "PCM_16"},
            "PCM_16 of wav holds int16, the samples are float32",
        ),
        (np.array([1 << 24], "i4"), "x.wav", {"subtype": "PCM_24"}, "beyond 24 bits"),
        (np.zeros(4, "u1"), "x.ogg", {}, "cannot be compressed"),
        (np.zeros(4, "f4"), "x.opus", {"samplerate_hz": 12345}, "opus cannot hold a sample rate of 12345 Hz"),
        (np.zeros(4, "f4"), "x.wav", {"samplerate_hz": 44100.5}, "whole numbers only"),
        (np.zeros(0, "i2"), "x.flac", {}, "a sound of no samples"),
        (np.zeros(0, "f4"), "x.opus", {}, "a sound of no samples"),
        (np.zeros(0, "f4"), "x.mp3", {}, "a sound of no samples"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(node, tmp_path, data, name, options, message):
    payload = node.write_data(data, samplerate_hz=8000)
    with pytest.raises(ExportError, match=message):
        payload.export(tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_payload_without_a_rate_needs_one(node, tmp_path):
    payload = node.write_data(np.arange(4, dtype="i2"))
    with pytest.raises(ExportError, match="pass samplerate_hz="):
        payload.export(tmp_path / "x.wav")
    payload.export(tmp_path / "x.wav", samplerate_hz=100)
    assert soundfile.read(tmp_path / "x.wav", dtype="int16")[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "options", [{"subtype": "PCM_99"}, {"subtype": 5}, {"samplerate_hz": -1}, {"quality": 5}]
)
def test_a_wrong_option_of_an_export_is_named(node, tmp_path, options):
    payload = node.write_data(np.arange(4, dtype="i2"), samplerate_hz=100)
    with pytest.raises(InvalidOptionError, match=next(iter(options))):
        payload.export(tmp_path / "x.wav", **options)


@pytest.mark.parametrize(("suffix", "subtype"), [("flac", "PCM_24"), ("caf", "ALAC_24")])
def test_one_channel_goes_out_with_and_without_an_axis_for_it(node, tmp_path, suffix, subtype):
    noise = np.random.default_rng(0).integers(-(1 << 20), 1 << 20, (500, 1)).astype("i4")
    for rows in (noise, noise[:, 0]):
        payload = node.write_data(rows, samplerate_hz=8000)
        payload.export(tmp_path / f"x.{suffix}", subtype=subtype, if_exists="replace")
        again = node.attach_file(tmp_path / f"x.{suffix}", data_attribute="again")
        assert again.read().reshape(-1).tolist() == noise.reshape(-1).tolist()


COMPRESSED = [("mp3", "MPEG_LAYER_III"), ("ogg", "VORBIS"), ("opus", "OPUS"), ("wav", "ULAW"), ("au", "ALAW"),
         ("wav", "MS_ADPCM"), ("wav", "IMA_ADPCM"), ("wav", "GSM610"), ("au", "G721_32")]  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "subtype", "sample"),
    [("ogg", "VORBIS", 101), ("opus", "OPUS", -101), ("wav", "IMA_ADPCM", 1.01), ("wav", "MS_ADPCM", np.nan)],
)
def test_samples_that_a_codec_does_not_take_are_refused(node, tmp_path, suffix, subtype, sample):
    for dtype in "f4", "f8":
        sound = np.zeros(5000, dtype)
        sound[2500] = sample
        payload = node.write_data(sound, samplerate_hz=8000)
        with pytest.raises(ExportError, match=f"{subtype} takes samples from -1"):
            payload.export(tmp_path / f"x.{suffix}", subtype=subtype)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("suffix", "subtype"), COMPRESSED)
def test_the_loudest_samples_that_a_codec_takes(node, tmp_path, suffix, subtype):
    loudest = 100.0 if suffix in ("mp3", "ogg", "opus") else 1.0
    noise = np.random.default_rng(1).choice([-loudest, loudest], 5000)
    for sound in noise, np.full(5000, loudest), loudest * np.sin(np.arange(5000.0)):
        payload = node.write_data(sound.astype("f4"), samplerate_hz=8000)
        payload.export(tmp_path / f"x.{suffix}", subtype=subtype, if_exists="replace")
        assert np.abs(soundfile.read(tmp_path / f"x.{suffix}")[0]).max() > 0.5
