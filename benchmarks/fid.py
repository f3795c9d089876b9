"""Inception features and the FID beside pytorch-fid and torch-fidelity: speed, and that the values are the same.

    python benchmarks/fid.py [--images DIR] [--count 5000] [--rounds 20]

Needs the FID network's weights (``python -m gan_tf fetch-weights``). The peers are optional: install torch, torchvision,
pytorch-fid and torch-fidelity. Each peer runs in its fastest mode on this machine (eager, channels_last or compiled), which
is found before the rounds. All get the same uint8 images in memory and take turns, so that noise of the machine affects all.
Five thousand images take about half an hour on two cores; ``--count 500`` gives a first look.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf

from benchmarks._turns import timing
from gan_tf.evaluation.features.extractor import BATCH, PROTOCOLS, FeatureExtractor, fid_extractor
from gan_tf.evaluation.features.inception_weights import InceptionWeights, load_weights, to_tensors
from gan_tf.evaluation.image_files import read_image_dir
from gan_tf.evaluation.metrics.frechet import frechet_distance, frechet_distance_of_features
from gan_tf.evaluation.metrics.statistics import FeatureStatistics
from pipelines.errors import UserError

Features = Callable[[np.ndarray], np.ndarray]
_PEER_BATCHES = {"pytorch-fid": 50, "torch-fidelity": 64}  # their defaults


def load_images(folder: str | None, count: int) -> np.ndarray:
    """Returns ``count`` images of a folder, or noise without one, on which the network is equally fast."""
    if folder is None:
        return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)
    return np.asarray(read_image_dir(folder, count=count).images[:])


def build_peers(weights: InceptionWeights) -> dict[str, tuple[Any, Callable]]:
    """Returns the installed peers: their network with our weights, and what converts a uint8 batch to their input."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed, so there are no peers: pip install torch torchvision pytorch-fid torch-fidelity")
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
        print("pytorch-fid is not installed and is left out: pip install torchvision pytorch-fid")
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/inception.pth"
            torch.save(state, path)
            network = FeatureExtractorInceptionV3("fid", ["2048"], feature_extractor_weights_path=path)
        peers["torch-fidelity"] = (network, lambda batch: batch)
    except ImportError:
        print("torch-fidelity is not installed and is left out: pip install torch-fidelity")
    return peers


def find_fastest_mode(name: str, network: Any, prepare: Callable, images: np.ndarray) -> tuple[str, Features]:
    """Returns the fastest of eager, channels_last and compiled, each timed on a batch after a warm-up."""
    import torch

    size = _PEER_BATCHES[name]

    def build_runner(module: Any, memory_format: Any) -> Features:
        def compute_features(images: np.ndarray) -> np.ndarray:
            outputs = []
            with torch.no_grad():
                for start in range(0, len(images), size):
                    batch = torch.from_numpy(images[start : start + size]).permute(0, 3, 1, 2)
                    batch = prepare(batch).contiguous(memory_format=memory_format)
                    outputs.append(module(batch)[0].reshape(len(batch), -1).numpy())
            return np.concatenate(outputs)

        return compute_features

    timed = {}
    for mode in ("eager", "channels_last", "compiled"):
        memory_format = torch.channels_last if mode == "channels_last" else torch.contiguous_format
        module = network.to(memory_format=memory_format)
        try:
            run = build_runner(torch.compile(module) if mode == "compiled" else module, memory_format)
            run(images[:size])
            seconds = min(timing(run, images[:size])[0] for _ in range(2))
        except Exception as error:  # compiling needs a C++ compiler, and fails in many ways without one
            print(f"{name}, {mode}: not measured ({type(error).__name__})")
            continue
        print(f"{name}, {mode}: {min(len(images), size) / seconds:.1f} features/s")
        timed[mode] = (seconds, run)
    fastest = min(timed, key=lambda mode: timed[mode][0])
    network.to(memory_format=torch.channels_last if fastest == "channels_last" else torch.contiguous_format)
    return fastest, timed[fastest][1]


def ratio_with_ci(theirs: np.ndarray, ours: np.ndarray) -> str:
    """Returns the geometric mean of theirs/ours over the rounds with its 95 % CI (bootstrap over rounds)."""
    logs = np.log(theirs / ours)
    means = np.random.default_rng(0).choice(logs, (5000, len(logs))).mean(axis=1)
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    return f"{np.exp(logs.mean()):.2f} [{low:.2f}, {high:.2f}]"


def distance_functions(first: np.ndarray, second: np.ndarray) -> dict[str, Callable[[], float]]:
    """Returns functions that compute the FID from the features of both sides, statistics included, by implementation."""

    def by_features() -> float:
        return frechet_distance_of_features(first, second)

    def by_statistics() -> float:
        one, two = FeatureStatistics.of(first), FeatureStatistics.of(second)
        return frechet_distance(one.mean, one.covariance, two.mean, two.covariance)

    functions = {"ours": by_features, "ours, from mean and covariance": by_statistics}
    try:
        from pytorch_fid.fid_score import calculate_frechet_distance

        def by_pytorch_fid() -> float:
            one, two = first.astype(np.float64), second.astype(np.float64)  # as its get_activations returns them
            return calculate_frechet_distance(one.mean(0), np.cov(one.T), two.mean(0), np.cov(two.T))

        functions["pytorch-fid"] = by_pytorch_fid
    except ImportError:
        pass
    try:
        import torch
        from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

        def by_torch_fidelity() -> float:
            one, two = (fid_features_to_statistics(torch.from_numpy(side)) for side in (first, second))
            return fid_statistics_to_metric(one, two, False)["frechet_inception_distance"]

        functions["torch-fidelity"] = by_torch_fidelity
    except ImportError:
        pass
    return functions


