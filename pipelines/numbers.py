"""Ranges of the numbers that commands take: what they allow, and how they are named in words."""

import argparse
import math
from dataclasses import dataclass
from typing import Any

from pipelines.errors import shorten

LARGEST_WHOLE = 2**31 - 1
# Networks compute in float32: a smaller number would be 0 there, a larger one infinite.
SMALLEST_REAL, LARGEST_REAL = 1.2e-38, 3.4e38


@dataclass(frozen=True)
class NumberRange:
    """A range of whole or real numbers. An instance is also a ``type`` for an argument of argparse.

    Attributes:
        kind: int or float.
        minimum: the lowest number; None for the lowest that fits.
        maximum: the highest number; None for the highest that fits.
        above: a number that all others exceed; None without one.
    """

    kind: type[int] | type[float]
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None

    def __contains__(self, value: Any) -> bool:
        """Whether a number of this kind lies in the range, and fits 32 bits where no maximum says otherwise."""
        if not isinstance(value, int | float) or not isinstance(value, self.kind) or isinstance(value, bool):
            return False
        if isinstance(value, float) and not _fits_float32(value):
            return False
        minimum, maximum = self._limits()
        return (
            (minimum is None or value >= minimum)
            and (maximum is None or value <= maximum)
            and (self.above is None or value > self.above)
        )

    def __call__(self, text: str) -> Any:
        """Returns the number that a text is.

        Raises:
            argparse.ArgumentTypeError: it is none of this range.
        """
        try:
            value = self.kind(text)
        except ValueError:  # also for more digits than Python converts
            value = None
        if value not in self:
            raise argparse.ArgumentTypeError(f"{shorten(text)} is not valid: {self} is needed")
        return value

    def __str__(self) -> str:
        """The range in words: "a whole number from 1 to 100", "a number above 0 that fits float32"."""
        number = "a whole number" if self.kind is int else "a number"
        _, maximum = self._limits()
        if self.minimum is not None and maximum is not None:
            return f"{number} from {_show(self.minimum)} to {_show(maximum)}"
        if self.minimum is not None:
            return f"{number} of at least {_show(self.minimum)} that fits float32"
        words = number if self.above is None else f"{number} above {_show(self.above)}"
        return f"{words} that fits float32" if maximum is None else f"{words} up to {_show(maximum)}"

    def _limits(self) -> tuple[float | None, float | None]:
        """The lowest and the highest number; whole numbers always have both."""
        if self.kind is float:
            return self.minimum, self.maximum
        lowest = -LARGEST_WHOLE if self.minimum is None else self.minimum
        return lowest, LARGEST_WHOLE if self.maximum is None else self.maximum


def whole_numbers(minimum: int, maximum: int | None = None) -> NumberRange:
    """Returns the range of whole numbers from ``minimum``, by default up to the largest of 32 bits."""
    return NumberRange(int, minimum, maximum)


def positive_numbers() -> NumberRange:
    """Returns the range of real numbers above 0."""
    return NumberRange(float, above=0.0)


def _show(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _fits_float32(value: float) -> bool:
    return value == 0 or (math.isfinite(value) and SMALLEST_REAL <= abs(value) <= LARGEST_REAL)
