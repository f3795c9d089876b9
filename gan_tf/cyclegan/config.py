"""The configuration of CycleGAN; the defaults are those of Zhu et al. 2017. Free of TensorFlow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf.cyclegan.run_figures import describe_figures
from gan_tf.family import Family
from gan_tf.options import INACTIVE, Conflict, Resolved, option, refuse_conflicts, resolve
from pipelines.errors import UserError
from pipelines.source import DataSpec

if TYPE_CHECKING:
    from gan_tf.tasks import Task

DIRECTIONS = ("AtoB", "BtoA")
SIZE_FACTOR = 4  # generators halve height and width twice, and double them again

CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        {"lr_decay_images": INACTIVE},
        "without a decay the learning rate is constant",
        "Add --lr-decay-images, or leave it out",
        explicit=("lr_constant_images",),
    ),
)


@dataclass(frozen=True)
class CycleGanConfig:
    """Everything that decides a CycleGAN's weights, besides the images and the number of steps."""

    network: str = option("resnet", "the networks", choices=("resnet",))
    hidden_dim: int = option(
        64, "channels next to the image; each halving of the size doubles them", minimum=1, maximum=1024, takes_memory=True
    )
    num_blocks: int = option(6, "residual blocks of a generator", minimum=0, maximum=50, takes_memory=True)
    upsample: str = option(
        "deconv", "how generators enlarge: transposed convolution, or resizing", choices=("deconv", "resize")
    )
    input_skip: bool = option(
        False, "let generators compute how their input is changed, not the whole image: sharp from the first step on"
    )
    load_size: int = option(286, "height and width that training images are resized to", minimum=32, maximum=4096)
    crop_size: int = option(
        256, "height and width of their random crops; a multiple of 4", minimum=32, maximum=4096, takes_memory=True
    )
    flip: bool = option(True, "mirror half of the training images at random")
    lambda_cycle: float = option(10.0, "weight of the cycle consistency loss", minimum=0.0)
    lambda_identity: float = option(5.0, "weight of the identity loss (0: none is computed)", minimum=0.0)
    pool_size: int = option(
        50,
        "earlier fakes of each domain that discriminators may see again (0: none)",
        minimum=0,
        maximum=10000,
        takes_memory=True,
    )
    learning_rate: float = option(2e-4, "learning rate of all networks", above=0.0)
    lr_constant_images: int = option(0, "images of a domain before the learning rate begins to fall", minimum=0)
    lr_decay_images: int = option(0, "images over which it then falls linearly to 0 (0: no decay)", minimum=0)
    beta1: float = option(0.5, "Adam's decay rate of the first moment", minimum=0.0, maximum=0.9999)
    beta2: float = option(0.999, "Adam's decay rate of the second moment", minimum=0.0, maximum=0.999999)
    batch: int = option(1, "images of each domain in one step", minimum=1, maximum=65536, takes_memory=True)
    precision: str = option(
        "float32",
        "what the trained networks compute in (their variables are float32)",
        choices=("float32", "bfloat16"),
        shown_default="bfloat16 where the CPU has units for it, else float32",
    )
    ema_half_life: float = option(0.0, "half-life of the generators' EMA, in images of a domain (0: no EMA)", minimum=0.0)
    seed: int = option(
        0, "seed of the initial weights, the order of the images and all random inputs", minimum=0, maximum=2**31 - 1
    )

    @property
    def constant_steps(self) -> int:
        """The steps before the learning rate begins to fall."""
        return math.ceil(self.lr_constant_images / self.batch)

    @property
    def last_step(self) -> int | None:
        """The step after which the learning rate is 0; None without a decay."""
        if not self.lr_decay_images:
            return None
        return self.constant_steps + math.ceil(self.lr_decay_images / self.batch)


@dataclass(frozen=True)
class CycleGanInferOptions:
    """What ``infer.py`` takes for a CycleGAN."""

    source: Path | None = option(None, "an image, or a folder of images at any depth", positional=True, metavar="IN")
    out: Path | None = option(
        None, "a .png file for an image; for a folder, a folder for images of the same names", positional=True, metavar="OUT"
    )
    direction: str = option("AtoB", "from which domain to which (yosemite: A is summer, B is winter)", choices=DIRECTIONS)
    max_size: int | None = option(
        None, "shrink larger images so that their longer side has N pixels", minimum=4, shown_default="keep each image's size"
    )
    overwrite: bool = option(False, "replace images that gan_tf wrote to OUT before")

    def validate(self) -> None:
        """Checks that IN exists and that OUT fits it.

        Raises:
            UserError: there is no image or folder IN, or OUT is of the other kind.
        """
        if self.source is None or self.out is None:
            return
        if not self.source.exists():
            raise UserError(f"There is nothing at {self.source}", "Give an image, or a folder of images")
        is_png = self.out.suffix.lower() == ".png"
        if self.source.is_dir() and (is_png or self.out.is_file()):
            raise UserError(f"OUT {self.out} must be a folder, since {self.source} is one", "Change OUT")
        if not self.source.is_dir() and (not is_png or self.out.is_dir()):
            raise UserError(f"OUT {self.out} must be a .png file, since {self.source} is one image", "Change OUT")


def _resolve(task: "Task", file: Mapping[str, Any], cli: Mapping[str, Any]) -> Resolved:
    resolved = resolve(CycleGanConfig, task.defaults, (), file, cli)
    config = resolved.config
    refuse_conflicts(resolved, CONFLICTS)
    if config.crop_size % SIZE_FACTOR:
        nearest = SIZE_FACTOR * round(config.crop_size / SIZE_FACTOR)
        problem = f"--crop-size {config.crop_size} is not a multiple of {SIZE_FACTOR}, which the generators need"
        raise UserError(problem, f"Use --crop-size {nearest}")
    if config.load_size < config.crop_size:
        problem = f"--load-size {config.load_size} is smaller than --crop-size {config.crop_size}"
        raise UserError(problem, "Raise one, or lower the other")
    return resolved


def _variant(config: CycleGanConfig) -> str:
    return f"w{config.hidden_dim}-{config.crop_size}px" + ("-skip" if config.input_skip else "")


def _data(task: "Task", config: CycleGanConfig) -> DataSpec:
    """Returns the task's data at the size that this configuration loads."""
    return task.data.at_size(config.load_size)


CYCLEGAN_FAMILY = Family(
    name="cyclegan",
    summary="Translates images from one domain to the other",
    example="--direction AtoB IN_DIR OUT_DIR",
    config=CycleGanConfig,
    infer_options=CycleGanInferOptions,
    resolve=_resolve,
    variant=_variant,
    data=_data,
    workflow="gan_tf.cyclegan.workflow:CycleGanWorkflow",
    several_devices=False,  # batches of one image, and one pool of fakes
    figures=describe_figures,
)
