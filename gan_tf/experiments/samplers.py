"""``python -m gan_tf.experiments.samplers``: quality and time of a diffusion model's samplers.

Each row generates the same number of images from the same seed. The digit classifier says how many show the requested digit,
and gives the features of the Fréchet distance and of recall, both against training images; a second sample of training
images has the last row.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_tf import shipped
from gan_tf.cli.arguments import Parser, add_options, build_options
from gan_tf.cli.main import run_command
from gan_tf.experiments.arguments import add_out, check_page
from gan_tf.experiments.page import Page, render_table, stack_labeled
from gan_tf.experiments.recipe_record import describe_machine, detect_machine
from gan_tf.options import option
from gan_tf.tasks import DIFFUSION
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError

_HEADER = ("sampler", "steps", "guidance", "recognized, %", "distance", "recall", "s for 1,000 images")
_K = 3  # neighbors of recall


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        cells: its cells, those of ``_HEADER``.
        images: one generated image of each digit, uint8 ``[10, height, width, channels]``; None for training images, which
            no page shows.
    """

    cells: list[str]
    images: np.ndarray | None


@dataclass(frozen=True)
class SamplerOptions:
    """What is compared."""

    count: int = option(1000, "images of each row", minimum=20)
    samplers: str = option("dpm-solver++,ddim,ancestral", "samplers, separated by commas", metavar="LIST")
    steps: str = option("10,20,50", "sampling steps, separated by commas", metavar="LIST")
    guidance: str = option("1,1.5,2,3", "strengths of guidance, separated by commas", metavar="LIST")
    seed: int = option(0, "seed of the generated images and of the samples of training images", minimum=0, maximum=2**31 - 1)

    def rows(self) -> Iterator[tuple[str, int, float]]:
        """Yields sampler, steps and guidance of each row.

        Raises:
            UserError: a list holds something else.
        """
        try:
            steps = [int(word) for word in self.steps.split(",")]
            guidance = [float(word) for word in self.guidance.split(",")]
        except ValueError as error:
            raise UserError(f"--steps and --guidance must be lists of numbers ({error})", "Write --steps 10,20") from None
        for sampler in self.samplers.split(","):
            yield from ((sampler, number, strength) for strength in guidance for number in steps)

    def validate(self) -> None:
        """Checks the lists; raises as ``rows``, or for a sampler or a number that is not possible.

        Raises:
            UserError: a list holds something else.
        """
        from gan_tf.diffusion.config import SAMPLERS

        for sampler, steps, guidance in self.rows():
            if sampler not in SAMPLERS:
                raise UserError(f"There is no sampler {sampler!r}", f"Choose some of: {', '.join(SAMPLERS)}")
            if steps < 1 or not 0 <= guidance <= 100:
                raise UserError("--steps must be at least 1, and --guidance from 0 to 100", "Correct the values")


