"""What a diffusion run shows beside its sample grids: figures at its end, and scores by the digit classifier on the way."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from gan_tf.diffusion import figures
from gan_tf.diffusion.generator import SAMPLE_BATCH, DiffusionGenerator, Sampling
from gan_tf.diffusion.model import Diffusion
from gan_tf.evaluation.digits import digit_scores
from gan_tf.evaluation.features.extractor import FeatureExtractor
from gan_tf.evaluation.image_files import SourceImages, sample_indices, source_images
from gan_tf.evaluation.image_scores import RealImages
from gan_tf.evaluation.scores import ImageSet
from gan_tf.training.callbacks import Callback
from gan_tf.training.context import RunContext
from gan_tf.training.network_summary import format_network
from gan_tf.utils.files import read_json, write_atomic, write_json
from gan_tf.utils.images import to_rgb, to_uint8
from gan_tf.utils.plots import confusion_matrix, render_confusion
from pipelines.source import Source

BuildGenerator = Callable[[int], DiffusionGenerator]
"""From the number of steps done to the generator of the exported weights."""

_NUM_SHOWN_TIMESTEPS = 6
_NUM_FRAMES = 50
_NUM_LOSS_TIMESTEPS = 40
_IMAGES_PER_DIGIT = 100
_NUM_NEIGHBORS, _MAX_SEARCHED = 10, 50_000  # generated images, and training images that they are compared with
_SEARCH_BATCH = 1024
_DONE = "step.json"  # says of which step the figures are; written last


class EndFigures(Callback):
    """Writes ``RUN/network.txt`` at the start, and figures into ``RUN/figures`` where the training ends or is stopped.

    Args:
        run: the run.
        model: what is trained.
        build_generator: from the number of steps done to the generator of the exported weights.
        classifier: the digit classifier; None leaves the confusion matrix out.
    """

    def __init__(self, run: RunContext, model: Diffusion, build_generator: BuildGenerator, classifier: FeatureExtractor | None):
        self.run, self.model, self.build_generator, self.classifier = run, model, build_generator, classifier
        self.interval = run.plan.steps  # only where the training ends
        self.directory = run.run_dir.path / "figures"

    def on_start(self, first_step: int) -> None:
        write_atomic(self.run.run_dir.path / "network.txt", format_network(self.model.unet).encode())

    def on_interval(self, step: int) -> None:
        generator = self.build_generator(step)
        captions = self._write_reverse_process(generator)
        captions |= self._write("loss-by-timestep.png", self._render_losses(), "mean squared error of the prediction against t")
        neighbors = self._render_neighbors(generator)
        caption = "generated images, and below each the training image that is nearest by its pixels (root mean square)"
        captions |= self._write("nearest.png", neighbors, caption)
        if self.classifier is not None:
            caption = f"requested and predicted digits, {_IMAGES_PER_DIGIT} images of each, in percent"
            captions |= self._write("confusion.png", self._render_confusion(generator), caption)
        write_json(self.directory / "figures.json", captions)
        write_json(self.directory / _DONE, {"step": step})

    def is_done(self, step: int) -> bool:
        path = self.directory / _DONE
        return path.is_file() and read_json(path) == {"step": step}

    def _write(self, name: str, image: bytes, caption: str) -> dict[str, str]:
        write_atomic(self.directory / name, image)
        return {name: caption}

    def _write_reverse_process(self, generator: DiffusionGenerator) -> dict[str, str]:
        """Draws how the first image of label 0 arises, by the ancestral sampler with all timesteps."""
        noise = generator.batch_noise(self.model.config.seed, 0, 0)
        labels = np.zeros(SAMPLE_BATCH, np.int32)
        trajectory = {t: to_uint8(images[0]) for t, images in generator.sample(noise, labels, Sampling("ancestral"))}
        shown, frames = (_spaced(self.model.config.timesteps, count) for count in (_NUM_SHOWN_TIMESTEPS, _NUM_FRAMES))
        figures.write_animation(self.directory / "reverse-process.webp", np.stack([trajectory[t] for t in frames]))
        image = figures.render_reverse_process(np.stack([trajectory[t] for t in shown]), shown)
        caption = "the reverse process of the first image, by the ancestral sampler; reverse-process.webp shows it moving"
        return self._write("reverse-process.png", image, caption)

    def _render_losses(self) -> bytes:
        """Draws the EMA network's error at several t, each on the images and the noise of the first batch."""
        batch = self.run.stream.batch_at(0)
        images, labels = batch["real"]["image"][:, 0], batch["real"]["label"][:, 0]
        compute = tf.function(self.model.squared_errors)
        timesteps = [t for t in _spaced(self.model.config.timesteps, _NUM_LOSS_TIMESTEPS) if t > 0]
        losses = [
            float(tf.reduce_mean(compute(self.model.unet_ema, images, tf.fill(tf.shape(labels), t), batch["noise"], labels)))
            for t in timesteps
        ]
        return figures.render_losses(timesteps, losses)

    def _render_neighbors(self, generator: DiffusionGenerator) -> bytes:
        source = self.run.stream.sources["real"]
        images = generator.generate(_NUM_NEIGHBORS, self.model.config.seed)
        neighbors, distances = nearest_images(images, source, self.model.config.seed)
        return figures.render_neighbors(images, neighbors, distances)

    def _render_confusion(self, generator: DiffusionGenerator) -> bytes:
        classes = len(generator.labels)
        images = generator.generate(_IMAGES_PER_DIGIT * classes, self.model.config.seed)
        assert self.classifier is not None
        _, logits = self.classifier(to_rgb(images))
        assert logits is not None  # a classifier has logits
        counts = confusion_matrix(np.arange(len(images)) % classes, logits.argmax(axis=1), classes)
        return render_confusion(counts, [str(digit) for digit in range(classes)], rows="requested digit")


