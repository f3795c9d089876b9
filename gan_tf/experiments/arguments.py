"""Arguments that several experiments have."""

import argparse
from pathlib import Path

from gan_tf.cli.arguments import Parser
from gan_tf.experiments.page import FOLDER
from gan_tf.options import flag_name
from pipelines.errors import UserError


def add_outputs(parser: Parser, name: str, runs_about: str = "where the run folders lie") -> None:
    """Adds ``--runs`` and ``--out``: by default ``runs/NAME`` and ``docs/experiments/NAME.md``."""
    runs, out = Path("runs") / name, FOLDER / f"{name}.md"
    parser.add_argument("--runs", type=Path, default=runs, metavar="DIR", help=f"{runs_about} ({runs})")
    parser.add_argument("--out", type=Path, default=out, metavar="FILE", help=f"Markdown file, with figures beside it ({out})")


def require_at_least(args: argparse.Namespace, name: str, lowest: int) -> None:
    """Checks a whole number among parsed arguments.

    Raises:
        UserError: it is below ``lowest``.
    """
    value = getattr(args, name)
    if value < lowest:
        raise UserError(f"{flag_name(name)} {value} is not valid: at least {lowest} is needed", "Correct the value")
