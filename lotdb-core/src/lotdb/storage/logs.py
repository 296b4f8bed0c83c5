"""ZODB's own log, which says in many lines what LOTDB says in one.

Python writes warnings of a library to stderr if nobody has configured logging. What ZODB warns of is an error
or a warning of LOTDB as well, or nothing to worry about. A program that configures logging gets ZODB's lines
as before.
"""

from __future__ import annotations

import logging

__all__ = ["silence"]

_LOGGERS = ("ZODB", "relstorage", "txn", "zc.lockfile")


def silence() -> None:
    """Keep ZODB's log from stderr where nobody has asked for it."""
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(logging.NullHandler())
