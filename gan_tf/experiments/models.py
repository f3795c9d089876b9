"""The trained GANs that an experiment compares, named, shipped or trained by it, and what is measured of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_tf import cards, export, shipped
from gan_tf.experiments.page import describe_bias
from gan_tf.experiments.trainings import Budget, Training, train_or_refuse
from gan_tf.options import from_values
from gan_tf.run_dir import find_newest_run
from gan_tf.tasks import Task
from pipelines.errors import UserError
from pipelines.location import Location
from pipelines.source import Source

if TYPE_CHECKING:
    from gan_tf.gan.workflow import ImageGenerator
    from gan_tf.training.callbacks import TrainingSetMetrics


@dataclass(frozen=True)
class Request:
    """Where an experiment finds its models.

    Attributes:
        data: the task's images.
        named: runs or exported weights, which take the place of all others of their variant.
        runs: where the runs of the experiment lie.
        budget: how long missing ones are trained.
    """

    data: Location
    named: Sequence[Path]
    runs: Path
    budget: Budget


def collect_weights(task: Task, trainings: Sequence[Training], request: Request) -> dict[str, Path]:
    """Returns the weights of each training by its name, which is the name of its variant; trains those that are missing.

    Raises:
        UserError: named weights are of none of the trainings, or a training failed or diverged.
        KeyboardInterrupt: a training was stopped.
    """
    named = find_named(task, [training.name for training in trainings], request.named)
    found = {}
    for training in trainings:
        name, folder = training.name, request.runs / training.name
        is_started = find_newest_run(folder, task.name) is not None
        if name in named:
            found[name] = named[name]
        elif not is_started and name in shipped.shipped_variants(task.name):
            found[name] = shipped.SHIPPED / task.name / name
        else:
            print(f"{name}: training to {request.budget}", flush=True)
            found[name] = train_or_refuse(task, training, request.data, request.budget, folder, grid_every=1000).path
        print(f"{name}: {shipped.describe_weights(found[name])}", flush=True)
    return found


def find_named(task: Task, names: Sequence[str], directories: Sequence[Path]) -> dict[str, Path]:
    """Returns the directories of weights by the names of their variants.

    Raises:
        UserError: a directory holds no weights, those of another task or variant, or two hold those of the same one.
    """
    found: dict[str, Path] = {}
    for directory in directories:
        about = export.read_weights(directory)
        name = "" if about.task != task.name else task.variant_of(from_values(task.family.config, about.config, str(directory)))
        if name not in names:
            problem = f"{directory} holds weights of {'/'.join(filter(None, (about.task, name)))}, which are not compared here"
            raise UserError(problem, f"Name weights of task {task.name}, some of: {', '.join(names)}")
        if name in found:
            raise UserError(f"{found[name]} and {directory} both hold weights of {name}", "Name one of the two")
        found[name] = directory
    return found


def split_by_task(directories: Sequence[Path], data: Mapping[str, Location | None]) -> dict[str, list[Path]]:
    """Returns the directories of weights by their task.

    Raises:
        UserError: a directory holds no weights, or those of a task whose images were not named.
    """
    found: dict[str, list[Path]] = {name: [] for name in data}
    for directory in directories:
        task = export.read_weights(directory).task
        if data.get(task) is None:
            problem = f"{directory} holds weights of task {task}, whose images are not named"
            raise UserError(problem, f"Add --{task} DIR" if task in data else f"Name weights of: {', '.join(data)}")
        found[task].append(directory)
    return found


def load_generator(task: Task, directory: Path) -> "ImageGenerator":
    """Returns the generator of weights; raises as ``Workflow.load``."""
    from gan_tf.workflow import load_workflow

    generator: ImageGenerator = load_workflow(task, directory).load(directory)
    return generator


def open_metrics(source: Source, count: int, seed: int) -> "TrainingSetMetrics":
    """Returns what computes the FID against a sample of training images, as ``train.py --eval-every``.

    Raises:
        UserError: the weights of the FID network are missing.
    """
    from gan_tf.training.callbacks import TrainingSetMetrics

    return TrainingSetMetrics(source, count, seed)


def open_training_images(task: Task, data: Location) -> Source:
    """Returns the task's training images.

    Raises:
        UserError: there are none.
    """
    from gan_tf.training.run_options import RunOptions
    from pipelines.location import open_data

    return open_data(task.data, data, "train", int(RunOptions.memory_budget * 1e6))["real"]


@dataclass(frozen=True)
class Measures:
    """What was measured of a generator.

    Attributes:
        images: generated images of the evaluator's seed, uint8 ``[count, height, width, channels]``.
        fid: against training images.
        diversity: the measure of the alarm for a mode collapse, 1 for training images.
    """

    images: np.ndarray
    fid: float
    diversity: float


class Evaluator:
    """Measures generators of one task, each by as many images of the same latents.

    Args:
        task: the task.
        data: its images.
        count: images of each generator, and training images that they are compared with; at most as many as there are.
        seed: of the generated images, and of the sample of training images.

    Raises:
        UserError: the images or the weights of the FID network are missing.
    """

    def __init__(self, task: Task, data: Location, count: int, seed: int):
        from gan_tf.evaluation.image_files import SourceImages, sample_indices
        from gan_tf.evaluation.metrics.diversity import neighbor_distance
        from gan_tf.gan.collapse import NUM_SAMPLES

        self.task, self.data, self.seed = task, data, seed
        source = open_training_images(task, data)
        self.metrics = open_metrics(source, count, seed)
        self.count = self.metrics.count
        self.num_compared = min(NUM_SAMPLES, len(source), self.count)
        chosen = sample_indices(len(source), self.num_compared, seed)
        self.real_distance = neighbor_distance(SourceImages(source, chosen)[:])

    def measure(self, directory: Path) -> Measures:
        """Returns the measures of weights; raises as ``Workflow.load``."""
        from gan_tf.evaluation.metrics.diversity import neighbor_distance
        from gan_tf.utils.images import to_rgb

        images = load_generator(self.task, directory).generate(self.count, self.seed)
        fid, _ = self.metrics.compute(images)
        distance = neighbor_distance(to_rgb(images[: self.num_compared]))
        return Measures(images, fid, distance / self.real_distance)


def describe_metrics(metrics: "TrainingSetMetrics", seed: int) -> str:
    """Returns, as a sentence, which images and which network a FID is computed from."""
    extractor = metrics.extractor
    bias = describe_bias(metrics.count, "page")
    return (
        f"FID: {metrics.count:,} generated images of seed {seed} against a fixed sample of as many training images, as "
        f"`fid_train` of `train.py --eval-every`; {extractor.name}, {extractor.protocol} ({extractor.resize}).{bias}"
    )


@dataclass(frozen=True)
class Facts:
    """How weights were trained, by their card.

    Attributes:
        step: training steps of the last stage.
        minutes: time of training in the last stage.
        stages: number of stages, each of which starts from the weights of the one before.
        fid: the FID that the card records, with the task's own protocol; None without one.
    """

    step: int
    minutes: float
    stages: int
    fid: float | None


def read_facts(directory: Path) -> Facts:
    """Returns how weights were trained; raises as ``cards.read_card``."""
    card = cards.read_card(directory)
    fid = card.get("scores", {}).get("fid")
    stages = 1 + len(card.get("initialized_from", ()))
    return Facts(card["step"], card["seconds"] / 60, stages, None if fid is None else fid["value"])


def count_digits(classifier: Any, images: np.ndarray) -> np.ndarray:
    """Returns how many images, uint8 ``[n, height, width, channels]``, show each digit by a classifier, integers ``[10]``."""
    from gan_tf.evaluation.digits import classify
    from gan_tf.utils.images import to_rgb

    return np.bincount(classify(classifier, to_rgb(images)), minlength=10)
