"""The configuration of a GAN, and the presets of each loss and network. Free of TensorFlow.

The loss formulas themselves stand in ``losses.py``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf.family import Family
from gan_tf.options import ACTIVE, INACTIVE, Conflict, Preset, Resolved, option, refuse_conflicts, resolve, suggest
from pipelines.errors import UserError
from pipelines.source import DataSpec

if TYPE_CHECKING:
    from gan_tf.tasks import Task

_MAX_SEED = 2**63 - 1  # TensorFlow's seeds are of type int64

# What a loss sets, on top of GanConfig's own defaults (which are the DCGAN paper's: Adam 2e-4, 0.5, 0.999).
LOSS_PRESETS: dict[str, dict[str, Any]] = {
    "gan": {},
    "lsgan": {},
    # Arjovsky et al. 2017, algorithm 1.
    "wgan": {"optimizer": "rmsprop", "g_lr": 5e-5, "d_lr": 5e-5, "clip": 0.01, "d_steps": 5},
    # Gulrajani et al. 2017, algorithm 1; section 4 "No critic batch normalization". beta1 0.5 follows the handout.
    "wgangp": {
        "g_lr": 1e-4,
        "d_lr": 1e-4,
        "beta1": 0.5,
        "beta2": 0.9,
        "d_steps": 5,
        "norm": "layer",
        "penalty": "two-sided",
        "penalty_weight": 10.0,
    },
    # Miyato et al. 2018: the hinge loss with a spectrally normalized discriminator.
    "hinge": {"norm": "spectral", "beta1": 0.0, "beta2": 0.9},
    # Huang et al. 2024 (R3GAN): relativistic pairs, zero-centered penalties on both sides, no normalization in D.
    "rpgan": {"norm": "none", "penalty": "r1r2", "penalty_weight": 1.0, "beta1": 0.0, "beta2": 0.99},
}

# What a network sets; it wins over the loss's choice of normalization.
NETWORK_PRESETS: dict[str, dict[str, Any]] = {
    "dcgan": {},
    "residual": {},
    "baseline": {"norm": "none", "hidden_dim": 32},  # the table of the handout has no normalization at all
    "cifar10": {"latent_dim": 256, "hidden_dim": 64},
    "mlp": {"norm": "none", "hidden_dim": 256},
    "improved": {},
}

PRESETS: tuple[Preset, ...] = (
    Preset("network", {"network": "improved"}, {"loss": "hinge"}),  # before the presets of the loss
    *(Preset("loss", {"loss": name}, values) for name, values in LOSS_PRESETS.items()),
    *(Preset("network", {"network": name}, values) for name, values in NETWORK_PRESETS.items()),
    # A gradient penalty is a function of single images, which batch norm in D mixes (Gulrajani et al. 2017, section 4).
    Preset("penalty", {"penalty": ACTIVE, "norm": "batch"}, {"norm": "layer"}),
    Preset("penalty", {"penalty": ACTIVE, "clip": ACTIVE}, {"clip": 0.0}),
    Preset("norm", {"loss": "wgan", "norm": "spectral"}, {"clip": 0.0}),
)

CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        {"network": "mlp", "norm": "instance"},
        "instance norm is over the pixels of a channel, and fully connected layers have none",
        "Use --norm layer",
    ),
    Conflict(
        {"penalty": ACTIVE, "norm": "batch"},
        "a gradient penalty is a function of single images and batch norm mixes them (Gulrajani et al. 2017)",
        "Use --norm layer",
    ),
    Conflict(
        {"loss": "wgangp", "penalty": ("none", "r1", "r2", "r1r2")},
        "WGAN-GP needs the penalty two-sided or one-sided",
        "Leave --penalty out, or use --loss wgan to clip weights instead",
    ),
    Conflict({"clip": ACTIVE, "penalty": ACTIVE}, "both bound the critic's gradient", "Leave one of the two out"),
    Conflict(
        {"loss": "wgan", "clip": INACTIVE, "penalty": INACTIVE, "norm": ("batch", "layer", "instance", "none")},
        "a critic must be bounded by clipping, a penalty or spectral norm",
        "Leave --clip out, or use --loss wgangp",
    ),
    Conflict(
        {"penalty": INACTIVE},
        "there is no penalty that it applies to",
        "Add --penalty r1r2, or leave it out",
        explicit=("penalty_weight", "penalty_every"),
    ),
    Conflict(
        {"optimizer": "rmsprop"},
        "RMSprop has no betas",
        "Use --optimizer adam, or leave the betas out",
        explicit=("beta1", "beta2"),
    ),
)


@dataclass(frozen=True)
class GanConfig:
    """Everything that decides a GAN's weights, besides the images and the number of steps."""

    loss: str = option("gan", "what D and G minimize", choices=tuple(LOSS_PRESETS))
    network: str = option("dcgan", "the pair of networks", choices=tuple(NETWORK_PRESETS))
    latent_dim: int = option(100, "dimensions of the latent vector z", minimum=1)
    hidden_dim: int = option(32, "channels next to the image; each halving of the size doubles them", minimum=1)
    image_size: int | None = option(
        None,
        "height and width that images of your own are fitted to",
        choices=(32, 64, 128),
        shown_default="the task's",
    )
    norm: str = option("batch", "normalization in D", choices=("batch", "layer", "instance", "spectral", "none"))
    penalty: str = option("none", "gradient penalty on D", choices=("none", "two-sided", "one-sided", "r1", "r2", "r1r2"))
    penalty_weight: float = option(10.0, "weight of the penalty (lambda of WGAN-GP, gamma of R1 and R2)", minimum=0.0)
    penalty_every: int = option(
        1, "apply the penalty every N steps, N times as strongly (lazy regularization)", minimum=1, maximum=1000
    )
    clip: float = option(0.0, "clip D's weights to this after each step (0: never)", minimum=0.0)
    optimizer: str = option("adam", "optimizer of both networks", choices=("adam", "rmsprop"))
    g_lr: float = option(2e-4, "learning rate of G", above=0.0)
    d_lr: float = option(2e-4, "learning rate of D", above=0.0)
    lr_decay_images: int = option(0, "images over which both learning rates fall linearly to 0 (0: no decay)", minimum=0)
    beta1: float = option(0.5, "Adam's decay rate of the first moment", minimum=0.0, maximum=0.9999)
    beta2: float = option(0.999, "Adam's decay rate of the second moment", minimum=0.0, maximum=0.999999)
    batch: int = option(64, "batch size, over all devices together", minimum=2)
    d_steps: int = option(1, "D updates in each step", minimum=1, maximum=100)
    g_steps: int = option(1, "G updates in each step", minimum=1, maximum=100)
    precision: str = option(
        "float32",
        "what the trained networks compute in (their variables are float32)",
        choices=("float32", "bfloat16"),
        shown_default="bfloat16 where the CPU has units for it, else float32",
    )
    augment: str = option("none", "random augmentation of D's inputs, real and fake", choices=("none", "diffaugment"))
    flip: bool = option(True, "mirror half of the real images at random")
    ema_half_life: float = option(20_000.0, "half-life of the generator's EMA, in images (0: no EMA)", minimum=0.0)
    seed: int = option(
        0, "seed of the initial weights, the order of the images and all random inputs", minimum=0, maximum=2**31 - 1
    )

    @property
    def shares_fakes(self) -> bool:
        """Whether one batch of fakes serves D and G (as in DCGAN); Wasserstein critics sample new latents for G."""
        return self.d_steps == self.g_steps == 1 and self.loss not in ("wgan", "wgangp")

    @property
    def last_step(self) -> int | None:
        """The step after which both learning rates are 0; None without a decay."""
        return math.ceil(self.lr_decay_images / self.batch) or None


