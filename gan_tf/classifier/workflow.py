"""The workflow of the digit reader: labelled pictures to a classifier, which serves as the digit judge."""

import argparse
import csv
import io
from pathlib import Path

from gan_tf.options import ReaderSettings, Resolved, RunSettings
from gan_tf.options import resolve as resolve_settings
from gan_tf.tasks import Task
from pipelines.errors import InputError

SETTINGS = ReaderSettings
TRAINED = ("network",)
ABOUT = "Reads the digits in pictures"
EXAMPLE = "DIGITS_DIR digits.csv"
MOVES, BLENDS, COLOURS = 10, 11, 12  # purposes of randomness; see pipelines.stream.key
REFRESH_CHUNKS = 16  # batches from which the averaged network's batch-norm statistics are computed
PREVIEW_ROWS = 8


def resolve(task: Task, config: dict, said: dict) -> Resolved:
    """Settings of a run; see ``settings.resolve``."""
    return resolve_settings(ReaderSettings, [("task", task.defaults), ("config", config), ("said", said)])


def build(task: Task, settings: ReaderSettings):
    """The method, its network initialised from the seed."""
    from gan_tf.classifier.model import Classifier
    from gan_tf.classifier.networks import build_reader

    return Classifier(*(build_reader(task.shape, settings.hidden, settings.seed) for _ in range(2)), settings)


def stream_for(method, source):
    """The stream of labelled images that feeds a method of ``build``."""
    from pipelines.stream import Stream

    s = method.settings
    return Stream(source, s.batch, seed=s.seed, prepare=lambda samples, step: ready(s, samples, step))


def ready(settings: ReaderSettings, samples: dict, step) -> dict:
    """Images as float32 in [-1, 1], changed at random as a pure function of (seed, step); labels as int32."""
    import tensorflow as tf

    from pipelines import augment
    from pipelines.stream import key
    from pipelines.transforms import to_float

    images = to_float(samples["image"])
    if settings.augment:
        images = augment.moved(images, key(settings.seed, step, MOVES))
        images = augment.blended(images, key(settings.seed, step, BLENDS))
        images = augment.recoloured(images, key(settings.seed, step, COLOURS))
    return {"image": images, "label": tf.cast(samples["label"], tf.int32)}


def actions(task: Task, config: dict, method, source, folder: Path, plan, writers, watched: RunSettings) -> None:
    """Adds to the plan: what the network is shown, every ``--grid-every`` steps, and the averaged weights at checkpoints."""
    from gan_tf.gan.sampling import to_pixels
    from gan_tf.training.transfer import export_weights
    from gan_tf.utils.images import grid, write_png

    stream = stream_for(method, source)

    def images(step: int):
        return stream.at(step)["real"]["image"][:, 0]

    def picture(step: int) -> None:
        shown = to_pixels(images(step - 1))
        rows = min(PREVIEW_ROWS, int(len(shown) ** 0.5))
        write_png(folder / "images" / f"step-{step:09d}.png", grid(shown[: rows * rows], rows, rows))

    def weights(step: int) -> None:
        network = method.sampler(images(n) for n in range(REFRESH_CHUNKS))
        export_weights(task, config, method, network, folder, plan, step)

    plan.every.append((watched.grid_every, picture))
    plan.at_checkpoint.append(weights)


def load(folder: Path, task: Task):
    """The network of a run or of shipped weights, and the settings it was trained with; raises as ``export.load``."""
    from gan_tf import export
    from gan_tf.classifier.networks import build_reader

    return export.load(folder, task.name, ReaderSettings, lambda settings: build_reader(task.shape, settings.hidden))


def infer_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``infer.py`` takes for the reader."""
    parser.add_argument("images", metavar="IMAGES_DIR", type=Path, help="folder of pictures of digits, at any depth")
    parser.add_argument("out", metavar="OUT.csv", type=Path, help="file for image_name,label")


def check_infer(args: argparse.Namespace) -> None:
    """Refuses arguments that make no sense, before TensorFlow is loaded."""
    if args.out.suffix.lower() != ".csv":
        raise InputError(f"OUT {args.out}", "a .csv file", "change it")
    if not args.images.is_dir():
        raise InputError(f"{args.images} is not a folder", "a folder of pictures of digits", "correct it")


def infer(task: Task, args: argparse.Namespace, folder: Path) -> None:
    """Reads each picture of a folder and writes its path below the folder and its digit."""
    check_infer(args)
    import numpy as np

    from gan_tf.evaluation.digits import load_reader
    from gan_tf.utils.files import write_whole
    from pipelines.image_folder import Folder

    reader = load_reader(folder)
    pictures = Folder(args.images, task.shape[0], task.shape[2])
    print(pictures.summary, flush=True)
    places = np.array_split(np.arange(len(pictures)), -(-len(pictures) // 1024))
    labels = reader.read(pictures.take(place).numpy() for place in places)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("image_name", "label"))
    rows.writerows((p.relative_to(args.images).as_posix(), int(n)) for p, n in zip(pictures.paths, labels, strict=True))
    write_whole(args.out, table.getvalue().encode())
    print(f"{args.out}: {len(labels):,} labels")


def evaluate(task: Task, folder: Path, data: Path | None):
    """The scores of the weights in ``folder`` on the validation parts below ``data``.

    Raises:
        InputError: where there is no data to read.
    """
    from gan_tf.evaluation.digits import labelled_scores, load_reader
    from pipelines.formats.digits import digit_sets

    if data is None:
        raise InputError("no digits to read", "MNIST or MNIST-M with labels", "name their folder by --data")
    return labelled_scores(digit_sets(data, validation=True), load_reader(folder))
