"""The end of a training: what was reached, what to do next, and the scores of a finished run."""

import json
import shlex

from gan_tf import cards
from gan_tf.evaluation.options import EvaluationOptions
from gan_tf.evaluation.report import render_table, to_json
from gan_tf.report.page import PAGE
from gan_tf.run_dir import is_of_train
from gan_tf.training.context import RunContext
from gan_tf.training.request import TrainingRequest
from gan_tf.workflow import evaluate_weights
from pipelines.errors import UserError, counted
from pipelines.location import parse_location


def conclude_run(request: TrainingRequest, run: RunContext, last_step: int) -> int:
    """Prints what was reached and what to do next, and scores a finished run; returns the exit code."""
    task, folder, plan = request.task, shlex.quote(str(run.run_dir.path)), run.plan
    if not is_of_train(run.config):
        print(f"{counted(last_step, 'step')} of {plan.steps:,} trained: {run.run_dir.path}")
        return 0 if last_step == plan.steps or plan.time_is_up else 130
    resume = f"python train.py --task {task.name} --runs {shlex.quote(str(request.runs))} --resume {folder}"
    if last_step < plan.steps and plan.time_is_up and request.minutes:
        print(f"stopped at step {last_step} with a checkpoint after --minutes {request.minutes:g}; resume with:")
        print(f"{resume} --minutes {2 * request.minutes:g}  (or without --minutes, to step {plan.steps})")
        return 0
    if last_step < plan.steps:
        print(f"stopped at step {last_step} with a checkpoint; resume with: {resume}")
        return 130
    trained, page = counted(last_step, "step"), run.run_dir.path / PAGE
    print(f"done: {trained}, the weights are in {run.run_dir.path}; open {page} in a browser")
    print(f"use them:  python infer.py --task {task.name} --weights {folder} {task.family.example}")
    if request.options.score:
        _score(request, run)
    return 0


def _score(request: TrainingRequest, run: RunContext) -> None:
    """Writes the task's scores (validation images, once), unless these weights have been scored; says what is missing."""
    data, directory, task = run.config["data"]["path"], run.run_dir.path, request.task
    if cards.has_scores(directory):
        print(f"these weights have been scored: see {directory / cards.SCORES}")
        return
    left_out: list[str] = []
    try:
        scores = evaluate_weights(task, directory, parse_location(data) if data else None, EvaluationOptions(), left_out.append)
    except UserError as error:
        left_out, scores = left_out or [error.problem], {}
    except OSError as error:  # such as images in a folder that may not be read any more: the training is done all the same
        left_out, scores = [*left_out, f"{error.filename or 'a file'} cannot be read ({error.strerror})"], {}
    if scores:
        cards.write_scores(directory, json.loads(to_json(scores, task.thresholds)))
        print(render_table(scores, task.thresholds), end="")
    if left_out:
        print(f"not scored: {'; '.join(dict.fromkeys(left_out))}")
    if not scores:
        print(f"score them: python evaluate.py --task {task.name} --weights {shlex.quote(str(directory))} --data FOLDER")
