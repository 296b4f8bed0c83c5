"""mypy --strict finds each planted mistake, and none in what is right or in the README."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lotdb
from lotdb import BaseNode, DataNode, LotdbError

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def mypy(*files):
    """Line numbers of the errors in each file, and all that was said."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--show-error-codes", *map(str, files)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^(.*?):(\d+):(?:\d+:)? error: ", done.stdout, re.MULTILINE)
    return {
        file: [int(at) for name, at in found if Path(name).name == file.name] for file in files
    }, done.stdout


def program(page):
    """The Python of a page, as one program, with its line numbers."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * (text.count("\n") + 1)
    for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        first = text.count("\n", 0, match.start(1))
        block = match[1].splitlines()
        lines[first : first + len(block)] = block
    return "\n".join(lines) + "\n"


@pytest.mark.slow  # `make types` tries what is right, and the library
def test_mypy_finds_each_planted_mistake_and_nothing_in_what_is_right_or_in_the_readme(tmp_path):
    planted, right, readme = HERE / "planted.py", HERE / "right.py", tmp_path / "readme_page.py"
    readme.write_text(program(ROOT / "README.md"), encoding="utf-8")
    found, said = mypy(planted, right, readme)
    assert (found[right], found[readme]) == ([], []), said

    lines = planted.read_text(encoding="utf-8").splitlines()
    wrong = {at: line.strip() for at, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) > 80
    assert [line for at, line in wrong.items() if at not in found[planted]] == []
    assert [lines[at - 1].strip() for at in found[planted] if at not in wrong] == []


# -- what plain nodes refuse ---------------------------------------------------------------------------------


def test_what_a_type_checker_takes_on_a_plain_node_is_refused_when_it_is_asked():
    root = BaseNode("root")
    # What lotdb 1.x called otherwise is listed, too, but no class has it.
    there = [name for name in dir(DataNode) if hasattr(DataNode, name) and not name.startswith("_")]
    names = [name for name in there if not hasattr(BaseNode, name)]
    assert {"read_data", "write_data", "samplerate_hz", "get_data"} < set(names)
    for name in names:
        with pytest.raises(LotdbError, match=f"the root is not a data node, so it has no '{name}'"):
            getattr(root, name)
    assert not set(names) & set(dir(root))


def test_the_packages_say_that_they_are_typed():
    assert (Path(lotdb.__file__).parent / "py.typed").is_file()
