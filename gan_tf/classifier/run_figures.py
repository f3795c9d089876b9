"""The pictures in the folder of a digit classifier's run. Free of TensorFlow."""

from typing import TYPE_CHECKING

from gan_tf.family import SAMPLE_GRIDS, Figure, RunFigures

if TYPE_CHECKING:
    from gan_tf.classifier.config import ClassifierConfig

CONFUSION = "figures/confusion.png"


def describe_figures(config: "ClassifierConfig") -> RunFigures:
    """Returns the grids of predictions, the training images and the confusion matrix."""
    grid = Figure(
        SAMPLE_GRIDS,
        "Predictions",
        "The same training images each time, as the network is trained on them, with the digit that it reads in each: green if "
        "it is right; otherwise red, with the true digit in parentheses.",
        "There is no grid of predictions yet: train.py writes one every --grid-every steps, and none with --grid-every 0.",
    )
    reals = Figure(
        "images/reals.png",
        "Training images",
        "Images of the first batch, as the network is trained on them.",
        "There is no picture of training images: train.py writes it at step 0, unless --grid-every is 0.",
    )
    confusion = Figure(
        CONFUSION,
        "Confusion matrix",
        "How often digits (rows) are classified as each digit (columns), in percent: the training images of the first 16 "
        "batches, as the network is trained on them, at the last grid.",
        "There is no confusion matrix yet: train.py draws it with each grid of predictions.",
    )
    return RunFigures(grid, (reals,), (confusion,))
