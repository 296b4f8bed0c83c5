"""What is said of formats that no installed plugin has."""

import re

import numpy as np
import pytest

from lotdb import BaseNode, ExportError, IngestError, Plugins

PACKAGES = [("h5", '"lotdb-ingest[hdf5]"'), ("zarr", "lotdb-backend-zarr"), ("wav", "lotdb-ingest")]


class NoIngesters(Plugins):
    """Plugins of an environment in which nothing reads or writes files."""

    def ingesters(self, hook):
        return []


@pytest.mark.parametrize(("format", "package"), PACKAGES)
def test_a_format_that_no_plugin_has_is_named_with_what_brings_it(tmp_path, format, package):
    node = BaseNode("node", plugins=NoIngesters()).get_data_node("data")
    node.write_data(np.arange(3.0))
    (tmp_path / f"in.{format}").write_bytes(b"\x89HDF\r\n\x1a\n")
    command = re.escape(f"pip install {package}") + "$"
    for export in (node.export, node.get_data().export):
        with pytest.raises(ExportError, match=command):
            export(tmp_path / f"out.{format}")
    with pytest.raises(IngestError, match=command):
        node.attach_file(tmp_path / f"in.{format}")
    assert [path.name for path in tmp_path.iterdir()] == [f"in.{format}"]
