"""A PostgreSQL server of the tests' own, from the programs that Debian's package `postgresql` brings."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from tests.services.ports import free_port

USER, PASSWORD = "lotdb", "not-to-be-seen-anywhere"
START_S = 60.0

# Faster, and as safe from a kill: what the server has handed to the system outlives the server.
QUICK = {"fsync": "off", "full_page_writes": "off"}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
}


class PostgreSQL:
    """A server on the loopback interface, with a data folder that it removes when it is closed.

    Over the network it asks for the password; on its socket, in the data folder, it trusts everybody.
    """

    def __init__(self, programs, **settings):
        self._programs = Path(programs)
        self.folder = Path(tempfile.mkdtemp(prefix="lotdb-pg-"))
        self._settings = SETTINGS | QUICK | settings
        self._process = None
        self._databases = 0
        try:
            self._create()
            self.port = free_port()
            self.start()
        except BaseException:
            self.close()
            raise

    def _create(self):
        if os.geteuid() == 0:
            os.chown(self.folder, *_account())
        with tempfile.NamedTemporaryFile("w", prefix="lotdb-pg-") as file:
            file.write(PASSWORD)
            file.flush()
            os.chmod(file.name, 0o644)  # for the account of the server
            self._run(
                "initdb", "--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8",
                f"--username={USER}", f"--pwfile={file.name}",
                "--auth-local=trust", "--auth-host=scram-sha-256",
            )  # fmt: skip

    def _command(self, program, *arguments):
        # It ends with this process, whatever becomes of that.
        as_whom = ["--pdeathsig", "KILL"]
        if os.geteuid() == 0:  # the server refuses to run as root
            user, group = _account()
            as_whom += ["--reuid", str(user), "--regid", str(group), "--clear-groups"]
        path = os.fspath(self._programs / program)
        return ["setpriv", *as_whom, path, "-D", os.fspath(self.folder / "data"), *arguments]

    def _run(self, program, *arguments):
        done = subprocess.run(
            self._command(program, *arguments), cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def start(self):
        """Start the server, also after it was killed; return when it answers."""
        settings = self._settings | {"port": self.port, "unix_socket_directories": self.folder}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with open(self.folder / "log", "ab") as log:
                self._process = subprocess.Popen(
                    self._command("postgres", *options), cwd=self.folder, stdout=log, stderr=log
                )
            while self._process.poll() is None and time.monotonic() < deadline:
                if self._is_ready():
                    return
                time.sleep(0.01)
            time.sleep(0.05)  # of a server that was killed, a process may still be there
        raise AssertionError((self.folder / "log").read_text())

    def _is_ready(self):
        with contextlib.suppress(OSError, IndexError):
            lines = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
            return int(lines[0]) == self._process.pid and lines[7].strip() == "ready"
        return False

    def kill(self):
        """Kill the server, and all of its processes, with signal 9."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._process.wait()

    def is_gone(self):
        """Whether the server has ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        return self._process.poll() is not None

    def close(self):
        """End the server, and remove its data."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, statement, database="postgres"):
        """Run *statement*, and return its rows, each as a list of texts."""
        done = subprocess.run(
            [
                self._programs / "psql", "-h", self.folder, "-p", str(self.port), "-U", USER, "-d", database,
                "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement,
            ],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [line.split("|") for line in done.stdout.splitlines()]

    def new_database(self):
        """The URL of a database, new and empty, without the password."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database):
        """The URL of a database of this server, without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"


def _account():
    """The user and group that the server runs as, where the tests run as root."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return account.pw_uid, account.pw_gid
    return pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")


def programs():
    """The folder with PostgreSQL's programs, the newest ones; a skip where there are none."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = sorted(installed, key=lambda path: int(path.parts[4]) if path.parts[4].isdigit() else 0)
    found = newest[-1] if newest else shutil.which("postgres")
    if found is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv, of util-linux, is not installed")
    return Path(found).parent


@pytest.fixture(scope="session")
def postgresql():
    """A PostgreSQL server; its password is in the environment, as for any program that uses one."""
    server = PostgreSQL(programs())
    with contextlib.closing(server), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", PASSWORD)
        yield server


@pytest.fixture
def postgresql_url(postgresql):
    """The URL of an empty database in a PostgreSQL server."""
    url = postgresql.new_database()
    yield url
    postgresql.sql(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")
