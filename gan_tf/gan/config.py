"""The configuration of a GAN, and the presets of each loss and network. Free of TensorFlow.

The loss formulas themselves stand in ``losses.py``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gan_tf.family import Family
from gan_tf.gan.infer_options import GanInferOptions
from gan_tf.gan.run_figures import describe_figures
from gan_tf.options import ACTIVE, INACTIVE, Conflict, Preset, Resolved, option, refuse_conflicts, resolve, suggest
from pipelines.errors import UserError
from pipelines.source import DataSpec

if TYPE_CHECKING:
    from gan_tf.tasks import Task

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
    # Without Adam's division by the size of the gradient, a rate of 2e-4 would hardly train.
    Preset("d_optimizer", {"d_optimizer": "sgd"}, {"d_lr": 0.01}),
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
        {"optimizer": "rmsprop", "d_optimizer": (None, "rmsprop", "sgd")},
        "neither optimizer has betas",
        "Use --optimizer adam or --d-optimizer adam, or leave the betas out",
        explicit=("beta1", "beta2"),
    ),
    Conflict(
        {"loss": ("lsgan", "wgan", "wgangp", "hinge", "rpgan"), "generator_loss": "saturating"},
        "only the loss gan has a saturating form, log(1 - D(G(z)))",
        "Use --loss gan, or leave --generator-loss out",
    ),
    *(
        Conflict(
            {"loss": ("wgan", "wgangp", "hinge", "rpgan"), name: value},
            "this loss has no labels; only gan and lsgan compare D's outputs with labels",
            "Use --loss gan, or leave the labels as they are",
        )
        for name, value in (("soft_labels", True), ("flip_labels", ACTIVE))
    ),
    Conflict(
        {"norm": ("layer", "instance", "spectral", "none"), "d_batches": "mixed"},
        "only batch norm depends on what else is in a batch",
        "Use --norm batch, or leave --d-batches out",
    ),
    Conflict(
        {"instance_noise": INACTIVE},
        "there is no noise that fades",
        "Add --instance-noise 0.1, or leave it out",
        explicit=("instance_noise_images",),
    ),
    Conflict(
        {"network": "baseline", "dropout": ACTIVE},
        "dropout follows layers of their own for ReLU, which the generator of baseline does not have",
        "Use --network dcgan, or leave --dropout out",
    ),
    Conflict(
        {"network": "mlp", "d_downsample": "max-pool"},
        "fully connected layers have no pixels to take a maximum over",
        "Use --network dcgan, or leave --d-downsample out",
    ),
)


@dataclass(frozen=True)
class GanConfig:
    """Everything that decides a GAN's weights, besides the images and the number of steps."""

    loss: str = option("gan", "what D and G minimize", choices=tuple(LOSS_PRESETS))
    network: str = option("dcgan", "the pair of networks", choices=tuple(NETWORK_PRESETS))
    latent_dim: int = option(100, "dimensions of the latent vector z", minimum=1, maximum=4096, takes_memory=True)
    hidden_dim: int = option(
        32, "channels next to the image; each halving of the size doubles them", minimum=1, maximum=1024, takes_memory=True
    )
    image_size: int | None = option(
        None,
        "height and width that images of your own are fitted to",
        choices=(32, 64, 128),
        takes_memory=True,
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
    batch: int = option(64, "batch size, over all devices together", minimum=2, maximum=65536, takes_memory=True)
    d_steps: int = option(1, "D updates in each step", minimum=1, maximum=100, takes_memory=True)
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

    output: str = option(
        "tanh",
        "last activation of G, and with sigmoid also D's inputs in [0, 1] instead of [-1, 1]",
        choices=("tanh", "sigmoid"),
    )
    generator_loss: str = option("non-saturating", "form of G's loss with --loss gan", choices=("non-saturating", "saturating"))
    latent_distribution: str = option("normal", "what latent vectors are sampled from", choices=("normal", "uniform"))
    d_batches: str = option("separate", "batches of real and fake images under batch norm in D", choices=("separate", "mixed"))
    d_activation: str = option("leaky-relu", "activation in D", choices=("leaky-relu", "relu"))
    d_downsample: str = option("stride", "how D's convolutions halve the size", choices=("stride", "max-pool"))
    soft_labels: bool = option(False, "labels of D at random from 0.7 to 1.2 (real) and from 0.0 to 0.3 (fake)")
    flip_labels: float = option(0.0, "fraction of D's labels that are exchanged", minimum=0.0, maximum=0.5)
    d_optimizer: str | None = option(
        None, "optimizer of D", choices=("adam", "rmsprop", "sgd"), shown_default="that of --optimizer"
    )
    instance_noise: float = option(
        0.0, "standard deviation of noise added to D's inputs at the start (0: none)", minimum=0.0, maximum=10.0
    )
    instance_noise_images: int = option(500_000, "images over which this noise falls linearly to 0", minimum=1)
    dropout: float = option(
        0.0, "fraction of channels dropped after hidden layers of G, also in generated images", minimum=0.0, maximum=0.9
    )

    @property
    def shares_fakes(self) -> bool:
        """Whether one batch of fakes serves D and G (as in DCGAN); Wasserstein critics sample new latents for G."""
        return self.d_steps == self.g_steps == 1 and self.loss not in ("wgan", "wgangp")

    @property
    def last_step(self) -> int | None:
        """The step after which both learning rates are 0; None without a decay."""
        return math.ceil(self.lr_decay_images / self.batch) or None


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
    figures=describe_figures,
)
