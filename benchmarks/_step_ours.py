"""Our side of ``train_step.py``: a worker process that builds the GAN and does training steps on request."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks._turns import serve, timing
from gan_tf.gan.config import GanConfig
from gan_tf.utils.tf_import import import_tensorflow

BATCHES = 4  # different batches, used in turn, so that no network memorizes one
MATRIX = 4096


def multiply_adds(config: GanConfig, generator, discriminator) -> float:
    """Returns the multiply-adds of one step that no implementation can avoid; convolutions and matrix products only.

    A layer has kernel size x positions, one for each output pixel (each input pixel of a transposed convolution),
    padding included. Let F be the sum over a network's layers and f the first layer's part. Per image:

    * forward F; the gradient by the weights F; the gradient by the input F, or F - f where it may stop at the first layer;
    * D's update: 3 F - f for each of its real and fake images;
    * G's update: 3 F - f of G, 2 F of D (forward, gradient by the input), F of D on the real image with a relativistic loss;
    * generating fakes for D alone: F of G;
    * a gradient penalty on an image: the gradient by the input F, and its own derivatives 2 F (through the gradient's
      graph and by the weights); where D has a nonlinear second derivative by a norm of activations, back through the
      forward pass as well, 2 F - f. At interpolates a forward pass F is added; R1 and R2 can use the loss's.

    The first layer of G has no gradient by its input (latents).
    """
    from gan_tf.gan.losses import LOSSES

    (g, g_first), (d, d_first) = layer_costs(generator), layer_costs(discriminator)
    num_generated = 0 if config.shares_fakes else config.d_steps
    for_g = config.g_steps * (3 * g - g_first + 2 * d + (d if LOSSES[config.loss].relativistic else 0))
    num_penalties = {"none": 0, "r1r2": 2}.get(config.penalty, 1)
    through_norms = 2 * d - d_first if config.norm in ("batch", "layer", "instance") else 0
    forward = d if config.penalty in ("two-sided", "one-sided") else 0
    for_d = 2 * (3 * d - d_first) + num_penalties * (3 * d + through_norms + forward)
    return config.batch * (for_g + num_generated * g + config.d_steps * for_d)


def layer_costs(network) -> tuple[float, float]:
    """Returns the multiply-adds of one image's forward pass, and those of the first layer."""
    import keras

    costs = []
    for layer in network.layers:
        if not isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
            continue
        transposed = "Transpose" in type(layer).__name__
        shape = layer.input.shape if transposed else layer.output.shape
        num_positions = np.prod(shape[1:-1], dtype=np.float64) if len(layer.kernel.shape) == 4 else 1.0
        costs.append(num_positions * np.prod(layer.kernel.shape, dtype=np.float64))
    return float(sum(costs)), float(costs[0])


def make_batches(gan, shape: tuple[int, int, int], count: int = BATCHES) -> list[dict]:
    """Makes batches like the stream's, of random images: the speed does not depend on their content."""
    import tensorflow as tf

    config, random = gan.config, np.random.default_rng(0)
    real = random.integers(0, 256, (count, config.batch, config.d_steps, *shape)) / np.float32(127.5) - np.float32(1)
    return [{"real": tf.constant(real[n], tf.float32), **gan.random_inputs(tf.constant(n))} for n in range(count)]


def set_exact_singular_vectors(discriminator) -> None:
    """Sets the singular vectors of spectral norm to the exact ones, on which all orders of iterations and passes agree."""
    from gan_tf.nn.layers import SpectralConv2D

    for layer in discriminator.layers:
        if isinstance(layer, SpectralConv2D):
            matrix = np.asarray(layer.kernel).reshape(-1, layer.filters).astype(np.float64)
            layer.left.assign(np.linalg.eigh(matrix.T @ matrix)[1][:, -1][None].astype(np.float32))


def write_start(path: str, gan, batches: list[dict]) -> None:
    """Writes the initial weights, in their order, and the batches, as the peer reads them."""
    weights = {
        f"{name}{n:03d}": np.asarray(v)
        for name, network in gan.networks().items()
        for n, v in enumerate(network.trainable_variables)
    }
    data = {name: np.stack([batch[name] for batch in batches]) for name in ("real", "latents", "interpolation")}
    np.savez(path, **weights, **data)


class StepWorker:
    """The requests of the benchmark."""

    def __init__(self) -> None:
        self.matrix = None

    def build(self, config: dict, task: str, threads: int, start: str) -> dict:
        """Builds the GAN, writes the common start to ``start``, and does the first step; see ``check_equivalence``."""
        import tensorflow as tf

        from gan_tf.gan.workflow import GanWorkflow
        from gan_tf.tasks import find_task
        from gan_tf.training.loop import build_step_function

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        entry = find_task(task)
        gan = GanWorkflow(entry, GanConfig(**config)).build_model()
        set_exact_singular_vectors(gan.discriminator)
        self.batches, self.done = make_batches(gan, entry.image_shape), 0
        write_start(start, gan, self.batches)
        self.train_step = build_step_function(gan, None)
        logs = {name: float(value) for name, value in self.train_step(self.batches[0]).items()}
        networks = gan.networks()
        return {
            "losses": {name: logs[name] for name in ("d_loss", "penalty", "g_loss")},
            "parameters": {
                name: sum(int(np.prod(v.shape)) for v in network.trainable_variables) for name, network in networks.items()
            },
            "multiply_adds": multiply_adds(gan.config, **networks),
            "version": f"TensorFlow {tf.__version__}",
        }

    def steps(self, count: int) -> dict:
        """Does steps; reads the last one's loss, so that all have ended."""
        start = time.perf_counter()
        for _ in range(count):
            logs = self.train_step(self.batches[self.done % len(self.batches)])
            self.done += 1
        float(logs["g_loss"])
        return {"seconds": time.perf_counter() - start}

    def rate(self, precision: str, size: int = MATRIX) -> dict:
        """Measures the multiply-adds per second of a large matrix product, after one that is not timed."""
        import tensorflow as tf

        if self.matrix is None:
            self.matrix = tf.cast(tf.random.stateless_normal((size, size), (0, 0)), precision)
            tf.matmul(self.matrix, self.matrix).numpy()
        seconds, _ = timing(lambda: tf.matmul(self.matrix, self.matrix)[0, 0].numpy())
        return {"multiply_adds_per_second": size**3 / seconds}


if __name__ == "__main__":
    import_tensorflow()
    worker = StepWorker()
    serve({"build": worker.build, "steps": worker.steps, "rate": worker.rate})