def run(argv: Sequence[str]) -> int:
    """Computes the table as the arguments say, prints each row when it is done, and writes the page.

    Raises:
        UserError: there are no weights or images, or no labels.
    """
    parser = Parser(prog="python -m gan_tf.experiments.samplers", description=__doc__ or "")
    parser.add_argument(
        "--weights", metavar="NAME|DIR|newest", help=f"of the task diffusion (default: {DIFFUSION.default_variant})"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where --weights newest looks (runs)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the task's images")
    add_out(parser, "samplers")
    add_options(parser, SamplerOptions())
    args = parser.parse(argv)
    options = build_options(args, SamplerOptions)
    check_page(args.out)
    weights = shipped.find_weights(DIFFUSION.name, args.weights, DIFFUSION.default_variant, args.runs)
    print(f"weights: {shipped.describe_weights(weights)}", flush=True)
    import_tensorflow()
    rows = []
    for row in compute_rows(weights, args.data, options):
        print(", ".join(f"{name} {cell}" for name, cell in zip(_HEADER, row.cells, strict=True) if cell), flush=True)
        rows.append(row)
    page = Page(args.out, "Samplers of the diffusion model", parser.recorded_command(argv))
    write_page(page, shipped.describe_weights(weights), options, rows)
    return 0


def write_page(page: Page, weights: str, options: SamplerOptions, rows: Sequence[Row]) -> None:
    """Writes the page: the table, and one generated image of each digit in each row."""
    from gan_tf.utils.images import tile_images

    page.add(
        f"Weights {weights}, {options.count:,} images of seed {options.seed} in each row, on "
        f"{describe_machine(detect_machine())}. The digit classifier says how many show the requested digit. Distance "
        f"(Fréchet) and recall are those of its features, against {options.count:,} training images; the last row has as "
        "many other training images.",
        render_table(_HEADER, [row.cells for row in rows]),
    )
    strips = {", ".join(row.cells[:3]): tile_images(row.images, 1, len(row.images)) for row in rows if row.images is not None}
    page.add_figure("digits", stack_labeled(strips), "The first image of each digit: sampler, steps and guidance")
    page.write()


def compute_rows(weights: Path, data: Path, options: SamplerOptions) -> Iterator[Row]:
    """Yields the rows of the table.

    Args:
        weights: exported weights of a diffusion model with labels.
        data: the task's images.
        options: what is compared.

    Raises:
        UserError: the weights know no digits, cannot be sampled so, or there are too few labeled images.
    """
    from gan_tf.diffusion.config import NUM_DIGITS
    from gan_tf.diffusion.generator import Sampling
    from gan_tf.evaluation.image_files import SourceImages
    from gan_tf.utils.images import to_rgb
    from gan_tf.workflow import load_workflow

    generator, classifier = load_workflow(DIFFUSION, weights).load(weights), DIFFUSION.load_classifier()
    if len(generator.labels) != NUM_DIGITS:
        raise UserError(f"{weights} was not trained with labels from 0 to 9", "Name other weights")
    (source,) = DIFFUSION.data.open(data, "train", 0).values()
    if not isinstance(source.take(np.arange(1)), dict):
        raise UserError(f"The images in {data} have no labels", "Name images with a table train.csv")
    if len(source) < 2 * options.count:
        problem = f"{data} has {len(source):,} training images, but two samples of --count {options.count:,} are compared"
        raise UserError(problem, f"Use --count {len(source) // 2}")
    samplings = [Sampling(sampler, steps, guidance) for sampler, steps, guidance in options.rows()]
    for sampling in samplings:  # all of them before the first images
        sampling.num_steps(generator.config.timesteps)
        sampling.strength(generator.config)
    order = np.random.default_rng(options.seed).permutation(len(source))
    real, second = (np.sort(order[i * options.count : (i + 1) * options.count]) for i in (0, 1))
    features, _ = classifier(SourceImages(source, real)[:])
    for sampling in samplings:
        start = time.monotonic()
        images = generator.generate(options.count, options.seed, sampling=sampling)
        seconds = (time.monotonic() - start) * 1000 / options.count
        quality = _describe(classifier(to_rgb(images)), np.arange(options.count) % NUM_DIGITS, features)
        yield Row(
            [sampling.sampler, f"{sampling.steps}", f"{sampling.guidance:g}", *quality, f"{seconds:.0f}"], images[:NUM_DIGITS]
        )
    samples = source.take(second)
    assert isinstance(samples, dict)  # as checked above
    quality = _describe(classifier(np.asarray(samples["image"])), np.asarray(samples["label"]), features)
    yield Row(["training images", "", "", *quality, ""], None)


def _describe(classified: tuple[np.ndarray, np.ndarray], labels: np.ndarray, real: np.ndarray) -> list[str]:
    """Returns the cells of accuracy, distance and recall, from the classifier's features and logits."""
    from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
    from gan_tf.evaluation.metrics.precision_recall import manifold_scores

    features, logits = classified
    accuracy = 100 * np.mean(logits.argmax(axis=1) == labels)
    recall = manifold_scores(features, real, k=_K, k_coverage=_K).recall
    return [f"{accuracy:.1f}", f"{frechet_distance_of_features(features, real):.2f}", f"{recall:.2f}"]


if __name__ == "__main__":
    sys.exit(run_command(run, None))
