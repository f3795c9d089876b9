"""``python -m gan_tf.experiments.adaptation_checkpoints RUN``: would another checkpoint than the last one be better?

For each kept checkpoint of an adaptation (``train.py --task dann --keep-every N``) it computes the agreement of views on the
target's training images, which needs no label, and the accuracy on its validation images. It is meant to be run once, after
the recipe is frozen: the weights that are used are the last ones, whatever the accuracies say.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_tf.cli.arguments import Parser
from gan_tf.cli.main import run_command
from gan_tf.experiments.arguments import add_out, check_page
from gan_tf.experiments.page import Page, render_table
from gan_tf.options import from_values
from gan_tf.run_dir import read_run_config
from gan_tf.utils.tf_import import import_tensorflow
from pipelines.errors import UserError


@dataclass(frozen=True)
class ScoredCheckpoint:
    """A checkpoint.

    Attributes:
        step: the steps done.
        agreement: of two views of the target's training images, in percent; it needs no label.
        accuracy: on the target's validation images, in percent.
    """

    step: int
    agreement: float
    accuracy: float


def score_checkpoints(directory: Path, data: Path) -> list[ScoredCheckpoint]:
    """Scores all checkpoints of a run, in the order of their steps.

    Args:
        directory: a run of phase "adapt".
        data: the digits, with the target's validation images.

    Raises:
        UserError: it is no such run, it has no valid checkpoint, or images are missing.
    """
    import_tensorflow()
    from gan_tf.dann.config import DannConfig
    from gan_tf.dann.health import view_agreement
    from gan_tf.dann.predictor import Predictor
    from gan_tf.dann.scores import accuracy_scores
    from gan_tf.dann.workflow import DannWorkflow
    from gan_tf.evaluation.image_files import SourceImages
    from gan_tf.tasks import DANN
    from gan_tf.training.checkpoints import Checkpoints

    description = read_run_config(directory)
    if description["task"] != DANN.name or description["config"]["phase"] != "adapt":
        raise UserError(f"{directory} is not a run of --task dann --phase adapt", "Name another run")
    config = from_values(DannConfig, description["config"], str(directory))
    workflow = DannWorkflow(DANN, config)
    model = workflow.build_model()
    sources = workflow.data_spec.open(data, "train", 0)
    validation = workflow.data_spec.open(data, "val", 0)["target"]
    stream = workflow.build_stream(model, sources)
    images = SourceImages(sources["target"])[:]
    predictor = Predictor(model.teacher.networks(), config.class_names)
    checkpoints, scored = Checkpoints(directory / "checkpoints", model), []
    for step in sorted(checkpoints.steps()):
        checkpoints.restore(step)
        model.exported(stream)
        agreement = 100 * view_agreement(predictor, images)
        accuracy = accuracy_scores(config.target, validation, predictor)[f"{config.target}_accuracy"].value
        print(f"step {step:,}: agreement {agreement:.2f} %, accuracy {accuracy:.2f} %", flush=True)
        scored.append(ScoredCheckpoint(step, agreement, accuracy))
    if not scored:
        raise UserError(f"{directory} has no checkpoints", "Train it first, with --keep-every N")
    return scored


def write_page(page: Page, scored: Sequence[ScoredCheckpoint]) -> None:
    """Writes the page: each checkpoint, then the last, the chosen and the best possible one."""
    last = max(scored, key=lambda checkpoint: checkpoint.step)
    chosen = max(scored, key=lambda checkpoint: checkpoint.agreement)
    best = max(scored, key=lambda checkpoint: checkpoint.accuracy)
    rows = [
        [f"{item.step:,}", f"{item.agreement:.2f}", f"{item.accuracy:.2f}"]
        for item in sorted(scored, key=lambda checkpoint: checkpoint.step)
    ]
    page.add(
        render_table(["step", "agreement of views, no labels, %", "validation accuracy, %"], rows),
        f"* last, which is what is used: step {last.step:,}, {last.accuracy:.2f} %\n"
        f"* chosen by the highest agreement, without labels: step {chosen.step:,}, {chosen.accuracy:.2f} %\n"
        f"* best possible, chosen by the labels and therefore not allowed: step {best.step:,}, {best.accuracy:.2f} %",
    )
    page.write()


def run(argv: Sequence[str]) -> int:
    """Scores the checkpoints as the arguments say; returns the exit code.

    Raises:
        UserError: for whatever the user can fix.
    """
    parser = Parser(prog="python -m gan_tf.experiments.adaptation_checkpoints", description=__doc__ or "")
    parser.add_argument("run", type=Path, metavar="RUN", help="the run folder")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the digits, as for train.py --task dann")
    add_out(parser, "adaptation_checkpoints")
    args = parser.parse(argv)
    check_page(args.out)
    page = Page(args.out, "Checkpoints of one adaptation", parser.recorded_command(argv))
    write_page(page, score_checkpoints(args.run, args.data))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(run, None))
