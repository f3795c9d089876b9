"""The workflow of all GANs: noise to images."""

import argparse
import pkgutil
from pathlib import Path

from gan_tf.options import GanSettings, Resolved, RunSettings, resolve_gan
from gan_tf.tasks import Task
from pipelines.errors import InputError

SETTINGS = GanSettings
TRAINED = ("generator", "discriminator")
ABOUT = "Makes images"
EXAMPLE = "--grid 5x5 samples/mine.png"
PREVIEW_ROWS = 8
PAIRS, WALK = 5, "great-circle"  # of infer.py --interpolate


def resolve(task: Task, config: dict, said: dict) -> Resolved:
    """Settings of a run; see ``settings.resolve_gan``. The networks must be among the task's."""
    resolved = resolve_gan(task.defaults, config, said)
    if resolved.settings.network not in task.networks:
        known = ", ".join(task.networks)
        raise InputError(f"--network {resolved.settings.network}", f"one of: {known}", f"choose one that {task.name} has")
    return resolved


def networks(task: Task, settings: GanSettings):
    """The module with ``build_generator`` and ``build_discriminator`` that the settings name."""
    return pkgutil.resolve_name(task.networks[settings.network])


def build(task: Task, settings: GanSettings):
    """The method, its networks initialised from the seed; the averaged generator computes in float32, as ``infer.py``'s."""
    from gan_tf.gan.model import Adversarial
    from gan_tf.nn.layers import computing_in

    module, s = networks(task, settings), settings
    averaged = module.build_generator(task.shape, s.latent, s.hidden, seed=s.seed)
    with computing_in(s.precision):
        generator = module.build_generator(task.shape, s.latent, s.hidden, seed=s.seed)
        discriminator = module.build_discriminator(task.shape, s.hidden, s.norm, seed=s.seed)
    return Adversarial(generator, averaged, discriminator, s)


def stream_for(method, source):
    """The stream of real images and noise that feeds a method of ``build``."""
    from gan_tf.gan.latents import REAL_FLIPS
    from pipelines.stream import Stream, key
    from pipelines.transforms import flip, to_float

    s = method.settings

    def ready(images, step):
        return to_float(flip(images, key(s.seed, step, REAL_FLIPS)) if s.flip else images)

    return Stream(source, s.batch, per_step=s.d_steps, seed=s.seed, prepare=ready, draws=method.draws)


def actions(task: Task, config: dict, method, source, folder: Path, plan, writers, watched: RunSettings) -> None:
    """Adds to the plan: grids of fixed noises, scores against training images, the averaged weights at checkpoints."""
    from gan_tf.gan.latents import noises
    from gan_tf.gan.sampling import generate
    from gan_tf.training.transfer import export_weights
    from gan_tf.utils.images import grid, write_png

    settings = method.settings
    noise = noises(PREVIEW_ROWS**2, settings.latent, settings.seed)

    def picture(step: int) -> None:
        image = grid(generate(method.sampler(), noise), PREVIEW_ROWS, PREVIEW_ROWS)
        write_png(folder / "images" / f"step-{step:09d}.png", image)
        writers.image(step, "fixed noise", image)

    plan.every.append((watched.grid_every, picture))

    def weights(step: int, place: Path = folder) -> None:
        export_weights(task, config, method, method.sampler(), place, plan, step)

    plan.at_checkpoint.append(weights)
    if watched.eval_every:
        from gan_tf.training.callbacks import best_folder, scorer

        def sample(count: int):
            return generate(method.sampler(), noises(count, settings.latent, settings.seed))

        def keep(step: int) -> None:
            weights(step, best_folder(folder))

        score = scorer(source, watched.eval_count, settings.seed, sample, writers, plan, keep)
        plan.every.append((watched.eval_every, score))


def load(folder: Path, task: Task):
    """The generator of a run or of shipped weights, and the settings it was trained with; raises as ``export.load``."""
    from gan_tf import export

    def empty(settings: GanSettings):
        return networks(task, settings).build_generator(task.shape, settings.latent, settings.hidden)

    return export.load(folder, task.name, GanSettings, empty)


def sample(task: Task, folder: Path, count: int, seed: int):
    """Images 0 to ``count - 1`` of a seed from the weights in ``folder``, uint8, chunk by chunk."""
    from gan_tf.gan.sampling import stream_images

    return stream_images(load(folder, task)[0], count, seed)


