"""Clones of branches: what takes the place of a shared branch when it is written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lotdb.records import OWN_KEY, Box, Entry
from lotdb.records.children import all_items
from lotdb.records.entries import guard_of, new_branch, shared_entry
from lotdb.records.patchwork import patchwork_of

__all__ = ["clone_branch", "clone_in_parts"]


def clone_branch(entry: Entry) -> Entry:
    """The entry of a branch of the same content, whose child records are shared with that of *entry*."""
    own = entry[1][OWN_KEY]
    clone = new_branch(entry[0], own if type(own) is tuple else Box(own.own))
    clone[1].update([(key, shared_entry(child)) for key, child in all_items(entry[1])])
    return clone


def clone_in_parts(entry: Entry, depend_on: Callable[[Any], object]) -> Entry:
    """The same for many children: the records in which they lie are shared, too, until they are changed.

    *depend_on* is called with each record of *entry* that the clone has a copy of.
    """
    clone = new_branch(entry[0], ())
    return (entry[0], patchwork_of(entry[1], depend_on), False, guard_of(clone))
