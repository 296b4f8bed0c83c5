"""The group of all commands, each loaded when it is asked for, and what is said of an error."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from lotdb import __version__
from lotdb.cli import extensions
from lotdb.cli.advice import for_a_shell
from lotdb.cli.text import plain

__all__ = ["run"]

# Name, module and summary of each command, in the order of the help, which is shown without loading any.
COMMANDS = {
    "tree": ("cmd_tree", "Show the tree below a node."),
    "ls": ("cmd_tree", "List the children of a node."),
    "show": ("cmd_show", "Show attributes and payloads of a node."),
    "get": ("cmd_attributes", "Print the value of an attribute."),
    "set": ("cmd_attributes", "Set, or delete, attributes of a node."),
    "find": ("cmd_find", "Find nodes by their paths and what they hold."),
    "diff": ("cmd_find", "Say what differs between two nodes."),
    "cat": ("cmd_cat", "Print the rows of a payload, or its text."),
    "plot": ("cmd_plot", "Draw a payload as a picture."),
    "export": ("cmd_files", "Write a payload to a file."),
    "ingest": ("cmd_files", "Store the files of a folder."),
    "branch": ("cmd_edit", "Copy a subtree, without its data."),
    "move": ("cmd_edit", "Move or rename a node."),
    "rm": ("cmd_edit", "Delete nodes, payloads or attributes."),
    "du": ("cmd_sizes", "Say what a subtree takes on the disk, alone and shared."),
    "stats": ("cmd_sizes", "Say what a database takes, and what a pack would free."),
    "history": ("cmd_history", "List the commits, and those that changed a node."),
    "tag": ("cmd_history", "Name a moment, or list the names."),
    "undo": ("cmd_history", "Take back what one commit changed."),
    "bring-back": ("cmd_history", "Make a node what it was at a moment."),
    "verify": ("cmd_upkeep", "Read everything, and list the damage."),
    "pack": ("cmd_upkeep", "Free the disk space of data that nothing can reach."),
    "backup": ("cmd_backup", "Copy a database, or what is new in it, while it is written."),
    "restore": ("cmd_backup", "Copy a backup to a new folder, and check it."),
    "salvage": ("cmd_backup", "Read what can be read of a damaged database into a new one."),
    "convert": ("cmd_convert", "Copy a database into another storage."),
    "upgrade": ("cmd_upgrade", "Copy a database of lotdb 1.x into a new one."),
    "plugins": ("cmd_plugins", "List what is installed."),
}

# The errors for which the command line has to be changed; all others are about the data or the system. By
# their names, because the classes are not imported before a command needs them.
MISUSE = {
    "InvalidConditionError",
    "InvalidDataError",
    "InvalidIndexError",
    "InvalidKeyError",
    "InvalidMoveError",
    "InvalidOptionError",
    "InvalidRangeError",
    "NoAxisError",
    "UnsupportedValueError",
    "ValueTooLargeError",
}

_INTERRUPTED = "lotdb: interrupted; what was committed before is kept"
INTERRUPTED, NO_READER = 130, 141  # 128 and the number of the signal, as shells say it


class Commands(click.Group):
    """Our commands and those of plugins. Ours cannot be replaced."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *(name for name in extensions.names() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS:
            module = import_module(f"lotdb.cli.{COMMANDS[name][0]}")
            found: click.Command = getattr(module, f"{name.replace('-', '_')}_command")
            return found
        return extensions.load_command(name)

    def invoke(self, ctx: click.Context) -> Any:
        # Here, since click prints an empty line for Ctrl-C, and ends with 1 if nobody reads what is printed.
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if error.ctx is None and (name := ctx.invoked_subcommand):  # click's parser says no place
                error.ctx = click.Context(click.Command(name), parent=ctx, info_name=name)
            raise
        except KeyboardInterrupt:
            raise click.exceptions.Exit(_say(_INTERRUPTED, INTERRUPTED)) from None
        except BrokenPipeError:
            raise click.exceptions.Exit(_no_reader()) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            alike = get_close_matches(args[0], self.list_commands(ctx), 1)
            meant = f"; did you mean: lotdb {alike[0]}" if alike else ""
            raise click.UsageError(f"there is no command {args[0]!r}{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, summary) for name, (_, summary) in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        if others := self.list_commands(ctx)[len(COMMANDS) :]:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, f"See: lotdb {name} --help") for name in others])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: lotdb tree results. Paths inside of a database are written as a/b/c.",
)
@click.version_option(__version__, prog_name="lotdb", message="%(prog)s %(version)s")
def cli() -> None:
    """Look into LOTDB databases, and change them.

    A database is a folder. Commands that only read may run while another process writes.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; every error is one line, and so is every warning."""
    warnings.showwarning = _warn
    try:
        code = cli.main(arguments, prog_name="lotdb", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        place = error.ctx.command_path if error.ctx else "lotdb"
        return _say(f"{place}: {_sentence(error)} (see: {place} --help)", 2)
    except click.ClickException as error:
        return _say(f"lotdb: {error.format_message()}", error.exit_code)
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _say(_INTERRUPTED, INTERRUPTED)
    except BrokenPipeError:
        return _no_reader()
    except SystemExit as done:  # the end of a completion
        return int(done.code or 0)
    except MemoryError:
        return _say("lotdb: there is not enough memory for this", 1)
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> int:
    """What to say of an error; one that is neither ours nor the system's is a mistake of the program."""
    from lotdb import LotdbError

    if not isinstance(error, LotdbError | OSError):
        raise error
    return _say(f"lotdb: {for_a_shell(str(error))}", 2 if type(error).__name__ in MISUSE else 1)


def _warn(message: Warning | str, *_about: Any, **_named: Any) -> None:
    _say(f"lotdb: warning: {message}", 0)


def _sentence(error: click.UsageError) -> str:
    message = error.format_message()
    return (message[:1].lower() + message[1:]).rstrip(".")


def _say(message: str, code: int) -> int:
    print(plain(" ".join(message.split("\n"))), file=sys.stderr)
    return code


def _no_reader() -> int:
    # Python flushes once more at its end, and would complain.
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    return NO_READER
