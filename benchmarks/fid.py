"""Inception features and the FID against pytorch-fid and torch-fidelity: speed, and that the values are the same.

    python benchmarks/fid.py [--images DIR] [--count 5000] [--rounds 20]

Needs the FID network's weights (``python -m gan_tf.evaluation.features.fetch_weights``). The peers are optional: install torch,
torchvision, pytorch-fid and torch-fidelity. Each peer runs as it is fastest here: eager, channels_last or compiled, found
out before the rounds. All see the same uint8 images in memory and take turns, so that a noisy machine is noisy for all.
Five thousand images take about half an hour on two cores; ``--count 500`` gives a first look.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from gan_tf.evaluation.features.extractor import CHUNK, PROTOCOLS, fid_extractor
from gan_tf.evaluation.features.inception_weights import InceptionWeights, load_weights, to_tensors
from gan_tf.evaluation.image_files import read_folder
from gan_tf.evaluation.metrics.frechet import frechet_distance, frechet_distance_of_features
from gan_tf.evaluation.metrics.statistics import FeatureStatistics
from pipelines.errors import UserError

Features = Callable[[np.ndarray], np.ndarray]
_BATCHES = {"pytorch-fid": 50, "torch-fidelity": 64}  # their defaults


def load_images(folder: str | None, count: int) -> np.ndarray:
    """``count`` pictures of a folder, or drawn noise when there is none: the network's speed doesn't depend on it."""
    if folder is None:
        return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)
    return np.concatenate(list(read_folder(folder, count=count).parts))


def peer_modules(weights: InceptionWeights) -> dict[str, tuple[object, Callable]]:
    """The peers that are installed: their network with our weights, and what turns a uint8 batch into their input."""
    try:
        import torch
    except ImportError:
        print("PyTorch isn't installed, so there is no peer: pip install torch torchvision pytorch-fid torch-fidelity")
        return {}
    state = {name: torch.from_numpy(values.copy()) for name, values in to_tensors(weights).items()}
    state.setdefault("fc.weight", torch.zeros(1008, 2048))
    state.setdefault("fc.bias", torch.zeros(1008))
    peers = {}
    try:
        import pytorch_fid.inception

        pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: state
        network = pytorch_fid.inception.InceptionV3().eval()
        peers["pytorch-fid"] = (network, lambda batch: batch.float() / 255)  # torchvision's ToTensor
    except ImportError:
        print("pytorch-fid isn't installed and is left out: pip install torchvision pytorch-fid")
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        with tempfile.TemporaryDirectory() as folder:
            torch.save(state, f"{folder}/inception.pth")
            path = f"{folder}/inception.pth"
            network = FeatureExtractorInceptionV3("fid", ["2048"], feature_extractor_weights_path=path)
        peers["torch-fidelity"] = (network, lambda batch: batch)
    except ImportError:
        print("torch-fidelity isn't installed and is left out: pip install torch-fidelity")
    return peers


def fastest_variant(name: str, network, prepare: Callable, images: np.ndarray) -> tuple[str, Features]:
    """The fastest of eager, channels_last and compiled, each timed on a batch after a warm-up."""
    import torch

    size = _BATCHES[name]

    def runner(module, memory_format) -> Features:
        def features(chosen: np.ndarray) -> np.ndarray:
            parts = []
            with torch.no_grad():
                for start in range(0, len(chosen), size):
                    batch = torch.from_numpy(chosen[start : start + size]).permute(0, 3, 1, 2)
                    batch = prepare(batch).contiguous(memory_format=memory_format)
                    parts.append(module(batch)[0].reshape(len(batch), -1).numpy())
            return np.concatenate(parts)

        return features

    timed = {}
    for variant in ("eager", "channels_last", "compiled"):
        memory_format = torch.channels_last if variant == "channels_last" else torch.contiguous_format
        module = network.to(memory_format=memory_format)
        try:
            run = runner(torch.compile(module) if variant == "compiled" else module, memory_format)
            run(images[:size])
            seconds = min(timing(run, images[:size])[0] for _ in range(2))
        except Exception as error:  # compiling needs a C++ compiler, and fails in many ways without one
            print(f"{name}, {variant}: not measured ({type(error).__name__})")
            continue
        print(f"{name}, {variant}: {min(len(images), size) / seconds:.1f} features/s")
        timed[variant] = (seconds, run)
    best = min(timed, key=lambda variant: timed[variant][0])
    network.to(memory_format=torch.channels_last if best == "channels_last" else torch.contiguous_format)
    return best, timed[best][1]


def timing(function: Callable, *arguments) -> tuple[float, object]:
    """Wall seconds of one call, and what it returned."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def ratio_with_bounds(theirs: np.ndarray, ours: np.ndarray) -> str:
    """Geometric mean of theirs/ours over the rounds with its 95 % bounds (bootstrap over rounds)."""
    logs = np.log(theirs / ours)
    draws = np.random.default_rng(0).choice(logs, (5000, len(logs))).mean(axis=1)
    low, high = np.exp(np.quantile(draws, [0.025, 0.975]))
    return f"{np.exp(logs.mean()):.2f} [{low:.2f}, {high:.2f}]"


