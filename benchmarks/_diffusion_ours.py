"""Our side of ``diffusion.py``: the model as it is trained, and its network as it samples."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks._turns import serve
from gan_tf.options import from_values
from gan_tf.tasks import DIFFUSION
from gan_tf.utils.tf_import import import_tensorflow


def creation_order(network) -> list[np.ndarray]:
    """Returns the weights of a network's layers, convolutions first, both kinds in the order in which they were created.

    Keras's own order is that of the graph, in which parallel branches have no fixed order.
    """
    kinds = {"Conv2D": 0, "Dense": 1}
    layers = [layer for layer in network.layers if layer.weights]

    def position(layer) -> tuple[int, int]:
        number = layer.name.rpartition("_")[2]
        return kinds[type(layer).__name__], int(number) if number.isdecimal() else 0

    return [array for layer in sorted(layers, key=position) for array in layer.get_weights()]


class Ours:
    """The requests of the benchmark."""

    def build(self, config: dict, threads: int, start: str) -> dict:
        """Builds the model, writes the common start, and does the first step."""
        import_tensorflow()
        import tensorflow as tf

        from gan_tf.diffusion.generator import SAMPLE_BATCH
        from gan_tf.training.loop import build_step_function
        from gan_tf.workflow import build_workflow

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        values = from_values(DIFFUSION.family.config, config, "benchmark")
        model = build_workflow(DIFFUSION, values).build_model()
        random = np.random.default_rng(0)
        for variable in model.unet.trainable_variables:  # where they are 0 at first, gradients would be too
            variable.assign_add(0.02 * random.standard_normal(variable.shape).astype(np.float32))
        images = random.uniform(-1, 1, (values.batch, *DIFFUSION.image_shape)).astype(np.float32)
        labels = random.integers(0, values.classes, values.batch).astype(np.int32)
        inputs = {name: value.numpy() for name, value in model.random_inputs(tf.constant(0)).items()}
        weights = {f"weights/{i:03d}": array for i, array in enumerate(creation_order(model.unet))}
        np.savez(start, images=images, labels=labels, loss_weights=model.loss_weights.numpy(), **inputs, **weights)
        samples = {"real": {"image": images[:, None], "label": labels[:, None]}, **inputs}
        self.batch = tf.nest.map_structure(tf.constant, samples)
        self.function = build_step_function(model, None)
        loss = float(self.function(self.batch)["loss"])
        network = tf.function(lambda *arguments: model.unet_ema(list(arguments), training=False))
        noise = tf.constant(inputs["noise"][: 2 * SAMPLE_BATCH])  # with guidance: with and without labels
        arguments = noise, tf.fill([len(noise)], 500), tf.zeros([len(noise)], tf.int32)
        self.evaluate = lambda: network(*arguments).numpy()
        self.evaluate()
        count = model.unet.count_params()
        return {"losses": {"loss": loss}, "parameters": {"unet": count}, "version": f"TensorFlow {tf.__version__}"}

    def steps(self, count: int) -> dict:
        """Does training steps."""
        start = time.perf_counter()
        for _ in range(count):
            logs = self.function(self.batch)
        float(logs["loss"])
        return {"seconds": time.perf_counter() - start}

    def evaluations(self, count: int) -> dict:
        """Evaluates the network in float32, as sampling does."""
        start = time.perf_counter()
        for _ in range(count):
            self.evaluate()
        return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    ours = Ours()
    serve({"build": ours.build, "steps": ours.steps, "evaluations": ours.evaluations})
