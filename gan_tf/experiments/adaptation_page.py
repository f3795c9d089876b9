"""The page with the table of adaptations. Free of TensorFlow."""

import statistics
from collections.abc import Mapping

from pipelines.formats.domains import DIGIT_TARGETS

Accuracies = dict[tuple[str, str], list[float]]
"""Accuracies in percent by row and target, one for each seed."""


def render_page(rows: Mapping[str, str], accuracies: Accuracies) -> str:
    """Returns the table as Markdown.

    Args:
        rows: what each row is, by its name, in their order; rows without accuracies are left out.
        accuracies: the values.
    """
    header = ["trained by", *(f"MNIST-M to {target.upper()}" for target in DIGIT_TARGETS), "seeds"]
    lines = [header, ["---", *["--:"] * (len(header) - 1)]]
    for name, about in rows.items():
        values = [accuracies.get((name, target), []) for target in DIGIT_TARGETS]
        if any(values):
            lines.append([about, *map(format_accuracy, values), str(max(map(len, values)))])
    blocks = [
        "# Adaptation from MNIST-M to SVHN and USPS",
        "Accuracy in percent on the target's validation images (`val.csv`), mean over the seeds and their standard deviation. "
        "Each run is scored once, at its last step. Only the last row has seen labels of the target; no weights, step, seed or "
        "option was chosen by them.",
        "```bash\npython -m gan_tf.experiments.adaptation_table --data DIGITS --seeds "
        f"{max(map(len, accuracies.values()))}\n```",
        "\n".join(f"| {' | '.join(cells)} |" for cells in lines),
    ]
    return "\n\n".join(blocks) + "\n"


def format_accuracy(values: list[float]) -> str:
    """Returns ``89.05 ± 0.80``: the mean, and with several values their standard deviation (n - 1)."""
    if not values:
        return "–"
    mean = f"{statistics.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.2f}"
