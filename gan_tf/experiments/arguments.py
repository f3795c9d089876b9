"""Arguments that several experiments have."""

from pathlib import Path

from gan_tf.cli.arguments import Parser
from gan_tf.experiments.page import FOLDER


def add_outputs(parser: Parser, name: str, runs_about: str = "where the run folders lie") -> None:
    """Adds ``--runs`` and ``--out``: by default ``runs/NAME`` and ``docs/experiments/NAME.md``."""
    runs = Path("runs") / name
    parser.add_argument("--runs", type=Path, default=runs, metavar="DIR", help=f"{runs_about} ({runs})")
    add_out(parser, name)


def add_out(parser: Parser, name: str) -> None:
    """Adds ``--out``: by default ``docs/experiments/NAME.md``."""
    out = FOLDER / f"{name}.md"
    parser.add_argument("--out", type=Path, default=out, metavar="FILE", help=f"Markdown file, with figures beside it ({out})")
