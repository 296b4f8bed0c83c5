"""What is drawn of a payload: exact, never more than can be seen, with units; and what is refused."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from tests.looking.conftest import SORTS

from lotdb import (
    LOTDB,
    BaseNode,
    InvalidDataError,
    InvalidOptionError,
    InvalidRangeError,
    MissingPluginError,
)
from lotdb.looking.plots import PLOTS

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed: lotdb-core[plot]")
Figure = pytest.importorskip("matplotlib.figure").Figure

WIDTH = 400


def axes():
    """Axes of exactly so many pixels across."""
    figure = Figure(figsize=(WIDTH / 100, 2), dpi=100)
    return figure.add_axes((0, 0, 1, 1))


def write(data, **how):
    return BaseNode("r").get_data_node("a").write_data(data, **how)


def draw(ax):
    """Have matplotlib draw it all, which finds what it cannot draw."""
    ax.figure.canvas.draw()
    return ax


NO_PLOT = {
    "text": "is a text",
    "empty text": "is a text",
    "bytes": "is bytes",
    "no bytes": "is bytes",
    "value": "is a single value of float32",
}


@pytest.mark.sampled
@pytest.mark.parametrize("name", [name for name in SORTS if name not in NO_PLOT])
def test_all_sorts_of_data_are_drawn(name, sorts):
    ax = axes()
    assert draw(sorts.payloads[name].plot(ax)) is ax
    assert f"'{name}' of node 'all/sorts'" in ax.get_title()
    for line in ax.lines:
        assert len(line.get_xdata()) <= 2 * WIDTH


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", [name for name in SORTS if name not in NO_PLOT])
def test_all_sorts_of_data_are_drawn_in_each_way_or_refused(name, sorts):
    payload, refused = sorts.payloads[name], []
    for kind in PLOTS:
        ax = axes()
        try:
            payload.plot(ax, kind)
        except InvalidDataError as error:
            refused.append(str(error))
        assert draw(ax) is ax
    assert all(f"payload '{name}' of node 'all/sorts'" in said for said in refused)
    assert len(refused) < len(PLOTS)


def test_each_element_of_a_field_is_a_channel(sorts):
    lines = sorts.payloads["fields of two axes"].plot(axes(), "waveform").lines
    assert [line.get_label() for line in lines] == ["n 0", "n 1", "x 0", "x 1"]


def test_a_name_that_begins_with_an_underscore_is_in_the_legend():
    ax = draw(write(np.zeros((9, 2)), metadata={"channels": ["_a", "b"]}).plot(axes()))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [" _a", "b"]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", NO_PLOT)
@pytest.mark.parametrize("kind", [None, "waveform", "table"])
def test_what_has_no_plot_is_refused_by_what_it_is(name, kind, sorts):
    with pytest.raises(InvalidDataError, match=f"payload '{name}'.*{NO_PLOT[name]}"):
        sorts.payloads[name].plot(axes(), kind)


# -- waveforms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["i2", "f4", "f8"])
@pytest.mark.parametrize("backend", ["memory", "blob", "zarr"])
def test_a_long_waveform_is_its_exact_envelope(dtype, backend, tmp_path):
    values = (np.random.default_rng(1).normal(size=123_457) * 1000).astype(dtype)
    if backend == "memory":
        return check_envelope(write(values, samplerate_hz=100), values)
    with LOTDB(tmp_path, durability="process", default_backend=backend) as db, db.connection() as root:
        check_envelope(root.get_data_node("a").write_data(values, samplerate_hz=100), values)


def check_envelope(payload, values):
    (line,) = payload.plot(axes()).lines
    edges = [column * len(values) // WIDTH for column in range(WIDTH + 1)]
    parts = np.split(values, edges[1:-1])
    assert line.get_ydata()[::2].tolist() == [part.min() for part in parts]
    assert line.get_ydata()[1::2].tolist() == [part.max() for part in parts]
    middles = [(first + last - 1) / 2 / 100 for first, last in itertools.pairwise(edges)]
    assert line.get_xdata()[::2].tolist() == middles


def test_blocks_make_the_same_envelope_as_the_whole(monkeypatch):
    values = np.random.default_rng(1).normal(size=(50_000, 2))
    payload = write(values)
    whole = [line.get_ydata().tolist() for line in payload.plot(axes()).lines]
    monkeypatch.setattr("lotdb.looking.plot_axes._WHOLE_BYTES", 0)
    monkeypatch.setattr("lotdb.looking.plot_axes._BLOCK_BYTES", 777 * 16)
    assert [line.get_ydata().tolist() for line in payload.plot(axes()).lines] == whole


def test_a_large_waveform_is_read_in_blocks(counting, monkeypatch):
    monkeypatch.setattr("lotdb.looking.plot_axes._WHOLE_BYTES", 1 << 20)
    monkeypatch.setattr("lotdb.looking.plot_axes._BLOCK_BYTES", 1 << 18)
    node, read = counting
    node.write_data(np.zeros(1_000_000, "f4"))
    largest = 0
    take = type(node.get_data()).__getitem__

    def noted(self, index):
        nonlocal largest
        found = take(self, index)
        largest = max(largest, found.nbytes)
        return found

    monkeypatch.setattr("lotdb.content.payload.Payload.__getitem__", noted)
    _, count = read(lambda again: again.payloads["data"].plot(axes()))
    assert largest == 1 << 18
    assert 4_000_000 <= count < 4_100_000


def test_gaps_stay_gaps_and_a_single_value_is_a_dot():
    values = np.sin(np.arange(100_000) / 100)
    values[30_000:50_000] = np.nan
    values[40_000] = 0.5
    (line,) = draw(write(values, samplerate_hz=1).plot(axes())).lines
    x, y = line.get_xdata(), line.get_ydata()
    gap = np.isnan(y)
    assert 30_000 <= x[gap].min() < 30_500
    assert 49_500 < x[gap].max() <= 50_000
    assert np.count_nonzero(gap) == 2 * (0.2 * WIDTH - 1)
    (place,) = line.get_markevery()
    assert y[place] == 0.5
    short = write(np.array([1.0, np.nan, 2.0, np.nan, 3.0, 4.0])).plot(axes()).lines[0]
    assert short.get_markevery() == [0, 2]
    assert np.isnan(short.get_ydata()).tolist() == [False, True, False, True, False, False]


def test_missing_cells_of_a_table_are_gaps(sorts):
    lines = {line.get_label(): line for line in sorts.payloads["table"].plot(axes(), "waveform").lines}
    assert set(lines) == {"t", "n"}
    assert np.flatnonzero(np.isnan(lines["n"].get_ydata())).tolist() == [3]


def test_integers_at_their_extremes_are_where_they_are(sorts):
    (line,) = sorts.payloads["extremes"].plot(axes()).lines
    assert line.get_ydata()[:3].tolist() == [-(2.0**63), 0.0, 2.0**63]


def test_time_is_the_row_divided_by_the_rate():
    payload = write(np.zeros(1000), samplerate_hz=3)
    (line,) = payload.plot(axes(), start=100, stop=200).lines
    assert line.get_xdata().tolist() == [row / 3 for row in range(100, 200)]
    (line,) = payload.plot(axes(), start=10, stop=20, unit="seconds").lines
    assert line.get_xdata().tolist() == [row / 3 for row in range(30, 60)]
    assert payload.plot(axes()).get_xlabel() == "time in s"
    assert write(np.zeros(10)).plot(axes()).get_xlabel() == "row"


@pytest.mark.parametrize("kind", PLOTS)
@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"start": 2000}, "no rows from row 2000, so there is nothing to draw; it has 1000 rows"),
        ({"start": 20.0, "unit": "seconds"}, "no rows from second 20.0, .*; it has 10.0 seconds"),
        ({"start": 5, "stop": 5}, "no rows from row 5 and before row 5, "),
        ({"stop": 0}, "no rows before row 0, "),
    ],
    ids=str,
)
def test_a_window_without_rows_is_refused(kind, window, words):
    payload = write(np.zeros((1000, 3, 3)), samplerate_hz=100)
    ax = axes()
    with pytest.raises(InvalidRangeError, match=words):
        payload.plot(ax, kind, **window)
    assert [*ax.lines, *ax.images, *ax.tables] == []


def test_a_payload_without_rows_is_drawn_with_a_window_as_without():
    payload = write(np.zeros((0, 3)), samplerate_hz=100)
    assert payload.plot(axes(), start=0, stop=10, unit="seconds").get_title()


def test_units_and_names_are_labels_and_no_formulas():
    ax = draw(write(np.zeros((9, 2)), metadata={"unit": "$m$", "channel_names": ["x_1", "$y"]}).plot(axes()))
    assert ax.get_ylabel() == r"in \$m\$"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["x_1", r"\$y"]
    one = write(np.zeros((9, 2)), metadata={"unit": "g"}).plot(axes(), channels=1)
    assert one.get_ylabel() == "1 in g"


def test_channels_are_chosen_and_stacked():
    values = np.zeros((50, 6)) + np.arange(6)
    values[::2] += 1
    payload = write(values, metadata={"channels": list("abcdef")})
    assert [line.get_ydata()[1] for line in payload.plot(axes(), channels=["b", -1]).lines] == [1, 5]
    stacked = draw(payload.plot(axes()))
    assert [label.get_text() for label in stacked.get_yticklabels()] == list("abcdef")
    tops, bottoms = ([find(line.get_ydata()) for line in stacked.lines] for find in (np.max, np.min))
    assert all(low > high for low, high in zip(bottoms, tops[1:], strict=False))
    assert len({line.get_ydata()[0] for line in payload.plot(axes(), stacked=False).lines}) == 6


def test_of_very_many_channels_the_first_are_drawn(sorts):
    ax = sorts.payloads["many channels"].plot(axes())
    assert len(ax.lines) == 32
    assert "32 of 5000 channels" in ax.get_title()


def test_a_complex_number_is_two_channels(sorts):
    lines = sorts.payloads["complex"].plot(axes()).lines
    assert [line.get_label() for line in lines] == ["real", "imag"]
    assert np.array_equal(lines[1].get_ydata(), SORTS["complex"].imag)


# -- spectrograms ---------------------------------------------------------------------------------


def test_a_spectrogram_shows_the_frequency_and_the_power():
    time = np.arange(100_000) / 1000
    ax = write(2 * np.sin(2 * np.pi * 125 * time), samplerate_hz=1000, metadata={"unit": "V"}).plot(
        axes(), "spectrogram"
    )
    (image,) = ax.images
    power = 10 ** (image.get_array() / 10)
    low, high = image.get_extent()[2:]
    step = (high - low) / (len(power) - 1)
    assert (high, ax.get_ylabel()) == (500, "frequency in Hz")
    assert abs(np.argmax(power[:, 5]) * step - 125) <= step
    assert power[:, 5].sum() * 1000 / 512 == pytest.approx(2, rel=1e-3)  # the mean square of the sine
    assert power.shape[1] <= WIDTH


def test_a_spectrogram_of_a_long_signal_reads_some_windows(counting, monkeypatch):
    monkeypatch.setattr("lotdb.looking.plot_spectrogram._WHOLE_BYTES", 1 << 20)
    node, read = counting
    node.write_data(np.zeros(20_000_000, "i2"))
    _, count = read(lambda again: again.payloads["data"].plot(axes(), "spectrogram"))
    assert count < 2 * WIDTH * (32 << 10) < 40_000_000


def test_a_gap_of_a_spectrogram_is_a_gap():
    values = np.random.default_rng(1).normal(size=50_000)
    values[20_000:30_000] = np.nan
    (image,) = draw(write(values, samplerate_hz=10).plot(axes(), "spectrogram")).images
    gone = np.flatnonzero(np.ma.getmaskarray(image.get_array()).all(axis=0))
    shown = gone / image.get_array().shape[1]
    assert 0.38 < shown.min() < 0.41
    assert 0.59 < shown.max() < 0.62


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 100])
def test_a_spectrogram_of_few_rows(rows):
    ax = draw(write(np.ones((rows, 2))).plot(axes(), "spectrogram"))
    assert len(ax.images) == (rows > 1)


# -- images and tables ----------------------------------------------------------------------------


def test_an_image_shows_its_pixels(sorts):
    for name in ("grey", "colours"):
        (image,) = sorts.payloads[name].plot(axes()).images
        assert np.array_equal(image.get_array(), SORTS[name])
    (image,) = sorts.payloads["with alpha"].plot(axes()).images
    assert np.array_equal(image.get_array()[:, :, 3], SORTS["with alpha"][:, :, 1])
    assert np.array_equal(image.get_array()[:, :, 2], SORTS["with alpha"][:, :, 0])
    (image,) = sorts.payloads["film"].plot(axes(), start=2).images
    assert np.array_equal(image.get_array(), SORTS["film"][2])


def test_a_matrix_shows_its_values_with_a_scale(sorts):
    (image,) = sorts.payloads["matrix"].plot(axes()).images
    assert np.array_equal(image.get_array().mask, np.isnan(SORTS["matrix"]))
    assert image.colorbar.ax.get_ylabel() == r"m\$"


def test_a_large_image_is_drawn_with_no_more_pixels_than_are_seen(monkeypatch):
    monkeypatch.setattr("lotdb.looking.plot_image._BLOCK_BYTES", 50_000)
    values = np.arange(3000 * 2000, dtype="u4").reshape(3000, 2000)
    (image,) = write(values).plot(axes()).images
    assert np.array_equal(image.get_array(), values[::15, ::5])
    assert image.get_extent() == [-0.5, 1999.5, 2999.5, -0.5]


def test_metadata_of_an_image_file_say_what_its_numbers_are():
    palette = np.array([[255, 0, 0], [0, 0, 255]], "u1")
    places = np.array([[0, 1], [1, 0]], "u1")
    payload = write(places, content_type="image/png", metadata={"mode": "P", "palette": palette})
    assert np.array_equal(payload.plot(axes()).images[0].get_array(), palette[places])
    ink = np.zeros((1, 2, 4), "u1")
    ink[0, 1] = 0, 255, 255, 0
    payload = write(ink, content_type="image/jpeg", metadata={"mode": "CMYK"})
    assert payload.plot(axes()).images[0].get_array().tolist() == [[[255, 255, 255], [255, 0, 0]]]
    payload = write(np.array([[0, 255]], "u1"), content_type="image/tiff", metadata={"white_is_zero": True})
    assert payload.plot(axes()).images[0].get_array().tolist() == [[255, 0]]
    grey = np.full((1, 1, 3), 128, "u1")
    grey[0, 0, 0] = 77
    payload = write(grey, content_type="image/jpeg", metadata={"mode": "YCbCr"})
    assert payload.plot(axes()).images[0].get_array().tolist() == [[[77, 77, 77]]]


def test_a_table_shows_its_first_rows(sorts):
    ax = draw(sorts.payloads["table"].plot(axes()))
    cells = {place: cell.get_text().get_text() for place, cell in ax.tables[0].get_celld().items()}
    assert [cells[0, column] for column in range(4)] == ["", "t", "n", "label"]
    assert [cells[4, column] for column in range(4)] == ["3", "0.3", "", "walk"]
    assert "the first 10 of 40 rows" in ax.get_title()


# -- what is wrong --------------------------------------------------------------------------------


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("name", "how", "error", "words"),
    [
        ("float", {"kind": "wave"}, InvalidOptionError, "'waveform', 'spectrogram', 'image', 'table'"),
        ("float", {"kind": "image"}, InvalidDataError, "is no image: its shape is \\(5000,\\)"),
        ("texts", {"kind": "waveform"}, InvalidDataError, "<U.*use kind='table'"),
        ("time", {"kind": "spectrogram"}, InvalidDataError, "datetime64"),
        ("no numbers", {"kind": "waveform"}, InvalidDataError, "holds no numbers"),
        ("fields", {"kind": "image"}, InvalidDataError, "is no image"),
        ("float", {"channels": 1}, InvalidOptionError, "no channel 1; use a number from 0 to 0"),
        ("channels", {"channels": ["z"]}, InvalidOptionError, "no channel 'z'"),
        ("channels", {"channels": [True]}, InvalidOptionError, "no channel True"),
        ("channels", {"channels": 1.5}, InvalidOptionError, "no channel 1.5"),
        ("channels", {"channels": []}, InvalidOptionError, "at least one channel"),
        ("channels", {"kind": "spectrogram", "channels": [0, 1]}, InvalidOptionError, "one channel"),
        ("no columns", {"kind": "spectrogram"}, InvalidDataError, "no channels"),
        ("grey", {"channels": 0}, InvalidOptionError, "all of them"),
        ("grey", {"start": 3}, InvalidRangeError, "single image"),
        ("float", {"start": 9, "stop": 3}, InvalidRangeError, "'float'"),
        ("float", {"start": 1, "unit": "seconds"}, InvalidRangeError, "rate"),
        ("float", {"ax": "x"}, InvalidOptionError, "ax is 'x'; use the Axes"),
    ],
)
def test_a_wrong_call_says_what_to_do(name, how, error, words, sorts):
    with pytest.raises(error, match=words):
        sorts.payloads[name].plot(**{"ax": axes(), **how})


def test_without_axes_there_is_a_new_figure():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_backend()
    pyplot.switch_backend("agg")
    try:
        ax = write(np.arange(9.0)).plot()
        assert ax.figure.number in pyplot.get_fignums()
    finally:
        pyplot.close("all")
        pyplot.switch_backend(before)


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPluginError, match=r'pip install "lotdb-core\[plot\]"'):
        write(np.zeros(3)).plot()


@pytest.mark.slow
def test_looking_imports_nothing_heavy():
    code = (
        "import sys, numpy as np; from lotdb import BaseNode; node = BaseNode('r').get_data_node('a'); "
        "node.write_data(np.zeros(9)); node._repr_html_(); str(node.tree()); "
        "print(*({'matplotlib', 'IPython', 'PIL', 'zarr', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")
