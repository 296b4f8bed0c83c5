"""The second example of a third party's package passes its tests, with the kits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "third_party_recordings"


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param("holds or registers or registered or comes_back or keeps_up or recording_is", id="some"),
        pytest.param("test", id="all", marks=pytest.mark.slow),
    ],
)
def test_its_tests_pass(chosen):
    environment = os.environ | {"PYTHONPATH": "src", "LOTDB_KIT_EFFORT": "0.05"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # of the plugins, that of zarr imports zarr
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "-p",
        "_hypothesis_pytestplugin",
        "-k",
        chosen,
    ]
    done = subprocess.run(command, cwd=EXAMPLE, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
