"""What happens during training beside the updates, for any family: sample grids, curves, exported weights, scores.

Validation images are not touched here: they are scored once, after the last step (``training/run.py``).
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from tqdm import tqdm

from gan_tf import cards, export
from gan_tf.evaluation.features.extractor import extract, fid_extractor
from gan_tf.evaluation.features.feature_cache import real_features
from gan_tf.evaluation.image_files import SourceImages, sample_indices
from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.evaluation.metrics.kernel_distance import kernel_distance_of_subsets
from gan_tf.training.context import RunContext
from gan_tf.training.curves import write_curves
from gan_tf.utils.cache import cache_folder
from gan_tf.utils.images import tile_images, to_rgb, to_uint8, write_png
from pipelines.errors import UserError
from pipelines.source import Source

if TYPE_CHECKING:
    from gan_tf.workflow import TrainableModel

KID_SUBSETS, KID_SUBSET_SIZE = 20, 1000
_CARD_KEYS = ("run_id", "initialized_from", "command", "config", "sources", "environment")  # copied from config.json


class Callback:
    """Something that the loop calls between updates, and that changes no weights.

    At a step, the checkpoint is saved first; then come the callbacks of the checkpoint, in their order, then those of the
    interval.

    Attributes:
        interval: steps between calls of ``on_interval``, which is also called where a training ends or is stopped; 0: never.
    """

    interval: int = 0

    def on_start(self, first_step: int) -> None:
        """Is called before the first update of a training or of a resumed one."""

    def on_checkpoint(self, step: int) -> None:
        """Is called after each checkpoint has been saved; ``step`` counts the steps done."""

    def on_interval(self, step: int) -> None:
        """Is called after every ``interval`` steps and after the last one."""

    def is_done(self, step: int) -> bool:
        """Returns whether what is due at ``step`` was done before the run was stopped; if not, a resumed run does it first."""
        return False


class RealGrid(Callback):
    """Writes ``RUN/images/reals.png`` before the first update: the images of the first batch, as the networks see them.

    Only if there are to be sample grids. A source that is not called "real" gets an image of its own, ``reals-<name>.png``.

    Args:
        run: the run.
        rows: rows and columns at most.
    """

    def __init__(self, run: RunContext, rows: int = 8):
        self.run, self.rows = run, rows

    def on_start(self, first_step: int) -> None:
        if first_step or not self.run.options.grid_every:
            return
        batch = self.run.stream.batch_at(0)
        for name in self.run.stream.sources:
            samples = batch[name]["image"] if isinstance(batch[name], dict) else batch[name]
            images = to_uint8(np.asarray(samples).reshape(-1, *samples.shape[2:]))
            rows = min(self.rows, int(len(images) ** 0.5))
            file = "reals.png" if name == "real" else f"reals-{name}.png"
            write_png(self.run.run_dir.path / "images" / file, tile_images(images, rows, rows))

    def is_done(self, step: int) -> bool:
        return True


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
        write_png(self._path(step), image)
        self.run.loggers.image(step, self.name, image)

    def is_done(self, step: int) -> bool:
        return self._path(step).exists()

    def _path(self, step: int) -> Path:
        return self.run.run_dir.path / "images" / f"step-{step:09d}.png"


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
    """Writes ``weights.npz``, ``finetune.npz`` and ``card.json`` of the run after each checkpoint.

    Scores of former weights are removed then.

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
        cards.remove_scores(self.run.run_dir.path)

    def is_done(self, step: int) -> bool:
        return cards.has_step(self.run.run_dir.path, step)

    def write(self, directory: Path, step: int, more: Mapping[str, Any] | None = None) -> None:
        """Writes the files of the current weights into ``directory``, with ``more`` on the card; raises as ``write_export``."""
        run, exported = self.run, self.networks(step)
        finetune = {name: network for name, network in self.model.networks().items() if name not in exported}
        about = {"task": run.task, "config": run.config["config"], "image_shape": list(self.image_shape)}
        card: dict[str, Any] = {
            "task": run.task,
            "step": step,
            "images_seen": int(self.model.images_seen.numpy()),
            "seconds": round(run.plan.state["seconds"]),
            "data": run.config["data"]["sources"],
            **(more or {}),
        }
        card |= {key: run.config[key] for key in _CARD_KEYS if key in run.config}
        export.write_export(directory, exported, finetune, about, card)


