"""Keeps ``RUN/report.html`` up to date while a run trains, for a small fraction of its time, never at the cost of the run."""

import contextlib
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gan_tf.report.embedding import ImageEmbedder
from gan_tf.report.page import PAGE, write_run_page
from gan_tf.report.run_files import NETWORKS
from gan_tf.training.callbacks import Callback
from gan_tf.training.context import RunContext
from gan_tf.training.network_summary import describe_network
from gan_tf.utils.files import write_json

if TYPE_CHECKING:
    from gan_tf.tasks import Task
    from gan_tf.workflow import TrainableModel

_MAX_FRACTION = 0.02  # of the time since the last refresh that the next one may take


class ReportPage(Callback):
    """Writes the page of a run with each sample grid, and the summaries of the networks at the start.

    A refresh is left out where it would take more than 2 % of the time since the last one, judged by how long that one took;
    ``write`` at the end of the run leaves none out. Whatever goes wrong with the page is a warning: it can be made again from
    the run's folder at any time, the training cannot.

    Args:
        task: the registry's entry.
        run: the run.
        model: what is trained.
    """

    def __init__(self, task: "Task", run: RunContext, model: "TrainableModel"):
        self.task, self.run, self.model = task, run, model
        self.interval = run.options.grid_every
        self._embedder = ImageEmbedder()
        self._last_end, self._last_duration = time.monotonic(), 0.0

    def on_start(self, first_step: int) -> None:
        with self._only_warnings(NETWORKS):
            networks = {name: describe_network(network) for name, network in self.model.networks().items()}
            write_json(self.run.run_dir.path / NETWORKS, networks)

    def on_interval(self, step: int) -> None:
        if self._last_duration <= _MAX_FRACTION * (time.monotonic() - self._last_end):
            self.write()

    def write(self) -> None:
        """Writes the page now."""
        start = time.monotonic()
        with self._only_warnings(PAGE):
            write_run_page(self.task, self.run.run_dir.path, self._embedder)
        self._last_end = time.monotonic()
        self._last_duration = self._last_end - start

    @contextlib.contextmanager
    def _only_warnings(self, name: str) -> Iterator[None]:
        """Turns an error inside the ``with`` block into a warning: no page is a reason to lose a training."""
        try:
            yield
        except Exception as error:
            path = self.run.run_dir.path / name
            warnings.warn(f"{path} is not written ({type(error).__name__}: {error})", stacklevel=2)
