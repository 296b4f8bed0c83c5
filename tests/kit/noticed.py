"""Runs chosen tests of the kits on plugins that are broken on purpose, in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

RECORDER = """
    import json, os

    CHOSEN = json.loads(os.environ["CHOSEN"])

    def pytest_pycollect_makeitem(collector, name, obj):
        # Some sixty classes of two hundred tests each: what cannot be chosen is not even collected.
        if hasattr(collector, "obj") and isinstance(collector.obj, type):
            if name.startswith("test_") and not any(words in name for words in CHOSEN[collector.name]):
                return []
        elif name.startswith("Test") and name not in CHOSEN:
            return []

    def pytest_runtest_logreport(report):
        if report.when == "call" or report.outcome != "passed":
            with open("outcomes", "a") as file:
                said = str(report.longrepr[2] if report.outcome == "skipped" else report.longrepr or "")
                file.write(json.dumps([report.nodeid.partition("::")[2], report.outcome, said]) + "\\n")
"""


def outcomes_of(folder, source, chosen, *options):
    """What becomes of the tests whose names are chosen: by class and name, the outcome and what is said.

    *source* is a file of tests; *chosen* are pairs of a class and words of pytest's ``-k``;
    *options* are more of pytest's.
    """
    lines = RECORDER.strip("\n").split("\n")
    (folder / "conftest.py").write_text("\n".join(line[4:] for line in lines), encoding="utf-8")
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    words = " or ".join(f"({cls} and {test})" for cls, test in chosen)
    begins: dict[str, list[str]] = {}
    for cls, test in chosen:
        begins.setdefault(cls, []).append(test.partition(" and ")[0])
    here = os.fspath(Path(__file__).parent)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q"),
            *("-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin"),
            # The same random examples each time: what is noticed today is noticed tomorrow.
            *("--hypothesis-seed=0", "-k", words, *options),
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": here,
            "LOTDB_KIT_EFFORT": "0.1",
            "CHOSEN": json.dumps(begins),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # of the plugins, that of zarr imports zarr
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-3000:]
    found = {}
    for line in (folder / "outcomes").read_text(encoding="utf-8").splitlines():
        test, outcome, said = json.loads(line)
        if found.get(test, ("passed",))[0] == "passed":
            found[test] = (outcome, said)
    return found


def check_noticed(found, broken):
    """Each of the *broken* plugins fails its tests, with a message that says what to do."""
    unnoticed, unsaid = [], []
    for plugin, tests in broken.items():
        for test in tests:
            words = test.replace(" and ", " ").split()
            outcomes = [
                said
                for name, said in found.items()
                if name.startswith(f"Test{plugin}::") and all(word in name for word in words)
            ]
            failed = [said for outcome, said in outcomes if outcome == "failed"]
            if not failed:
                unnoticed.append((plugin, test, outcomes))
            unsaid += [(plugin, said) for said in failed if not says_what_to_do(said)]
    assert not unnoticed, unnoticed
    assert not unsaid, unsaid


def says_what_to_do(said):
    """Whether a failure names the promise, what was done instead, and where the promise is written."""
    parts = "broken promise: ", "\n  what it did: ", "\n  written in: docs/"
    return said.startswith(parts[0]) and all(part in said for part in parts)
