"""Images for trainings of seconds, what is compared of two runs, and what must be whole in any of them."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from gan_tf.training.checkpoints import find_damage


def write_gray_images(folder: Path) -> Path:
    """Writes 8 images of 32x32 pixels to train on and 6 to score with; returns the folder."""
    for part, count in (("train", 8), ("val", 6)):
        (folder / part).mkdir()
        for index in range(count):
            pixels = np.random.default_rng([count, index]).integers(0, 256, (32, 32), np.uint8)
            Image.fromarray(pixels).save(folder / part / f"{index}.png")
    return folder


def write_unpaired_images(folder: Path) -> Path:
    """Writes 4 images of each of two domains to train on and 3 to score with; returns the folder."""
    for part, count in (("trainA", 4), ("trainB", 4), ("testA", 3), ("testB", 3)):
        (folder / part).mkdir()
        for index in range(count):
            pixels = np.random.default_rng([*part.encode(), index]).integers(0, 256, (32, 40, 3), np.uint8)
            Image.fromarray(pixels).save(folder / part / f"{index}.png")
    return folder


def newest_run(runs: Path) -> Path:
    """Returns the run of the only task that has begun last; folders without a config.json are not runs yet."""
    begun = [path.parent for path in runs.glob("*/*/config.json")]
    return max(begun, key=lambda path: path.name)


def last_checkpoint(run: Path) -> dict[str, np.ndarray]:
    """Returns every variable of a run's last checkpoint by its name."""
    folder = sorted((run / "checkpoints").glob("step-?????????"))[-1]
    reader = tf.train.load_checkpoint(str(folder / "tensors"))
    names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    return {"step": np.array(int(folder.name[5:])), **{name: reader.get_tensor(name) for name in names}}


def assert_same_run(expected: Path, found: Path) -> None:
    """Checks that two runs ended with the same bits: variables, exported weights, curves, and images."""
    first, second = last_checkpoint(expected), last_checkpoint(found)
    assert first.keys() == second.keys()
    assert len(first) > 5
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name
    files = [
        path.relative_to(expected) for kind in ("weights.npz", "finetune.npz", "metrics.jsonl") for path in expected.rglob(kind)
    ]
    files += [path.relative_to(expected) for path in (expected / "images").glob("*.png")]
    assert len(files) > 3
    for file in files:
        assert (expected / file).read_bytes() == (found / file).read_bytes(), file


def assert_whole_files(folder: Path) -> None:
    """Checks that no file below a folder is half written under its final name; others begin with a dot or end in tmp."""
    for path in sorted(folder.rglob("*")):
        names = path.relative_to(folder).parts
        if not path.is_file() or any(name.startswith(".") or name.endswith(".tmp") for name in names):
            continue
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                assert all(arrays[name] is not None for name in arrays)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".png":
            Image.open(path).load()
        elif path.name == "metrics.jsonl":
            assert all(json.loads(line) for line in path.read_text().split("\n")[:-1])
        elif path.parent.parent.name == "checkpoints":
            assert find_damage(path.parent) is None, path
