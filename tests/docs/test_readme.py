"""Every code block of README.md and of docs/ runs, in order, and prints what the text block below it says.

A page is one program: its blocks share their names and an empty folder to work in. Of a page of recipes each
section is such a program. Not run is only what stands below the comment ``<!-- not run -->``.
"""

import ast
import contextlib
import doctest
import io
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RECIPES = ROOT / "docs" / "how-to.md"
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^## (?P<heading>.*)$", re.MULTILINE)
DEFINING = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
LINK = re.compile(r"\]\((?!https?://)(?P<target>[^)#]*)(?:#(?P<anchor>[^)]*))?\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its text, its section and line, and what it should print, if that is shown."""

    section: str
    language: str
    text: str
    line: int
    skipped: bool
    printed: str | None


def blocks_of(page):
    text = page.read_text(encoding="utf-8")
    found = list(BLOCK.finditer(text))
    for match, below in zip(found, [*found[1:], None], strict=False):
        shows_output = below and below["language"] == "text" and not text[match.end() : below.start()].strip()
        headings = SECTION.findall(BLOCK.sub("", text[: match.start()]))
        yield Block(
            section=headings[-1] if headings else "",
            language=match["language"],
            text=match["text"],
            line=text.count("\n", 0, match.start()) + 2,
            skipped=text[: match.start()].rstrip().endswith("<!-- not run -->"),
            printed=below["text"] if below and shows_output else None,
        )


def sections_of(page):
    """The headings of those sections of a page that have code, in their order."""
    return list(dict.fromkeys(block.section for block in blocks_of(page) if block.language == "python"))


def run_page(page, section=None):
    """Run the code of a page, or only that of one section of it; the names that it has defined."""
    names = {"__name__": "__main__"}
    for block in blocks_of(page):
        if section is not None and block.section != section:
            continue
        if block.language != "python" or block.skipped:
            continue
        # Padded, so that a traceback names the line of the page.
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, names)
        if block.printed is not None:
            same = doctest.OutputChecker().check_output(block.printed, output.getvalue(), doctest.ELLIPSIS)
            assert same, f"{page.name}, line {block.line}, prints\n{output.getvalue()}"
    return names


@pytest.mark.parametrize("page", [page for page in PAGES if page != RECIPES], ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("section", sections_of(RECIPES))
def test_a_recipe_runs_on_its_own_in_an_empty_folder(section, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(RECIPES, section)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_worker_processes_import_does_nothing(page):
    """If one block of a program is for the parent alone, so are the others."""
    of_sections: dict[str, list[ast.stmt]] = {}
    for block in blocks_of(page):
        if block.language == "python" and not block.skipped:
            section = block.section if page == RECIPES else ""
            of_sections.setdefault(section, []).extend(ast.parse(block.text).body)
    for section, statements in of_sections.items():
        if any(map(_is_for_the_parent, statements)):
            other = [each for each in statements if not _is_for_the_parent(each)]
            assert [ast.unparse(each) for each in other if not isinstance(each, DEFINING)] == [], section


def _is_for_the_parent(statement):
    return isinstance(statement, ast.If) and "__main__" in ast.unparse(statement.test)


def test_no_two_recipes_have_the_same_heading():
    headings = SECTION.findall(BLOCK.sub("", RECIPES.read_text(encoding="utf-8")))
    assert len(headings) == len(set(headings))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_is_not_too_wide(page):
    code = [line for block in blocks_of(page) if block.language for line in block.text.splitlines()]
    assert [line for line in code if len(line) > 110] == []


def test_readme_shows_what_appears_on_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(ROOT / "README.md")
    listing = next(block.text for block in blocks_of(ROOT / "README.md") if "lotdb.fs.blobs" in block.text)
    shown = re.findall(r"^ +(lotdb\.fs\S*?)/?(?:\s|$)", listing, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in (tmp_path / "results").iterdir())


def test_first_code_of_the_readme_fits_on_a_screen():
    first = next(block for block in blocks_of(ROOT / "README.md") if block.language == "python")
    lines = [line for line in first.text.splitlines() if line.strip()]
    assert len(lines) <= 12
    assert first.line < 40


def test_first_code_of_the_readme_may_be_run_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = next(block for block in blocks_of(ROOT / "README.md") if block.language == "python")
    printed = [io.StringIO(), io.StringIO()]
    for output in printed:
        with contextlib.redirect_stdout(output):
            exec(first.text, {})
    assert printed[0].getvalue() == printed[1].getvalue() != ""


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "docs/how-to.md"])
def test_a_page_says_how_to_install_all_packages_from_a_clone(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    (command,) = set(re.findall(r"^pip install ('\./.*)$", text, re.MULTILINE))
    distributions = [path.parent.name for path in ROOT.glob("lotdb-*/pyproject.toml")]
    named = sorted(f"./{name}" for name in distributions)
    assert sorted(each.strip("'").removesuffix("[cli]") for each in command.split()) == named
    assert "'./lotdb-core[cli]'" in command  # the pages go on with the command lotdb


def anchors_of(page):
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page):
    for link in LINK.finditer(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        target = page.parent / link["target"] if link["target"] else page
        assert target.exists(), link[0]
        if link["anchor"]:
            assert link["anchor"] in anchors_of(target), link[0]
