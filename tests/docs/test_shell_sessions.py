"""The shell sessions in docs/ print what they show, after the Python code of their page."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.test_readme import PAGES, blocks_of, run_page

COMMAND = re.compile(r"^\$ (.*)\n", re.MULTILINE)


def sessions_of(page):
    return [block for block in blocks_of(page) if block.language == "console"]


@pytest.mark.parametrize("page", [page for page in PAGES if sessions_of(page)], ids=lambda page: page.name)
def test_a_shell_session_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in sessions_of(page):
        _, *parts = COMMAND.split(block.text)
        for command, shown in zip(parts[::2], parts[1::2], strict=True):
            done = subprocess.run(
                ["bash", "-c", command],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            same = doctest.OutputChecker().check_output(shown, done.stdout, doctest.ELLIPSIS)
            assert same, f"{page.name}: {command} prints\n{done.stdout}"


def test_the_tutorial_and_the_page_of_the_command_line_have_sessions():
    assert {"tutorial.md", "command-line.md"} <= {page.name for page in PAGES if sessions_of(page)}
