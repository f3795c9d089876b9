"""The pages tell the truth: the commands of the README are valid, and what the pages link to exists."""

import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from gan_tf.cli.arguments import requested_task

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.S)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.split("#")[0].strip()]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_command_is_valid(command):
    words = shlex.split(command)
    if words[0] == "bash":
        assert (ROOT / words[1]).is_file()
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None
    else:
        assert words[0] == "python"
        assert (ROOT / words[1]).is_file()
        module = importlib.import_module(f"gan_tf.cli.{Path(words[1]).stem}")
        module.build_parser(requested_task(words[2:])).parse(words[2:])


def test_readme_has_commands():
    assert len(COMMANDS) > 10


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
    assert re.search(r"!\[[^\]]*\]\([^)]+\)", README)
    assert re.search(r"[^!]\[[^\]]*\]\([^)]+\)", README)
