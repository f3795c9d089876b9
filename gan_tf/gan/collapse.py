"""The collapse alarm: says in plain words when a generator makes (nearly) the same images again and again.

Its measure is the diversity of samples: the median distance from a sample to the nearest other one, relative to that of as
many real images. It is 1 for real images and near 0 where few images are repeated. Among n samples of a distribution of
intrinsic dimension d, the distance to the nearest neighbor is proportional to n^(-1/d): half the distance of real images is
that of 2^d times as many. For digits, with a d of 13 (Pope et al. 2021, "The intrinsic dimension of images and its impact on
learning"), this is 8,000 times as many, and for other images more. So a generator with half the diversity has
lost nearly all of the variety. ``python -m gan_tf.experiments.mode_collapse`` measures what healthy and collapsed generators
reach.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from gan_tf.evaluation.image_files import SourceImages, sample_indices
from gan_tf.evaluation.metrics.diversity import neighbor_distance
from gan_tf.training.callbacks import Callback
from gan_tf.training.context import RunContext
from gan_tf.utils.images import to_rgb

if TYPE_CHECKING:
    from gan_tf.evaluation.features.extractor import FeatureExtractor

NUM_SAMPLES, NUM_DIGITS = 256, 10
_LOWEST_DIVERSITY = 0.5
# Of a healthy generator's digits, the rarest are 1 to 2 % of the samples: 256 samples lack one of them in one case of 20, but
# hardly ever three. Only digits count that are frequent among real images, since other images can be trained on.
_MISSING_DIGITS, _FREQUENT = 3, 0.05
_LARGEST_DIGIT, _LARGER_THAN_REAL = 0.4, 3.0  # fraction of the samples, and how many times the real images' fraction
# A generator that has seen fewer images may still make blurs that are alike, which is no collapse.
_FIRST_IMAGES = 100_000
_ADVICE = (
    "Look at the newest sample grid. More steps rarely help: start again with lower learning rates, or with a loss that "
    "bounds D, such as --loss hinge"
)


@dataclass(frozen=True)
class Variety:
    """What the alarm is decided by.

    Attributes:
        diversity: the median distance to the nearest other sample, relative to that of real images.
        digits: the fraction of samples that shows each digit, ``[10]``; None where no digit classifier applies.
        real_digits: the same of real images.
    """

    diversity: float
    digits: np.ndarray | None = None
    real_digits: np.ndarray | None = None

    def scalars(self) -> dict[str, float]:
        """Returns the values by the names of their curves."""
        values = {"sample_diversity": self.diversity}
        if self.digits is not None:
            values |= {"digits_found": float(np.count_nonzero(self.digits)), "largest_digit": float(self.digits.max())}
        return values


def describe_collapse(variety: Variety) -> str | None:
    """Returns what shows that a generator has collapsed, as a clause; None if nothing does."""
    if variety.diversity < _LOWEST_DIVERSITY:
        return f"its images differ from one another only {variety.diversity:.2f} times as much as training images do"
    digits, real = variety.digits, variety.real_digits
    if digits is None or real is None:
        return None
    missing = [str(digit) for digit in np.flatnonzero((digits == 0) & (real >= _FREQUENT))]
    if len(missing) >= _MISSING_DIGITS:
        return f"none of its images shows a {' or a '.join(missing)}"
    largest = int(digits.argmax())
    if digits[largest] > max(_LARGEST_DIGIT, _LARGER_THAN_REAL * real[largest]):
        return f"{100 * digits[largest]:.0f} % of its images show a {largest}"
    return None


def first_alarm(diversity: np.ndarray | None, batch: int) -> int | None:
    """Returns the first step at which the alarm rang for a lack of diversity; None if it did not.

    Args:
        diversity: the curve "sample_diversity" of a run, ``[points, 2]``: step and value; None without one.
        batch: the run's batch size.
    """
    points = np.zeros((0, 2)) if diversity is None else diversity
    rings = (points[:, 1] < _LOWEST_DIVERSITY) & (points[:, 0] * batch >= _FIRST_IMAGES)
    return int(points[rings.argmax(), 0]) if rings.any() else None


class CollapseAlarm(Callback):
    """Logs the variety of samples with each sample grid, and warns once in a training when the generator has collapsed.

    Args:
        run: the run.
        generate: from the number of steps done to ``NUM_SAMPLES`` images of fixed latents, uint8.
        classifier: of digits, if the images are digits.
    """

    def __init__(self, run: RunContext, generate: Callable[[int], np.ndarray], classifier: "FeatureExtractor | None" = None):
        self.interval, self.run, self.generate, self.classifier = run.options.grid_every, run, generate, classifier
        self._num_samples, self._real_distance, self._has_warned = NUM_SAMPLES, 0.0, False
        self._real_digits: np.ndarray | None = None

    def on_start(self, first_step: int) -> None:
        """Measures a sample of real images; where most of these have a copy, there is nothing to compare with."""
        source, seed = self.run.stream.sources["real"], self.run.config["config"]["seed"]
        if not self.interval or len(source) < 2:
            return
        count = min(NUM_SAMPLES, len(source))
        real = SourceImages(source, sample_indices(len(source), count, seed))[:]
        self._num_samples, self._real_distance, self._real_digits = count, neighbor_distance(real), self._count_digits(real)
        if not self._real_distance:
            tqdm.write("no alarm for a mode collapse: most of the training images are copies of others")

    def on_interval(self, step: int) -> None:
        is_due = step % self.interval == 0 or step == self.run.plan.steps
        if not self._real_distance or not is_due:  # where a training is stopped: its curves are those of one that is not
            return
        images = to_rgb(self.generate(step)[: self._num_samples])
        variety = Variety(neighbor_distance(images) / self._real_distance, self._count_digits(images), self._real_digits)
        self.run.loggers.scalars(step, variety.scalars())
        evidence = describe_collapse(variety)
        images_seen = step * self.run.config["config"]["batch"]
        if evidence and images_seen >= _FIRST_IMAGES and not self._has_warned:
            self._has_warned = True
            tqdm.write(f"step {step:,}: warning: the generator seems to have collapsed: {evidence}. {_ADVICE}")

    def is_done(self, step: int) -> bool:
        return not self._real_distance or step in self.run.loggers.logged_steps("sample_diversity")

    def _count_digits(self, images: np.ndarray) -> np.ndarray | None:
        """Returns the fraction of images, uint8 ``[n, height, width, 3]``, that shows each digit; None without a classifier."""
        if self.classifier is None:
            return None
        _, logits = self.classifier(images)
        assert logits is not None  # a classifier has logits
        return np.bincount(logits.argmax(axis=1), minlength=NUM_DIGITS) / len(images)
