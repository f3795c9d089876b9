"""``python -m gan_tf.experiments.stacked_mnist``: how many of the 1,000 modes of stacked MNIST does a GAN generate?

Three random digits are the color channels of an image (Metz et al. 2017, "Unrolled generative adversarial networks"). As in
Srivastava et al. 2017 (VEEGAN) and Lin et al. 2018 (PacGAN), a classifier reads the three digits of 26,000 generated images:
the measures are the number of three-digit modes that occur, and the Kullback-Leibler divergence of their distribution from
the uniform one, in nats.
"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.experiments.arguments import add_outputs, check_page
from gan_tf.experiments.page import Page, render_table
from gan_tf.experiments.recipe_record import describe_machine, detect_machine
from gan_tf.experiments.trainings import Budget, add_budget, find_run, read_budget, remaining_budget
from gan_tf.gan.config import GAN_FAMILY
from gan_tf.options import Resolved, from_values
from gan_tf.run_dir import find_newest_run
from gan_tf.tasks import MNIST, Task
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.formats.mnist import MnistData
from pipelines.location import Location, open_data, parse_location
from pipelines.source import DataSpec, Source, Split

NUM_MODES, NUM_SAMPLES = 1000, 26_000
_NUM_STACKED = 128_000  # training images, as in PacGAN
_BUDGET = Budget(minutes=60.0)
_ROWS = 8  # of the figure
_BATCH = 1000  # images that are classified at a time


class StackedDigits:
    """A source of images whose three channels are random images of another source.

    Args:
        digits: gray images.
        seed: of the choice.
    """

    name = "stacked-mnist"

    def __init__(self, digits: Source, seed: int = 0):
        self.digits, self.seed, self.split = digits, seed, digits.split
        self.triples = np.random.default_rng(seed).integers(len(digits), size=(_NUM_STACKED, 3))

    def __len__(self) -> int:
        return _NUM_STACKED

    def take(self, indices: Any) -> Any:
        """Returns uint8 ``[n, height, width, 3]`` for integers ``[n]``."""
        import tensorflow as tf

        triples = tf.gather(tf.constant(self.triples), indices)
        return tf.concat([self.digits.take(triples[:, channel]) for channel in range(3)], axis=3)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over the digits and the choice."""
        return hashlib.sha256(self.digits.digest.encode() + self.triples.tobytes()).hexdigest()

    @property
    def summary(self) -> str:
        """One line about the images."""
        return f"{self.name}: {len(self):,} images, each of three of {len(self.digits):,} digits"


