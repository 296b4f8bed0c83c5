"""The log of calls that power cuts are replayed from."""

from torture.write_log import events_in


def test_a_call_that_another_thread_has_interrupted_counts(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        '7 write(5</x>, "\\x61\\x62", 2) = 2\n'
        '7 write(5</x>, "\\x63", 1 <unfinished ...>\n'
        "8 +++ exited with 0 +++\n"
        "7 <... write resumed>)              = 1\n"
        "7 fsync(5</x>) = -1 EIO (Input/output error)\n"
    )
    assert [(each.call, each.strings(), each.result) for each in events_in(log)] == [
        ("write", [b"ab"], 2),
        ("write", [b"c"], 1),
    ]
