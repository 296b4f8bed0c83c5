"""What the tests of images share: a node to attach them to."""

import pytest

from lotdb import BaseNode


@pytest.fixture
def node():
    return BaseNode("root").get_data_node("picture")
