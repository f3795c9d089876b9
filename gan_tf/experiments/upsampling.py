"""``python -m gan_tf.experiments.upsampling``: which pattern do the layers of a CycleGAN that enlarge leave in its images?

Transposed convolutions, which the paper has, may leave a checkerboard, since their kernels overlap unevenly; resizing followed
by a convolution should not (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"). Two small CycleGANs that differ
in nothing else are trained alike. Translated training images are compared with real ones by their spectra and by KID.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.cyclegan.config import DIRECTIONS
from gan_tf.experiments.arguments import add_outputs, check_page
from gan_tf.experiments.page import Page, render_table
from gan_tf.experiments.recipe_record import describe_machine, detect_machine
from gan_tf.experiments.trainings import Budget, Training, add_budget, read_budget, train_or_refuse
from gan_tf.tasks import YOSEMITE
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.location import Location, parse_location
from pipelines.numbers import whole_numbers

_SIZES = {"load_size": 144, "crop_size": 96, "hidden_dim": 32}
_SETTINGS = {**_SIZES, "lr_decay_images": 0}  # so that any budget is possible
TRAININGS = (
    Training("deconv", "transposed convolutions", {**_SETTINGS, "upsample": "deconv"}),
    Training("resize", "resizing, then a convolution", {**_SETTINGS, "upsample": "resize"}),
)
_BUDGET = Budget(steps=3000)
_SEED = 0


@dataclass(frozen=True)
class Result:
    """What was measured of images in one direction.

    Attributes:
        kid: of translated images against training images of the other domain; None for those images themselves.
        spectrum: their mean power spectrum.
    """

    kid: float | None
    spectrum: np.ndarray


Results = Mapping[str, Mapping[str, Result]]
"""By what the images are, and by direction."""


def measure(data: Location, count: int, directories: Mapping[str, Path]) -> dict[str, dict[str, Result]]:
    """Returns the results of real images and of each training.

    Args:
        data: holds ``trainA`` and ``trainB``.
        count: images of each domain that are translated, and compared with.
        directories: runs by what they are called on the page.

    Raises:
        UserError: the images or the weights of the FID network are missing.
    """
    from gan_tf.evaluation.image_files import MEMORY_BUDGET, source_images
    from gan_tf.experiments.spectrum import power_spectrum
    from gan_tf.training.callbacks import TrainingSetMetrics
    from gan_tf.workflow import load_workflow
    from pipelines.location import open_data

    sources = open_data(YOSEMITE.data.at_size(_SIZES["load_size"]), data, "train", MEMORY_BUDGET)
    images = {name: source_images(source, count, _SEED).images[:] for name, source in sources.items()}
    results: dict[str, dict[str, Result]] = {"real images": {}, **{name: {} for name in directories}}
    translators = {name: load_workflow(YOSEMITE, directory).load(directory) for name, directory in directories.items()}
    for direction, name, target in zip(DIRECTIONS, ("a", "b"), ("b", "a"), strict=True):
        metrics = TrainingSetMetrics(sources[target], count, _SEED)
        results["real images"][direction] = Result(None, power_spectrum(images[target]))
        for training, translator in translators.items():
            translated = translator.translate_all(images[name], direction)
            _, kid = metrics.compute(translated)
            results[training][direction] = Result(kid, power_spectrum(translated))
            print(f"{training}, {direction}: KID x 1000 {1000 * kid:.1f}", flush=True)
    return results


def render_results(results: Results) -> str:
    """Returns the table: a row for what the images are, two columns for each direction."""
    from gan_tf.experiments.spectrum import pattern_strength

    header = ["images", *(f"{measure}, {direction}" for direction in DIRECTIONS for measure in ("pattern, dB", "KID × 1000"))]
    rows = []
    for name, directions in results.items():
        cells = [name]
        for direction in DIRECTIONS:
            result = directions[direction]
            cells += [f"{pattern_strength(result.spectrum):+.1f}", "–" if result.kid is None else f"{1000 * result.kid:.1f}"]
        rows.append(cells)
    return render_table(header, rows)


def render_spectra(results: Results) -> bytes:
    """Draws all spectra on one logarithmic scale, frequency 0 in the middle, a row for each direction; returns a PNG image."""
    from matplotlib.figure import Figure

    from gan_tf.utils.plots import default_style, to_png

    decibels = {
        (direction, name): 10 * np.log10(np.fft.fftshift(directions[direction].spectrum) + 1.0)
        for name, directions in results.items()
        for direction in DIRECTIONS
    }
    low, high = (choose([choose(image) for image in decibels.values()]) for choose in (np.min, np.max))
    with default_style():
        figure = Figure(figsize=(3.2 * len(results), 6.4), dpi=100, layout="constrained")
        axes = figure.subplots(len(DIRECTIONS), len(results), squeeze=False)
        for row, direction in enumerate(DIRECTIONS):
            for column, name in enumerate(results):
                panel = axes[row, column]
                shown = panel.imshow(
                    decibels[direction, name], cmap="magma", vmin=low, vmax=high, extent=(-0.5, 0.5, 0.5, -0.5)
                )
                panel.set_xticks([-0.5, -0.25, 0, 0.25, 0.5])
                panel.set_yticks([-0.5, -0.25, 0, 0.25, 0.5])
                panel.set_title(f"{name}, {direction}" if column else f"{name}, domain {direction[-1]}", fontsize=10)
        figure.supxlabel("periods per pixel", fontsize=10)
        figure.colorbar(shown, ax=axes, shrink=0.6, label="power, dB")
        return to_png(figure)


def run(argv: Sequence[str]) -> int:
    """Compares the two as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = Parser(prog="python -m gan_tf.experiments.upsampling", description=__doc__ or "")
    parser.add_argument("--data", type=parse_location, required=True, metavar="DIR", help="the images of --task yosemite")
    add_budget(parser, _BUDGET)
    about = "training images of each domain that are translated, and compared with (default: 500)"
    parser.add_argument("--count", type=whole_numbers(2), default=500, metavar="N", help=about)
    add_outputs(parser, "upsampling")
    args = parser.parse(argv)
    check_page(args.out)
    budget = read_budget(args, _BUDGET)
    import_tensorflow()
    directories = {}
    for training in TRAININGS:
        print(f"{training.name}: training to {budget}", flush=True)
        run_dir = train_or_refuse(YOSEMITE, training, args.data, budget, args.runs.absolute() / training.name)
        directories[training.about] = run_dir.path
    results = measure(args.data, args.count, directories)
    page = Page(args.out, "Checkerboards of CycleGAN's generators", parser.recorded_command(argv))
    page.add(
        f"Two CycleGANs with {_SIZES['hidden_dim']} channels next to the image, trained on crops of {_SIZES['crop_size']} "
        f"pixels to {budget} each, one run of seed {_SEED}, on {describe_machine(detect_machine())}; they differ in "
        f"`--upsample` alone. Up to {args.count:,} training images of each domain were translated. The pattern is the power at "
        "the frequencies of whatever repeats every 2 or 4 pixels, over that at neighboring ones: 0 dB is no pattern. KID is "
        "that against training images of the other domain, as `kid_train` of `train.py --eval-every`.",
        render_results(results),
    )
    caption = "Mean power spectra of brightness; a pattern is a grid of bright points"
    page.add_figure("spectra", render_spectra(results), caption)
    page.write()
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
