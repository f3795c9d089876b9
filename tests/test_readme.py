"""The pages tell the truth: the commands of the README are valid, and what the pages link to exists."""

import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from gan_tf.cli import main
from gan_tf.cli.arguments import requested_task
from gan_tf.export import SHIPPED, read_card

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def code_blocks(language: str) -> list[tuple[str, str]]:
    """Returns the code blocks of a language on all pages, each with the page's name."""
    pattern = re.compile(rf"```{language}\n(.*?)```", re.S)
    return [(page.name, block) for page in PAGES for block in pattern.findall(page.read_text())]


def commands() -> list[str]:
    """Returns the commands of all pages."""
    lines = [line.split("#")[0].strip() for _, block in code_blocks("bash") for line in block.splitlines()]
    return sorted({line for line in lines if line})


COMMANDS, SNIPPETS = commands(), code_blocks("python")


@pytest.mark.parametrize("command", COMMANDS)
def test_page_command_is_valid(command):
    words = shlex.split(command)
    if words[0] == "bash":
        assert (ROOT / words[1]).is_file()
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None
        assert words[2] != "gan_tf" or words[3] in main.COMMANDS
    else:
        assert words[0] == "python"
        assert (ROOT / words[1]).is_file()
        module = importlib.import_module(f"gan_tf.cli.{Path(words[1]).stem}")
        module.build_parser(requested_task(words[2:])).parse(words[2:])


def test_pages_have_commands_and_snippets():
    assert len(COMMANDS) > 20
    assert len(SNIPPETS) >= 2


@pytest.mark.parametrize(("page", "code"), SNIPPETS, ids=lambda value: value if value.endswith(".md") else "")
def test_page_python_snippet_runs(page, code):
    exec(compile(code, page, "exec"), {})


def heading_names(page: str) -> set[str]:
    """Returns the names that a link can point to within a page, made of its headings as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page, flags=re.S)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_heading_names_are_those_of_github():
    page = "# Five: `code` & more\n## What it's for\n```\n# a comment\n```\n"
    assert heading_names(page) == {"five-code--more", "what-its-for"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_page_links_and_images_exist(page):
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in target]
    for target in targets:
        path, _, heading = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not heading or heading in heading_names(linked.read_text()), target


def test_readme_has_links_and_images():
    readme = (ROOT / "README.md").read_text()
    assert re.search(r"!\[[^\]]*\]\([^)]+\)", readme)
    assert re.search(r"[^!]\[[^\]]*\]\([^)]+\)", readme)


def test_readme_scores_are_those_of_the_cards():
    """The table of shipped weights rounds the numbers of the cards."""
    rows = {row.split("`")[1]: row for row in (ROOT / "README.md").read_text().splitlines() if row.startswith("| `")}
    for variant in ("hinge", "wgangp"):
        scores = read_card(SHIPPED / "anime" / variant)["scores"]
        row = rows[f"anime/{variant}"]
        assert f"FID {scores['fid']['value']:.1f}" in row
        for name, digits in (("kid", 3), ("precision", 2), ("recall", 2)):
            assert f"{name.replace('kid', 'KID')} {scores[name]['value']:.{digits}f}" in row
        assert f"{scores['anime_faces']['value']:.1f} of 25" in row
    scores = read_card(SHIPPED / "digits" / "classifier")["scores"]
    assert f"{scores['mnist_accuracy']['value']:.2f} %" in rows["digits/classifier"]
    assert f"{scores['mnistm_accuracy']['value']:.2f} %" in rows["digits/classifier"]