def distances(first: np.ndarray, second: np.ndarray) -> dict[str, Callable[[], float]]:
    """Each way to the distance from features of both sides, statistics included."""

    def streamed() -> float:
        one, two = FeatureStatistics.of(first), FeatureStatistics.of(second)
        return frechet_distance(one.mean, one.covariance, two.mean, two.covariance)

    ways = {"ours": lambda: frechet_distance_of_features(first, second), "ours, from mean and covariance": streamed}
    try:
        from pytorch_fid.fid_score import calculate_frechet_distance

        def by_pytorch_fid() -> float:
            one, two = first.astype(np.float64), second.astype(np.float64)  # as its get_activations keeps them
            return calculate_frechet_distance(one.mean(0), np.cov(one.T), two.mean(0), np.cov(two.T))

        ways["pytorch-fid"] = by_pytorch_fid
    except ImportError:
        pass
    try:
        import torch
        from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

        def by_torch_fidelity() -> float:
            one, two = (fid_features_to_statistics(torch.from_numpy(side)) for side in (first, second))
            return fid_statistics_to_metric(one, two, False)["frechet_inception_distance"]

        ways["torch-fidelity"] = by_torch_fidelity
    except ImportError:
        pass
    return ways


def measure_features(
    runs: dict[str, Features], images: np.ndarray, rounds: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Seconds of each round and features of all images, for each runner; they take turns on each part of the images."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    features: dict[str, list[np.ndarray]] = {name: [] for name in runs}
    for place, part in enumerate(np.array_split(images, rounds), start=1):
        for name, run in runs.items():
            taken, values = timing(run, part)
            seconds[name].append(taken)
            features[name].append(values)
        print(f"round {place} of {rounds}", file=sys.stderr)
    return (
        {name: np.array(taken) for name, taken in seconds.items()},
        {name: np.concatenate(values) for name, values in features.items()},
    )


def main() -> int:
    """Measures and prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", metavar="DIR", help="pictures of one size (default: drawn noise, 64x64)")
    parser.add_argument("--count", type=int, default=5000, help="images (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="turns, at least 2 (default: %(default)s)")
    parser.add_argument("--weights", metavar="FILE", help="the FID network's weights (default: in the cache folder)")
    args = parser.parse_args()
    try:
        weights = load_weights(args.weights)
        images = load_images(args.images, args.count)
        # whole chunks in each round, so that nobody is timed on a chunk that is mostly filling
        images = images[: len(images) // (CHUNK * args.rounds) * CHUNK * args.rounds] if args.rounds > 1 else images
        if args.rounds < 2 or not len(images):
            problem = f"{args.count} images in {args.rounds} rounds are too few: at least 2 rounds of {CHUNK} images are needed"
            raise UserError(problem, "Give more images")
        runs = {}
        for protocol in PROTOCOLS:
            extractor = fid_extractor(weights, protocol)
            runs[f"ours ({protocol})"] = lambda chosen, extractor=extractor: extractor(chosen)[0]
            runs[f"ours ({protocol})"](images[:CHUNK])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    variants = {}
    for name, (network, prepare) in peer_modules(weights).items():
        variants[name], runs[name] = fastest_variant(name, network, prepare, images)
    seconds, features = measure_features(runs, images, args.rounds)
    report(images, seconds, features, variants)
    return 0


def report(
    images: np.ndarray, seconds: dict[str, np.ndarray], features: dict[str, np.ndarray], variants: dict[str, str]
) -> None:
    """Prints features a second, the distances of the two halves of the images, and how far the values are apart."""
    import tensorflow as tf

    print(
        f"\n{len(images):,} images of {images.shape[2]}x{images.shape[1]}, {os.cpu_count()} cores; TensorFlow {tf.__version__}"
    )
    for name, taken in seconds.items():
        peer = name in variants
        ours = f"ours ({name})"
        setting = f"{variants[name]}, batch {_BATCHES[name]}" if peer else f"chunks of {CHUNK}"
        more = f", ours is {ratio_with_bounds(taken, seconds[ours])} times as fast" if peer else ""
        print(f"features  {name:22} {len(images) / taken.sum():6.1f} /s  ({setting}){more}")
    for name in variants:
        apart = np.abs(features[name] - features[f"ours ({name})"]).max()
        print(f"features  {name:22} greatest difference {apart:.1e}")
    middle = len(images) // 2
    for protocol in PROTOCOLS:
        ours = features[f"ours ({protocol})"]
        print(f"\nthe two halves, {middle:,} against {len(images) - middle:,} images, protocol {protocol}")
        for way, distance in distances(ours[:middle], ours[middle:]).items():
            if way in PROTOCOLS and way != protocol:
                continue
            taken, value = timing(distance)
            print(f"distance  {way:32} {taken:6.2f} s  {value:.6f}")
            if way == protocol and way in variants:
                total = taken + seconds[way].sum()
                theirs = features[way]
                value = distances(theirs[:middle], theirs[middle:])[way]()
                print(f"whole     {way:32} {total:6.1f} s  {value:.6f} (from its own features)")
        taken, value = timing(frechet_distance_of_features, ours[:middle], ours[middle:])
        total = taken + seconds[f"ours ({protocol})"].sum()
        print(f"whole     {'ours':32} {total:6.1f} s  {value:.6f}")


if __name__ == "__main__":
    sys.exit(main())
