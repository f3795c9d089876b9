"""The configuration of a diffusion model, and the options of sampling from it. Free of TensorFlow."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf.diffusion.run_figures import describe_figures
from gan_tf.family import Family
from gan_tf.options import Resolved, option, resolve
from pipelines.errors import UserError
from pipelines.location import Location
from pipelines.source import DataSpec

if TYPE_CHECKING:
    from gan_tf.tasks import Task

NUM_DIGITS = 10
DEFAULT_GUIDANCE, NO_GUIDANCE = 2.0, 1.0
DEFAULT_STEPS = 20  # of all samplers but the ancestral one
SAMPLERS = ("ancestral", "ddim", "dpm-solver++")


@dataclass(frozen=True)
class DiffusionConfig:
    """Everything that decides a diffusion model's weights, besides the images and the number of steps."""

    network: str = option("unet", "the network that predicts the noise", choices=("unet",))
    hidden_dim: int = option(
        64,
        "channels at half the image's size; a quarter of the size has twice as many",
        minimum=1,
        maximum=1024,
        takes_memory=True,
    )
    blocks: int = option(2, "residual blocks at a quarter of the image's size", minimum=1, maximum=100, takes_memory=True)
    classes: int = option(
        NUM_DIGITS,
        "number of labels to condition on (0: generate without labels)",
        minimum=0,
        maximum=1000,
        takes_memory=True,
        shown_default=f"{NUM_DIGITS} where the images have labels, else 0",
    )
    label_drop: float = option(
        0.1,
        "fraction of labels that are dropped, for classifier-free guidance (0: guidance is not possible)",
        minimum=0.0,
        maximum=0.99,
    )
    timesteps: int = option(1000, "T: steps from an image to noise", minimum=2, maximum=10_000)
    schedule: str = option("cosine", "how the noise grows from step to step", choices=("linear", "cosine"))
    prediction: str = option("v", "what the network predicts", choices=("epsilon", "v"))
    loss_weight: str = option("min-snr", "how noise levels are weighted", choices=("none", "min-snr"))
    learning_rate: float = option(2e-3, "learning rate of Adam", above=0.0)
    batch: int = option(64, "batch size, over all devices together", minimum=2, maximum=65536, takes_memory=True)
    precision: str = option(
        "float32",
        "what the trained network computes in (its variables are float32)",
        choices=("float32", "bfloat16"),
        shown_default="bfloat16 where the CPU has units for it, else float32",
    )
    ema_half_life: float = option(200_000.0, "half-life of the network's EMA, in images (0: no EMA)", minimum=0.0)
    seed: int = option(
        0, "seed of the initial weights, the order of the images and all random inputs", minimum=0, maximum=2**31 - 1
    )

    @property
    def last_step(self) -> int | None:
        """The step after which the learning rate is 0: None, since it is constant."""
        return None

    @property
    def can_guide(self) -> bool:
        """Whether the network learns to predict with labels and without, which guidance puts together."""
        return self.classes > 0 and self.label_drop > 0


@dataclass(frozen=True)
class DiffusionInferOptions:
    """What ``infer.py`` takes for a diffusion model."""

    out: Path | None = option(None, "folder for <digit>_001.png …", positional=True, metavar="OUT_DIR")
    labels: str | None = option(None, "digits to generate, such as 3,1,4", metavar="LIST", shown_default="all")
    per_digit: int | None = option(None, "images of each digit", minimum=1, maximum=1_000_000, shown_default="100")
    count: int | None = option(
        None,
        "images in all, one digit after the other in turn",
        minimum=1,
        maximum=10_000_000,
        shown_default="100 of each digit; without labels 1000",
    )
    sampler: str = option("dpm-solver++", "how noise becomes an image", choices=SAMPLERS)
    sample_steps: int | None = option(
        None, "evaluations of the network for each image", minimum=1, shown_default=f"{DEFAULT_STEPS}; ancestral: all timesteps"
    )
    guidance: float | None = option(
        None,
        "strength of classifier-free guidance (1: none, 0: without labels)",
        minimum=0.0,
        maximum=100.0,
        shown_default=f"{DEFAULT_GUIDANCE:g}, and {NO_GUIDANCE:g} for weights trained without dropped labels",
    )
    seed: int = option(0, "seed of the noise: the same seed gives the same images", minimum=0, maximum=2**31 - 1)
    overwrite: bool = option(False, "remove images that gan_tf wrote into the folder OUT_DIR before")

    @property
    def requested_labels(self) -> tuple[int, ...] | None:
        """The digits of ``labels`` in their order, or None without one.

        Raises:
            UserError: something else than different digits.
        """
        if self.labels is None:
            return None
        words = [word.strip() for word in self.labels.split(",")]
        if not all(word.isdecimal() and len(word) <= 4 for word in words) or len(set(map(int, words))) != len(words):
            raise UserError(f"--labels {self.labels} is not a list of different labels", "Write it as --labels 3,1,4")
        return tuple(map(int, words))

    def validate(self) -> None:
        """Checks the combination of options.

        Raises:
            UserError: labels that are none, or options that exclude each other.
        """
        _ = self.requested_labels
        if self.per_digit is not None and self.count is not None:
            raise UserError("--per-digit and --count exclude each other", "Leave one of the two out")


def _resolve(task: "Task", file: Mapping[str, Any], cli: Mapping[str, Any]) -> Resolved:
    return resolve(DiffusionConfig, task.defaults, (), file, cli)


def _adapt(task: "Task", resolved: Resolved, data: Location | None) -> Resolved:
    """Returns the configuration without labels if the images have none; synthetic images have labels.

    Raises:
        UserError: labels were asked for explicitly.
    """
    if resolved.config.classes == 0 or not isinstance(data, Path) or task.data.has_labels(data):
        return resolved
    if "classes" in resolved.explicit:
        problem = f"--classes {resolved.config.classes} is not possible, because the images in {data} have no labels"
        raise UserError(problem, "Leave --classes out, or add a table train.csv")
    config = dataclasses.replace(resolved.config, classes=0)
    return dataclasses.replace(resolved, config=config, sources={**resolved.sources, "classes": "data"})


def _variant(config: DiffusionConfig) -> str:
    return config.network if config.classes else f"{config.network}-unconditional"


def _data(task: "Task", config: DiffusionConfig) -> DataSpec:
    return task.data


DIFFUSION_FAMILY = Family(
    name="diffusion",
    summary="Generates images of requested digits from noise",
    example="OUT_DIR",
    config=DiffusionConfig,
    infer_options=DiffusionInferOptions,
    resolve=_resolve,
    variant=_variant,
    data=_data,
    workflow="gan_tf.diffusion.workflow:DiffusionWorkflow",
    adapt=_adapt,
    figures=describe_figures,
)
