"""The pictures in the folder of a run of domain adaptation. Free of TensorFlow."""

from typing import TYPE_CHECKING

from gan_tf.family import SAMPLE_GRIDS, Figure, RunFigures

if TYPE_CHECKING:
    from gan_tf.dann.config import DannConfig

PREDICTED_CLASSES = "figures/predicted-classes.png"
_EXPERIMENT = "python -m gan_tf.experiments.adaptation_table draws it for the runs of its table, from validation images."


def describe_figures(config: "DannConfig") -> RunFigures:
    """Returns the grids of predictions, and the figures of validation features."""
    domain = "source" if config.phase == "source" else "target"
    grid = Figure(
        SAMPLE_GRIDS,
        "Predictions",
        f"Training images of the {domain} domain, a row for each class that the network sees in them. They are the same each "
        "time; a row is black where there are fewer images of its class.",
        "There is no grid of predictions yet: train.py writes one every --grid-every steps, and none with --grid-every 0.",
    )
    return RunFigures(
        grid,
        others=(
            Figure(
                PREDICTED_CLASSES,
                "Predicted classes",
                f"How often each class is predicted for training images of the {domain} domain, at the last grid. Far "
                "from even, while the images are not, means that classes are merged.",
                "There is no histogram of predicted classes yet: train.py draws it with each grid.",
            ),
            _figure("features-by-class", "Features by class", "t-SNE of the features of validation images, by class."),
            _figure("features-by-domain", "Features by domain", "t-SNE of the features of validation images, by domain."),
            _figure("confusion", "Confusion matrix", "Validation images of the target: true classes in rows."),
        ),
    )


def _figure(name: str, title: str, caption: str) -> Figure:
    return Figure(f"figures/{name}.png", title, caption, f"“{title}” is missing: {_EXPERIMENT}")
