"""Contexts that give a root, and say so to whoever takes them for the root itself."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from lotdb.errors import ClosedError

if TYPE_CHECKING:
    from lotdb.node_api.nodes import BaseNode

__all__ = ["RootContext"]


class _NotEnteredError(ClosedError, AttributeError):
    """A ``ClosedError`` that also ends a search for an attribute, as ``hasattr`` makes one."""


class RootContext(AbstractContextManager["BaseNode"]):
    """What ``with`` makes a root of.

    Parameters
    ----------
    context
        The context that opens and closes.
    call
        What the user has called, for messages.
    instead
        The rest of the advice, if there is another way to a root.
    """

    __slots__ = ("_call", "_context", "_instead")

    def __init__(self, context: AbstractContextManager[BaseNode], call: str, instead: str = "") -> None:
        self._context, self._call, self._instead = context, call, instead

    def __enter__(self) -> BaseNode:
        return self._context.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._context.__exit__(kind, error, trace)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # of a protocol that somebody looks for
            raise AttributeError(name)
        self._refuse()

    def _refuse(self, *_: object) -> NoReturn:
        raise _NotEnteredError(
            f"{self._call} gives a root in a `with` block only: with {self._call} as root: ...{self._instead}"
        )

    __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __len__ = _refuse