class TrainingSetMetrics:
    """FID and KID against a fixed random sample of training images.

    Args:
        source: the training images.
        count: how many are compared with as many generated ones; at most all of them are.
        seed: of the sample and of the subsets of KID.

    Raises:
        UserError: there is only one training image, or the weights of the FID network are missing.
    """

    def __init__(self, source: Source, count: int, seed: int):
        if len(source) < 2:
            raise UserError(f"A FID needs two or more training images, but {source.name} has one", "Leave --eval-every out")
        self.count, self.seed = min(count, len(source)), seed
        self.extractor = fid_extractor()
        indices = sample_indices(len(source), self.count, seed)
        self._real_features, _ = real_features(self.extractor, SourceImages(source, indices), cache_folder())

    def compute(self, images: np.ndarray) -> tuple[float, float]:
        """Returns FID and KID of generated images, uint8 ``[n, height, width, channels]``; n is ``count``, or less."""
        features, _ = extract(self.extractor, to_rgb(images))
        size = min(KID_SUBSET_SIZE, self.count, len(images))
        fid = frechet_distance_of_features(features, self._real_features)
        kid, _ = kernel_distance_of_subsets(features, self._real_features, subsets=KID_SUBSETS, size=size, seed=self.seed)
        return fid, kid


class TrainingSetScores(Callback):
    """Logs ``fid_train`` and ``kid_train``, says how good they are, and keeps the weights with the lowest FID in ``RUN/best``.

    The card in ``RUN/best`` remembers the best score, so that a resumed run compares with it. A score where the training is
    stopped early is only printed: curves and best weights are those of a run that has not been stopped.

    Args:
        interval: steps between two scores (0: none).
        run: the run; its options say how many images are scored, its seed which ones.
        source: the training images.
        generate: from the exported networks and a number to that many generated images, uint8, from the same latents each time.
        export_weights: writes the best weights.

    Raises:
        UserError: the weights of the FID network are missing; says how to get them.
    """

    def __init__(
        self,
        interval: int,
        run: RunContext,
        source: Source,
        generate: Callable[[dict[str, keras.Model], int], np.ndarray],
        export_weights: ExportWeights,
    ):
        self.interval, self.run, self.generate, self.export_weights = interval, run, generate, export_weights
        self.metrics = TrainingSetMetrics(source, run.options.eval_count, run.config["config"]["seed"])
        self.best_dir = run.run_dir.path / "best"

    def on_start(self, first_step: int) -> None:
        """Finds the best score up to ``first_step``; a later one was computed by a process that has been killed."""
        former = self.run.plan.state.pop("best", None)
        best = self._read_best() if (self.best_dir / cards.CARD).is_file() else None
        if best is None and former is not None:
            warnings.warn(f"{self.best_dir} is lost; the next score is taken as the best one", stacklevel=2)
        if best is not None and best["step"] <= first_step:
            self.run.plan.state["best"] = best

    def _read_best(self) -> dict[str, Any]:
        """Returns the best score, which stands in the card of the best weights.

        Raises:
            UserError: the card is damaged, or that of another run.
        """
        hint = f"Put the card of this run back, or move {self.best_dir} away"
        try:
            card = cards.read_card(self.best_dir)
        except UserError as error:
            raise UserError(error.problem, hint) from None
        best: Any = card.get("best")
        run_id = self.run.config["run_id"]
        is_score = isinstance(best, dict) and isinstance(best.get("step"), int) and isinstance(best.get("fid_train"), float)
        if not is_score or card.get("run_id", run_id) != run_id:
            raise UserError(f"{self.best_dir / cards.CARD} does not describe the best weights of this run", hint)
        return best

    def on_interval(self, step: int) -> None:
        fid, kid = self.metrics.compute(self.generate(self.export_weights.networks(step), self.metrics.count))
        self.run.progress["FID"] = f"{fid:.1f}"
        is_due = step % self.interval == 0 or step == self.run.plan.steps
        comparison = self._keep(step, fid, kid) if is_due else "stopped here, so it is not compared with the best"
        tqdm.write(f"step {step:,}: FID {fid:.1f} against training images ({comparison})")

    def _keep(self, step: int, fid: float, kid: float) -> str:
        """Logs scores, keeps the weights if none were better, and returns how they compare with the best ones, in words."""
        best = self.run.plan.state.get("best")
        is_best = best is None or fid < best["fid_train"]
        if is_best:
            score = {"step": step, "fid_train": fid, "images": self.metrics.count}
            self.run.plan.state["best"] = score
            self.export_weights.write(self.best_dir, step, {"best": score})
        self.run.loggers.scalars(step, {"fid_train": fid, "kid_train": kid})
        return "best so far" if best is None or is_best else f"best: {best['fid_train']:.1f} at step {best['step']:,}"

    def is_done(self, step: int) -> bool:
        return step in self.run.loggers.logged_steps("fid_train")
