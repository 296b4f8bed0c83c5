"""What PyPI shows of the distribution `lotdb` leads somewhere."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return next(folder.glob("lotdb-*.tar.gz"))


@pytest.mark.slow
def test_each_file_that_the_page_names_is_in_the_sdist(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        metadata = archive.extractfile(f"{sdist.name.removesuffix('.tar.gz')}/PKG-INFO").read().decode()
    page = metadata.partition("\n\n")[2]
    assert page.startswith("# LOTDB\n")
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    named = re.findall(r"\(`([^`]*)`\)", page)
    assert "docs/tutorial.md" in named
    assert "LICENSE" in named
    assert set(named) <= names
