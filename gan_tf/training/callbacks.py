"""What happens during training beside the updates, for any family: sample grids, curves, exported weights, scores.

Validation images are not touched here: they are scored once, after the last step (``training/run.py``).
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from gan_tf import export
from gan_tf.evaluation.features.extractor import extract, fid_extractor
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.evaluation.metrics.kernel_distance import kernel_distance_of_subsets
from gan_tf.training.context import RunContext
from gan_tf.training.curves import write_curves
from gan_tf.utils.cache import cache_folder
from gan_tf.utils.images import write_png
from pipelines.source import Source

if TYPE_CHECKING:
    from gan_tf.workflow import TrainableModel

KID_SUBSETS, KID_SUBSET_SIZE = 20, 1000
_CARD_KEYS = ("initialized_from", "command", "config", "sources", "environment")  # copied from config.json


class Callback:
    """Something that the loop calls between updates, and that changes no weights.

    At a step, the interval callbacks come first, in their order, then those of the checkpoint.

    Attributes:
        interval: steps between calls of ``on_interval``, which is also called at the last step; 0: never.
    """

    interval: int = 0

    def on_interval(self, step: int) -> None:
        """Is called after every ``interval`` steps and after the last one; ``step`` counts the steps done."""

    def on_checkpoint(self, step: int) -> None:
        """Is called before each checkpoint is saved."""


class SampleGrid(Callback):
    """Writes an image to ``RUN/images/step-<step>.png`` and to TensorBoard.

    Args:
        interval: steps between two images (0: none).
        run: the run.
        render: from the number of steps done to an image, uint8 ``[height, width, channels]``.
        name: the image's name in TensorBoard.
    """

    def __init__(self, interval: int, run: RunContext, render: Callable[[int], np.ndarray], name: str = "samples"):
        self.interval, self.run, self.render, self.name = interval, run, render, name

    def on_interval(self, step: int) -> None:
        image = self.render(step)
        write_png(self.run.run_dir.path / "images" / f"step-{step:09d}.png", image)
        self.run.loggers.image(step, self.name, image)


class Curves(Callback):
    """Writes ``RUN/curves.png``: all curves so far, in one picture.

    Args:
        interval: steps between two pictures, each of which replaces the one before (0: none).
        run: the run.
    """

    def __init__(self, interval: int, run: RunContext):
        self.interval, self.run = interval, run

    def on_interval(self, step: int) -> None:
        write_curves(self.run.run_dir.path)


class ExportWeights(Callback):
    """Writes ``weights.npz``, ``finetune.npz`` and ``card.json`` of the run before each checkpoint.

    Args:
        run: the run.
        model: what is trained.
        image_shape: height, width and channels of its images.
    """

    def __init__(self, run: RunContext, model: "TrainableModel", image_shape: tuple[int, ...]):
        self.run, self.model, self.image_shape = run, model, image_shape
        self._step: int | None = None
        self._networks: dict[str, keras.Model] = {}

    def networks(self, step: int) -> dict[str, keras.Model]:
        """Returns the networks to export after ``step`` steps, by name; computes them once for each step."""
        if step != self._step:
            self._networks, self._step = self.model.exported(self.run.stream), step
        return self._networks

    def on_checkpoint(self, step: int) -> None:
        self.write(self.run.run_dir.path, step)

    def write(self, directory: Path, step: int) -> None:
        """Writes the files of the current weights into ``directory``; raises as ``export.write_export``."""
        run, exported = self.run, self.networks(step)
        finetune = {name: network for name, network in self.model.networks().items() if name not in exported}
        about = {"task": run.task, "config": run.config["config"], "image_shape": list(self.image_shape)}
        card: dict[str, Any] = {
            "task": run.task,
            "step": step,
            "images_seen": int(self.model.images_seen.numpy()),
            "seconds": round(run.plan.state["seconds"]),
            "data": run.config["data"]["sources"],
        }
        if "best" in run.plan.state:
            card["best"] = run.plan.state["best"]
        card |= {key: run.config[key] for key in _CARD_KEYS if key in run.config}
        export.write_export(directory, exported, finetune, about, card)


class TrainingSetMetrics:
    """FID and KID against a fixed random sample of training images.

    Args:
        source: the training images.
        count: how many are compared with as many generated ones; at most all of them are.
        seed: of the sample and of the subsets of KID.

    Raises:
        UserError: the weights of the FID network are missing; says how to get them.
    """

    def __init__(self, source: Source, count: int, seed: int):
        self.count, self.seed = min(count, len(source)), seed
        self.extractor = fid_extractor()
        indices = np.sort(np.random.default_rng(seed).choice(len(source), self.count, replace=False))
        images = source.take(tf.constant(indices, tf.int64))
        assert not isinstance(images, dict)  # images without labels
        self._real_features, _ = real_features(self.extractor, images.numpy(), cache_folder())

    def compute(self, images: np.ndarray) -> tuple[float, float]:
        """Returns FID and KID of generated images, uint8 ``[count, height, width, 3]``."""
        features, _ = extract(self.extractor, images)
        size = min(KID_SUBSET_SIZE, self.count)
        fid = frechet_distance_of_features(features, self._real_features)
        kid, _ = kernel_distance_of_subsets(features, self._real_features, subsets=KID_SUBSETS, size=size, seed=self.seed)
        return fid, kid


class TrainingSetScores(Callback):
    """Logs ``fid_train`` and ``kid_train``, and keeps the weights with the lowest FID in ``RUN/best``.

    The state of ``run.plan`` remembers the best score, so that a resumed run compares with it.

    Args:
        interval: steps between two scores (0: none).
        run: the run; its options say how many images are scored, its seed which ones.
        source: the training images.
        generate: from a number of images to that many generated ones, uint8, from the same latents each time.
        export_weights: writes the best weights.

    Raises:
        UserError: the weights of the FID network are missing; says how to get them.
    """

    def __init__(
        self,
        interval: int,
        run: RunContext,
        source: Source,
        generate: Callable[[int], np.ndarray],
        export_weights: ExportWeights,
    ):
        self.interval, self.run, self.generate, self.export_weights = interval, run, generate, export_weights
        self.metrics = TrainingSetMetrics(source, run.options.eval_count, run.config["config"]["seed"])

    def on_interval(self, step: int) -> None:
        fid, kid = self.metrics.compute(self.generate(self.metrics.count))
        self.run.loggers.scalars(step, {"fid_train": fid, "kid_train": kid})
        best = self.run.plan.state.get("best")
        if best is None or fid < best["fid_train"]:
            self.run.plan.state["best"] = {"step": step, "fid_train": fid, "images": self.metrics.count}
            self.export_weights.write(self.run.run_dir.path / "best", step)
