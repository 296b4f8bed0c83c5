"""A database that a newer release has written is told by its version, and never taken for damage."""

import numpy as np
import pytest

from lotdb import LOTDB, DatabaseFormatError

ARRAY = np.arange(300_000)


def note(folder, name, version):
    """Have the database note, as a newer release does, the form in which something was written."""
    with LOTDB(folder) as db, db.connection() as root:
        root.attrs["note"] = version
        root._tree._session.connection.root()["formats"] = {name: version}


@pytest.mark.parametrize("name", ["blob", "zarr"])
def test_a_newer_form_of_a_backend_is_told(tmp_path, name):
    with LOTDB(tmp_path) as db, db.connection() as root:
        root.get_data_node("a").write_data(ARRAY, backend=name)
        root.get_data_node("text").write_data("a text", backend="zarr" if name == "blob" else "blob")
    note(tmp_path, name, 2)
    with LOTDB(tmp_path, read_only=True) as db, db.connection() as root:
        told = f"backend '?{name}.* version 1 .* have version 2; install"
        with pytest.raises(DatabaseFormatError, match=told):
            root["a"].read_data()
        assert root["text"].read_data() == "a text"


def test_a_newer_form_of_payload_records_is_told(tmp_path):
    with LOTDB(tmp_path) as db, db.connection() as root:
        root.get_data_node("a").write_data(ARRAY)
    note(tmp_path, "lotdb", 5)
    told = "records of version 5, and this LOTDB reads versions up to 4"
    for read_only in (True, False):
        with pytest.raises(DatabaseFormatError, match=told):
            LOTDB(tmp_path, read_only=read_only)
