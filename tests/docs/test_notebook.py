"""The notebook of the docs runs from its first cell to its last, and shows what it says."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "looking.ipynb"


def test_the_notebook_is_stored_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.slow
# What warns within jupyter_client and its loop of events is none of ours.
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs_and_shows_trees_html_and_plots(monkeypatch, tmp_path):
    pytest.importorskip("nbclient", reason="nbclient is not installed, which runs notebooks")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed, which runs notebooks")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: lotdb-core[plot]")
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    forms = [form for output in shown for form in output.get("data", {})]
    assert forms.count("image/png") == 5
    assert forms.count("text/html") == 2
    assert any("└── R02" in output.get("text", "") for output in shown)
    assert not [output for output in shown if output.get("name") == "stderr"]