def infer_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``infer.py`` takes for a GAN."""
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for 0000.png …; a .png file with --grid or --interpolate")
    parser.add_argument("--count", type=int, help="images to write (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise: the same seed gives the same images (default: 0)")
    parser.add_argument("--grid", metavar="RxC", help="one picture of R rows and C columns, for instance 5x5")
    parser.add_argument("--interpolate", type=int, metavar="K", help="one picture of walks between noises, K images a walk")
    parser.add_argument("--pairs", type=int, metavar="N", help=f"walks of --interpolate, one a row (default: {PAIRS})")
    parser.add_argument("--walk", metavar="KIND", help="of --interpolate: great-circle (default) or straight")
    about = "how far a walk of --interpolate goes on beyond both its ends (default: 0)"
    parser.add_argument("--extrapolate", type=float, metavar="SHARE", help=about)


def check_infer(args: argparse.Namespace) -> tuple[int, int] | None:
    """Refuses arguments that make no sense, before TensorFlow is loaded; returns rows and columns of ``--grid``."""
    walk = args.interpolate is not None
    if args.grid and walk:
        raise InputError("--grid with --interpolate", "one of the two", "leave one out")
    if args.count is not None and (args.grid or walk):
        raise InputError("--count with a single picture", "--grid RxC or --interpolate K --pairs N", "leave --count out")
    for name in ("pairs", "walk", "extrapolate"):
        if getattr(args, name) is not None and not walk:
            raise InputError(f"--{name} without --interpolate", "a walk that it belongs to", "add --interpolate K")
    if bool(args.grid or walk) != (args.out.suffix.lower() == ".png"):
        expected = "a .png file with --grid or --interpolate, a folder without"
        raise InputError(f"OUT {args.out}", expected, "change OUT, or add --grid 5x5")
    for name, value, low in (("--count", args.count, 1), ("--pairs", args.pairs, 1), ("--seed", args.seed, 0)):
        if value is not None and value < low:
            raise InputError(f"{name} {value}", f"a whole number from {low}", "change it")
    if walk and args.interpolate < 2:
        raise InputError(f"--interpolate {args.interpolate}", "at least 2 images a walk", "change it")
    if args.walk not in (None, "great-circle", "straight"):
        raise InputError(f"--walk {args.walk}", "great-circle or straight", "choose one of these")
    if not 0.0 <= (args.extrapolate or 0.0) <= 10.0:
        raise InputError(f"--extrapolate {args.extrapolate}", "a share from 0 to 10", "change it")
    return parse_grid(args.grid) if args.grid else None


def parse_grid(text: str) -> tuple[int, int]:
    """ "5x4" as (5, 4)."""
    rows, _, columns = text.partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and 0 < int(rows) <= 200 and 0 < int(columns) <= 200):
        raise InputError(f"--grid {text}", "rows x columns such as 5x5, each from 1 to 200", "change it")
    return int(rows), int(columns)


def infer(task: Task, args: argparse.Namespace, folder: Path) -> None:
    """Writes what ``infer.py`` was asked for from the weights in ``folder``."""
    shape = check_infer(args)
    from gan_tf.gan.latents import noises
    from gan_tf.gan.sampling import generate, stream_images
    from gan_tf.utils.images import grid, write_images, write_png

    generator, settings = load(folder, task)
    if args.interpolate is not None:
        pairs, walk = args.pairs or PAIRS, args.walk or WALK
        noise = walk_noises(pairs, walk, args.interpolate, args.extrapolate or 0.0, settings.latent, args.seed)
        write_png(args.out, grid(generate(generator, noise), pairs, args.interpolate))
        print(f"{args.out}: {pairs} walks of {args.interpolate} images ({walk})")
    elif shape:
        images = generate(generator, noises(shape[0] * shape[1], settings.latent, args.seed))
        write_png(args.out, grid(images, *shape))
        print(f"{args.out}: {shape[0]} x {shape[1]} images of seed {args.seed}")
    else:
        count = args.count or 1000
        write_images(args.out, stream_images(generator, count, args.seed), count)
        print(f"{args.out}: {count} images of seed {args.seed}")


def walk_noises(pairs: int, walk: str, points: int, beyond: float, latent: int, seed: int):
    """The noises of all walks, ``[pairs * points, latent]``; walk n goes from noise 2n to 2n + 1 of the seed."""
    import numpy as np

    from gan_tf.gan.latents import WALKS, noises, walk_shares

    ends, shares = noises(2 * pairs, latent, seed), walk_shares(points, beyond)
    return np.concatenate([WALKS[walk](ends[2 * n], ends[2 * n + 1], shares) for n in range(pairs)])
