"""The command as a shell starts it: quickly, in pipes, in terminals, beside a writer, and interrupted."""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from tests.services import forked

from lotdb import LOTDB

COMMAND = [sys.executable, "-m", "lotdb.cli"]


def run(*arguments, **how):
    how = {"capture_output": True, "text": True, "timeout": 120, **how}
    return subprocess.run([*COMMAND, *map(str, arguments)], **how)


MANY = """
import sys
from lotdb.cli.__main__ import main
for arguments in ARGUMENTS:
    print("#", arguments[0], main(arguments))
"""


EACH = """
import contextlib, io, json, sys
from lotdb.cli.__main__ import main
for arguments in ARGUMENTS:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def run_each(environment, *commands):
    """Of each command the exit code, what it printed and its complaints; one process runs them all."""
    code = EACH.replace("ARGUMENTS", repr([[str(each) for each in arguments] for arguments in commands]))
    done = forked.run(["-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def in_terminal(*commands, **environment):
    """What the commands show in a terminal of 60 columns, errors included; each with its exit code."""
    code = MANY.replace("ARGUMENTS", repr([[str(each) for each in arguments] for arguments in commands]))
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm-256color", **environment}
    process = forked.Popen(["-c", code], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # as Linux says that all have closed it
            break
        if not part:
            break
        shown += part
    os.close(master)
    process.wait(60)
    return shown.decode()


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["tree", "--help"], ["ingest", "-h"], ["x"]]
)
def test_help_is_shown_without_numpy_zodb_zarr_and_rich(arguments):
    code = (
        "import json, sys\n"
        "from lotdb.cli.__main__ import main\n"
        f"main({arguments!r})\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "click" in loaded
    assert loaded & {"numpy", "ZODB", "zarr", "rich", "BTrees", "persistent", "importlib_metadata"} == set()


def test_help_names_each_command_and_each_command_shows_an_example():
    from lotdb.cli.shell import COMMANDS, cli

    names = [
        line.split()[0]
        for line in run("--help").stdout.partition("Commands:\n")[2].splitlines()
        if line[2:3].isalpha()
    ]
    assert names[: len(COMMANDS)] == list(COMMANDS)
    for name in COMMANDS:
        command = cli.get_command(None, name)
        assert f"lotdb {name} " in command.epilog
        assert command.help


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(database):
    with LOTDB(database) as db, db.connection() as root:
        for number in range(1500):
            root.get_node_path(f"many/{number}{'_' * 200}")
    for line in ("ls DB many | head -1", "tree DB --max-children 100000 | head -1"):
        shell = f"set -o pipefail; {shlex.join(COMMAND)} {line.replace('DB', shlex.quote(database))}"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=120)
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) == 1
        assert done.returncode in (0, 141)  # 0 if all was written before the reader went


def test_ctrl_c_ends_with_130_and_a_sentence(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_data_node("n").write_data(np.zeros(3_000_000, "u1"))
    process = forked.Popen(
        ["-m", "lotdb.cli", "cat", tmp_path / "db", "n"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "0\n"  # it is at work, and will wait for a reader soon
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "lotdb: interrupted; what was committed before is kept\n"


WRITER = """
    import sys, time, numpy as np
    from lotdb import LOTDB
    with LOTDB(sys.argv[1]) as db:
        number = 0
        while True:
            with db.connection() as root:
                node = root.get_data_node("written/by")
                node.append_data(np.full((1, 2), number, "i8"), data_attribute="rows")
                node.attrs["number"] = number
            number += 1
            print(number, flush=True)
            time.sleep(0.02)
