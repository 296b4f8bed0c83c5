"""What an error of the library advises, as it is typed in a shell."""

from __future__ import annotations

import re

__all__ = ["for_a_shell"]

# What a message says to a program, and what it says to somebody at a shell.
_IN_A_SHELL = [
    (re.escape("timeout=seconds, or open it with read_only=True"), "--timeout SECONDS"),
    (re.escape("open the database with timeout=seconds"), "add --timeout SECONDS"),
    (re.escape(" (add_tree takes if_exists='replace')"), ""),
    (re.escape("; a key is the name of one level; get_node_path takes several"), ": it is one name"),
    (re.escape("ingest into a new node, such as get_node('copy')"), "name a new node, as with --at copy"),
    (r"; ingest_tree takes in a folder of (other )?files", r"; to store a folder of \1files, add a PATTERN"),
    (r"pass if_exists='replace'", "pass --replace"),
    (r"pass format=", "pass --format"),
    (r"\bformat='(\w+)'", r"--format \1"),
    (r"\bformat=", "--format"),
    (r"; \w+= takes the folder and name= the file in it: .*", "; a database is a folder"),
    (re.escape("; configure_data sets and unsets it"), "; choose another name"),
    (r"; read\(\) gives it\Z", "; lotdb cat prints it"),
    (r"; use kind='(\w+)'", r"; use --kind \1"),
    (r"\Achannels is .*; a (\w+) is drawn", r"no --channel can be named: a \1 is drawn"),
    (r"\Achannels is .*; a (\w+) shows", r"several --channel were named: a \1 shows"),
    (re.escape("; write_data replaces it, delete_data removes it"), "; lotdb rm --payload removes it"),
    (r"; use lotdb\.DataWriter\b.*", ""),
    (r"; a time is an aware datetime\Z", "; a time is as 2026-11-28T12:00, and --keep takes spans, as 30d"),
]


def for_a_shell(message: str) -> str:
    """*message*, with what to type in place of what to call.

    >>> for_a_shell("'out' has no suffix that says the format; pass format=")
    "'out' has no suffix that says the format; pass --format"
    """
    for called, typed in _IN_A_SHELL:
        message = re.sub(called, typed, message)
    return message
