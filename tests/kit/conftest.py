"""How hard the conformance kits try our plugins.

``make test`` tries a twentieth of the examples, damages and kills; ``make test-all`` tries them all, and
``LOTDB_KIT_EFFORT`` sets how many.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.services import forked

from lotdb.testing import another_process
from lotdb.testing.promises import Kit

# The plugins that are broken on purpose, for the tests and for the processes that they start.
sys.path.insert(0, os.fspath(Path(__file__).parent))


def _forked(command, **how):
    """Start the other process of a kit, without importing all anew."""
    return forked.Popen(command[1:], needs=["lotdb_backend_zarr.backend"], **how)


vars(another_process)["subprocess"] = SimpleNamespace(PIPE=subprocess.PIPE, Popen=_forked)


def pytest_configure(config):
    if "not slow" in config.option.markexpr and "LOTDB_KIT_EFFORT" not in os.environ:
        Kit.effort = 0.05


# What takes long for what another test of the same kit, or the same test of another kit, shows.
SHOWN_ELSEWHERE = (
    "test_a_file_with_an_altered_byte_is_taken_in_or_refused[0]",
    "test_a_file_with_an_altered_byte_is_taken_in_or_refused[127]",
    "test_a_file_with_an_altered_byte_is_taken_in_or_refused[128]",
    "test_a_process_killed_among_commits_loses_none[1]",
    "TestSqliteStorage::test_a_kill_at_any_write_or_sync_loses_nothing",
    *(
        f"Test{name}::test_threads_may_take_files_in_at_once"
        for name in (
            "AudioIngester",
            "ImageIngester",
            "NpyIngester",
            "NpzIngester",
            "RawIngester",
            "TextIngester",
            "Rigs",
        )
    ),
    *(
        f"Test{name}::test_{what}_{is_read}"
        for name in ("AudioIngester", "ImageIngester", "NpzIngester", "TextIngester", "TableIngester")
        for what in ("a_file_with_flipped_bits", "random_bytes")
        for is_read in ("are_taken_in_or_refused", "is_taken_in_or_refused")
    ),
    *(
        f"Test{name}::test_{what}_is_taken_in_or_refused[{which}]"
        for name in ("AudioIngester", "NpzIngester", "TextIngester")
        for what, which in (("a_file_with_an_altered_byte", "255"),)
    ),
    "TestSqliteStorage::test_a_pack_beside_writers_takes_nothing_of_theirs",
    "TestSqliteStorage::test_what_another_process_sees_outlives_a_pack",
    "TestFileStorage::test_a_process_killed_among_commits_loses_none",
    "TestZarrBackend::test_many_small_arrays_come_back",
    "TestMemoryBackend::test_many_small_arrays_come_back",
)

# A few of their parameters show as much.
SAMPLED = (
    "test_arrays_of_every_shape_come_back",
    "test_what_was_written_is_read_back",
    "test_damage_is_told_and_never_read_as_data",
    "test_blocks_become_one_array",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/kit/" in item.nodeid and item.nodeid.endswith(SHOWN_ELSEWHERE):
            item.add_marker(pytest.mark.slow)
        if "tests/kit/" in item.nodeid and getattr(item, "originalname", None) in SAMPLED:
            item.add_marker(pytest.mark.sampled(6))
