"""How an adaptation goes, in words: what a person would look for in the curves. Nothing here uses a label of the target."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from gan_tf.curves import METRICS, parse_line
from gan_tf.dann.config import DannConfig
from gan_tf.dann.domain_views import STRONG_VIEW
from gan_tf.dann.figures import draw_predicted_classes
from gan_tf.dann.predictor import Predictor
from gan_tf.dann.run_figures import PREDICTED_CLASSES
from gan_tf.training.callbacks import Callback
from gan_tf.training.context import RunContext
from gan_tf.utils.files import write_atomic
from pipelines.randomness import Purpose, seed_for
from pipelines.strokes import stroke_images
from pipelines.views import random_views

_SATURATED = 0.95  # accuracy of the domain classifier from which on its reversed gradient is of little use
_FALLEN = 0.1  # by how much the accuracy on labeled images may lie below its best
_COLLAPSED = 0.4  # fraction of the target images in one class
FIXED_VIEW = dataclasses.replace(STRONG_VIEW, inversion=0.0)
"""The strong view of ``agreement``: the same for all methods, so that runs can be compared."""


@dataclass(frozen=True)
class Health:
    """What the words are made of.

    Attributes:
        means: means of the logged scalars since the last report.
        best_accuracy: the best of such means of the accuracy on labeled training images so far.
        fractions: fraction of the training images of the domain to classify in each predicted class.
        classes: names of the classes.
    """

    means: Mapping[str, float]
    best_accuracy: float
    fractions: np.ndarray
    classes: Sequence[str]


def describe_health(health: Health) -> list[str]:
    """Returns one line that sums up, and a line with "warning:" for whatever should not be."""
    means, warnings = health.means, []
    parts = []
    if "domain_loss" in means:
        parts.append(f"domain loss {means['domain_loss']:.2f} (ln 2 = {math.log(2):.2f} if the domains cannot be told apart)")
        if means["domain_accuracy"] > _SATURATED:
            accuracy = f"{100 * means['domain_accuracy']:.0f} %"
            warnings.append(f"the domain classifier is saturated: it is right in {accuracy}, so its gradient says little")
    if "accuracy" in means:
        parts.append(f"accuracy on training labels {100 * means['accuracy']:.0f} %")
        if means["accuracy"] < health.best_accuracy - _FALLEN:
            warnings.append(f"the accuracy on training labels has fallen from {100 * health.best_accuracy:.0f} %")
    predicted = ", ".join(
        f"{name}: {100 * fraction:.0f}" for name, fraction in zip(health.classes, health.fractions, strict=True)
    )
    parts.append(f"predicted classes in % {predicted}")
    largest = int(np.argmax(health.fractions))
    missing = [name for name, fraction in zip(health.classes, health.fractions, strict=True) if fraction == 0]
    if health.fractions[largest] > _COLLAPSED:
        warnings.append(f"{100 * health.fractions[largest]:.0f} % of the images are classified as {health.classes[largest]}")
    if missing:
        warnings.append(f"no image is classified as {', '.join(missing)}")
    return ["; ".join(parts), *(f"warning: {words}" for words in warnings)]


def view_agreement(predictor: Predictor, images: np.ndarray) -> float:
    """Returns the fraction of images, uint8 ``[n, 28, 28, 3]``, that are classified alike as they are and in one strong view.

    Among runs of a method it ranks as their accuracy does, without a label.
    """
    strokes = stroke_images(images)
    changed = random_views(strokes, seed_for(0, np.int64(0), Purpose.STRONG_VIEW), FIXED_VIEW)
    plain, strong = (predictor.classify_strokes(views) for views in (strokes, changed))
    return float(np.mean(plain == strong))


class HealthReport(Callback):
    """Logs what needs no label of the target, says in words how the training goes, and draws the predicted classes.

    "agreement" is ``view_agreement``, "largest_class" the fraction of the most frequent predicted class, both of training
    images.

    Args:
        run: the run.
        config: its configuration.
        predictor_at: from the number of steps done to the classifier that would be exported.
        images: training images of the domain to classify, uint8 ``[n, 28, 28, 3]``.
    """

    def __init__(self, run: RunContext, config: DannConfig, predictor_at: Callable[[int], Predictor], images: np.ndarray):
        self.interval, self.run, self.config = run.options.grid_every, run, config
        self.predictor_at, self.images = predictor_at, images

    def on_interval(self, step: int) -> None:
        classes = self.config.class_names
        predictor = self.predictor_at(step)
        fractions = np.bincount(predictor.predict(self.images), minlength=len(classes)) / len(self.images)
        agreement = view_agreement(predictor, self.images)
        means, best_accuracy = self._recent_means()
        write_atomic(self.run.run_dir.path / PREDICTED_CLASSES, draw_predicted_classes(fractions, classes))
        self.run.loggers.scalars(step, {"agreement": agreement, "largest_class": float(fractions.max())})  # what is_done reads
        first, *warnings = describe_health(Health(means, best_accuracy, fractions, classes))
        tqdm.write(f"step {step:,}: {first}; agreement of views {100 * agreement:.1f} %")
        for line in warnings:
            tqdm.write(line)

    def is_done(self, step: int) -> bool:
        return step in self.run.loggers.logged_steps("agreement")

    def _recent_means(self) -> tuple[dict[str, float], float]:
        """Returns the means of the scalars in the last interval, and the best mean accuracy of all intervals."""
        lines = (self.run.run_dir.path / METRICS).read_bytes().split(b"\n")
        values = [line for line in map(parse_line, lines) if line is not None and "loss" in line]
        intervals: dict[int, list[dict[str, float]]] = {}
        for line in values:
            intervals.setdefault((line["step"] - 1) // self.interval, []).append(line)
        if not intervals:
            return {}, 0.0
        recent = intervals[max(intervals)]
        means = {name: float(np.mean([line[name] for line in recent])) for name in recent[0]}
        return means, max(float(np.mean([line["accuracy"] for line in lines])) for lines in intervals.values())
