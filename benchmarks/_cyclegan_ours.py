"""Our side of ``cyclegan.py``: the model as it is trained."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks._turns import serve
from gan_tf.options import from_values
from gan_tf.tasks import YOSEMITE
from gan_tf.utils.tf_import import import_tensorflow


class Ours:
    """The requests of the benchmark."""

    def build(self, config: dict, threads: int, start: str) -> dict:
        """Builds the model, writes the common start, and does the first step."""
        import_tensorflow()
        import tensorflow as tf

        from gan_tf.training.loop import build_step_function
        from gan_tf.workflow import build_workflow

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        values = from_values(YOSEMITE.family.config, config, "benchmark")
        model = build_workflow(YOSEMITE, values).build_model()
        size, batch, random = values.crop_size, values.batch, np.random.default_rng(0)
        images = {name: random.uniform(-1, 1, (batch, 1, size, size, 3)).astype(np.float32) for name in ("a", "b")}
        weights = {
            f"{name}/{i:03d}": array
            for name, network in model.networks().items()
            for i, array in enumerate(network.get_weights())
        }
        np.savez(start, **weights, **{name: array[:, 0] for name, array in images.items()})
        inputs = {**images, "pool": model.random_inputs(tf.constant(0))["pool"], "epoch": np.zeros((batch, 2), np.float32)}
        self.batch = {name: tf.constant(array) for name, array in inputs.items()}
        self.function = build_step_function(model, None)
        logs = self.function(self.batch)
        losses = {"g_loss": float(logs["g_loss"]), "d_loss": float(logs["d_a_loss"] + logs["d_b_loss"])}
        parameters = {name: network.count_params() for name, network in model.networks().items()}
        return {"losses": losses, "parameters": parameters, "version": f"TensorFlow {tf.__version__}"}

    def steps(self, count: int) -> dict:
        """Does steps."""
        start = time.perf_counter()
        for _ in range(count):
            logs = self.function(self.batch)
        float(logs["g_loss"])
        return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    ours = Ours()
    serve({"build": ours.build, "steps": ours.steps})
