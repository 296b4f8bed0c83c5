"""What each test costs: `make test ARGS="-p tests.cpu_times --cpu-times=FILE"`.

Each line of FILE holds a test's processor time in seconds, with that of the processes that it has started and
waited for, its time by the clock, and its name; `sort -rn FILE` shows the dearest first. A line `(start)` is
what a process took until its first test, of which collecting is the most.
"""

import resource
import time
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption("--cpu-times", metavar="FILE", help="write what each test costs to FILE")


def pytest_configure(config):
    if path := config.getoption("--cpu-times"):
        # Processes that share the tests report to the one that writes.
        config.pluginmanager.register(_Measure())
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(_Write(Path(path)))


class _Measure:
    begun = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        if not self.begun:
            self.begun = True
            item.user_properties.append(("(start)", (_cpu_seconds(), 0.0)))
        self.before = _cpu_seconds(), time.monotonic()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item):
        try:
            return (yield)
        finally:
            cpu, clock = self.before
            item.user_properties.append(("", (_cpu_seconds() - cpu, time.monotonic() - clock)))


class _Write:
    def __init__(self, path):
        self.path = path
        self.path.write_text("")

    def pytest_runtest_logreport(self, report):
        if report.when != "teardown":
            return
        with self.path.open("a") as file:
            for name, (cpu, clock) in report.user_properties:
                file.write(f"{cpu:8.3f} {clock:8.3f} {name or report.nodeid}\n")


def _cpu_seconds():
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
