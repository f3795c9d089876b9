"""CycleGANs through the command line: scores, devices, bad input."""

import numpy as np
from helpers.cli import call
from PIL import Image

from gan_tf.training import run as training_run

TINY = ["--hidden-dim", 4, "--num-blocks", 0, "--load-size", 36, "--crop-size", 32]


def write_domains(folder, parts=("train", "test"), counts=(5, 4)):
    """Writes images of noise, brighter in B than in A."""
    for part in parts:
        for domain, count, low in zip("AB", counts, (0, 128), strict=True):
            path = folder / f"{part}{domain}"
            path.mkdir(parents=True)
            for i in range(count):
                pixels = np.random.default_rng([*path.name.encode(), i]).integers(low, low + 128, (36, 36, 3), np.uint8)
                Image.fromarray(pixels).save(path / f"{i}.png")
    return folder


def train(folder, *words) -> int:
    return call("train", "--task", "yosemite", "--runs", folder / "runs", "--steps", 1, *TINY, *words)


def test_train_on_several_devices_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_run, "find_gpus", lambda: ["GPU:0", "GPU:1"])
    assert train(tmp_path) == 2
    assert "--task yosemite is trained on one device, but TensorFlow sees 2 GPUs." in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_train_without_a_domain_is_refused(tmp_path, capsys):
    data = write_domains(tmp_path / "data", parts=("train",))
    (data / "trainB").rename(data / "snow")
    assert train(tmp_path, "--data", data) == 2
    assert f"{data} has no folder trainB; it holds only snow, trainA." in capsys.readouterr().err
