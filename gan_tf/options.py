"""Settings: one small frozen dataclass a method, and where each value came from.

Order of precedence, weakest first: defaults < task < loss recipe < network recipe < ``--config`` file < command line.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from gan_tf.gan.config import LOSS_RECIPES, NETWORK_RECIPES, PENALTY_RECIPE
from pipelines.errors import InputError


def option(default: Any, about: str, *, choices=None, low=None, high=None, above=None, unsaid=None) -> Any:
    """A dataclass field that also tells what its flag means, which values it may take, and in words what holds unsaid."""
    metadata = {"about": about, "choices": choices, "low": low, "high": high, "above": above, "unsaid": unsaid}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class GanSettings:
    """All that decides a GAN's weights, besides the images and the number of steps."""

    loss: str = option("gan", "what D and G minimise", choices=tuple(LOSS_RECIPES))
    network: str = option("dcgan", "the pair of networks", choices=tuple(NETWORK_RECIPES))
    latent: int = option(100, "dimensions of the noise z", low=1)
    hidden: int = option(32, "channels next to the image; each halving of the size doubles them", low=1)
    norm: str = option("batch", "normalisation in D", choices=("batch", "layer", "instance", "spectral", "none"))
    penalty: str = option("none", "gradient penalty on D", choices=("none", "two-sided", "one-sided", "r1", "r2", "r1r2"))
    penalty_weight: float = option(10.0, "weight of the penalty (lambda of WGAN-GP, gamma of R1 and R2)", low=0.0)
    penalty_every: int = option(1, "apply the penalty every N steps, N times as strongly", low=1, high=1000)
    clip: float = option(0.0, "clip D's weights to this after each step (0: never)", low=0.0)
    optimizer: str = option("adam", "optimiser of both networks", choices=("adam", "rmsprop"))
    g_rate: float = option(2e-4, "learning rate of G", above=0.0)
    d_rate: float = option(2e-4, "learning rate of D", above=0.0)
    decay_images: int = option(0, "images over which both rates fall linearly to 0 (0: they stay)", low=0)
    beta1: float = option(0.5, "Adam's decay of the first moment", low=0.0, high=0.9999)
    beta2: float = option(0.999, "Adam's decay of the second moment", low=0.0, high=0.999999)
    batch: int = option(64, "images a step, over all devices together", low=2)
    d_steps: int = option(1, "D updates a step", low=1, high=100)
    g_steps: int = option(1, "G updates a step", low=1, high=100)
    precision: str = option(
        "float32",
        "what the trained networks compute in, their variables are float32",
        choices=("float32", "bfloat16"),
        unsaid="bfloat16 where the CPU has units for it, else float32",
    )
    augment: str = option("none", "how D's images, real and fake, are changed at random", choices=("none", "diffaugment"))
    flip: bool = option(True, "mirror half of the real images at random")
    ema_half_life: float = option(20_000.0, "half-life of the averaged generator, in images (0: no averaging)", low=0.0)
    seed: int = option(0, "decides the first weights, the order of the images and all noise", low=0, high=2**31 - 1)

    @property
    def shares_fakes(self) -> bool:
        """Whether one batch of fakes serves D and G (the DCGAN way); Wasserstein critics draw new noise for G."""
        return self.d_steps == self.g_steps == 1 and self.loss not in ("wgan", "wgangp")

    @property
    def last_step(self) -> int | None:
        """The step after which both rates are 0; None where they stay."""
        return math.ceil(self.decay_images / self.batch) or None


