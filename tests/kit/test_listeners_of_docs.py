"""The listeners that the documents and examples show keep what they keep right, whatever is done."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from lotdb import Payload
from lotdb.testing import ListenerTests

ROOT = Path(__file__).parents[2]


def recipe(name):
    """The class *name* as ``docs/how-to.md`` shows it."""
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    block = next(block for block in text.split("```python\n") if f"class {name}:" in block)
    names = {}
    exec(re.split(r"\n\n\n(?:labels|plugins) = ", block)[0], names)
    return names[name]


class TestLabels(ListenerTests):
    @pytest.fixture
    def plugin(self):
        return recipe("Labels")()

    @pytest.fixture
    def mirror(self, plugin):
        return lambda db: plugin.labels[db.id]

    @pytest.fixture
    def known_of(self):
        return lambda node: node.attrs.get("label")

    @pytest.fixture
    def watched(self):
        return {"label": ["rest", "walk"]}

    @pytest.fixture
    def catch_up(self, plugin):
        return plugin.catch_up


class Indexes:
    """A search index for each database, for the one of the example is for one."""

    def __init__(self, folder):
        self.folder, self.of = folder, {}

    def __call__(self, database):
        if database.id not in self.of:
            self.of[database.id] = EXAMPLE.SearchIndex(self.folder / f"{database.id}.sqlite")
        return self.of[database.id]


def example():
    spec = importlib.util.spec_from_file_location("search_index", ROOT / "examples" / "search_index.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = example()


class TestSearchIndex(ListenerTests):
    @pytest.fixture
    def plugin(self, tmp_path):
        from lotdb import hookimpl

        class Plugin:
            indexes = Indexes(tmp_path)

            @hookimpl
            def lotdb_committed(self, database, changes):
                self.indexes(database).lotdb_committed(database, changes)

        yield Plugin()
        for index in Plugin.indexes.of.values():
            index.close()

    @pytest.fixture
    def mirror(self, plugin):
        def known(db):
            sql, found = plugin.indexes(db).sql, {}
            for path, kind in sql.execute("select path, type from nodes"):
                found[path] = {"type": kind}
            for path, name, value in sql.execute("select path, name, value from attributes"):
                found[path][name] = json.loads(value)
            for path, *payload in sql.execute("select path, name, kind, rows, rate_hz from payloads"):
                found[path][payload[0]] = tuple(payload[1:])
            return found

        return known

    @pytest.fixture
    def known_of(self):
        def known(node):
            found = {"type": node.node_type}
            for name, value in node.attrs.items():
                is_payload = isinstance(value, Payload)
                rows = len(value) if is_payload and value.ndim else None
                found[name] = (value.kind, rows, value.samplerate_hz) if is_payload else value
            return found

        return known

    @pytest.fixture
    def watched(self):
        return {"label": ["rest", "walk"], "trial": [1, 2, 3]}

    @pytest.fixture
    def catch_up(self, plugin):
        return lambda db: plugin.indexes(db).catch_up(db)
