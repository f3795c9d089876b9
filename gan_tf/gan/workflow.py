"""How GANs are built, trained, used and scored: from latent vectors to images."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from gan_tf import export
from gan_tf.evaluation.evaluate import evaluate_images, find_real_images
from gan_tf.evaluation.features.extractor import FeatureExtractor
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.scores import ImageSet, Report, Score
from gan_tf.gan.collapse import NUM_SAMPLES, CollapseAlarm
from gan_tf.gan.config import GanConfig
from gan_tf.gan.infer_options import GanInferOptions
from gan_tf.gan.latents import PATHS, interpolation_weights, sample_latents
from gan_tf.gan.model import GAN
from gan_tf.gan.network_options import apply_discriminator_options, apply_generator_options
from gan_tf.gan.networks import baseline, cifar10, dcgan, improved, mlp, residual
from gan_tf.gan.sampling import generate_images, iterate_images
from gan_tf.nn.precision import dtype_policy_scope
from gan_tf.training.callbacks import Callback, Curves, ExportWeights, RealGrid, SampleGrid, TrainingSetScores
from gan_tf.training.context import RunContext
from gan_tf.utils.images import (
    empty_image_dir,
    require_image_space,
    require_own_image,
    tile_images,
    to_rgb,
    write_images,
    write_png,
)
from gan_tf.workflow import Workflow
from pipelines.errors import UserError, counted
from pipelines.location import Location
from pipelines.randomness import Purpose, seed_for
from pipelines.source import Source
from pipelines.stream import Stream
from pipelines.transforms import normalize, random_flip

if TYPE_CHECKING:
    from gan_tf.tasks import Task

NETWORKS = {"dcgan": dcgan, "baseline": baseline, "residual": residual, "cifar10": cifar10, "mlp": mlp, "improved": improved}
_GRID_ROWS = 8
_DEFAULT_PAIRS = 5
_PATHS = {"normal": "slerp", "uniform": "lerp"}  # the shells of normal vectors are spheres, those of uniform ones are not


class ImageGenerator:
    """An exported generator, ready for use.

    Args:
        network: latent vectors ``[batch, latent_dim]`` -> images in [-1, 1].
        config: the configuration that it was trained with.
    """

    def __init__(self, network: keras.Model, config: GanConfig):
        self.network, self.config = network, config

    def sample_latents(self, count: int, seed: int) -> np.ndarray:
        """Returns the latents of images 0 to ``count - 1`` of a seed, float32 ``[count, inputs of the network]``."""
        return sample_latents(count, self.network.input_shape[-1], seed, distribution=self.config.latent_distribution)

    def generate(self, count: int, seed: int = 0) -> np.ndarray:
        """Returns images 0 to ``count - 1`` of a seed, uint8 ``[count, height, width, channels]``."""
        return generate_images(self.network, self.sample_latents(count, seed))

    def iterate(self, count: int, seed: int = 0) -> Iterator[np.ndarray]:
        """Yields the same images in batches, so that memory does not grow with ``count``."""
        return iterate_images(self.network, count, seed, self.config.latent_distribution)

    def iterate_seeds(self, seeds: range) -> Iterator[np.ndarray]:
        """Yields image 0 of each seed, uint8 ``[1, height, width, channels]``; it does not depend on the other seeds."""
        for seed in seeds:
            yield self.generate(1, seed)

    def interpolate(
        self, num_pairs: int, num_points: int, seed: int = 0, path: str = "slerp", extrapolation: float = 0.0
    ) -> np.ndarray:
        """Returns images along paths between pairs of latent vectors; path n leads from vector 2n of the seed to 2n + 1.

        Args:
            num_pairs: number of paths.
            num_points: images on each.
            seed: of the latent vectors.
            path: "slerp" or "lerp".
            extrapolation: how far each path goes on beyond both its ends, as a fraction of its length.

        Returns:
            uint8 ``[num_pairs * num_points, height, width, channels]``.
        """
        ends = self.sample_latents(2 * num_pairs, seed)
        weights = interpolation_weights(num_points, extrapolation)
        paths = [PATHS[path](ends[2 * n], ends[2 * n + 1], weights) for n in range(num_pairs)]
        return generate_images(self.network, np.concatenate(paths))


class GanWorkflow(Workflow):
    """The workflow of all GANs."""

    config: GanConfig

    def __init__(self, task: "Task", config: GanConfig):
        super().__init__(task.at_size(config.image_size), config)

    @property
    def images_per_step(self) -> int:
        """A batch for each update of D."""
        return self.config.batch * self.config.d_steps

    def build_model(self) -> GAN:
        """Returns the GAN, its networks initialized from the seed; the EMA generator computes in float32, as in inference."""
        config, networks, shape = self.config, NETWORKS[self.config.network], self.task.image_shape
        generator_ema = self._build_generator(config.seed)
        with dtype_policy_scope(config.precision):
            generator = self._build_generator(config.seed)
            discriminator = networks.build_discriminator(shape, config.hidden_dim, config.norm, seed=config.seed)
            discriminator = apply_discriminator_options(discriminator, config)
        return GAN(generator, generator_ema, discriminator, config)

    def _build_generator(self, seed: int = 0) -> keras.Model:
        """Returns a generator with the initial weights of a seed."""
        config = self.config
        network = NETWORKS[config.network].build_generator(
            self.task.image_shape, config.latent_dim, config.hidden_dim, seed=seed
        )
        return apply_generator_options(network, config)

    def build_stream(self, model: GAN, sources: Mapping[str, Source]) -> Stream:
        """Returns the stream of real images and random inputs that ``model`` trains on."""
        config = self.config

        def prepare(images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
            flipped = random_flip(images, seed_for(config.seed, step, Purpose.FLIP)) if config.flip else images
            return normalize(flipped)

        return Stream(
            sources,
            config.batch,
            samples_per_step={"real": config.d_steps},
            seed=config.seed,
            prepare={"real": prepare},
            random_inputs=model.random_inputs,
        )

    def callbacks(self, run: RunContext, model: GAN) -> list[Callback]:
        """Returns the callbacks: grids and variety of fixed latents, curves, exported weights, with ``--eval-every`` scores."""
        latents = ImageGenerator(model.generator_ema, self.config).sample_latents(NUM_SAMPLES, self.config.seed)
        exporter = ExportWeights(run, model, self.task.image_shape)

        def generate_samples(step: int) -> np.ndarray:
            return generate_images(exporter.networks(step)["generator"], latents)

        def render_grid(step: int) -> np.ndarray:
            images = generate_images(exporter.networks(step)["generator"], latents[: _GRID_ROWS**2])
            return tile_images(images, _GRID_ROWS, _GRID_ROWS)

        def generate(networks: dict[str, keras.Model], count: int) -> np.ndarray:
            return ImageGenerator(networks["generator"], self.config).generate(count, self.config.seed)

        options, real = run.options, run.stream.sources["real"]
        callbacks: list[Callback] = [RealGrid(run), exporter, SampleGrid(options.grid_every, run, render_grid)]
        callbacks.append(CollapseAlarm(run, generate_samples, self._load_classifier() if options.grid_every else None))
        if options.eval_every:
            callbacks.append(TrainingSetScores(options.eval_every, run, real, generate, exporter))
        callbacks.append(Curves(options.grid_every, run))  # after the scores, so that it shows the last one too
        return callbacks

    def _load_classifier(self) -> FeatureExtractor | None:
        """Returns the digit classifier where images are digits; None where they are not, or says why it is missing."""
        try:
            return self.task.load_classifier()
        except UserError as error:
            print(f"the digits in samples are not counted: {error.problem}")
            return None

    def load(self, directory: Path) -> ImageGenerator:
        """Returns the generator of exported weights; raises as ``Workflow.load``."""
        network = self._build_generator()
        export.read_weights(directory).assign("generator", network)
        return ImageGenerator(network, self.config)

    def infer(self, directory: Path, options: GanInferOptions) -> None:
        """Writes images, a grid, or latent interpolations; raises as ``Workflow.infer``."""
        assert options.out is not None  # argparse requires it
        generator = self.load(directory)  # before anything is removed
        if options.is_one_image:
            require_own_image(options.out)
        else:
            require_image_space(options.out, options.num_files, self.task.image_shape)
            empty_image_dir(options.out, options.overwrite)
        seed, seeds = options.seed or 0, options.seed_range
        if options.interpolate is not None:
            pairs, path = options.pairs or _DEFAULT_PAIRS, options.path or _PATHS[self.config.latent_distribution]
            images = generator.interpolate(pairs, options.interpolate, seed, path, options.extrapolate or 0.0)
            write_png(options.out, tile_images(images, pairs, options.interpolate))
            print(f"{options.out}: {counted(pairs, 'interpolation')} of {options.interpolate} images ({path})")
        elif options.grid_shape:
            rows, columns = options.grid_shape
            batches = generator.iterate(rows * columns, seed) if seeds is None else generator.iterate_seeds(seeds)
            write_png(options.out, tile_images(np.concatenate(list(batches)), rows, columns))
            print(f"{options.out}: {rows} x {columns} images of {_describe_seeds(seed, seeds)}")
        elif seeds is not None:
            write_images(options.out, generator.iterate_seeds(seeds), len(seeds), first=seeds.start, prefix="seed")
            print(f"{options.out}: {counted(len(seeds), 'image')} of {_describe_seeds(seed, seeds)}")
        else:
            write_images(options.out, generator.iterate(options.num_files, seed), options.num_files)
            print(f"{options.out}: {counted(options.num_files, 'image')} of seed {seed}")

    def evaluate(self, directory: Path, data: Location | None, options: EvaluationOptions, report: Report) -> dict[str, Score]:
        """Returns the scores of generated images against the task's reference images; raises as ``Workflow.evaluate``."""
        if options.classifier is not None:
            raise UserError("--classifier applies to --images only", "Add --images FOLDER, or leave --classifier out")
        count = options.count or self.task.num_scored
        name = f"{self.task.name} {directory.name}, seed {options.seed}"
        real = find_real_images(self.task, data, options, report, count)
        generated = ImageSet(name, to_rgb(self.load(directory).generate(count, options.seed)))
        return evaluate_images(generated, real, options, report, detector=self.task.detector)


def _describe_seeds(seed: int, seeds: range | None) -> str:
    return f"seed {seed}" if seeds is None else f"seeds {seeds.start} to {seeds.stop - 1}"
