"""Arguments that several experiments have. Free of NumPy, for which wrong usage need not wait."""

from pathlib import Path

from gan_tf.cli.arguments import Parser
from gan_tf.utils.files import require_space
from pipelines.errors import UserError

FOLDER = Path("docs/experiments")
_COMMAND = b"```bash\npython -m gan_tf.experiments."  # stands in each page


def add_outputs(parser: Parser, name: str, runs_about: str = "where the run folders lie") -> None:
    """Adds ``--runs`` and ``--out``: by default ``runs/NAME`` and ``docs/experiments/NAME.md``."""
    runs = Path("runs") / name
    parser.add_argument("--runs", type=Path, default=runs, metavar="DIR", help=f"{runs_about} ({runs})")
    add_out(parser, name)


def add_out(parser: Parser, name: str) -> None:
    """Adds ``--out``: by default ``docs/experiments/NAME.md``."""
    out = FOLDER / f"{name}.md"
    parser.add_argument("--out", type=Path, default=out, metavar="FILE", help=f"Markdown file, with figures beside it ({out})")


def check_page(path: Path, flag: str = "--out") -> None:
    """Checks the path of a page, before hours are spent on what it shows.

    Args:
        path: the page.
        flag: what names it on the command line.

    Raises:
        UserError: it is not that of a Markdown file, it holds something else than such a page, or it cannot be written.
    """
    if path.suffix != ".md":
        raise UserError(f"{flag} {path} must be a .md file", "Correct the name")
    if path.is_dir():
        raise UserError(f"{flag} {path} is a folder", "Name a file")
    if path.exists() and _COMMAND not in path.read_bytes():
        raise UserError(f"{flag} {path} exists already and is no page of an experiment", "Name another file, or remove it")
    require_space(path.parent, 0)
