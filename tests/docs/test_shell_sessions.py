"""The shell sessions in docs/ print what they show, after the Python code of their page."""

import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from tests.docs.test_readme import PAGES, blocks_of, run_page

from lotdb.cli.__main__ import main

COMMAND = re.compile(r"^\$ (.*)\n", re.MULTILINE)


def sessions_of(page):
    return [block for block in blocks_of(page) if block.language == "console"]


def printed(command):
    """What the command prints and complains of.

    Ours runs in this process: starting one takes much longer.
    """
    if not command.startswith("lotdb "):
        path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
        done = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PATH": path},
        )
        return done.stdout + done.stderr
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with redirect_stdout(shown), redirect_stderr(shown):
        main(shlex.split(command)[1:])
    shown.flush()
    return shown.buffer.getvalue().decode()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("page", [page for page in PAGES if sessions_of(page)], ids=lambda page: page.name)
def test_a_shell_session_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)
    for block in sessions_of(page):
        before, *parts = COMMAND.split(block.text)
        assert before == ""
        for command, shown in zip(parts[::2], parts[1::2], strict=True):
            output = printed(command)
            same = doctest.OutputChecker().check_output(shown, output, doctest.ELLIPSIS)
            assert same, f"{page.name}: {command} prints\n{output}"


def test_the_tutorial_and_the_page_of_the_command_line_have_sessions():
    assert {"tutorial.md", "command-line.md"} <= {page.name for page in PAGES if sessions_of(page)}
