"""The steps that this process has defined, to be found by what a result says of its own."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["find", "generation", "note", "wanted"]

#: The steps of the pipeline that runs, by name, with their settings; and what was computed so far.
wanted: ContextVar[tuple[dict[str, tuple[Any, Any]], list[Any]] | None] = ContextVar("wanted", default=None)

_MAIN = "__main__"
_count = 0
_steps: MutableMapping[tuple[str, str], Any] = WeakValueDictionary()


def note(module: str, name: str, step: Any) -> None:
    """Have results of this name be of *step*, which is the newest definition."""
    global _count
    _steps[module, name] = step
    _count += 1


def is_of_another(module: str, name: str, step: Any) -> bool:
    """Whether this process has a step of that name in that module, which is another one than *step*.

    A program that is started is called ``__main__``, whatever its module is called.
    """
    if module == step.module or _MAIN in (module, step.module):
        return False
    return (module, name) in _steps


def generation() -> int:
    """How many steps were defined so far."""
    return _count


def find(module: str, name: str) -> Any:
    """The step of that name in that module, or None.

    A program that is started calls its module ``__main__``, and so its steps may be found under either name.
    """
    step = _steps.get((module, name))
    if step is not None:
        return step
    others = [
        each for (there, called), each in list(_steps.items()) if called == name and _MAIN in (there, module)
    ]
    return others[0] if len(others) == 1 else None
