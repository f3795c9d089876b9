"""Which digits the classifier confuses, drawn while it trains."""

from collections.abc import Callable

import keras
import numpy as np
from tqdm import tqdm

from gan_tf.classifier.networks import NUM_CLASSES
from gan_tf.classifier.run_figures import CONFUSION
from gan_tf.training.callbacks import Callback
from gan_tf.training.context import RunContext
from gan_tf.utils.files import write_atomic
from gan_tf.utils.plots import confusion_matrix, render_confusion

_NUM_BATCHES = 16


class ConfusionMatrix(Callback):
    """Draws the confusion matrix of the first 16 batches as they are trained on, and logs "ema_accuracy" on them.

    Validation images wait for the end of the training, and on plain training images the network soon errs no more.

    Args:
        run: the run.
        network_at: from the number of steps done to the network that would be exported.
    """

    def __init__(self, run: RunContext, network_at: Callable[[int], keras.Model]):
        self.interval, self.run, self.network_at = run.options.grid_every, run, network_at

    def on_interval(self, step: int) -> None:
        network, stream = self.network_at(step), self.run.stream
        counts = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
        for batch in (stream.batch_at(index)["real"] for index in range(_NUM_BATCHES)):
            _, logits = network(batch["image"][:, 0], training=False)
            counts += confusion_matrix(batch["label"][:, 0].numpy(), np.argmax(logits, axis=1), NUM_CLASSES)
        accuracy = float(np.trace(counts) / counts.sum())
        names = [str(digit) for digit in range(NUM_CLASSES)]
        write_atomic(self.run.run_dir.path / CONFUSION, render_confusion(counts, names))
        self.run.loggers.scalars(step, {"ema_accuracy": accuracy})  # last, since is_done looks for it
        tqdm.write(f"step {step:,}: {100 * accuracy:.1f} % of {counts.sum():,} training images are classified correctly")

    def is_done(self, step: int) -> bool:
        return step in self.run.loggers.logged_steps("ema_accuracy")
