"""What figures that Matplotlib draws have in common."""

import contextlib
import io
from collections.abc import Iterator, Sequence

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gan_tf.utils.images import SOFTWARE, SOFTWARE_KEY


@contextlib.contextmanager
def default_style() -> Iterator[None]:
    """Draws with Matplotlib's own settings, whatever the user's are: a decorator of each function that draws.

    The user's may ask for LaTeX, which is not there or does not take our labels. They are put back afterwards.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def to_png(figure: Figure) -> bytes:
    """Returns a figure as a PNG image, whose metadata name this program and no version of Matplotlib."""
    data = io.BytesIO()
    FigureCanvasAgg(figure).print_png(data, metadata={SOFTWARE_KEY: SOFTWARE})
    return data.getvalue()


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns how many images of each true class (row) have each predicted class (column), ``[num_classes, num_classes]``."""
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    return counts


@default_style()
def render_confusion(counts: np.ndarray, classes: Sequence[str], rows: str = "true class") -> bytes:
    """Draws a confusion matrix, each cell in percent of its row.

    Args:
        counts: of each class (row) and predicted class (column), ``[n, n]``.
        classes: their names.
        rows: what the class of a row is.

    Returns:
        A PNG image.
    """
    figure = Figure(figsize=(7, 6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(percent):
        if value >= 0.5:
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color="white" if value > 50 else "black")
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted class", ylabel=f"{rows}, each row 100 %")
    return to_png(figure)
