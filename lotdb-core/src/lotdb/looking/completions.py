"""What a notebook offers for the Tab key within ``node["…"]``, at a bounded cost."""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Iterable
from itertools import islice, takewhile

from lotdb.looking.looked_at import LookedNode

__all__ = ["MOST", "first", "path_completions"]

#: So many names are offered at most.
MOST = 1000

# What stands behind the last bracket with a quote that is not closed yet.
_BEGUN = re.compile(r"""\[\s*(?:"([^"]*)|'([^']*))$""")


def path_completions(node: LookedNode) -> list[str]:
    """Paths below *node* that continue what was typed; of all levels, from the top, if that is not known."""
    try:
        begun = _typed()
        return _nearest(node) if begun is None else _continued(node, begun)
    except Exception:  # completing must not disturb the line that somebody is writing
        return []


def first(names: Iterable[str]) -> list[str]:
    """The names to offer of a mapping."""
    try:
        return list(islice(names, MOST))
    except Exception:
        return []


def _continued(node: LookedNode, begun: str) -> list[str]:
    above, slash, last = begun.rpartition("/")
    found = node.get(above) if above else node
    if found is None:
        return []
    keys = takewhile(lambda key: key.startswith(last), found._keys_from(last))
    return [f"{above}{slash}{key}" for key in islice(keys, MOST)]


def _nearest(node: LookedNode) -> list[str]:
    paths: list[str] = []
    waiting = deque([("", node)])
    while waiting and len(paths) < MOST:
        above, here = waiting.popleft()
        for child in islice(here.values(), MOST - len(paths)):
            paths.append(above + child.key)
            waiting.append((f"{paths[-1]}/", child))
    return paths


def _typed() -> str | None:
    """The begun text in the brackets of the line that somebody types in IPython; None if that is unknown.

    IPython asks for all keys, and does not say what was typed. Its completer has the line.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    line = getattr(getattr(shell, "Completer", None), "text_until_cursor", None)
    begun = _BEGUN.search(line) if isinstance(line, str) else None
    return None if begun is None else begun[1] or begun[2] or ""
