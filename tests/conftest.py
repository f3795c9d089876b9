"""What all tests share: a quiet TensorFlow, two virtual devices, small images, the entry points as processes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_tf.utils.tf_import import import_tensorflow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def two_devices():
    """A strategy over two virtual CPU devices; they must be made before TensorFlow runs anything."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def pytest_addoption(parser):
    parser.addoption("--drill-kills", type=int, default=100, help="random kills of each family in the slow tests")
    parser.addoption("--write-robustness", action="store_true", help="write docs/robustness.md from what this run tries")


def pytest_configure(config):
    if config.getoption("--write-robustness") and config.getoption("numprocesses", 0):
        raise pytest.UsageError("--write-robustness counts in one process. Add -n 0.")
    import_tensorflow()
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture
def image_dir(tmp_path) -> Path:
    """A folder of 12 small color images."""
    folder = tmp_path / "images"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def run_script():
    """Runs a script as its user does: ``run_script("train.py", "--task", "anime") -> CompletedProcess`` with text."""

    def run(*words, timeout=300, **more) -> subprocess.CompletedProcess:
        command = [sys.executable, *map(str, words)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False, **more)

    return run
