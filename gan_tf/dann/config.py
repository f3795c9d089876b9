"""The configuration of domain adaptation, and what each method and target sets. Free of TensorFlow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf.dann.run_figures import describe_figures
from gan_tf.dann.stated_target import find_target
from gan_tf.family import Family
from gan_tf.options import Conflict, Preset, Resolved, option, refuse_conflicts, resolve
from gan_tf.utils.files import check_label_files
from pipelines.errors import UserError
from pipelines.formats.class_folders import MAX_CLASSES
from pipelines.formats.domains import DIGIT_CLASSES, TARGETS, DomainData
from pipelines.source import DataSpec

if TYPE_CHECKING:
    from gan_tf.tasks import Task

PRESETS: tuple[Preset, ...] = (
    # Ganin et al. 2016: nothing but the adversarial loss, and batch norm over both domains.
    Preset(
        "method",
        {"method": "dann"},
        {"domain_weight": 1.0, "pseudo_weight": 0.0, "statistics": "joint", "inversion": False},
    ),
    Preset("target", {"target": "usps"}, {"lr_decay_images": 64_000}),
)

CONFLICTS: tuple[Conflict, ...] = tuple(
    Conflict(
        {"phase": phase},
        "nothing is adapted in this phase",
        "Leave it out, or use --phase adapt",
        explicit=("method", "domain_weight", "pseudo_weight", "pseudo_threshold", "statistics"),
    )
    for phase in ("source", "target")
)


@dataclass(frozen=True)
class DannConfig:
    """Everything that decides the weights, besides the images and the number of steps."""

    target: str = option("svhn", "the domain to adapt to", choices=TARGETS)
    phase: str = option(
        "adapt",
        "what is trained on: labeled source images (lower bound), those and target images without labels, "
        "or labeled target images (upper bound)",
        choices=("source", "adapt", "target"),
    )
    method: str = option("full", "how the domains are adapted", choices=("dann", "full"))
    network: str = option("cnn", "the networks", choices=("cnn",))
    hidden_dim: int = option(
        32,
        "channels of the first convolution; later layers have up to four times as many",
        minimum=2,
        maximum=1024,
        takes_memory=True,
    )
    domain_weight: float = option(0.1, "strength of the reversed gradient at the end of the training", minimum=0.0)
    pseudo_weight: float = option(1.0, "weight of the loss on pseudo-labels, after its ramp", minimum=0.0)
    pseudo_threshold: float = option(
        0.9, "confidence that a pseudo-label needs, as a multiple of that on source images", minimum=0.0
    )
    statistics: str = option("domain", "images that batch norm averages over in training", choices=("domain", "joint"))
    teacher_decay: float = option(0.99, "weight of the old EMA in each step", minimum=0.0, maximum=0.99999)
    learning_rate: float = option(1e-3, "highest learning rate of Adam, after warm-up", above=0.0)
    warmup_images: int = option(6400, "source images over which the learning rate rises", minimum=0)
    lr_decay_images: int = option(
        140_800,
        "source images over which the learning rate falls to 2 % and all weights of losses run through their schedules",
        minimum=1,
    )
    beta1: float = option(0.9, "Adam's decay rate of the first moment", minimum=0.0, maximum=0.9999)
    beta2: float = option(0.99, "Adam's decay rate of the second moment", minimum=0.0, maximum=0.999999)
    batch: int = option(64, "images of each domain in a batch", minimum=2, maximum=65536, takes_memory=True)
    inversion: bool = option(True, "exchange dark and bright in half of the images that are learned from")
    classes: str = option(DIGIT_CLASSES, "names of the classes, with slashes between them", metavar="A/B/…")
    seed: int = option(
        0, "seed of the initial weights, the order of the images and all random inputs", minimum=0, maximum=2**31 - 1
    )

    @property
    def last_step(self) -> int:
        """The step after which all schedules are at their end."""
        return math.ceil(self.lr_decay_images / self.batch)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return tuple(self.classes.split("/"))


@dataclass(frozen=True)
class DannInferOptions:
    """What ``infer.py`` takes for domain adaptation."""

    images: Path | None = option(None, "folder of images, at any depth", positional=True, metavar="TARGET_DIR")
    out: Path | None = option(None, "file for image_name,label", positional=True, metavar="OUT.csv")
    target: str | None = option(
        None,
        "the domain of the images",
        choices=TARGETS[:2],
        shown_default="the last part of the path that is one of these, or usps if all images are gray, else svhn",
    )
    overwrite: bool = option(False, "replace the file OUT if there is one")

    def validate(self) -> None:
        """Checks the arguments.

        Raises:
            UserError: no such folder, or an output that is not a CSV file, or that there is already.
        """
        check_label_files(self.images, self.out, self.overwrite)


def resolve_dann(task_defaults: Mapping[str, Any], file: Mapping[str, Any], cli: Mapping[str, Any]) -> Resolved:
    """Resolves a configuration from the task's defaults, a ``--config`` file and the command line.

    Raises:
        UserError: unknown names, values out of range, and combinations that make no sense.
    """
    resolved = resolve(DannConfig, task_defaults, PRESETS, file, cli)
    refuse_conflicts(resolved, CONFLICTS)
    names = resolved.config.class_names
    if len(names) < 2 or len(set(names)) < len(names) or not all(names):
        problem = f"--classes {resolved.config.classes} does not name two or more different classes"
        raise UserError(problem, "Write their names with slashes between them, such as cat/dog")
    if len(names) > MAX_CLASSES:
        raise UserError(f"--classes names {len(names):,} classes, but at most {MAX_CLASSES} are possible", "Leave some out")
    return resolved


def _resolve(task: "Task", file: Mapping[str, Any], cli: Mapping[str, Any]) -> Resolved:
    return resolve_dann(task.defaults, file, cli)


def _variant(config: DannConfig) -> str:
    """The target; then the phase, or the method, where it is not the default one."""
    if config.phase != "adapt":
        return f"{config.target}-{config.phase}"
    return config.target if config.method == "full" else f"{config.target}-{config.method}"


def build_data(config: DannConfig) -> DomainData:
    """Returns where the domains lie that a configuration trains on."""
    return DomainData(config.target, config.phase, config.class_names)


def _data(task: "Task", config: DannConfig) -> DataSpec:
    return build_data(config)


def _default_variant(task: "Task", options: DannInferOptions) -> str:
    assert options.images is not None  # argparse requires it
    return find_target(options.images, options.target).name


DANN_FAMILY = Family(
    name="dann",
    summary="Classifies images of a domain for which there were no labels",
    example="TARGET_DIR pred.csv",
    config=DannConfig,
    infer_options=DannInferOptions,
    resolve=_resolve,
    variant=_variant,
    data=_data,
    workflow="gan_tf.dann.workflow:DannWorkflow",
    default_variant=_default_variant,
    several_devices=False,
    figures=describe_figures,
)
