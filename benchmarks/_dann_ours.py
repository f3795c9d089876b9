"""Our side of ``dann.py``: a worker process that builds the model and does training steps on request."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks._turns import serve
from gan_tf.dann.config import DannConfig
from gan_tf.utils.tf_import import import_tensorflow

BATCHES = 4  # different batches, used in turn, so that no network memorizes one


def make_batches(model, count: int = BATCHES) -> list[dict]:
    """Makes batches like the stream's, of random images: the speed does not depend on their content."""
    import tensorflow as tf

    config, random = model.config, np.random.default_rng(0)
    shape = (config.batch, 1, *model.feature_extractor.input_shape[0][1:])

    def images() -> tf.Tensor:
        return tf.constant(random.normal(size=shape), tf.float32)

    labels = random.integers(0, len(config.class_names), (count, config.batch, 1))
    return [
        {
            "source": {"image": images(), "label": tf.constant(labels[n], tf.int32)},
            "target": {"image": images(), "strong": images()},
            **model.random_inputs(tf.constant(n)),
        }
        for n in range(count)
    ]


def write_start(path: str, model, batches: list[dict]) -> None:
    """Writes the initial weights, in their order, and the batches, as the peer reads them."""
    weights = {
        f"{name}{n:03d}": np.asarray(v)
        for name, network in model.networks().items()
        for n, v in enumerate(network.trainable_variables)
    }
    data = {
        "source": [batch["source"]["image"][:, 0] for batch in batches],
        "labels": [batch["source"]["label"][:, 0] for batch in batches],
        "weak": [batch["target"]["image"][:, 0] for batch in batches],
        "strong": [batch["target"]["strong"][:, 0] for batch in batches],
        "dropout": [batch["dropout"] for batch in batches],
    }
    np.savez(path, **weights, **{name: np.stack(values) for name, values in data.items()})


class StepWorker:
    """The requests of the benchmark."""

    def build(self, config: dict, threads: int, start: str) -> dict:
        """Builds the model, writes the common start to ``start``, and does the first step."""
        import tensorflow as tf

        from gan_tf.dann.workflow import DannWorkflow
        from gan_tf.tasks import DANN
        from gan_tf.training.loop import build_step_function

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        model = DannWorkflow(DANN, DannConfig(**config)).build_model()
        model.images_seen.assign(model.config.lr_decay_images // 2)  # where all terms of the loss have their weight
        self.batches, self.done = make_batches(model), 0
        write_start(start, model, self.batches)
        self.train_step = build_step_function(model, None)
        logs = self.train_step(self.batches[0])
        return {
            "losses": {name: float(logs[name]) for name in ("loss", "domain_loss", "pseudo_loss")},
            "parameters": sum(int(np.prod(v.shape)) for net in model.networks().values() for v in net.trainable_variables),
            "version": f"TensorFlow {tf.__version__}",
        }

    def steps(self, count: int) -> dict:
        """Does steps; reads the last one's loss, so that all have ended."""
        start = time.perf_counter()
        for _ in range(count):
            logs = self.train_step(self.batches[self.done % len(self.batches)])
            self.done += 1
        float(logs["loss"])
        return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    import_tensorflow()
    worker = StepWorker()
    serve({"build": worker.build, "steps": worker.steps})
