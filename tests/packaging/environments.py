"""Distributions that are built here, and an environment of them and of what they require.

The environment needs no network: the files of what is required and is installed here are linked into it.
Nothing else is there.
"""

import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def run(*command: object, **options) -> str:
    """What it prints."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def build_wheels(folder: Path, projects: dict[str, Path]) -> dict[str, Path]:
    """The wheels of *projects*, each by the name of its distribution."""
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
        "--wheel-dir", folder, *projects.values())  # fmt: skip
    return {name: next(folder.glob(f"{name.replace('-', '_')}-*.whl")) for name in projects}


def metadata_of(wheel: Path) -> Distribution:
    with ZipFile(wheel) as archive:
        folder = next(name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name)
    return PathDistribution(ZipPath(wheel, f"{folder}/"))


def required_by(wheels: dict[str, Path], *asked: tuple[str, str]) -> dict[str, Distribution]:
    """What *asked*, pairs of a name and an extra, require, directly or not, each by its name."""
    found: dict[str, Distribution] = {}
    waiting = list(asked)
    done = set()
    while waiting:
        name, extra = pair = waiting.pop()
        if pair in done:
            continue
        done.add(pair)
        found[name] = metadata_of(wheels[name]) if name in wheels else distribution(name)
        for line in map(Requirement, found[name].requires or []):
            if line.marker is None or line.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(line.name), more) for more in ("", *line.extras)]
    return found


def make_environment(
    folder: Path, wheels: dict[str, Path], required: dict[str, Distribution], install: str
) -> Path:
    """The interpreter of an environment in *folder* with what *install* requires."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    site_packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for name in required.keys() - wheels.keys():
        for file in required[name].files or []:
            top, link = file.parts[0], site_packages / file.parts[0]
            if top not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(str(required[name].locate_file(top)))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index",
        "--find-links", next(iter(wheels.values())).parent, install)  # fmt: skip
    return python
