"""The worker of ``input.py``: the training step on batches of the stream, or on one constant batch."""

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._step_ours import make_batches
from benchmarks._turns import serve, timing
from gan_tf.gan.config import GanConfig
from gan_tf.utils.tf_import import import_tensorflow


class InputWorker:
    """The requests of the benchmark."""

    def build(self, config: dict, task: str, threads: int, folder: str | None, memory_budget: int) -> dict:
        """Builds the GAN and opens the folder (None: one constant batch); does three steps."""
        import tensorflow as tf

        from gan_tf.gan.workflow import GanWorkflow
        from gan_tf.tasks import find_task
        from gan_tf.training.loop import build_batches, build_step_function
        from pipelines.image_folder import ImageFolder

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        entry = find_task(task)
        workflow = GanWorkflow(entry, GanConfig(**config))
        gan = workflow.build_model()
        self.train_step, opened = build_step_function(gan, None), {}
        if folder is None:
            self.constant_batch, self.batches = make_batches(gan, entry.image_shape, 1)[0], None
        else:
            height, _, channels = entry.image_shape
            seconds, source = timing(lambda: ImageFolder(folder, height, channels, memory_budget=memory_budget))
            opened = {"open_seconds": seconds, "summary": source.summary}
            self.batches = iter(build_batches(workflow.build_stream(gan, {"real": source}), None, 0, 1 << 40))
        self.steps(3)
        return {**opened, "version": f"TensorFlow {tf.__version__}"}

    def steps(self, count: int) -> dict:
        """Does steps, each with the next batch; reads the last one's loss, so that all have ended."""
        start = time.perf_counter()
        for _ in range(count):
            logs = self.train_step(self.constant_batch if self.batches is None else next(self.batches))
        float(logs["g_loss"])
        return {"seconds": time.perf_counter() - start}

    def peak(self) -> dict:
        """Returns the peak memory of the process, in MB."""
        scale = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # macOS counts bytes, Linux KiB
        return {"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale}


if __name__ == "__main__":
    import_tensorflow()
    worker = InputWorker()
    serve({"build": worker.build, "steps": worker.steps, "peak": worker.peak})
