"""What the command ``lotdb`` starts. It must not import anything that the core alone does not bring."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with *arguments*, by default those of the process; its exit code.

    0: done. 1: it failed, or something is not there. 2: the command line is not right. 130: interrupted.
    """
    try:
        import click  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print(
            "lotdb: the command line needs click and rich; install them with: pip install 'lotdb-core[cli]'",
            file=sys.stderr,
        )
        return 1
    from lotdb.cli.shell import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
