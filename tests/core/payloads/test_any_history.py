"""Any array, written in any pieces, comes back."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from tests.core.payloads.stored import assert_same


@pytest.mark.slow
@settings(
    max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    array=npst.arrays(
        dtype=st.one_of(
            npst.integer_dtypes(endianness="?"),
            npst.floating_dtypes(endianness="?"),
            npst.complex_number_dtypes(),
            npst.datetime64_dtypes(),
            npst.byte_string_dtypes(min_len=1),
            npst.unicode_string_dtypes(min_len=1),
            npst.array_dtypes(allow_subarrays=False),
        ),
        shape=npst.array_shapes(min_dims=0, min_side=0, max_dims=4),
    )
)
def test_any_array_comes_back(db, array):
    node = db.open_connection().get_data_node("a")
    node.write_data(array)
    db.commit()
    assert_same(node.read_data(), array)


def test_a_write_that_failed_does_not_keep_the_transaction_from_being_committed(
    db_of_files, tmp_path, monkeypatch
):
    from lotdb_backend_blob import npy_writing

    db = db_of_files
    root = db.open_connection()
    node = root.get_data_node("a")
    node.write_data(np.arange(10))
    real = npy_writing._write_all

    def full(descriptor, data):
        real(descriptor, data[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(npy_writing, "_write_all", full)
        with pytest.raises(OSError, match="No space"):
            node.write_data(np.arange(1_000_000))
    assert node.read_data().tolist() == list(range(10))
    db.commit()
    db.pack()
    assert node.read_data().tolist() == list(range(10))
    assert len(list(tmp_path.glob("**/*.blob"))) == 1