"""


@pytest.mark.slow
def test_commands_that_read_work_beside_a_writer(database, printed, lotdb):
    writer = forked.Popen(["-c", textwrap.dedent(WRITER), database], stdout=subprocess.PIPE, text=True)
    try:
        while int(writer.stdout.readline()) < 5:
            pass
        path = "written/by"
        for arguments in (["tree"], ["ls"], ["show", path], ["get", path], ["du"], ["stats"], ["verify"]):
            assert printed(arguments[0], database, *arguments[1:]), arguments
        assert printed("cat", database, path, "rows", "--rows", "1:2") == "1,1\n"
        code, out, err = lotdb("set", database, path, "x=1")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert str(writer.pid) in err
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()


def test_a_missing_plugin_is_named(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_data_node("n").write_data(np.arange(3), backend="zarr")
    db, off = tmp_path / "db", {**os.environ, "LOTDB_PLUGINS_OFF": "zarr"}
    (code, _, err), verified = run_each(off, ["cat", db, "n"], ["verify", db])
    assert (code, err.count("\n")) == (1, 1)
    assert "zarr" in err
    code, out, err = verified
    assert (code, out, err.count("\n")) == (0, "no damage\n", 1)
    assert err.startswith("lotdb: warning: payload 'data' of 'n' was not verified")


def test_a_terminal_gets_lines_that_fit_and_no_commands_of_the_database(tmp_path):
    with LOTDB(tmp_path / "db") as db, db.connection() as root:
        root.get_node("k" * 200).attrs["text"] = "\x1b]0;owned\x07" + "v" * 500
        root.get_data_node("n").write_data("line 1\n\x1b]0;owned\x07line 2")
    db, key = tmp_path / "db", "k" * 200
    commands = ["tree", db], ["ls", db], ["show", db, key], ["stats", db], ["get", db, key], ["cat", db, "n"]
    shown = in_terminal(*commands, NO_COLOR="1")
    assert re.findall(r"^# (\w+ \d)", shown, re.MULTILINE) == [f"{each[0]} 0" for each in commands]
    tables = shown.partition("# stats 0")[0]
    assert max(map(len, re.sub("\x1b\\[[0-9;?]*[mlhK]", "", tables).splitlines())) <= 60
    assert "\x1b]0;" not in shown
    assert "\x07" not in shown
    assert "line 1\r\n\\x1b]0;owned\\x07line 2" in shown


@pytest.mark.slow
def test_no_color_is_honoured(database):
    assert "\x1b[1m" in in_terminal(["tree", database])
    assert "\x1b[3" not in in_terminal(["verify", database], ["show", database], NO_COLOR="1")


@pytest.mark.slow
def test_progress_is_shown_in_a_terminal_and_nowhere_else(tmp_path, printed):
    (tmp_path / "files").mkdir()
    for number in range(20):
        np.save(tmp_path / f"files/{number}.npy", np.arange(3))
    assert "ingesting" in in_terminal(["ingest", tmp_path / "one", tmp_path / "files"])
    assert printed("ingest", tmp_path / "two", tmp_path / "files").startswith("20 added")


PLUGIN = """
    import click
    from lotdb.hookspecs import hookimpl

    @click.command()
    @click.argument("database")
    def count(database):
        from lotdb import LOTDB
        with LOTDB(database, read_only=True) as db, db.connection() as root:
            click.echo(len(root))

    @hookimpl
    def lotdb_register_commands(group):
        group.add_command(count, "count")
"""


@pytest.fixture
def with_plugin(tmp_path):
    """The environment of a process in which two plugins are installed; one of them cannot be imported."""
    site = tmp_path / "site"
    info = site / "lotdb_count-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "lotdb_count.py").write_text(textwrap.dedent(PLUGIN))
    (site / "lotdb_broken.py").write_text("import nothing_of_that_name")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lotdb-count\nVersion: 1.0\n")
    entries = "count = lotdb_count\nbroken = lotdb_broken\nempty = lotdb_count\ntree = lotdb_broken\n"
    (info / "entry_points.txt").write_text(f"[lotdb.command]\n{entries}")
    return {**os.environ, "PYTHONPATH": str(site)}


def test_a_plugin_adds_a_command(database, with_plugin):
    counted, helped, misspelt = run_each(with_plugin, ["count", database], ["--help"], ["cuont"])
    assert counted == (0, "3\n", "")
    assert helped[2] == ""
    listed = helped[1].partition("Commands of plugins:")[2]
    assert "count" in listed
    assert "broken" in listed
    assert misspelt[2].startswith("lotdb: there is no command 'cuont'; did you mean: lotdb count")


def test_a_plugin_that_fails_is_one_line_and_harms_no_other(database, with_plugin):
    names = "broken", "empty", "tree", "count"
    broken, empty, *others = run_each(with_plugin, *([name, database] for name in names))
    for done, words in ((broken, "nothing_of_that_name"), (empty, "registers none of that name")):
        code, out, err = done
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "lotdb-count" in err
        assert words in err
    assert [code for code, _, _ in others] == [0, 0]


def test_plugins_lists_backends_ingesters_and_commands(with_plugin):
    listed, tried = run_each(with_plugin, ["plugins", "--json"], ["plugins", "--load", "--json"])
    rows = [json.loads(line) for line in listed[1].splitlines()]
    found = {(row["kind"], row["name"], row["distribution"], row["state"]) for row in rows}
    assert ("backend", "blob", "lotdb-backend-blob", "not loaded yet") in found
    assert ("command", "count", "lotdb-count", "not loaded yet") in found
    states = {row["name"]: row["state"] for row in map(json.loads, tried[1].splitlines())}
    assert tried[0] == 1
    assert (states["count"], states["broken"], states["blob"]) == ("loaded", "failed", "loaded")


COMPLETE = """
import os
from lotdb.cli.__main__ import main
os.environ["_LOTDB_COMPLETE"] = "bash_complete"
for words in LINES:
    os.environ.update(COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))
    main([])
    print("#", flush=True)
"""


def test_a_shell_completes_commands_options_and_paths(database):
    words = ["lotdb sh", f"lotdb tree {database} --max", f"lotdb show {database} sensor/capture_",
             f"lotdb rm {database} s", "lotdb show /nothing s"]  # fmt: skip
    done = forked.run(["-c", COMPLETE.replace("LINES", repr(words))], capture_output=True, text=True)
    offered = [re.findall(r"plain,(.*)", part) for part in done.stdout.split("#")]
    assert offered[:3] == [["show"], ["--max-children"], [f"sensor/capture_{n}" for n in range(3)]]
    assert offered[3:] == [["sensor"], [], []]
