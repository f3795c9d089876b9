"""``python -m gan_tf.report``: makes the page of a run again, or one that compares runs. Needs no TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

from gan_tf.cli.arguments import Parser
from gan_tf.run_dir import read_run_config
from gan_tf.tasks import Task, find_task
from pipelines.errors import UserError

_COMPARISON = Path("comparison.html")


def build_parser() -> Parser:
    """Returns the arguments."""
    description = (
        "Makes the page of a run again, or one page that compares runs: curves, samples, scores, what differs.\n\n"
        "  python -m gan_tf.report runs/anime/000-hinge-faces\n"
        "  python -m gan_tf.report runs/mnist/* --out mnist.html"
    )
    parser = Parser(prog="python -m gan_tf.report", description=description)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run; several are compared")
    about = f"the page (default: report.html in the folder of the run; of several runs {_COMPARISON})"
    parser.add_argument("--out", type=Path, metavar="FILE.html", help=about)
    return parser


def run(argv: Sequence[str]) -> int:
    """Writes the page that the arguments ask for; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    args = build_parser().parse(argv)
    from gan_tf.report.comparison import write_comparison
    from gan_tf.report.page import write_run_page

    if args.out is not None and args.out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {args.out} must be an .html file", "Change the name")
    runs: list[tuple[Task, Path]] = [(find_task(read_run_config(path)["task"]), path) for path in args.runs]
    if len(runs) == 1 and args.out is None:
        page = write_run_page(*runs[0])
    elif len(runs) == 1:
        raise UserError("--out applies to comparisons; the page of one run lies in its folder", "Leave --out out")
    else:
        page = args.out or _COMPARISON
        write_comparison(runs, page)
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB; open it in a browser")
    return 0
