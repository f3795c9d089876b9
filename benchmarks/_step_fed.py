"""The worker of ``input.py``: the real training step, fed by the real stream or by one batch that stays the same."""

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._step_ours import make_batches
from benchmarks._turns import serve, timing
from gan_tf.gan.config import GanConfig
from gan_tf.utils.tf_import import import_tensorflow


class Fed:
    """The requests that the benchmark may make."""

    def build(self, settings: dict, task: str, threads: int, folder: str | None, memory_budget: int) -> dict:
        """Builds the method and opens the folder (None: one constant batch); does three steps."""
        import tensorflow as tf

        from gan_tf.gan.workflow import build, stream_for
        from gan_tf.tasks import find
        from gan_tf.training.loop import build_batches, build_step_function
        from pipelines.image_folder import ImageFolder

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        row = find(task)
        method = build(row, GanConfig(**settings))
        self.update, opened = build_step_function(method, None), {}
        if folder is None:
            self.batch, self.upcoming = make_batches(method, row.shape, 1)[0], None
        else:
            seconds, source = timing(lambda: ImageFolder(folder, row.shape[0], row.shape[2], memory_budget=memory_budget))
            opened = {"open_seconds": seconds, "summary": source.summary}
            self.upcoming = iter(build_batches(stream_for(method, source), None, 0, 1 << 40))
        self.steps(3)
        return {**opened, "version": f"TensorFlow {tf.__version__}"}

    def steps(self, count: int) -> dict:
        """Does steps, each with the next batch; the last one's losses are read, so that all have ended."""
        start = time.perf_counter()
        for _ in range(count):
            logs = self.update(self.batch if self.upcoming is None else next(self.upcoming))
        float(logs["g_loss"])
        return {"seconds": time.perf_counter() - start}

    def peak(self) -> dict:
        """The most memory the process has held, in MB."""
        scale = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # macOS counts bytes, Linux KiB
        return {"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale}


if __name__ == "__main__":
    import_tensorflow()
    worker = Fed()
    serve({"build": worker.build, "steps": worker.steps, "peak": worker.peak})
