"""The example of `make demo`: what it prints, what it stores, and whether the numbers are right."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lotdb import LOTDB
from lotdb.steps import provenance

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "examples/data/daphnet-S06R02E0.csv"


def run(folder, program=ROOT / "examples/gait.py"):
    command = [sys.executable, "-W", "error", program, "--database", folder]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The database that the example made, and what it printed the first and the second time."""
    folder = tmp_path_factory.mktemp("demo") / "gait"
    return folder, run(folder), run(folder)


@pytest.fixture(scope="module")
def root(demo):
    with LOTDB(demo[0], read_only=True) as db, db.connection() as root:
        yield root


@pytest.fixture(scope="module")
def columns():
    """The columns of the recording, read without the example's help."""
    with RECORDING.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([int(row[name]) for row in rows]) for name in rows[0] if name != "timestamp"}


def test_first_run_computes_every_result_and_says_why(demo):
    _, first, _ = demo
    assert first.rstrip().endswith("Computed this time: 4 results.")
    assert first.count("was not computed yet") == 4


def test_second_run_computes_nothing_and_says_so(demo):
    _, _, second = demo
    assert second.rstrip().endswith("Computed this time: nothing.")
    assert " ms\n" not in second


def test_second_run_shows_the_same_tree_and_results(demo):
    _, first, second = demo

    def shown(output):
        return output[output.index("The tree:") : output.index("The database takes")]

    assert shown(first) == shown(second)


def test_output_does_not_claim_a_detection(demo):
    assert "Annotated as frozen: 0 of 7040 samples." in demo[1]
    assert "nothing is detected" in demo[1]


@pytest.mark.parametrize("trial", ["R02", "R02-raw", "R02-hann"])
@pytest.mark.parametrize("sensor", ["ankle", "leg", "trunk"])
def test_the_recording_is_stored_as_it_was_measured(root, columns, trial, sensor):
    payload = root["S06"][trial][sensor].get_data("acceleration")
    measured = [columns[f"{sensor}_{axis}"] for axis in payload.metadata["axes"]]
    np.testing.assert_array_equal(payload, np.stack(measured, axis=1))
    assert (payload.samplerate_hz, payload.metadata["unit"]) == (64, "mg")


def test_licence_and_citation_are_kept_with_the_subject(root):
    assert root["S06"].attrs["licence"] == "CC BY 4.0"
    assert "Bächlin" in root["S06"].attrs["citation"]


def powers_by_definition(window, taper):
    """The powers from 0.5 to below 3 Hz and from 3 to 8 Hz, in a window of 256 samples at 64 Hz.

    The sum of the discrete Fourier transform as textbooks write it. A sine of amplitude 1 has power 1/2.
    """
    n = np.arange(256)
    power = {
        k: 2 * abs(np.sum(window * taper * np.exp(-2j * np.pi * k * n / 256))) ** 2 / (256 * np.sum(taper**2))
        for k in range(2, 32 + 1)  # bins of 0.25 Hz
    }
    return sum(power[k] for k in range(2, 12)), sum(power[k] for k in range(12, 32 + 1))


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("variant", "hop", "rate_hz", "taper"),
    [
        ("R02-raw", 256, 0.25, np.ones(256)),
        ("R02-hann", 32, 2.0, np.sin(np.pi * np.arange(256) / 256) ** 2),
    ],
)
def test_results_are_what_the_definition_gives(root, columns, variant, hop, rate_hz, taper):
    vertical = columns["leg_vert"].astype(float)
    expected = []
    for start in range(0, len(vertical) - 256 + 1, hop):
        window = vertical[start : start + 256]
        if variant == "R02-hann":
            window = window - window.mean()
        expected.append(powers_by_definition(window, taper))
    walking, freezing = np.transpose(expected)
    powers = root["S06"][variant]["leg/band_power"].payloads["power"]
    index = root["S06"][variant]["leg/band_power/freeze_index"].get_data()
    np.testing.assert_allclose(powers, expected, rtol=1e-9)
    np.testing.assert_allclose(index, freezing / walking, rtol=1e-9)
    assert (powers.samplerate_hz, index.samplerate_hz, powers.metadata["unit"]) == (rate_hz, rate_hz, "mg²")