@dataclass(frozen=True)
class StackedMnistData(DataSpec):
    """Stacked MNIST, made of what ``MnistData`` reads."""

    digits: MnistData = MnistData()  # noqa: RUF009 (it is frozen)

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        return self.digits.layout

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the digits and stacks them; see ``DataSpec.open``."""
        return {"real": StackedDigits(self.digits.open(path, split, memory_budget)["real"])}

    def open_synthetic(self) -> dict[str, Source]:
        """Stacks synthetic digits; see ``DataSpec.open_synthetic``."""
        return {"real": StackedDigits(self.digits.open_synthetic()["real"])}

    def has_validation(self, path: Path) -> bool:
        """Returns whether there are test images; see ``DataSpec.has_validation``."""
        return self.digits.has_validation(path)


STACKED = Task(
    name="stacked-mnist",
    summary="generates three digits as the channels of an image, 32x32",
    family=GAN_FAMILY,
    data=StackedMnistData(),
    image_shape=(32, 32, 3),
    networks=("dcgan",),
    default_variant="gan",
    defaults={"flip": False, "hidden_dim": 64},
)


@dataclass(frozen=True)
class ModeCount:
    """The measures of the literature.

    Attributes:
        found: how many of the 1,000 modes occur.
        divergence: Kullback-Leibler divergence of the modes' distribution from the uniform one, in nats.
    """

    found: int
    divergence: float


def count_stacked_modes(digits: np.ndarray) -> ModeCount:
    """Returns the measures of digits ``[n, 3]``, one for each channel."""
    counts = np.bincount(digits @ np.array([100, 10, 1]), minlength=NUM_MODES)
    frequencies = counts[counts > 0] / len(digits)
    return ModeCount(len(frequencies), float(np.sum(frequencies * np.log(frequencies * NUM_MODES))))


def classify_channels(images: np.ndarray, classifier: Any) -> np.ndarray:
    """Returns the digit in each channel of images, uint8 ``[n, height, width, 3]``, integers ``[n, 3]``."""
    from gan_tf.evaluation.digits import classify

    return np.stack([classify(classifier, np.repeat(images[..., c : c + 1], 3, axis=-1)) for c in range(3)], axis=1)


def train(data: Location, budget: Budget, runs: Path, loss: str, command: str) -> Path:
    """Trains a GAN until its budget is used up, or resumes it.

    Args:
        data: the four files of MNIST.
        budget: how long it is trained in all.
        runs: for its run folder.
        loss: its loss.
        command: what the card says about how to repeat it.

    Returns:
        Its run folder; raises as ``find_run`` and ``train_run``.
    """
    from gan_tf.training.request import TrainingRequest
    from gan_tf.training.run import train_run
    from gan_tf.training.run_options import RunOptions

    run_dir = find_run(STACKED, runs, {"loss": loss}, data, budget)
    remaining = remaining_budget(run_dir, budget)
    if run_dir and remaining is None:
        return run_dir.path
    budget = remaining or budget
    resolved = STACKED.family.resolve(STACKED, {}, {"loss": loss})
    if run_dir:
        previous = run_dir.config
        config = from_values(STACKED.family.config, previous["config"], "config.json")
        resolved = Resolved(config, previous["sources"], previous["explicit"])
        run_dir.lock()
    request = TrainingRequest(
        task=STACKED,
        resolved=resolved,
        options=RunOptions(grid_every=1000, score=False),
        steps=budget.steps or 10**9,
        minutes=budget.minutes,
        data=data,
        folders={},
        runs=runs,
        run_dir=run_dir,
        initial_weights=None,
        initial_task=None,
        command=command,
    )
    if train_run(request):
        raise KeyboardInterrupt
    trained = find_newest_run(runs, STACKED.name)
    assert trained is not None  # the training has just written it
    return trained.path


def measure(directory: Path, data: Location) -> tuple[ModeCount, ModeCount, np.ndarray]:
    """Returns the measures of generated and of as many training images, and the first generated ones."""
    from gan_tf.evaluation.image_files import SourceImages
    from gan_tf.experiments.models import load_generator

    classifier = MNIST.load_classifier()
    generator, source = load_generator(STACKED, directory), open_data(STACKED.data, data, "train", 0)["real"]
    batches = list(generator.iterate(NUM_SAMPLES, 0))
    shown = np.concatenate(batches[:2])[: _ROWS**2]
    generated = np.concatenate([classify_channels(batch, classifier) for batch in batches])
    real = SourceImages(source, np.arange(NUM_SAMPLES))
    digits = [classify_channels(real[start : start + _BATCH], classifier) for start in range(0, NUM_SAMPLES, _BATCH)]
    return count_stacked_modes(generated), count_stacked_modes(np.concatenate(digits)), shown


def run(argv: Sequence[str]) -> int:
    """Trains and counts as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = Parser(prog="python -m gan_tf.experiments.stacked_mnist", description=__doc__ or "")
    parser.add_argument("--data", type=parse_location, required=True, metavar="DIR", help="the four files of MNIST")
    parser.add_argument("--loss", default="gan", metavar="NAME", help="the loss (default: gan)")
    add_budget(parser, _BUDGET)
    add_outputs(parser, "stacked_mnist", "where the run folder lies")
    args = parser.parse(argv)
    check_page(args.out)
    budget = read_budget(args, _BUDGET)
    STACKED.family.resolve(STACKED, {}, {"loss": args.loss})  # refuses unknown losses before TensorFlow is loaded
    import_tensorflow()
    command = parser.recorded_command(argv)
    directory = train(args.data, budget, args.runs.absolute() / args.loss, args.loss, command)
    write_page(Page(args.out, "Modes of stacked MNIST", command), directory, measure(directory, args.data))
    return 0


def write_page(page: Page, directory: Path, measures: tuple[ModeCount, ModeCount, np.ndarray]) -> None:
    """Writes the page and its figure."""
    from gan_tf.experiments.models import read_facts
    from gan_tf.utils.images import tile_images

    generated, real, images = measures
    facts, config = read_facts(directory), find_config(directory)
    page.add(
        f"Loss `{config.loss}`, DCGAN with hidden_dim {config.hidden_dim}, {facts.step:,} steps of {config.batch} in "
        f"{facts.minutes:.0f} minutes on {describe_machine(detect_machine())}. {NUM_SAMPLES:,} images of seed 0, the digits of "
        f"their channels by the shipped digit classifier; the divergence is that from {NUM_MODES:,} equally frequent modes, in "
        "nats.",
        render_table(
            ["", "modes found", "KL"],
            [
                [name, f"{c.found:,}", f"{c.divergence:.3f}"]
                for name, c in (("generated", generated), ("training images", real))
            ],
        ),
    )
    page.add(
        "Published, each with a classifier and a training of its own: DCGAN 99 modes (Srivastava et al. 2017); R3GAN all "
        "1,000, KL 0.03 (Huang et al. 2024)."
    )
    page.add_figure("samples", tile_images(images, _ROWS, _ROWS), f"The first {_ROWS**2} of these images")
    page.write()


def find_config(directory: Path) -> Any:
    """Returns the configuration of exported weights."""
    from gan_tf.workflow import load_workflow

    return load_workflow(STACKED, directory).config


if __name__ == "__main__":
    sys.exit(run_command(run, None))
