"""``lotdb.diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lotdb.queries.differences import Diff

__all__ = ["diff"]


def diff(a: Any, b: Any) -> Diff:
    """What differs between the nodes *a* and *b*, with all that is below them.

    Nodes that both share, as branches do, are passed by unread: the difference between a branch of a million
    nodes and its original takes as long as what was changed in it.

    Parameters
    ----------
    a, b
        Two nodes, of one tree or of two: two branches, a database and its copy, trees in memory. Their own
        keys are not compared.

    Returns
    -------
    Diff
        An iterable of differences, each a small frozen record with ``kind``, ``path``, ``old_path``,
        ``name``, ``before``, ``after``, ``rows`` and ``fields``.

    Raises
    ------
    WrongNodeError
        If one of them is not a node.
    """
    from lotdb.queries.differences import Diff  # which not every program needs

    return Diff(a, b)
