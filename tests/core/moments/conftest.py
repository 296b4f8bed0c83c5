"""What the tests of moments share."""

import pytest

from lotdb import LOTDB


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def db(folder):
    with LOTDB(folder, durability="process") as database:
        yield database
