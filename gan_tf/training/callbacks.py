"""Scores while training: the averaged generator against a fixed sample of *training* images, and the best weights by it.

Validation images are not touched here: they are scored once, when training has ended (``commands/train.py``).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_tf.evaluation.features.extractor import extract, fid_extractor
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.evaluation.metrics.kernel_distance import kernel_distance_of_subsets
from gan_tf.utils.cache import cache_folder

SUBSETS = 20


def scorer(source, count: int, seed: int, sample: Callable, writers, plan, keep_best: Callable[[int], None]):
    """An action of the step that writes ``fid_train`` and ``kid_train`` and keeps the weights with the lowest FID.

    Args:
        source: the training images; ``count`` of them, drawn once by ``seed``, are what is scored against.
        count: images on either side, at most as many as ``source`` has.
        seed: of the draw and of KID's subsets.
        sample: ``count -> uint8 images`` of the averaged generator, the same noises each time.
        writers: where the numbers go.
        plan: its state remembers the best score, so a resumed run compares with it.
        keep_best: called with the step when it is the best so far.

    Raises:
        InputError: where the FID network's weights are not at hand; says how to get them.
    """
    extractor = fid_extractor()
    count = min(count, len(source))
    chosen = np.sort(np.random.default_rng(seed).choice(len(source), count, replace=False))
    real, _ = real_features(extractor, source.take(tf.constant(chosen, tf.int64)).numpy(), cache_folder())

    def score(step: int) -> None:
        features, _ = extract(extractor, sample(count))
        fid = frechet_distance_of_features(features, real)
        kid, _ = kernel_distance_of_subsets(features, real, subsets=SUBSETS, size=min(1000, count), seed=seed)
        writers.scalars(step, {"fid_train": fid, "kid_train": kid})
        best = plan.state.get("best")
        if best is None or fid < best["fid_train"]:
            plan.state["best"] = {"step": step, "fid_train": fid, "images": count}
            keep_best(step)

    return score


def best_folder(folder: Path) -> Path:
    """Where a run keeps the weights with the lowest ``fid_train``."""
    return folder / "best"