class DigitScores(Callback):
    """Logs ``generated_accuracy`` and ``classifier_fid_train`` every ``--eval-every`` steps.

    Args:
        run: the run; its options say how often, and how many images are scored.
        build_generator: from the number of steps done to the generator of the exported weights.
        classifier: the digit classifier.
        seed: of the images and of the sample of training images.
    """

    def __init__(self, run: RunContext, build_generator: BuildGenerator, classifier: FeatureExtractor, seed: int):
        self.interval = run.options.eval_every
        self.run, self.build_generator, self.classifier, self.seed = run, build_generator, classifier, seed

    def on_interval(self, step: int) -> None:
        generator, count = self.build_generator(step), self.run.options.eval_count
        generated = ImageSet("generated", to_rgb(generator.generate(count, self.seed)))
        real = RealImages(source_images(self.run.stream.sources["real"], count, self.seed))
        requested = np.arange(count) % len(generator.labels)
        scores = digit_scores(generated, requested, real, self.classifier, self.seed, tqdm.write)
        accuracy, distance = scores["class_conditional_accuracy"].value, scores["classifier_fid"].value
        self.run.loggers.scalars(step, {"generated_accuracy": accuracy / 100, "classifier_fid_train": distance})
        tqdm.write(f"step {step:,}: {accuracy:.1f} % recognized, distance {distance:.3f} from training images")

    def is_done(self, step: int) -> bool:
        return step in self.run.loggers.logged_steps("classifier_fid_train")


def nearest_images(images: np.ndarray, source: Source, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images of a source, or of a sample of it, that are nearest to others by their pixels.

    Args:
        images: uint8 ``[n, height, width, channels]``.
        source: images of the same size.
        seed: of the sample, where there are more than 50,000.

    Returns:
        The nearest images, uint8 ``[n, height, width, 3]``, and the root mean square differences to them, ``[n]``.
    """
    real = SourceImages(source, sample_indices(len(source), min(len(source), _MAX_SEARCHED), seed))
    wanted = to_rgb(images).reshape(len(images), -1).astype(np.float32)
    best, rows = np.full(len(images), np.inf), np.zeros(len(images), int)
    for start in range(0, len(real), _SEARCH_BATCH):
        others = real[start : start + _SEARCH_BATCH].reshape(-1, wanted.shape[1]).astype(np.float32)
        # |a - b|² = |a|² - 2 a·b + |b|², up to rounding.
        squares = (wanted**2).sum(1)[:, None] - 2 * wanted @ others.T + (others**2).sum(1)[None]
        nearest = squares.argmin(axis=1)
        squares = squares[np.arange(len(images)), nearest]
        rows = np.where(squares < best, start + nearest, rows)
        best = np.minimum(best, squares)
    return real[rows], np.sqrt(np.maximum(best, 0) / wanted.shape[1])


def _spaced(last: int, count: int) -> list[int]:
    """Returns up to ``count`` different integers from ``last`` down to 0, both included, evenly spaced."""
    return sorted({round(last * i / (count - 1)) for i in range(count)}, reverse=True)
