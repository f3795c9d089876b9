"""Scores as a table for people and as JSON for programs. Free of TensorFlow and NumPy."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gan_tf.evaluation.scores import Score, Threshold


def to_json(scores: Mapping[str, Score], thresholds: Iterable[Threshold] = ()) -> str:
    """Returns all scores as one JSON object by name, with the thresholds on them under "thresholds".

    Raises:
        ValueError: a number is not finite.
    """
    values: dict[str, Any] = {name: score.to_dict() for name, score in scores.items()}
    applicable = [threshold for threshold in thresholds if threshold.score in scores]
    if applicable:
        values["thresholds"] = [
            vars(threshold) | {"passed": threshold.passed(scores[threshold.score].value)} for threshold in applicable
        ]
    return json.dumps(values, indent=2, allow_nan=False) + "\n"


def render_table(scores: Mapping[str, Score], thresholds: Iterable[Threshold] = (), verbose: bool = False) -> str:
    """Returns a table with one row per score, and below it what was compared and the warnings, one line each.

    Args:
        scores: by name, in the order of the rows.
        thresholds: those on other scores are ignored.
        verbose: whether to print the whole protocol too.
    """
    thresholds = list(thresholds)
    rows = [("score", "value", "images", "real images", "threshold")]
    for name, score in scores.items():
        verdicts = [describe_threshold(threshold, score.value) for threshold in thresholds if threshold.score == name]
        baseline = "" if score.baseline is None else f"{format_score(score.baseline)}  ({format_counts(score.baseline)})"
        rows.append((name, format_score(score), format_counts(score), baseline, "; ".join(verdicts)))
    lines = [*_align_columns(rows)]
    if scores:
        lines += [_describe_comparison(scores), *(f"warning: {text}" for text in list_warnings(scores))]
    if scores and verbose:
        lines.append(f"protocol: {_describe_protocols(scores)}")
    return "\n".join(lines) + "\n"


def _describe_comparison(scores: Mapping[str, Score]) -> str:
    """Returns what was compared with what by which protocol, in one line."""
    protocols = [score.protocol for score in scores.values()]
    compared = next((protocol for protocol in protocols if "reference" in protocol), protocols[0])
    parts = [str(compared.get("generated", compared.get("data", "")))]
    if "reference" in compared:
        parts.append(f"against {compared['reference']}, protocol {compared['protocol']}")
    comparison = " ".join(part for part in parts if part)
    return f"{comparison}{'; ' if comparison else ''}--verbose or --json FILE for the whole protocol"


def format_counts(score: Score) -> str:
    """Returns how many images were compared with how many, as far as the protocol says."""
    counts = [score.protocol[key] for key in ("images", "reference_images") if key in score.protocol]
    return " vs ".join(f"{count:,}" for count in counts)


def protocol_line(protocol: Mapping[str, Any]) -> str:
    """Returns a protocol on one line, digests cut to twelve digits; its warning is left out."""
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


def _align_columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Returns the rows as aligned lines, a rule below the first one; columns that are empty below their title are left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for row in zip(*columns, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def _describe_protocols(scores: Mapping[str, Score]) -> str:
    """Returns what all protocols share, then what is particular to some scores, then what differs for real images."""
    protocols = [score.protocol for score in scores.values()]
    shared = {key: value for key, value in protocols[0].items() if all(p.get(key) == value for p in protocols)}
    names_by_rest: dict[str, list[str]] = {}
    for name, score in scores.items():
        names_by_rest.setdefault(protocol_line(_difference(score.protocol, shared)), []).append(name)
    parts = [protocol_line(shared)]
    parts += [f"{', '.join(names)}: {rest}" for rest, names in names_by_rest.items() if rest]
    baselines = {
        protocol_line(_difference(score.baseline.protocol, score.protocol))
        for score in scores.values()
        if score.baseline is not None
    }
    parts += [f"real images: {line}" for line in sorted(baselines) if line]
    return " | ".join(part for part in parts if part)


def list_warnings(scores: Mapping[str, Score]) -> list[str]:
    """Returns the warning of each protocol once."""
    warnings = [score.protocol["warning"] for score in scores.values() if "warning" in score.protocol]
    return list(dict.fromkeys(warnings))


def _difference(protocol: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries of a protocol that ``shared`` does not have."""
    return {key: value for key, value in protocol.items() if shared.get(key) != value}


def describe_threshold(threshold: Threshold, value: float) -> str:
    """Returns a threshold and whether a value passes it."""
    verdict = "passed" if threshold.passed(value) else "not passed"
    return f"{threshold.relation} {threshold.bound:g} ({threshold.source}): {verdict}"


def format_score(score: Score) -> str:
    """Returns a score with its standard deviation, if it has one."""
    deviation = "" if score.deviation is None else f" ± {format_number(score.deviation)}"
    return format_number(score.value) + deviation


def format_number(value: float) -> str:
    """Returns a number with four decimals, or with four digits where it is small."""
    return f"{value:.4g}" if value and math.isfinite(value) and abs(value) < 0.1 else f"{value:.4f}"
