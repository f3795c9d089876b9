"""Settings of other projects: they change no weights and no scores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers.cli import call
from PIL import Image

from gan_tf.utils.tf_import import check_keras_settings, import_tensorflow
from pipelines.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = {"backend": "jax", "floatx": "float16", "epsilon": 1e-3, "image_data_format": "channels_first"}


def test_infer_with_the_keras_settings_of_another_project_writes_the_same_image(tmp_path):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras/keras.json").write_text(json.dumps(FOREIGN))
    foreign = {"KERAS_HOME": str(tmp_path / ".keras"), "KERAS_BACKEND": "torch"}
    words = [sys.executable, "infer.py", "--task", "anime", "--grid", "2x2", tmp_path / "foreign.png"]
    done = subprocess.run(words, cwd=ROOT, env=os.environ | foreign, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert call("infer", "--task", "anime", "--grid", "2x2", tmp_path / "own.png") == 0
    foreign_pixels, own_pixels = (np.asarray(Image.open(tmp_path / name)) for name in ("foreign.png", "own.png"))
    np.testing.assert_array_equal(foreign_pixels, own_pixels)


IMPORT = """
import os
from gan_tf.utils.tf_import import import_tensorflow
before = os.environ["KERAS_HOME"], os.environ["KERAS_MAX_EPOCHS"]
import_tensorflow()
assert (os.environ["KERAS_HOME"], os.environ["KERAS_MAX_EPOCHS"]) == before
"""
BROKEN = ["[]", '{"floatx": 5}', '{"backend": 3, "nnx_enabled": "x"}']


@pytest.mark.parametrize("content", [*BROKEN, None])
def test_import_broken_keras_settings_are_ignored(content, tmp_path):
    """Neither are they read, nor is a file written where there is none; the variables stay for others."""
    if content is not None:
        (tmp_path / "keras.json").write_text(content)
    variables = {"KERAS_HOME": str(tmp_path), "KERAS_MAX_EPOCHS": "many", "KERAS_BACKEND": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ([] if content is None else [content])


@pytest.mark.parametrize(
    ("set_value", "value", "default", "name"),
    [
        (keras.config.set_floatx, "float16", "float32", "floatx"),
        (keras.config.set_dtype_policy, "mixed_bfloat16", "float32", "dtype policy"),
        (keras.config.set_image_data_format, "channels_first", "channels_last", "image data format"),
        (keras.config.set_epsilon, 1e-3, 1e-7, "epsilon"),
    ],
)
def test_settings_that_the_process_has_chosen_are_refused_not_changed(set_value, value, default, name):
    """A notebook may have imported Keras for a work of its own, which would break if they were changed."""
    set_value(value)
    try:
        for check in (check_keras_settings, import_tensorflow):
            with pytest.raises(UserError, match=f"Keras has the {name}"):
                check()
    finally:
        set_value(default)
    import_tensorflow()
