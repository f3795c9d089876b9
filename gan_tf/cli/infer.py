"""``infer.py``: finds the weights, says which, and uses them."""

from collections.abc import Sequence
from pathlib import Path

from gan_tf.cli.arguments import Parser, add_options, build_options, requested_task
from gan_tf.family import task_default_variant
from gan_tf.tasks import TASKS, Task, find_task
from gan_tf.utils.tf_import import import_tensorflow

WEIGHTS_HELP = "weights to use: a shipped variant, a folder (a run's or exported weights), or newest for the newest run"


def build_parser(task: Task | None) -> Parser:
    """Returns the arguments of infer.py, with the options of the task's family (of the first task's without one)."""
    task = task or next(iter(TASKS.values()))
    example = f"python infer.py --task {task.name} {task.family.example}"
    parser = Parser(prog="infer.py", description=f"{task.family.summary}.\n\n  {example}")
    parser.add_argument("--task", metavar="NAME", help="which model (below)")
    add_weights_arguments(parser, task)
    add_options(parser, task.family.infer_options())
    return parser


def add_weights_arguments(parser: Parser, task: Task | None) -> None:
    """Adds ``--weights`` and ``--runs``."""
    default = ""
    if task is not None:
        is_fixed = task.family.default_variant is task_default_variant
        default = f" (default: {task.default_variant if is_fixed else 'those that suit the images'})"
    parser.add_argument("--weights", metavar="NAME|DIR|newest", help=WEIGHTS_HELP + default)
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where --weights newest looks (runs)")


def run(argv: Sequence[str]) -> int:
    """Uses a model as the arguments say; returns the exit code.

    Raises:
        UserError: arguments that make no sense, missing weights, or an output that cannot be written.
    """
    args = build_parser(requested_task(argv)).parse(argv)
    task = find_task(args.task)
    options = build_options(args, task.family.infer_options)
    from gan_tf import shipped

    default = task.default_variant if args.weights else task.family.default_variant(task, options)
    weights = shipped.find_weights(task.name, args.weights, default, args.runs)
    print(f"weights: {shipped.describe_weights(weights)}", flush=True)
    import_tensorflow()
    from gan_tf.workflow import load_workflow

    load_workflow(task, weights).infer(weights, options)
    return 0
