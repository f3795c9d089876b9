"""Small domains for the tests of domain adaptation: synthetic digits in the handout's layout, and tiny networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_tf.dann.config import DannConfig, resolve_dann
from gan_tf.dann.model import DomainAdaptation
from gan_tf.dann.workflow import DannWorkflow
from gan_tf.tasks import DANN
from pipelines.synthetic.digits import draw_digit

NUM_TRAIN, NUM_VAL = 12, 6
TINY_DANN = ["--hidden-dim", 2, "--batch", 4, "--log-every", 1, "--grid-every", 0]


def write_domain(folder: Path, seed: int = 0, labels: Sequence[Any] | None = None, gray: bool = False) -> None:
    """Writes a domain as the handout lays it out: 12 training and 6 validation images, whose labels are ``index % 10``.

    Args:
        folder: is created.
        seed: of the images.
        labels: what ``train.csv`` says of the training images instead; None entries leave the label empty.
        gray: whether to write gray images.
    """
    (folder / "data").mkdir(parents=True)
    for index in range(NUM_TRAIN + NUM_VAL):
        pixels = draw_digit(seed, index)
        Image.fromarray(pixels.mean(axis=2).astype(np.uint8) if gray else pixels).save(folder / f"data/{index:02d}.png")
    digits = [index % 10 for index in range(NUM_TRAIN + NUM_VAL)]
    write_table(folder / "train.csv", range(NUM_TRAIN), labels or digits[:NUM_TRAIN])
    write_table(folder / "val.csv", range(NUM_TRAIN, NUM_TRAIN + NUM_VAL), digits[NUM_TRAIN:])


def write_table(path: Path, indices: Sequence[int], labels: Sequence[Any]) -> None:
    """Writes the table of some images."""
    rows = [f"{index:02d}.png,{'' if label is None else label}" for index, label in zip(indices, labels, strict=True)]
    path.write_text("\n".join(["image_name,label", *rows]) + "\n")


def write_digits(root: Path) -> Path:
    """Writes MNIST-M, SVHN and USPS below ``root``; returns it."""
    write_domain(root / "mnistm")
    write_domain(root / "svhn", seed=1)
    write_domain(root / "usps", seed=2, gray=True)
    return root


def dann_config(**options: Any) -> DannConfig:
    """Returns a small configuration, resolved with the presets."""
    return resolve_dann({}, {}, {"hidden_dim": 2, "batch": 4} | options).config


def build_dann(config: DannConfig) -> DomainAdaptation:
    """Builds the model of a configuration."""
    return DannWorkflow(DANN, config).build_model()


def make_batch(config: DannConfig, model: DomainAdaptation, step: int = 0) -> dict[str, Any]:
    """Returns a batch of synthetic digits, as training gets it."""
    workflow = DannWorkflow(DANN, config)
    return workflow.build_stream(model, workflow.data_spec.open_synthetic()).batch_at(step)
