"""What a CycleGAN's run shows while it trains: translations there and back, scores, a warning of inverted brightness."""

import warnings
from collections.abc import Mapping

import numpy as np
from tqdm import tqdm

from gan_tf.cyclegan.config import DIRECTIONS
from gan_tf.cyclegan.model import luminance_correlation
from gan_tf.cyclegan.translation import ImageTranslator
from gan_tf.evaluation.image_files import source_images
from gan_tf.training.callbacks import Callback, TrainingSetMetrics
from gan_tf.training.context import RunContext
from gan_tf.utils.images import tile_images
from pipelines.source import Source
from pipelines.transforms import normalize

_NUM_ROWS = 4
_INVERTED = -0.2  # a correlation below this is no chance any more


class Triptychs:
    """The same training images of both domains, translated there and back.

    Args:
        translator: the generators as they are when a method is called.
        sources: the training images, "a" and "b".
    """

    def __init__(self, translator: ImageTranslator, sources: Mapping[str, Source]):
        self.translator = translator
        rows = min(_NUM_ROWS, *(len(sources[name]) for name in ("a", "b")))
        self.images = {
            direction: np.asarray(sources[name].take(_spread(len(sources[name]), rows)))
            for direction, name in zip(DIRECTIONS, ("a", "b"), strict=True)
        }

    def render(self, step: int) -> np.ndarray:
        """Draws rows of six images: A, A to B, back to A; B, B to A, back to B; uint8 ``[height, width, 3]``."""
        columns = []
        for direction, back in zip(DIRECTIONS, reversed(DIRECTIONS), strict=True):
            translated = self.translator.translate_all(self.images[direction], direction)
            columns += [self.images[direction], translated, self.translator.translate_all(translated, back)]
        tiles = np.stack(columns, axis=1)  # [rows, 6, …]
        rows, count = tiles.shape[:2]
        return tile_images(tiles.reshape(rows * count, *tiles.shape[2:]), rows, count)

    def brightness_correlation(self, direction: str) -> float:
        """Returns the mean correlation of brightness between images and their translations, over the pixels of each."""
        translated = self.translator.translate_all(self.images[direction], direction)
        return float(np.mean(luminance_correlation(normalize(self.images[direction]), normalize(translated))))


class InversionWarning(Callback):
    """Warns in words where a generator makes bright parts dark and dark parts bright.

    The other generator can undo that, so the cycle consistency loss does not prevent it.

    Args:
        interval: steps between two looks (0: none).
        triptychs: which images to look at.
    """

    def __init__(self, interval: int, triptychs: Triptychs):
        self.interval, self.triptychs = interval, triptychs

    def on_interval(self, step: int) -> None:
        for direction in DIRECTIONS:
            correlation = self.triptychs.brightness_correlation(direction)
            if correlation < _INVERTED:
                warnings.warn(
                    f"step {step:,}: the generator {direction} inverts brightness (correlation {correlation:.2f} between "
                    "images and their translations); if it stays so, start a new run with another --seed or with a higher "
                    "--lambda-identity",
                    stacklevel=2,
                )

    def is_done(self, step: int) -> bool:
        return True


class TranslationScores(Callback):
    """Logs FID and KID of translated training images against training images of the other domain, in both directions.

    Args:
        interval: steps between two scores (0: none).
        run: the run; its options say how many images of each domain are compared, its seed which ones.
        translator: the generators as they are when a method is called.

    Raises:
        UserError: as ``TrainingSetMetrics``.
    """

    def __init__(self, interval: int, run: RunContext, translator: ImageTranslator):
        self.interval, self.run, self.translator = interval, run, translator
        sources, seed = run.stream.sources, run.config["config"]["seed"]
        self.inputs, self.metrics = {}, {}
        for direction, name, target in zip(DIRECTIONS, ("a", "b"), ("b", "a"), strict=True):
            self.metrics[direction] = TrainingSetMetrics(sources[target], run.options.eval_count, seed)
            self.inputs[direction] = source_images(sources[name], run.options.eval_count, seed).images

    def on_interval(self, step: int) -> None:
        scores: dict[str, float] = {}
        for direction, metrics in self.metrics.items():
            translated = self.translator.translate_all(self.inputs[direction], direction)
            scores[f"fid_train_{direction}"], scores[f"kid_train_{direction}"] = metrics.compute(translated)
        self.run.loggers.scalars(step, scores)
        words = ", ".join(f"{name.replace('_train_', ' ')} {value:.4g}" for name, value in scores.items())
        tqdm.write(f"step {step:,}: {words} against training images")

    def is_done(self, step: int) -> bool:
        return step in self.run.loggers.logged_steps(f"fid_train_{DIRECTIONS[0]}")


def _spread(total: int, count: int) -> np.ndarray:
    """Returns ``count`` different integers below ``total``, evenly spread."""
    return np.linspace(0, total - 1, count).astype(np.int64)