@dataclass(frozen=True)
class ReaderSettings:
    """All that decides a digit reader's weights, besides the images and the number of steps."""

    network: str = option("reader", "the network", choices=("reader",))
    hidden: int = option(24, "channels of the first layer; each halving of the size doubles them", low=1)
    smoothing: float = option(0.05, "share of the label spread over all ten digits", low=0.0, high=0.9)
    augment: bool = option(True, "move, blend and recolour the training images at random")
    rate: float = option(1e-3, "learning rate of Adam", above=0.0)
    batch: int = option(64, "images a step, over all devices together", low=2)
    ema_half_life: float = option(20_000.0, "half-life of the averaged network, in images (0: no averaging)", low=0.0)
    seed: int = option(0, "decides the first weights, the order of the images and all noise", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class RunSettings:
    """How a run is watched and kept. On resume each stays, or becomes what is said anew.

    None decides a weight, but for ``memory_budget`` where files are damaged: they are left out, or replaced as they come.
    """

    log_every: int = option(10, "steps between points of the curves", low=1)
    grid_every: int = option(500, "steps between grids (0: none)", low=0)
    checkpoint_every: int = option(500, "steps between checkpoints", low=1)
    keep_every: int = option(0, "keep checkpoints of each Nth step for good (0: of none)", low=0)
    eval_every: int = option(0, "steps between FIDs against training images (0: never)", low=0)
    eval_count: int = option(2000, "images of --eval-every", low=2)
    memory_budget: float = option(4000.0, "hold decoded images up to this many megabytes", low=0.0)


@dataclass(frozen=True)
class Resolved:
    """Settings, and for each field the layer that decided it ("default", "task", "loss", …, "said")."""

    settings: Any
    sources: dict[str, str]


def flag(name: str) -> str:
    """The command-line spelling of a field."""
    return "--" + name.replace("_", "-")


def resolve(cls: type, layers: list[tuple[str, dict[str, Any]]]) -> Resolved:
    """Merges layers of values, weakest first, over the defaults of ``cls``; every value is checked.

    Raises:
        InputError: for a name that ``cls`` does not have, or a value out of its range.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}
    values = {name: f.default for name, f in fields.items()}
    sources = dict.fromkeys(fields, "default")
    for source, layer in layers:
        for name, value in layer.items():
            if name not in fields:
                raise InputError(f"unknown setting {name!r} ({source})", nearest(name, fields), "correct the name")
            values[name] = check_value(fields[name], value, source)
            sources[name] = source
    return Resolved(cls(**values), sources)


def check_value(field: dataclasses.Field, value: Any, source: str) -> Any:
    """``value`` as the field's type, or an InputError that names the flag."""
    name, meta = flag(field.name), field.metadata
    wanted = field.type
    given = f"{name} {value}" + (f" (from {source})" if source != "said" else "")
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1e300 else math.inf  # float() raises where it would overflow
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise InputError(given, f"a value of type {wanted.__name__}", "change it")
    if meta["choices"] and value not in meta["choices"]:
        raise InputError(given, nearest(value, meta["choices"]), "choose one of these")
    if wanted in (int, float):
        low, high, above = meta["low"], meta["high"], meta["above"]
        inside = (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above)
        if not inside or (wanted is float and not math.isfinite(value)):
            raise InputError(given, f"a {'whole ' if wanted is int else ''}number{between(low, high, above)}", "change it")
    return value


def between(low, high, above) -> str:
    """The allowed range in words."""
    words = [f"above {above}"] if above is not None else [f"from {low}"] if low is not None else []
    return " " + " ".join(words + ([f"to {high}"] if high is not None else []))


def nearest(name: str, known) -> str:
    """The known names, and which of them may have been meant."""
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"one of: {', '.join(names)}" + (f" (did you mean {close[0]!r}?)" if close else "")


def resolve_gan(task: dict, config: dict, said: dict) -> Resolved:
    """GAN settings from the task's row, a config file and the command line, with loss and network recipes between.

    Raises:
        InputError: for unknown names, values out of range, and contradictions said by hand.
    """
    config = without_recipe(task, config, said)
    chosen = resolve(GanSettings, [("task", task), ("config", config), ("said", said)]).settings
    layers = [("task", task), ("loss", LOSS_RECIPES[chosen.loss]), ("network", NETWORK_RECIPES[chosen.network])]
    defaults = resolve(GanSettings, layers).settings
    # A file may hold every setting of a run: those that equal the defaults, or what the loss brings, say nothing.
    known = {name: (getattr(GanSettings, name), getattr(defaults, name)) for name in config}
    by_hand = {**{name: value for name, value in config.items() if value not in known[name]}, **said}
    if {"penalty": defaults.penalty, **config, **said}["penalty"] != "none":
        excluded = {"norm": defaults.norm == "batch", "clip": defaults.clip > 0.0}
        layers.append(("penalty", {name: value for name, value in PENALTY_RECIPE.items() if excluded[name]}))
    if by_hand.get("norm") == "spectral" and chosen.loss == "wgan":
        layers.append(("norm", {"clip": 0.0}))
    resolved = resolve(GanSettings, [*layers, ("config", config), ("said", said)])
    refuse_contradictions(resolved.settings, by_hand)
    return resolved


def without_recipe(task: dict, config: dict, said: dict) -> dict:
    """``config`` without what its own loss and network bring, where the command line names others that bring their own."""
    own = {name: config[name] for name in ("loss", "network") if name in config}
    if all(said.get(name, value) == value for name, value in own.items()):
        return config
    brought = resolve_gan(task, own, {}).settings
    return {name: value for name, value in config.items() if name in own or value != getattr(brought, name, None)}


def refuse_contradictions(s: GanSettings, by_hand: dict) -> None:
    """Raises an InputError where choices made by hand exclude each other; defaults have given way before."""
    if s.penalty != "none" and s.norm == "batch":
        why = "a gradient penalty judges each image alone, batch norm mixes them (Gulrajani et al. 2017)"
        raise InputError(f"--norm batch with a gradient penalty ({s.penalty})", "another norm: " + why, "say --norm layer")
    if s.loss == "wgangp" and s.penalty not in ("two-sided", "one-sided"):
        mend = "say --loss wgan to clip instead, or leave --penalty out"
        raise InputError(f"--loss wgangp --penalty {s.penalty}", "two-sided or one-sided", mend)
    if s.clip and s.penalty != "none":
        raise InputError(f"--clip {s.clip} with --penalty {s.penalty}", "one of the two", "leave one out")
    if s.loss == "wgan" and not s.clip and s.penalty == "none" and s.norm != "spectral":
        why = "a critic held in bounds by clipping, a penalty or spectral norm"
        raise InputError("--loss wgan --clip 0", why, "leave --clip out, or say --loss wgangp")
    for name in ("penalty_weight", "penalty_every"):
        if name in by_hand and s.penalty == "none":
            given = f"{flag(name)} without a penalty"
            raise InputError(given, "a penalty that it belongs to", "say --penalty r1r2, or leave it out")
    if s.optimizer == "rmsprop" and ("beta1" in by_hand or "beta2" in by_hand):
        raise InputError("--beta1 or --beta2 with rmsprop", "betas with adam only", "say --optimizer adam or leave them out")
