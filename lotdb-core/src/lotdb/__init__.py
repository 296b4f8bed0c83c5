"""LOTDB, the Light Object Tree DB: a persistent tree for results, their metadata and their arrays."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lotdb.public import *  # noqa: F403
    from lotdb.public import __all__ as __all__

__version__ = "2.0.0"

# The public names are loaded when the first of them is asked for. `import lotdb` is also the first step of
# `import lotdb.cli`, and a command line that shows its help should not wait for ZODB and numpy.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "__all__" or not name.startswith("__"):
            public = import_module("lotdb.public")
            globals()["__all__"] = public.__all__
            if name == "__all__" or name in public.__all__:
                found = globals()[name] = getattr(public, name)
                return found
            if hint := import_module("lotdb.renamed").import_hint(name):
                # `from lotdb import name` asks so, and makes a message of its own of an AttributeError.
                asks = sys._getframe(1).f_code.co_name == "_handle_fromlist"
                raise ImportError(hint, name=__name__) if asks else public.RenamedError(hint)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
