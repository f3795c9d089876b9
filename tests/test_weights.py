"""The shipped weights are those of their cards, and the committed sample grids are what they generate."""

import hashlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import call
from PIL import Image

from gan_tf import cards, export, shipped
from gan_tf.cli.arguments import given_options
from gan_tf.cli.train import build_parser
from gan_tf.gan.config import GAN_FAMILY
from gan_tf.options import from_values
from gan_tf.tasks import TASKS
from gan_tf.workflow import load_workflow

ROOT = Path(__file__).resolve().parents[1]
DIRECTORIES = sorted(path.parent for path in shipped.SHIPPED.rglob(cards.CARD))
GRIDS = {  # committed grids, by task and variant
    ("anime", "hinge"): ("gan_original.png", "5x5"),
    ("anime", "wgangp"): ("gan_wgangp.png", "5x5"),
    ("face", "improved"): ("face_improved.png", "4x8"),
    ("face", "dcgan"): ("face_dcgan.png", "4x8"),
    ("dog", "gan"): ("dog_gan.png", "4x8"),
    ("cifar10", "gan"): ("cifar10_gan.png", "4x8"),
    ("mnist", "16-16"): ("mnist_16-16.png", "4x8"),
}
each_variant = pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: f"{path.parent.name}-{path.name}")


@each_variant
def test_shipped_weights_match_their_card(directory):
    weights, card = directory / cards.WEIGHTS, cards.read_card(directory)
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == card["sha256"]
    assert weights.stat().st_size < 8e6
    exported, task = export.read_weights(directory), TASKS[card["task"]]
    assert exported.task == card["task"] == directory.parent.name
    assert exported.config == card["config"]
    assert exported.image_shape == load_workflow(task, directory).image_shape
    assert task.variant_of(from_values(task.family.config, exported.config, "card.json")) == directory.name
    assert all("synthetic" not in source["name"] for source in card["data"].values())
    assert card["seconds"] > 0
    assert not re.search(r"/(home|root|tmp|work)/", (directory / cards.CARD).read_text())


@each_variant
def test_card_command_gives_the_recorded_configuration(directory):
    """The recorded commands can still be typed, and the last one leads to the configuration of the card."""
    card = cards.read_card(directory)
    task = TASKS[card["task"]]
    for stage in (*card.get("initialized_from", []), card):
        args = build_parser(task).parse(shlex.split(stage["command"])[2:])
        resolved = task.family.resolve(task, {}, given_options(args, task.family.config))
    recorded = {name: value for name, value in card["config"].items() if card["sources"][name] != "machine"}
    assert {name: getattr(resolved.config, name) for name in recorded} == recorded
    assert {name: resolved.sources[name] for name in recorded} == {name: card["sources"][name] for name in recorded}


def test_each_shipped_gan_has_a_committed_grid():
    tasks = [task.name for task in TASKS.values() if task.family is GAN_FAMILY]
    assert sorted(GRIDS) == [(name, variant) for name in sorted(tasks) for variant in shipped.shipped_variants(name)]


@pytest.mark.parametrize(("task", "variant"), GRIDS, ids=["-".join(pair) for pair in GRIDS])
def test_committed_grid_is_what_the_weights_generate(task, variant, tmp_path):
    file, grid = GRIDS[task, variant]
    for name in ("one.png", "two.png"):
        words = ["--task", task, "--weights", variant, "--grid", grid, "--seed", 0, tmp_path / name]
        assert call("infer", *words) == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    generated, committed = (
        np.asarray(Image.open(path)).astype(int) for path in (tmp_path / "one.png", ROOT / "samples" / file)
    )
    rows, columns = map(int, grid.split("x"))
    height, width, _ = TASKS[task].image_shape
    assert generated.shape[:2] == committed.shape[:2] == (rows * height, columns * width)
    assert generated.shape == committed.shape
    assert np.abs(generated - committed).max() <= 2


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_default_variant_of_each_task_is_shipped_if_any_is(task):
    variants = shipped.shipped_variants(task.name)
    assert task.default_variant in variants or not variants
