"""``python -m gan_tf.experiments.nearest``: does a GAN copy its training pictures?

Writes two pictures. One shows 16 samples above the training pictures nearest to them; it holds training pictures, so it
stays with whoever has the data. The other holds none: how close samples come to training pictures, beside how close real
pictures come that were never trained on, and the 16 closest of all samples.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from gan_tf import export
from gan_tf.cli.main import Parser, guarded
from gan_tf.tasks import Task, find, first_folder
from gan_tf.utils.files import write_whole
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import InputError

SHOWN = 16
COPY = 0.2  # closer than that is the same picture, compressed anew
RARE = 1.0  # per cent of unseen real pictures; as many of the samples are that close where nothing is copied


def parser() -> Parser:
    """The command's arguments."""
    words = (
        "Looks for the training pictures nearest to a GAN's samples, mirrored ones too, and compares with real pictures\n"
        "that were never trained on.\n\n"
        "  python -m gan_tf.experiments.nearest --data FOLDER --picture side_by_side.png"
    )
    made = Parser(prog="python -m gan_tf.experiments.nearest", description=words)
    made.add_argument("--data", type=Path, metavar="DIR", help="the task's folder, with training and validation images")
    made.add_argument("--task", default="anime", metavar="NAME", help="which task's GAN (default: anime)")
    made.add_argument("--loss", metavar="LOSS", help="the shipped weights trained with it (default: the task's own)")
    made.add_argument("--run", type=Path, metavar="RUN", help="a run of your own instead of shipped weights")
    made.add_argument("--count", type=int, default=2000, help="samples, and unseen pictures at most (default: 2000)")
    made.add_argument("--seed", type=int, default=0, help="of the samples (default: 0)")
    figure = Path("docs/nearest.png")
    made.add_argument("--figure", type=Path, default=figure, metavar="FILE", help=f"the picture without data ({figure})")
    made.add_argument("--picture", type=Path, metavar="FILE", help="the picture with the nearest training pictures")
    return made


def run(words: Sequence[str]) -> int:
    """What the command does with its words; returns the exit code."""
    args = parser().parse(words)
    task, (train, unseen) = find(args.task), folders(find(args.task), args.data)
    if args.count < SHOWN:
        raise InputError(f"--count {args.count}", f"a whole number from {SHOWN}", "change it")
    for path in filter(None, (args.figure, args.picture)):
        if path.suffix.lower() != ".png":
            raise InputError(f"{path}", "a file that ends in .png", "change it")
    weights = args.run or export.shipped(task.name, args.loss or task.shipped)
    print(f"weights: {export.describe(weights, args.run)}", flush=True)
    import_tensorflow()
    samples = made_by(task, weights, args.count, args.seed)
    pool, others = read(task, train), read(task, unseen, args.count)
    from gan_tf.evaluation.metrics.nearest_neighbors import NEIGHBOURS, nearest

    if len(pool) <= NEIGHBOURS:
        raise InputError(f"{len(pool)} pictures in {train}", f"more than {NEIGHBOURS}", "name more training pictures")
    of_samples, of_unseen = nearest(samples, pool), nearest(others, pool)
    if (of_unseen.closeness < COPY).all():
        raise InputError(f"all pictures of {unseen} are copies of training pictures", "some that aren't", "name other data")
    found = sentence(of_samples.closeness, of_unseen.closeness, len(pool))
    print(found)
    write_figure(args.figure, samples, of_samples, of_unseen, found)
    print(f"wrote {args.figure}")
    if args.picture:
        write_picture(args.picture, samples[:SHOWN], of_samples, pool)
        print(f"wrote {args.picture}: it holds training pictures")
    return 0


def folders(task: Task, data: Path | None) -> tuple[Path, Path]:
    """Where training images and images never trained on are.

    Raises:
        InputError: where either is missing.
    """
    if data is None or not data.is_dir():
        raise InputError(f"--data {data}" if data else "no --data", "the task's folder", "say --data DIR")
    if not task.train_folders:
        raise InputError(f"--task {task.name}", "a task that keeps its images in folders", "choose another")
    train, unseen = first_folder(data, task.train_folders), first_folder(data, task.reference_folders)
    for found, names in ((train, task.train_folders), (unseen, task.reference_folders)):
        if found == data:
            raise InputError(f"{data} has none of {', '.join(names)}", "the task's folder with both kinds", "correct --data")
    return train, unseen


