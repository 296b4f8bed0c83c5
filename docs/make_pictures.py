"""Make the pictures of ``docs/looking.md``: plots with matplotlib, HTML with Chromium, if that is installed.

What is shown is what the notebook ``docs/looking.ipynb`` stores.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

from lotdb import BaseNode, Payload

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
STYLE = "font-family:sans-serif;font-size:14px;margin:12px;"
LIGHT, DARK = "background:#fff;color:#222", "background:#111;color:#ddd"


def example() -> dict[str, Any]:
    """What the first two cells of the notebook make, by name: a database with something to look at."""
    cells = json.loads((HERE / "looking.ipynb").read_text(encoding="utf-8"))["cells"]
    made: dict[str, Any] = {}
    for cell in [cell for cell in cells if cell["cell_type"] == "code"][:2]:
        exec("".join(cell["source"]), made)
    return made


def draw(name: str, payload: Payload, **how: Any) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), dpi=80, layout="constrained")
    payload.plot(figure.add_subplot(), **how)
    figure.savefig(PICTURES / f"{name}.png", metadata={"Software": None})


def photograph(name: str, html: str, height: int, colours: str) -> None:
    """A picture of *html*, as a browser shows it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"{name}.png: none of these browsers is installed: {', '.join(BROWSERS)}")
        return
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        text = f'<!doctype html><meta charset="utf-8"><body style="{STYLE}{colours}">{html}</body>'
        page.write_text(text, encoding="utf-8")
        options = ("--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile")
        size = f"--window-size=760,{height}"
        target = f"--screenshot={PICTURES / name}.png"
        subprocess.run([browser, *options, size, target, page.as_uri()], check=True, capture_output=True)


def main() -> None:
    matplotlib.use("agg")
    os.chdir(HERE)
    PICTURES.mkdir(exist_ok=True)
    made = example()
    root: BaseNode = made["root"]
    walk = root["S06/R02"]
    leg = walk.payloads["leg"]
    draw("waveform", leg)
    draw("stacked", leg, start=20, stop=25, unit="seconds", stacked=True)
    draw("spectrogram", leg, kind="spectrogram", channels="leg_vert")
    draw("image", walk.payloads["picture"])
    draw("table", walk.payloads["recording"], kind="table")
    walk.delete_data("recording")  # so that the picture begins with what is nice to look at
    for name in [name for name in walk.attrs if name.startswith("_source")]:
        del walk.attrs[name]
    html = walk._repr_html_().replace("<details><summary>picture", "<details open><summary>picture")
    html = html.replace(made["folder"].name, "results")
    photograph("node", html, 480, LIGHT)
    photograph("node_dark", html, 480, DARK)
    for number in range(30):
        walk.branch(f"R{number + 3:02}")
    photograph("tree", root.tree(max_children=4)._repr_html_(), 190, LIGHT)
    made["db"].close()
    made["folder"].cleanup()


if __name__ == "__main__":
    main()
