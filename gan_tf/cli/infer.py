"""What ``infer.py`` does: find the weights, say which, make the images."""

import argparse
import pkgutil

from gan_tf import export
from gan_tf.gan.config import LOSS_RECIPES
from gan_tf.options import nearest
from gan_tf.tasks import Task
from gan_tf.training.run_dir import read_config
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import InputError


def run(task: Task, args: argparse.Namespace) -> int:
    """Makes images; returns the exit code.

    Raises:
        InputError: for arguments that make no sense, missing weights, or an output that can't be written.
    """
    workflow = pkgutil.resolve_name(task.workflow)
    workflow.check_infer(args)
    if args.run and args.loss:
        raise InputError("--run with --loss", "one of the two", "leave one out")
    if args.loss and args.loss not in LOSS_RECIPES:
        raise InputError(f"--loss {args.loss}", nearest(args.loss, LOSS_RECIPES), "choose one of these")
    if args.run and not (args.run / export.WEIGHTS).is_file():
        read_config(args.run)
    folder = args.run or export.shipped(task.name, args.loss or task.shipped)
    print(f"weights: {export.describe(folder, args.run)}", flush=True)
    import_tensorflow()
    workflow.infer(task, args, folder)
    return 0
