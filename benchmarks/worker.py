"""Run one side of a case in this process, and print what it measured as JSON.

A process of its own for each repetition: nothing is cached in it that a reader's program would not have, and
lotdb 1.1.3 can run in an environment of its own. It imports next to nothing, so that imports can be timed.
"""

import importlib
import json
import sys


def main() -> None:
    """``python -m benchmarks.worker theme function arguments``."""
    module, function, arguments = sys.argv[1:]
    figures = getattr(importlib.import_module(module), function)(**json.loads(arguments))
    print(json.dumps(figures or {}))


if __name__ == "__main__":
    main()