@dataclass(frozen=True)
class GanInferOptions:
    """What ``infer.py`` takes for a GAN."""

    out: Path | None = option(
        None, "folder for 0000.png …, or a .png file with --grid or --interpolate", positional=True, metavar="OUT"
    )
    count: int | None = option(None, "images to write", minimum=1, shown_default="1000")
    seed: int | None = option(
        None, "seed of the latents: the same seed gives the same images", minimum=0, maximum=_MAX_SEED, shown_default="0"
    )
    seeds: str | None = option(
        None, "write image 0 of each seed from A to B: seed0000.png …, or with --grid the tiles of one image", metavar="A-B"
    )
    overwrite: bool = option(False, "remove images that gan_tf wrote into the folder OUT before")
    grid: str | None = option(None, "write one image of R rows and C columns, for instance 5x5", metavar="RxC")
    interpolate: int | None = option(
        None, "write one image of latent interpolations with K images each", minimum=2, metavar="K"
    )
    pairs: int | None = option(None, "number of interpolations, one in each row", minimum=1, shown_default="5")
    path: str | None = option(None, "interpolation path", choices=("slerp", "lerp"), shown_default="slerp")
    extrapolate: float | None = option(
        None, "how far to extrapolate beyond both ends, as a fraction", minimum=0.0, maximum=10.0, shown_default="0"
    )

    @property
    def is_one_image(self) -> bool:
        """Whether one image is written, not a folder of them."""
        return self.grid is not None or self.interpolate is not None

    @property
    def grid_shape(self) -> tuple[int, int] | None:
        """Rows and columns of ``grid``, or None without one."""
        if self.grid is None:
            return None
        rows, _, columns = self.grid.partition("x")
        if not (rows.isdecimal() and columns.isdecimal() and 0 < int(rows) <= 200 and 0 < int(columns) <= 200):
            raise UserError(f"--grid {self.grid} is not valid: rows x columns are needed, each from 1 to 200", "Use --grid 5x5")
        return int(rows), int(columns)

    @property
    def seed_range(self) -> range | None:
        """The seeds of ``seeds``, or None without them."""
        if self.seeds is None:
            return None
        first, _, last = self.seeds.partition("-")
        if not (_is_seed(first) and _is_seed(last) and int(first) <= int(last)):
            problem = f"--seeds {self.seeds} is not valid: the first and the last of a range of seeds are needed"
            raise UserError(problem, "Use --seeds 0-24")
        return range(int(first), int(last) + 1)

    def validate(self) -> None:
        """Checks the combination of options.

        Raises:
            UserError: for options that exclude each other.
        """
        self._check_seeds()
        one_image = self.grid_shape is not None or self.interpolate is not None
        if self.grid is not None and self.interpolate is not None:
            raise UserError("--grid and --interpolate exclude each other", "Leave one of the two out")
        if self.count is not None and one_image:
            raise UserError(
                "--count does not apply to a single image", "Leave --count out, or leave --grid and --interpolate out"
            )
        if self.interpolate is None:
            for name in ("pairs", "path", "extrapolate"):
                if getattr(self, name) is not None:
                    raise UserError(f"--{name} applies to --interpolate only", f"Add --interpolate 10, or leave --{name} out")
        if self.out is not None and one_image != (self.out.suffix.lower() == ".png"):
            problem = f"OUT {self.out} must be a .png file with --grid or --interpolate, and a folder without them"
            raise UserError(problem, "Change OUT, or add --grid 5x5")

    def _check_seeds(self) -> None:
        """Refuses options that contradict ``--seeds``."""
        seeds = self.seed_range
        if seeds is None:
            return
        for name in ("seed", "count", "interpolate"):
            if getattr(self, name) is not None:
                raise UserError(f"--seeds and --{name} exclude each other", "Leave one of the two out")
        if self.grid_shape is not None:
            rows, columns = self.grid_shape
            number = seeds.stop - seeds.start
            if number != rows * columns:
                problem = f"--seeds {self.seeds} are {number:,} seeds, but --grid {self.grid} has {rows * columns:,} tiles"
                raise UserError(problem, f"Use --seeds {seeds.start}-{seeds.start + rows * columns - 1}")