@pytest.mark.parametrize("variant", ["R02-raw", "R02-hann"])
def test_dominant_frequency_is_that_of_steps(root, variant):
    assert 1 <= root["S06"][variant]["leg/band_power"].attrs["dominant_hz"] <= 2.5


def test_settings_and_source_are_kept_with_the_result(root):
    result = root["S06/R02-hann/leg/band_power"]
    settings = provenance(result).settings
    assert settings["taper"] == "hann"
    assert settings["band_edges_hz"] == (0.5, 3.0, 8.0)
    assert "Moore" in result.payloads["power"].metadata["source"]


def test_branches_share_the_recording_instead_of_copying_it(demo, root):
    trials = [root["S06"][trial] for trial in ("R02", "R02-raw", "R02-hann")]
    recordings = [
        trial[sensor].get_data("acceleration").nbytes
        for trial in trials
        for sensor in ("ankle", "leg", "trunk")
    ]
    on_disk = sum(file.stat().st_size for file in demo[0].rglob("*") if file.is_file())
    assert sum(recordings) == 3 * 126_720
    file = root["S06/file"].get_data().nbytes
    assert file == 7040 * 88
    # One recording, the file that it came from, and the rest; a second copy would not fit.
    assert on_disk < 126_720 + file + 80_000


def computed(output):
    """The paths of the results that were computed, and why."""
    lines = [line.strip() for line in output.splitlines() if " ms" in line]
    return dict(line.rpartition(", ")[0].split(": ", 1) for line in lines)


@pytest.mark.slow
def test_a_sample_that_is_replaced_has_exactly_its_results_computed_again(demo, tmp_path):
    folder = tmp_path / "gait"
    shutil.copytree(demo[0], folder)
    with LOTDB(folder) as db, db.connection() as root:
        leg = root["S06/R02-raw/leg"]
        samples = leg.read_data()
        samples[1000, 1] += 1
        leg.write_data(samples, metadata=leg.get_data().metadata)
        trunk = root["S06/R02-hann/trunk"]
        trunk.write_data(trunk.read_data() + 1, metadata=trunk.get_data().metadata)  # of which there are none
    output = run(folder)
    assert computed(output) == {
        "S06/R02-raw/leg/band_power": "input 'acceleration' was replaced",
        "S06/R02-raw/leg/band_power/freeze_index": "input 'power' was replaced",
    }
    assert "Computed this time: 2 results." in output
    assert "Computed this time: nothing." in run(folder)


@pytest.mark.slow  # tests/steps shows it without the example
def test_other_settings_and_other_code_have_results_computed_again(demo, tmp_path):
    folder, program = tmp_path / "gait", tmp_path / "gait.py"
    shutil.copytree(demo[0], folder)
    shutil.copytree(ROOT / "examples/data", tmp_path / "data")
    text = (ROOT / "examples/gait.py").read_text("utf-8")
    program.write_text(text.replace('"hop_s": 4.0', '"hop_s": 2.0'), "utf-8")
    assert computed(run(folder, program)) == {
        "S06/R02-raw/leg/band_power": "setting 'hop_s' was 4.0 and is 2.0",
        "S06/R02-raw/leg/band_power/freeze_index": "input 'power' was replaced",
    }
    other = text.replace('"hop_s": 4.0', '"hop_s": 2.0').replace("power[:, 1:-1] *= 2", "power[:, 1:-1] *= 4")
    program.write_text(other, "utf-8")
    found = computed(run(folder, program))
    assert set(found.values()) == {"code of 'power_spectra' changed", "input 'power' was replaced"}
    assert len(found) == 4
    commented = other.replace("def power_spectra(", "# A comment changes nothing.\ndef power_spectra(")
    program.write_text(commented, "utf-8")
    assert computed(run(folder, program)) == {}
