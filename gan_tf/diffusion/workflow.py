"""How diffusion models are trained, used and scored: from labeled images to a network that generates requested digits."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_tf import export
from gan_tf.diffusion.callbacks import DigitScores, EndFigures
from gan_tf.diffusion.config import NUM_DIGITS, DiffusionConfig, DiffusionInferOptions
from gan_tf.diffusion.generator import DiffusionGenerator, Sampling
from gan_tf.diffusion.model import Diffusion
from gan_tf.diffusion.unet import build_unet
from gan_tf.evaluation.evaluate import evaluate_images, find_real_images
from gan_tf.evaluation.features.extractor import FeatureExtractor
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import ImageSet, Report, Score
from gan_tf.nn.precision import dtype_policy_scope
from gan_tf.training.callbacks import Callback, Curves, ExportWeights, RealGrid, SampleGrid
from gan_tf.training.context import RunContext
from gan_tf.training.run_options import RunOptions
from gan_tf.utils.images import (
    empty_image_dir,
    require_image_space,
    tile_images,
    to_rgb,
    write_images,
    write_named_images,
)
from gan_tf.workflow import Workflow
from pipelines.errors import UserError, counted
from pipelines.location import Location
from pipelines.source import Source
from pipelines.stream import Stream
from pipelines.transforms import normalize

_GRID_COLUMNS = 10
_DEFAULT_COUNT = 1000
_LABELS_AT_ONCE = 1000


class DiffusionWorkflow(Workflow):
    """The workflow of diffusion models."""

    config: DiffusionConfig

    def build_model(self) -> Diffusion:
        """Returns the model, its network initialized from the seed; the EMA computes in float32, as in inference."""
        config, shape = self.config, self.task.image_shape
        unet_ema = build_unet(shape, config.hidden_dim, config.blocks, config.classes, config.seed)
        with dtype_policy_scope(config.precision):
            unet = build_unet(shape, config.hidden_dim, config.blocks, config.classes, config.seed)
        return Diffusion(unet, unet_ema, shape, config)

    def build_stream(self, model: Diffusion, sources: Mapping[str, Source]) -> Stream:
        """Returns the stream of images, labels and random inputs that ``model`` trains on.

        Raises:
            UserError: the images have labels beyond those of the configuration.
        """
        config = self.config
        if config.classes:
            _check_labels(sources["real"], config.classes)
        prepare = {"real": self._prepare}
        return Stream(sources, config.batch, seed=config.seed, prepare=prepare, random_inputs=model.random_inputs)

    def _prepare(self, samples: tf.Tensor | Mapping[str, tf.Tensor], step: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns images as float32 in [-1, 1] and labels as int32; without labels all are the one that means none."""
        images = samples["image"] if isinstance(samples, Mapping) else samples
        if self.config.classes and isinstance(samples, Mapping):
            labels = tf.cast(samples["label"], tf.int32)
        else:
            labels = tf.fill(tf.shape(images)[:1], self.config.classes)
        return {"image": normalize(images), "label": tf.ensure_shape(labels, images.shape[:1])}

    def check_run_options(self, options: RunOptions) -> None:
        """Checks that generated images can be scored, where that is requested; raises as ``Workflow.check_run_options``."""
        if options.eval_every and self._load_classifier() is None:
            raise UserError("--eval-every needs images with labels from 0 to 9", "Leave --eval-every out")

    def callbacks(self, run: RunContext, model: Diffusion) -> list[Callback]:
        """Returns grids, the curves, the exported weights, figures at the end, and with ``--eval-every`` scores by digits."""
        exporter, options = ExportWeights(run, model, self.task.image_shape), run.options

        def build_generator(step: int) -> DiffusionGenerator:
            return DiffusionGenerator(exporter.networks(step)["unet"], self.config, self.task.image_shape)

        grid = SampleGrid(options.grid_every, run, lambda step: self._render_grid(build_generator(step)))
        callbacks: list[Callback] = [RealGrid(run), exporter, grid]
        classifier = self._load_classifier() if options.eval_every or options.grid_every else None
        if options.eval_every and classifier is not None:  # see check_run_options
            callbacks.append(DigitScores(run, build_generator, classifier, self.config.seed))
        if options.grid_every:
            callbacks.append(EndFigures(run, model, build_generator, classifier))
        return [*callbacks, Curves(options.grid_every, run)]

    def _load_classifier(self) -> FeatureExtractor | None:
        """Returns what classifies generated digits; None if the labels are no digits."""
        return self.task.load_classifier() if self.config.classes == NUM_DIGITS else None

    def _render_grid(self, generator: DiffusionGenerator) -> np.ndarray:
        """Returns 10x10 images: with labels, one row for each of the first ten, and the same noise in each column."""
        seed, size = self.config.seed, _GRID_COLUMNS
        if not self.config.classes:
            return tile_images(generator.generate(size**2, seed), size, size)
        rows = min(size, self.config.classes)
        return tile_images(generator.generate_grid(range(rows), size, seed), rows, size)

    def load(self, directory: Path) -> DiffusionGenerator:
        """Returns the generator of exported weights; raises as ``Workflow.load``."""
        config, shape = self.config, self.task.image_shape
        network = build_unet(shape, config.hidden_dim, config.blocks, config.classes)
        export.read_weights(directory).assign("unet", network)
        return DiffusionGenerator(network, config, shape)

    def infer(self, directory: Path, options: DiffusionInferOptions) -> None:
        """Writes images of the requested digits; raises as ``Workflow.infer``."""
        assert options.out is not None  # argparse requires it
        generator = self.load(directory)  # before anything is removed
        sampling = Sampling(options.sampler, options.sample_steps, options.guidance)
        sampling.num_steps(self.config.timesteps)
        counts = self._requested_counts(options)
        sampling.strength(self.config)
        require_image_space(options.out, sum(counts.values()), self.task.image_shape)
        empty_image_dir(options.out, options.overwrite)
        batches, total = self._generate(generator, counts, options.seed, sampling), sum(counts.values())
        if self.config.classes:
            write_named_images(options.out, batches, image_names(counts))
        else:
            write_images(options.out, batches, total)
        print(f"{options.out}: {counted(total, 'image')} of seed {options.seed} ({options.sampler})")

    def _requested_counts(self, options: DiffusionInferOptions) -> dict[int, int]:
        """Returns how many images of each label are requested, in the order of the request.

        Raises:
            UserError: labels that the weights do not know.
        """
        labels = options.requested_labels
        classes = self.config.classes
        if not classes and (labels is not None or options.per_digit is not None or options.guidance is not None):
            problem = "These weights were trained without labels, so that no digits can be requested"
            raise UserError(problem, "Leave --labels, --per-digit and --guidance out, or use other weights")
        unknown = [label for label in labels or () if label >= classes]
        if unknown:
            problem = f"--labels {options.labels} is not possible: these weights know the labels 0 to {classes - 1}"
            raise UserError(problem, f"Leave {unknown[0]} out")
        labels = labels or tuple(range(classes)) or (0,)
        if options.per_digit is not None:
            return dict.fromkeys(labels, options.per_digit)
        count = options.count or (100 * len(labels) if classes else _DEFAULT_COUNT)
        return {label: len(range(index, count, len(labels))) for index, label in enumerate(labels)}

    def _generate(
        self, generator: DiffusionGenerator, counts: Mapping[int, int], seed: int, sampling: Sampling
    ) -> Iterator[np.ndarray]:
        """Yields the images of all labels, one label after the other."""
        for label, count in counts.items():
            yield from generator.iterate(label, count, seed, sampling)

    def evaluate(self, directory: Path, data: Location | None, options: EvaluationOptions, report: Report) -> dict[str, Score]:
        """Returns the scores of generated images: how many show the requested digit, and distances to the task's reference.

        Raises as ``Workflow.evaluate``.
        """
        if options.classifier is not None:
            raise UserError("--classifier applies to --images only", "Add --images FOLDER, or leave --classifier out")
        real = find_real_images(self.task, data, options, report, options.count or self.task.num_scored)
        generator = self.load(directory)
        count = options.count or self.task.num_scored
        images = generator.generate(count, options.seed)
        name = f"{self.task.name} {directory.name}, {Sampling().describe(self.config)}, seed {options.seed}"
        classifier = self._load_classifier()
        requested = np.arange(count) % len(generator.labels)
        files = tuple(Path(f"{label}_{index}.png") for index, label in enumerate(requested))
        generated = ImageSet(name, to_rgb(images), files=files)
        return evaluate_images(generated, real, options, report, self.task.detector, classifier)


def _check_labels(source: Source, classes: int) -> None:
    """Checks that a source, if it has labels, has none beyond the number of classes, which would be trained on as others."""
    highest = 0
    for start in range(0, len(source), _LABELS_AT_ONCE):
        samples = source.take(np.arange(start, min(start + _LABELS_AT_ONCE, len(source))))
        if not isinstance(samples, Mapping):
            return
        highest = max(highest, int(np.max(samples["label"])))
    if highest >= classes:
        problem = f"--classes {classes} is too few for images with labels up to {highest}"
        raise UserError(problem, f"Use --classes {highest + 1}, or 0 to generate without labels")


def image_names(counts: Mapping[int, int]) -> list[str]:
    """Returns file names for ``counts[label]`` images of each label: <label>_001.png …, with more digits for more than 999."""
    width = max(3, len(str(max(counts.values()))))
    return [f"{label}_{number:0{width}d}.png" for label, count in counts.items() for number in range(1, count + 1)]