def made_by(task: Task, weights: Path, count: int, seed: int):
    """Samples, uint8 ``[count, height, width, channels]``."""
    import pkgutil

    import numpy as np

    return np.concatenate(list(pkgutil.resolve_name(task.workflow).sample(task, weights, count, seed)))


def read(task: Task, folder: Path, most: int | None = None):
    """The pictures below a folder, uint8, or the first ``most`` of them."""
    import numpy as np

    from pipelines.image_folder import Folder

    source = Folder(folder, task.shape[0], task.shape[2])
    return np.asarray(source.take(np.arange(min(len(source), most or len(source)))))


def sentence(samples, unseen, trained_on: int) -> str:
    """What was found, in words; both arguments are ``Nearest.closeness``."""
    import numpy as np

    known, own = unseen < COPY, samples[samples >= COPY]
    border = np.percentile(unseen[~known], RARE)
    median, share = (f"{np.median(own):.3f}", f"{100.0 * np.mean(own < border):.2f} %") if len(own) else ("–", "none")
    return (
        f"{len(samples):,} samples and {len(unseen):,} real pictures kept apart, looked for among {trained_on:,} training"
        f" pictures: {np.sum(samples < COPY):,} and {known.sum():,} are copies of one or of its mirror image. Without copies:"
        f" median closeness {median} and {np.median(unseen[~known]):.3f} (0 is a copy);"
        f" {share} of the samples are closer than {border:.3f}, as {RARE:g} % of the real pictures are."
    )


def write_figure(path: Path, samples, of_samples, of_unseen, words: str) -> None:
    """The distributions of closeness, and the samples that come closest; no picture of the data."""
    import matplotlib

    matplotlib.use("Agg")
    import textwrap

    import matplotlib.pyplot as plt
    import numpy as np

    figure, axes = plt.subplots(2, 1, figsize=(9, 6), height_ratios=(3, 1.3), layout="constrained")
    bins = np.linspace(0.0, 1.0, 101)
    apart = of_unseen.closeness[of_unseen.closeness >= COPY]
    for values, name in ((apart, "real, kept apart (without copies)"), (of_samples.closeness, "samples")):
        axes[0].hist(values, bins, density=True, alpha=0.6, label=name)
    axes[0].set_xlabel("closeness: distance to the nearest training picture / mean distance of the next 50 (0: a copy)")
    axes[0].set_ylabel("density")
    axes[0].legend()
    axes[0].set_title(textwrap.fill(words, 110), fontsize=8)
    closest = np.argsort(of_samples.closeness)[:SHOWN]
    axes[1].imshow(np.concatenate(samples[closest], axis=1))
    axes[1].set_xticks([(i + 0.5) * samples.shape[2] for i in range(len(closest))])
    axes[1].set_xticklabels([f"{of_samples.closeness[i]:.2f}" for i in closest], fontsize=8)
    axes[1].set_yticks([])
    axes[1].set_title("the samples that come closest, and their closeness", fontsize=9)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    plt.close(figure)
    write_whole(path, data.getvalue())


def write_picture(path: Path, samples, found, pool) -> None:
    """Samples above, the nearest training pictures below, mirrored where that is nearer."""
    import numpy as np

    from gan_tf.utils.images import write_png

    pairs = zip(found.index[: len(samples)], found.mirrored[: len(samples)], strict=True)
    below = [pool[i][:, ::-1] if mirrored else pool[i] for i, mirrored in pairs]
    write_png(path, np.concatenate([np.concatenate(list(row), axis=1) for row in (samples, below)]))


def main(argv: Sequence[str] | None = None) -> int:
    """The command; errors are one line and exit code 2, as at the doors."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
