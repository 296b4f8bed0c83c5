"""An S3 server of the tests' own: moto, from PyPI, which keeps all objects in memory."""

import contextlib
import importlib.util
import itertools
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

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


class S3:
    """A server on the loopback interface."""

    def __init__(self):
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._numbers = itertools.count(1)
        self._process = None
        self.start()

    def start(self):
        """Start the server; return when it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "the S3 server ended at once"
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json"):
                return
            time.sleep(0.02)
        raise AssertionError("the S3 server does not answer")

    def kill(self):
        """Kill the server with signal 9; all that it held is gone."""
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
