"""The ingester that docs/how-to-write-an-ingester.md shows passes the kit, as the page says."""

import contextlib
import tempfile

from tests.docs.test_readme import ROOT, run_page

PAGE = ROOT / "docs" / "how-to-write-an-ingester.md"

with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    TestNight = run_page(PAGE)["TestNight"]
