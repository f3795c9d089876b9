"""The 25-Gaussians GAN as a complete model family: what a new family consists of, in one file.

A real family is spread over ``config.py``, ``networks.py``, ``model.py`` and ``workflow.py`` of its own folder; the tests
register this one and run it through the real command line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_tf import export
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import Report, Score
from gan_tf.family import Family
from gan_tf.options import Resolved, option, resolve
from gan_tf.tasks import Task
from gan_tf.training.callbacks import Callback, ExportWeights
from gan_tf.training.context import RunContext
from gan_tf.workflow import Workflow
from helpers.gaussians import BATCH, CENTERS, LATENT_DIM, GaussianGAN, Gaussians25, build_discriminator, build_generator
from pipelines.randomness import Purpose, normal
from pipelines.source import DataSpec, Source, Split
from pipelines.stream import Stream


@dataclass(frozen=True)
class GaussianConfig:
    """Everything that decides the weights."""

    network: str = option("mlp", "the pair of networks", choices=("mlp",))
    hidden_dim: int = option(32, "units of the hidden layers", minimum=1)
    batch: int = option(BATCH, "batch size", minimum=2)
    seed: int = option(3, "seed of everything", minimum=0)

    @property
    def last_step(self) -> int | None:
        """The learning rate is constant."""
        return None


@dataclass(frozen=True)
class GaussianInferOptions:
    """What ``infer.py`` takes."""

    out: Path | None = option(None, "CSV file for the points", positional=True, metavar="OUT.csv")
    count: int = option(100, "points to write", minimum=1)

    def validate(self) -> None:
        """Accepts every combination."""


class GaussianData(DataSpec):
    """Points that need no files."""

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        return self.open_synthetic()

    def open_synthetic(self) -> dict[str, Source]:
        return {"real": Gaussians25()}

    @property
    def layout(self) -> str:
        return "anything"

    def has_validation(self, path: Path) -> bool:
        return False


class PointSampler:
    """An exported generator, ready for use."""

    def __init__(self, network: Any):
        self.network = network

    def sample(self, count: int, seed: int = 0) -> np.ndarray:
        """Returns points, float32 ``[count, 2]``."""
        return self.network(normal((count, LATENT_DIM), seed, 0, Purpose.SAMPLE_LATENTS), training=False).numpy()


class GaussianWorkflow(Workflow):
    """Trains, samples and scores the toy GAN."""

    def build_model(self) -> GaussianGAN:
        hidden_dim, seed = self.config.hidden_dim, self.config.seed
        generators = [build_generator(hidden_dim, seed) for _ in range(2)]
        return GaussianGAN(*generators, build_discriminator(hidden_dim, seed), self.config.batch, seed)

    def build_stream(self, model: GaussianGAN, sources: Mapping[str, Source]) -> Stream:
        return Stream(sources, self.config.batch, seed=self.config.seed, random_inputs=model.random_inputs)

    def callbacks(self, run: RunContext, model: GaussianGAN) -> list[Callback]:
        return [ExportWeights(run, model, self.task.image_shape)]

    def load(self, directory: Path) -> PointSampler:
        network = build_generator(self.config.hidden_dim)
        export.read_weights(directory).assign("generator", network)
        return PointSampler(network)

    def infer(self, directory: Path, options: GaussianInferOptions) -> None:
        np.savetxt(options.out, self.load(directory).sample(options.count), delimiter=",")

    def evaluate(self, directory: Path, data: Path | None, options: EvaluationOptions, report: Report) -> dict[str, Score]:
        """Returns how many of the 25 modes are hit by 1,000 points."""
        points = self.load(directory).sample(1000)
        distances = np.linalg.norm(points[:, None] - CENTERS[None], axis=2)
        hit = np.unique(distances.argmin(axis=1)[distances.min(axis=1) < 0.25])
        return {"modes": Score(float(len(hit)), {"points": len(points)})}


def _resolve(task: Task, file: Mapping[str, Any], cli: Mapping[str, Any]) -> Resolved:
    return resolve(GaussianConfig, task.defaults, (), file, cli)


def _variant(config: GaussianConfig) -> str:
    return f"w{config.hidden_dim}"


def _data(task: Task, config: GaussianConfig) -> DataSpec:
    return task.data


GAUSSIAN_FAMILY = Family(
    name="gaussian",
    summary="Samples points of the plane",
    example="points.csv",
    config=GaussianConfig,
    infer_options=GaussianInferOptions,
    resolve=_resolve,
    variant=_variant,
    data=_data,
    workflow="helpers.gaussian_family:GaussianWorkflow",
)

GAUSSIANS = Task(
    name="gaussians",
    summary="a grid of 25 Gaussians",
    family=GAUSSIAN_FAMILY,
    data=GaussianData(),
    image_shape=(2,),
    networks=("mlp",),
    default_variant="w32",
)
