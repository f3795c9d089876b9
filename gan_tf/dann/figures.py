"""Figures of an adaptation: features of both domains by t-SNE, the confusion matrix, and how often each class is predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_tf.evaluation.image_files import sample_indices
from gan_tf.utils.files import write_atomic, write_json
from gan_tf.utils.plots import confusion_matrix, default_style, render_confusion, to_png

_MAX_POINTS = 1000  # of each domain


@dataclass(frozen=True)
class DomainFeatures:
    """Validation images of one domain as a classifier sees them.

    Attributes:
        name: the domain's name.
        features: ``[n, d]``.
        labels: the true classes, integers ``[n]``.
        predicted: the predicted classes, integers ``[n]``.
    """

    name: str
    features: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray


def write_figures(folder: Path, title: str, domains: Sequence[DomainFeatures], classes: Sequence[str]) -> list[Path]:
    """Writes the features by class and by domain, and the confusion matrix of the last domain, with captions.

    Args:
        folder: is created; ``figures.json`` in it holds the captions by file name.
        title: what the classifier is, for the captions.
        domains: source and target.
        classes: the names of the classes.

    Returns:
        The PNG files.
    """
    chosen = [_sample(domain) for domain in domains]
    points = embed(np.concatenate([domain.features for domain in chosen]))
    labels = np.concatenate([domain.labels for domain in chosen])
    numbers = np.repeat(range(len(chosen)), [len(domain.labels) for domain in chosen])
    target = domains[-1]
    names = [domain.name for domain in chosen]
    counts = " and ".join(f"{len(domain.labels):,} of {domain.name}" for domain in chosen)
    figures = {
        "features-by-class.png": (_draw_points(points, labels, classes), f"{title}: t-SNE of the features, {counts}, by class"),
        "features-by-domain.png": (
            _draw_points(points, numbers, names),
            f"{title}: t-SNE of the features, {counts}, by domain",
        ),
        "confusion.png": (
            render_confusion(confusion_matrix(target.labels, target.predicted, len(classes)), classes),
            f"{title}: {len(target.labels):,} validation images of {target.name}, each row a true class, in percent of the row",
        ),
    }
    for name, (image, _) in figures.items():
        write_atomic(folder / name, image)
    write_json(folder / "figures.json", {name: caption for name, (_, caption) in figures.items()})
    return [folder / name for name in figures]


@default_style()
def draw_predicted_classes(fractions: np.ndarray, classes: Sequence[str]) -> bytes:
    """Returns a PNG of the histogram of predicted classes.

    Args:
        fractions: of the images that are predicted to be of each class, ``[len(classes)]``.
        classes: the names of the classes.
    """
    figure, axes = _build_figure()
    axes.bar(range(len(classes)), 100 * fractions)
    axes.axhline(100 / len(classes), color="gray", linestyle="--", label="even")
    axes.set_xticks(range(len(classes)), classes)
    axes.set(xlabel="predicted class", ylabel="images in %")
    axes.legend(frameon=False)
    return to_png(figure)


def embed(features: np.ndarray) -> np.ndarray:
    """Returns points ``[n, 2]`` of features ``[n, d]`` by t-SNE (van der Maaten and Hinton 2008), the same each time."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(features) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(features)


def _sample(domain: DomainFeatures) -> DomainFeatures:
    """Returns at most ``_MAX_POINTS`` images, the same each time."""
    count = min(_MAX_POINTS, len(domain.labels))
    rows = sample_indices(len(domain.labels), count, 0)
    return DomainFeatures(domain.name, domain.features[rows], domain.labels[rows], domain.predicted[rows])


@default_style()
def _draw_points(points: np.ndarray, groups: np.ndarray, names: Sequence[str]) -> bytes:
    figure, axes = _build_figure()
    for number, name in enumerate(names):
        x, y = points[groups == number].T
        axes.scatter(x, y, s=6, color=f"C{number % 10}", alpha=0.7, linewidths=0, label=name)
    axes.set(xticks=[], yticks=[])
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, markerscale=3)
    return to_png(figure)


def _build_figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 6), dpi=100, layout="constrained")
    return figure, figure.add_subplot()
