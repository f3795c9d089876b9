"""The README tells the truth: its commands are ones the doors take, its files exist, its picture is what the weights make."""

import hashlib
import importlib.util
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_tf import export
from gan_tf.cli import main as cli
from gan_tf.tasks import TASKS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.S)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.split("#")[0].strip()]
CARDS = sorted((ROOT / "gan_tf/weights").rglob("card.json"))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_readme_is_one(command):
    words = shlex.split(command)
    if words[0] == "bash":
        assert (ROOT / words[1]).is_file()
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]) is not None
    else:
        assert words[0] == "python"
        name = Path(words[1]).stem
        assert (ROOT / words[1]).is_file()
        parser = cli.evaluate_parser() if name == "evaluate" else getattr(cli, f"{name}_parser")(cli.task_of(words[2:]))
        args = parser.parse(words[2:])
        assert args.task in TASKS or args.judge


def test_there_are_commands_to_check():
    assert len(COMMANDS) > 10


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def headings(page: str) -> set[str]:
    """Names that a link can point to within a page, made of its headings as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page, flags=re.S)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_headings_are_named_as_github_names_them():
    page = "# Five: `code` & more\n## What it's for\n```\n# a comment\n```\n"
    assert headings(page) == {"five-code--more", "what-its-for"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_exist(page):
    targets = [t for t in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in t]
    for target in targets:
        path, _, heading = target.partition("#")
        aim = page.parent / path if path else page
        assert aim.exists(), target
        assert not heading or heading in headings(aim.read_text()), target


def test_the_readme_has_links_and_pictures():
    assert re.search(r"!\[[^\]]*\]\([^)]+\)", README)
    assert re.search(r"[^!]\[[^\]]*\]\([^)]+\)", README)


@pytest.mark.parametrize("card", CARDS, ids=lambda p: p.parent.name)
def test_shipped_weights_are_those_of_their_card(card):
    weights = card.with_name(export.WEIGHTS)
    said = json.loads(card.read_text())
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == said["sha256"]
    assert weights.stat().st_size < 8e6
    _, about = export.read(card.parent)
    assert about["task"] == said["task"] == card.parents[1].name
    assert about["settings"] == said["settings"]
    assert said["settings"].get("loss", said["settings"]["network"]) == card.parent.name
    assert "drawn" not in said["data"]["name"]
    assert said["seconds"] > 0
    assert not re.search(r"/(home|root|tmp|work)/", card.read_text())


PICTURES = {"hinge": "gan_original.png", "wgangp": "gan_wgangp.png"}  # committed grids of the task anime, by the weights' loss


def test_each_loss_that_ships_has_its_picture():
    assert {card.parent.name for card in CARDS if card.parents[1].name == "anime"} == set(PICTURES)


@pytest.mark.parametrize(("loss", "picture"), PICTURES.items(), ids=PICTURES)
def test_the_committed_picture_is_what_the_weights_make(loss, picture, tmp_path):
    for name in ("one.png", "two.png"):
        assert cli.infer(["--task", "anime", "--loss", loss, "--grid", "5x5", "--seed", "0", str(tmp_path / name)]) == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    made, committed = (np.asarray(Image.open(p)).astype(int) for p in (tmp_path / "one.png", ROOT / "samples" / picture))
    assert made.shape == committed.shape == (320, 320, 3)
    assert np.abs(made - committed).max() <= 2


def test_every_task_ships_weights():
    assert {card.parents[1].name for card in CARDS} == set(TASKS)
