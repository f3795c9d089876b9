"""The Python API as scripts and notebooks use it."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers.cli import call

import gan_tf
from pipelines.errors import UserError

ROOT = Path(__file__).resolve().parents[1]


def test_load_generate_is_the_image_of_the_seed(tmp_path):
    images = gan_tf.load("anime", "wgangp").generate(3, seed=1)
    assert (images.dtype, images.shape) == (np.uint8, (3, 64, 64, 3))
    assert call("infer", "--task", "anime", "--weights", "wgangp", "--seed", 1, "--count", 3, tmp_path / "out") == 0
    from PIL import Image

    for i, image in enumerate(images):
        assert np.array_equal(np.asarray(Image.open(tmp_path / f"out/{i:04d}.png")), image)


def test_load_in_a_worker_thread_with_a_running_event_loop_generates():
    """As in a notebook, whose cells may run in a thread beside an event loop."""
    results: list[np.ndarray] = []

    async def cell() -> None:
        results.append(gan_tf.load("anime", "wgangp").generate(2))

    thread = threading.Thread(target=lambda: asyncio.run(cell()))
    thread.start()
    thread.join()
    assert results[0].shape == (2, 64, 64, 3)


def test_load_starts_quietly():
    code = "import gan_tf; print(gan_tf.load('anime', 'wgangp').generate(1).shape)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(1, 64, 64, 3)\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [(("anme",), "did you mean 'anime'"), (("anime", "wgan"), "wgangp"), (("anime", "/nowhere"), "/nowhere")],
)
def test_load_unknown_name_raises_user_error(words, message):
    with pytest.raises(UserError, match=message):
        gan_tf.load(*words)


def test_import_loads_no_tensorflow():
    code = "import sys, gan_tf; gan_tf.TASKS; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_attribute_that_does_not_exist_raises_attribute_error():
    with pytest.raises(AttributeError, match="generate"):
        _ = gan_tf.generate


def test_tensorflow_missing_is_one_sentence(tmp_path):
    """A package that cannot be imported stands for one that is not installed."""
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError(\"No module named 'tensorflow'\", name='tensorflow')")
    command = [sys.executable, "-m", "gan_tf", "infer", "--task", "anime", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith("error: TensorFlow is not installed")