def _is_seed(text: str) -> bool:
    return text.isdecimal() and len(text) <= len(str(_MAX_SEED)) and int(text) <= _MAX_SEED


def resolve_gan(task_defaults: Mapping[str, Any], file: Mapping[str, Any], cli: Mapping[str, Any]) -> Resolved:
    """Resolves a GAN's configuration from the task's defaults, a ``--config`` file and the command line.

    Raises:
        UserError: unknown names, values out of range, and combinations that make no sense.
    """
    resolved = resolve(GanConfig, task_defaults, PRESETS, file, cli)
    refuse_conflicts(resolved, CONFLICTS)
    return resolved


def _resolve(task: "Task", file: Mapping[str, Any], cli: Mapping[str, Any]) -> Resolved:
    resolved = resolve_gan(task.defaults, file, cli)
    if resolved.config.network not in task.networks:
        problem = f"--network {resolved.config.network} is not available for --task {task.name}"
        raise UserError(f"{problem}; {suggest(resolved.config.network, task.networks)}", "Choose another network")
    return resolved


def with_image_size(name: str, config: GanConfig) -> str:
    """Returns a variant's name, which tells the image size where it is not left to the task."""
    return f"{name}-{config.image_size}px" if config.image_size else name


def _variant(config: GanConfig) -> str:
    return with_image_size(config.loss, config)


def _data(task: "Task", config: GanConfig) -> DataSpec:
    return task.at_size(config.image_size).data


GAN_FAMILY = Family(
    name="gan",
    summary="Generates images",
    example="--grid 5x5 samples/mine.png",
    config=GanConfig,
    infer_options=GanInferOptions,
    resolve=_resolve,
    variant=_variant,
    data=_data,
    workflow="gan_tf.gan.workflow:GanWorkflow",
)
