"""A plugin that one thread registers while another looks up who reads files."""

from lotdb import BaseNode, Ingested, Plugins, hookimpl


class Late:
    @hookimpl
    def lotdb_ingest_file(self, source):
        return Ingested("late", "late") if source.path.suffix == ".late" else None


def test_it_is_asked_from_then_on(tmp_path, monkeypatch):
    plugins = Plugins()
    look = plugins._implementations

    def looking(hook):
        found = look(hook)
        monkeypatch.undo()
        plugins.register(Late())
        return found

    plugins.ingesters("lotdb_ingest_tree")  # all that is installed is loaded
    monkeypatch.setattr(plugins, "_implementations", looking)
    assert "Late" not in str(plugins.ingesters("lotdb_ingest_file"))
    path = tmp_path / "a.late"
    path.touch()
    assert BaseNode("root", plugins=plugins).get_data_node("a").attach_file(path).read() == "late"
