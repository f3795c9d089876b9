"""A score and how it came about: a number without its protocol can't be compared, so it never goes without."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np  # importing it takes longer than a help text may

FEW_IMAGES = 2048
"""Below as many images the covariance of 2048 features is singular and the FID depends much on the count."""


@dataclass(frozen=True)
class Images:
    """A named set of images.

    Attributes:
        name: what a reader knows it by, for example a folder's name.
        parts: uint8 [n, height, width, 3], or an iterable of such arrays of any lengths (read once).
        split: which part of a data set it is, in words; empty if that means nothing.
    """

    name: str
    parts: "np.ndarray | Iterable[np.ndarray]"
    split: str = ""


@dataclass(frozen=True)
class Score:
    """A number with its protocol.

    Attributes:
        value: the score.
        protocol: how it was made: plain values that JSON can hold; ``warning`` among them where it misleads alone.
        deviation: over subsets or splits, where the score is a mean of them.
        floor: the same score of *real* images at the same counts (or as near as there are), which no generator need beat.
    """

    value: float
    protocol: Mapping[str, Any] = field(default_factory=dict)
    deviation: float | None = None
    floor: "Score | None" = None

    def record(self) -> dict[str, Any]:
        """As plain dictionaries: ``{"value", "protocol"}``, and ``"deviation"`` and ``"floor"`` where there are any."""
        record: dict[str, Any] = {"value": self.value, "protocol": dict(self.protocol)}
        if self.deviation is not None:
            record["deviation"] = self.deviation
        if self.floor is not None:
            record["floor"] = self.floor.record()
        return record


@dataclass(frozen=True)
class Line:
    """A line that a handout draws: met or not.

    Attributes:
        score: name of the score it is about.
        relation: ``<``, ``<=``, ``>`` or ``>=``.
        bound: the number on the line.
        source: who draws it, for example ``H1 simple``.
    """

    score: str
    relation: str
    bound: float
    source: str

    def met(self, value: float) -> bool:
        """Whether a value is on the right side of the line."""
        return {
            "<": value < self.bound,
            "<=": value <= self.bound,
            ">": value > self.bound,
            ">=": value >= self.bound,
        }[self.relation]


def to_json(scores: Mapping[str, Score], lines: Iterable[Line] = ()) -> str:
    """All scores as one JSON object by name, with the handout's lines under ``lines``."""
    record: dict[str, Any] = {name: score.record() for name, score in scores.items()}
    told = [line for line in lines if line.score in scores]
    if told:
        record["lines"] = [vars(line) | {"met": line.met(scores[line.score].value)} for line in told]
    return json.dumps(record, indent=2, allow_nan=False) + "\n"


def count_warning(*counts: int) -> str | None:
    """The warning that belongs beside a score of few images, or None."""
    if min(counts) >= FEW_IMAGES:
        return None
    return f"fewer than {FEW_IMAGES:,} images: biased, compare only at the same counts"


def render(scores: Mapping[str, Score], lines: Iterable[Line] = ()) -> str:
    """The table that a person reads: a row a score, and under it the protocol and its warnings, one line each.

    Args:
        scores: by name, in the order of the rows.
        lines: the handouts' lines; those about other scores are passed over.
    """
    lines = list(lines)
    rows = [("score", "value", "real images", "handout's line")]
    for name, score in scores.items():
        real = "" if score.floor is None else _number(score.floor)
        told = "; ".join(_told(line, score.value) for line in lines if line.score == name)
        rows.append((name, _number(score), real, told))
    kept = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in kept]
    table = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in zip(*kept, strict=True)]
    return "\n".join([table[0], "  ".join("-" * width for width in widths), *table[1:], *_notes(scores)]) + "\n"


def _notes(scores: Mapping[str, Score]) -> list[str]:
    if not scores:
        return []
    protocols = [score.protocol for score in scores.values()]
    shared = {key: value for key, value in protocols[0].items() if all(p.get(key) == value for p in protocols)}
    notes = {protocol_line(shared): ""}
    for name, score in scores.items():
        own = protocol_line(_beyond(shared, score.protocol))
        notes[own] = f"{notes[own]}, {name}" if own in notes else name
    floors = {protocol_line(_beyond(s.protocol, s.floor.protocol)) for s in scores.values() if s.floor is not None}
    parts = [f"{names}: {note}" if names else note for note, names in notes.items() if note]
    parts += [f"real images: {note}" for note in sorted(floors) if note]
    warnings = dict.fromkeys(p["warning"] for p in protocols if "warning" in p)
    return [f"protocol: {' | '.join(parts)}", *(f"warning: {text}" for text in warnings)]


def _beyond(shared: Mapping[str, Any], protocol: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in protocol.items() if shared.get(key) != value}


def protocol_line(protocol: Mapping[str, Any]) -> str:
    """A protocol in one line, digests cut to twelve digits; the warning has a line of its own elsewhere."""
    parts = []
    for key, value in protocol.items():
        if key == "warning" or value in ("", None):
            continue
        if key.endswith("sha256"):
            value = str(value)[:12]
        elif isinstance(value, int) and not isinstance(value, bool) and key != "seed":
            value = f"{value:,}"
        parts.append(f"{key.replace('_', ' ')} {value}")
    return ", ".join(parts)


def _told(line: Line, value: float) -> str:
    return f"{line.relation} {line.bound:g} ({line.source}): {'met' if line.met(value) else 'not met'}"


def _number(score: Score) -> str:
    deviation = "" if score.deviation is None else f" ± {_digits(score.deviation)}"
    return _digits(score.value) + deviation


def _digits(value: float) -> str:
    return f"{value:.4g}" if value and math.isfinite(value) and abs(value) < 0.1 else f"{value:.4f}"