def measure_features(
    runs: dict[str, Features], images: np.ndarray, rounds: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns the seconds of each round and the features of all images, by runner; in each round all get the same images."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    features: dict[str, list[np.ndarray]] = {name: [] for name in runs}
    for number, part in enumerate(np.array_split(images, rounds), start=1):
        for name, run in runs.items():
            duration, values = timing(run, part)
            seconds[name].append(duration)
            features[name].append(values)
        print(f"round {number} of {rounds}", file=sys.stderr)
    return (
        {name: np.array(durations) for name, durations in seconds.items()},
        {name: np.concatenate(values) for name, values in features.items()},
    )


def build_runner(extractor: FeatureExtractor) -> Features:
    """Returns the function from images to features of an extractor."""

    def compute_features(images: np.ndarray) -> np.ndarray:
        return extractor(images)[0]

    return compute_features


def main() -> int:
    """Measures and prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", metavar="DIR", help="images of one size (default: noise, 64x64)")
    parser.add_argument("--count", type=int, default=5000, help="number of images (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="number of rounds, at least 2 (default: %(default)s)")
    parser.add_argument("--inception-weights", metavar="FILE", help="the FID network's weights (default: in the cache folder)")
    args = parser.parse_args()
    try:
        weights = load_weights(args.inception_weights)
        images = load_images(args.images, args.count)
        step = BATCH * args.rounds  # only whole batches in each round: padding would count as time per image
        images = images[: len(images) // step * step] if args.rounds > 1 else images[:0]
        if not len(images):
            problem = f"{args.count} images in {args.rounds} rounds are too few: at least 2 rounds of {BATCH} images are needed"
            raise UserError(problem, "Choose a larger --count, or fewer --rounds")
        runs = {}
        for protocol in PROTOCOLS:
            runs[f"ours ({protocol})"] = build_runner(fid_extractor(weights, protocol))
            runs[f"ours ({protocol})"](images[:BATCH])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    modes = {}
    for name, (network, prepare) in build_peers(weights).items():
        modes[name], runs[name] = find_fastest_mode(name, network, prepare, images)
    seconds, features = measure_features(runs, images, args.rounds)
    print_features(images, seconds, features, modes)
    for protocol in PROTOCOLS:
        print_distances(protocol, seconds, features)
    return 0


def print_features(
    images: np.ndarray, seconds: dict[str, np.ndarray], features: dict[str, np.ndarray], modes: dict[str, str]
) -> None:
    """Prints features per second, and the greatest differences between the peers' features and ours."""
    size = f"{images.shape[2]}x{images.shape[1]}"
    print(f"\n{len(images):,} images of {size}, {os.cpu_count()} cores; TensorFlow {tf.__version__}")
    for name, durations in seconds.items():
        setting, comparison = f"batch {BATCH}", ""
        if name in modes:
            setting = f"{modes[name]}, batch {_PEER_BATCHES[name]}"
            comparison = f", ours is {ratio_with_ci(durations, seconds[f'ours ({name})'])} times as fast"
        print(f"features  {name:22} {len(images) / durations.sum():6.1f} /s  ({setting}){comparison}")
    for name in modes:
        difference = np.abs(features[name] - features[f"ours ({name})"]).max()
        print(f"features  {name:22} greatest difference {difference:.1e}")


def print_distances(protocol: str, seconds: dict[str, np.ndarray], features: dict[str, np.ndarray]) -> None:
    """Prints the FID between the first and the second half of the images: its seconds alone, and with the features."""
    ours = features[f"ours ({protocol})"]
    half = len(ours) // 2
    print(f"\nfirst half against second half, {half:,} against {len(ours) - half:,} images, protocol {protocol}")
    for name, compute_distance in distance_functions(ours[:half], ours[half:]).items():
        if name in PROTOCOLS and name != protocol:
            continue
        duration, value = timing(compute_distance)
        print(f"distance  {name:32} {duration:6.2f} s  {value:.6f}")
        if name in features:  # the peer of this protocol
            total = duration + seconds[name].sum()
            theirs = features[name]
            value = distance_functions(theirs[:half], theirs[half:])[name]()
            print(f"whole     {name:32} {total:6.1f} s  {value:.6f} (from its own features)")
        elif name == "ours":
            total = duration + seconds[f"ours ({protocol})"].sum()
            print(f"whole     {name:32} {total:6.1f} s  {value:.6f}")


if __name__ == "__main__":
    sys.exit(main())
