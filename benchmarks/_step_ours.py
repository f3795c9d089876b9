"""Our side of ``train_step.py``: a worker that builds the real method and does steps when it is asked to."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks._turns import serve, timing
from gan_tf.gan.config import GanConfig
from gan_tf.utils.tf_import import import_tensorflow

BATCHES = 4  # different batches that go round, so that no network learns one by heart
MATRIX = 4096


def multiply_adds(settings: GanConfig, generator, discriminator) -> float:
    """Multiply-adds of one step that no way of writing it can leave out; convolutions and matrix products only.

    A layer has kernel size x places, one place for each output pixel (each input pixel of a transposed convolution),
    padding included. Let F be the sum over a network's layers and f the first layer's part. Per image:

    * forward F; the gradient by the weights F; the gradient by the input F, or F - f where it may stop at the first layer;
    * D's update: 3 F - f for each of its real and fake images;
    * G's update: 3 F - f of G, 2 F of D (forward, gradient by the input), F of D on the real image where the loss pairs;
    * making fakes for D alone: F of G;
    * a gradient penalty on an image: the gradient by the input F, and its own derivatives 2 F (through the gradient's
      graph and by the weights); where a norm of activations bends D a second time, back through the forward pass as
      well, 2 F - f. On points between real and fake images a forward pass F is added; R1 and R2 can share the loss's.

    The first layer of G has no gradient by its input (noise).
    """
    s, (g, g_first), (d, d_first) = settings, layer_costs(generator), layer_costs(discriminator)
    generated = 0 if s.shares_fakes else s.d_steps
    from gan_tf.gan.losses import LOSSES

    for_g = s.g_steps * (3 * g - g_first + 2 * d + (d if LOSSES[s.loss].pairs else 0))
    penalised = {"none": 0, "r1r2": 2}.get(s.penalty, 1)
    bent = 2 * d - d_first if s.norm in ("batch", "layer", "instance") else 0
    forward = d if s.penalty in ("two-sided", "one-sided") else 0
    for_d = 2 * (3 * d - d_first) + penalised * (3 * d + bent + forward)
    return s.batch * (for_g + generated * g + s.d_steps * for_d)


def layer_costs(network) -> tuple[float, float]:
    """Multiply-adds of one image's forward pass, and the first layer's part of it."""
    costs = []
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            continue
        transposed = "Transpose" in type(layer).__name__
        shape = layer.input.shape if transposed else layer.output.shape
        places = np.prod(shape[1:-1], dtype=np.float64) if len(layer.kernel.shape) == 4 else 1.0
        costs.append(places * np.prod(layer.kernel.shape, dtype=np.float64))
    return float(sum(costs)), float(costs[0])


def make_batches(method, shape: tuple[int, int, int], count: int = BATCHES) -> list[dict]:
    """Batches as the stream gives them, of random pictures: the speed doesn't depend on what they show."""
    import tensorflow as tf

    s, random = method.settings, np.random.default_rng(0)
    real = random.integers(0, 256, (count, s.batch, s.d_steps, *shape)) / np.float32(127.5) - np.float32(1)
    return [{"real": tf.constant(real[n], tf.float32), **method.draws(tf.constant(n))} for n in range(count)]


def settle_spectral_norm(discriminator) -> None:
    """Sets the vectors of spectral norm to the exact ones, where all ways to iterate and to order passes agree."""
    for layer in discriminator.layers:
        if hasattr(layer, "left"):
            matrix = np.asarray(layer.kernel).reshape(-1, layer.filters).astype(np.float64)
            layer.left.assign(np.linalg.eigh(matrix.T @ matrix)[1][:, -1][None].astype(np.float32))


def write_start(path: str, method, batches: list[dict]) -> None:
    """Weights in their order and batches, as the peer reads them."""
    weights = {
        f"{name}{n:03d}": np.asarray(v)
        for name, network in (("generator", method.generator), ("discriminator", method.discriminator))
        for n, v in enumerate(network.trainable_variables)
    }
    data = {name: np.stack([batch[name] for batch in batches]) for name in ("real", "noise", "share")}
    np.savez(path, **weights, **data)


class Ours:
    """The requests that the benchmark may make."""

    def build(self, settings: dict, task: str, threads: int, start: str) -> dict:
        """Builds the method, writes the common start to ``start``, and does the first step; see ``same_mathematics``."""
        import tensorflow as tf

        from gan_tf.gan.workflow import build
        from gan_tf.tasks import find
        from gan_tf.training.loop import build_step_function

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        row = find(task)
        self.method = build(row, GanConfig(**settings))
        settle_spectral_norm(self.method.discriminator)
        self.batches, self.done = make_batches(self.method, row.shape), 0
        write_start(start, self.method, self.batches)
        self.update = build_step_function(self.method, None)
        logs = {name: float(value) for name, value in self.update(self.batches[0]).items()}
        networks = {"generator": self.method.generator, "discriminator": self.method.discriminator}
        return {
            "losses": {name: logs[name] for name in ("d_loss", "penalty", "g_loss")},
            "parameters": {
                name: sum(int(np.prod(v.shape)) for v in network.trainable_variables) for name, network in networks.items()
            },
            "multiply_adds": multiply_adds(self.method.settings, **networks),
            "version": f"TensorFlow {tf.__version__}",
        }

    def steps(self, count: int) -> dict:
        """Does steps; the last one's losses are read, so that all have ended."""
        start = time.perf_counter()
        for _ in range(count):
            logs = self.update(self.batches[self.done % len(self.batches)])
            self.done += 1
        float(logs["g_loss"])
        return {"seconds": time.perf_counter() - start}

    def rate(self, precision: str, size: int = MATRIX) -> dict:
        """Multiply-adds a second of one large matrix product, after one that isn't timed at the first request."""
        import tensorflow as tf

        if not hasattr(self, "matrix"):
            self.matrix = tf.cast(tf.random.stateless_normal((size, size), (0, 0)), precision)
            tf.matmul(self.matrix, self.matrix).numpy()
        seconds, _ = timing(lambda: tf.matmul(self.matrix, self.matrix)[0, 0].numpy())
        return {"multiply_adds_per_second": size**3 / seconds}


if __name__ == "__main__":
    import_tensorflow()
    worker = Ours()
    serve({"build": worker.build, "steps": worker.steps, "rate": worker.rate})
