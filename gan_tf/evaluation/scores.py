"""A score and its protocol: a number without its protocol cannot be compared. Free of TensorFlow and NumPy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from gan_tf.evaluation.image_files import SourceImages

Report = Callable[[str], None]
"""Receives, in a few words each, which scores are left out and why."""

FEW_IMAGES = 2048
"""With fewer images the covariance of 2048 features is singular, and the FID depends strongly on the count."""


@dataclass(frozen=True)
class ImageSet:
    """A named set of images.

    Attributes:
        name: what a reader knows it by, for example a folder's name.
        images: uint8 [n, height, width, 3]: an array, or a sequence whose slices are arrays, such as ``SourceImages``.
        split: which part of a data set it is; empty if that means nothing.
        files: the files behind the images, if there are any.
    """

    name: str
    images: "np.ndarray | SourceImages"
    split: str = ""
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> str:
        """Width x height in pixels."""
        height, width = self.images.shape[1:3]
        return f"{width}x{height}"


@dataclass(frozen=True)
class Score:
    """A number with its protocol.

    Attributes:
        value: the score.
        protocol: how it was computed: plain values that JSON can hold; "warning" among them if the number misleads alone.
        deviation: the standard deviation over subsets or splits, if the score is a mean over them.
        baseline: the real-vs-real baseline: the same score of real images, at the same counts or as near as possible.
    """

    value: float
    protocol: Mapping[str, Any] = field(default_factory=dict)
    deviation: float | None = None
    baseline: "Score | None" = None

    def to_dict(self) -> dict[str, Any]:
        """Returns plain dictionaries: "value", "protocol", and "deviation" and "baseline" where there are any."""
        values: dict[str, Any] = {"value": self.value, "protocol": dict(self.protocol)}
        if self.deviation is not None:
            values["deviation"] = self.deviation
        if self.baseline is not None:
            values["baseline"] = self.baseline.to_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Score":
        """Returns the score that ``to_dict`` has written.

        Raises:
            ValueError: a value is missing, or of another type.
        """
        if not isinstance(values, Mapping) or not isinstance(values.get("protocol"), Mapping):
            raise ValueError("a score has a protocol")
        if not isinstance(values["protocol"].get("warning", ""), str):
            raise ValueError("a warning is a text")
        value, deviation = _number(values.get("value")), values.get("deviation")
        baseline = values.get("baseline")
        return cls(
            value,
            values["protocol"],
            None if deviation is None else _number(deviation),
            None if baseline is None else cls.from_dict(baseline),
        )


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("a score is a number")
    return value


@dataclass(frozen=True)
class Threshold:
    """What a handout asks for.

    Attributes:
        score: name of the score.
        relation: ``<``, ``<=``, ``>`` or ``>=``.
        bound: the number to compare with.
        source: who asks for it, for example "H1 simple".
    """

    score: str
    relation: str
    bound: float
    source: str

    def passed(self, value: float) -> bool:
        """Returns whether ``value`` is on the right side of the bound."""
        return {
            "<": value < self.bound,
            "<=": value <= self.bound,
            ">": value > self.bound,
            ">=": value >= self.bound,
        }[self.relation]


def count_warning(*counts: int) -> str | None:
    """Returns the warning that belongs to a score of few images, or None."""
    if min(counts) >= FEW_IMAGES:
        return None
    return f"fewer than {FEW_IMAGES:,} images: biased, compare only at the same counts"
