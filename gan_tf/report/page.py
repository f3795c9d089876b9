"""The page of one run: what was trained on what, curves, samples over time, figures, scores, and the commands to go on."""

import datetime
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf.curves import METRICS
from gan_tf.evaluation.report import format_counts, format_score, list_warnings, protocol_line
from gan_tf.evaluation.scores import Score, Threshold
from gan_tf.report.charts import build_charts
from gan_tf.report.embedding import ImageEmbedder
from gan_tf.report.gallery import build_gallery, build_pictures, list_figures
from gan_tf.report.html import render
from gan_tf.report.run_files import RunFiles, read_run_files
from gan_tf.report.settings import NONE, list_settings
from gan_tf.run_dir import is_of_train
from gan_tf.utils.files import write_atomic

if TYPE_CHECKING:
    from gan_tf.tasks import Task

PAGE = "report.html"


def write_run_page(task: "Task", path: Path, embedder: ImageEmbedder | None = None) -> Path:
    """Writes ``report.html`` into the folder of a run, whole or not at all; returns the file.

    Args:
        task: the registry's entry.
        path: the run's folder.
        embedder: what has embedded images of the same run before; None has not.

    Raises:
        UserError: it is no run's folder, or the file cannot be written.
    """
    page = render_run_page(read_run_files(task, path), embedder or ImageEmbedder())
    write_atomic(path / PAGE, page.encode(errors="replace"), durable=False)  # a path may hold any bytes
    return path / PAGE


def render_run_page(run: RunFiles, embedder: ImageEmbedder) -> str:
    """Returns the page of a run, HTML."""
    charts = build_charts(run.curves)
    figures, gallery = run.task.family.figures(run.config), build_gallery(run, embedder)
    beside = build_pictures(run, figures.beside, embedder)
    pictures = build_pictures(run, list_figures(run), embedder)
    images = [grid.image for grid in gallery.grids]
    images += [picture.image for picture in (*beside, *pictures) if picture.image]
    return render(
        "run.html.j2",
        {
            "run": run,
            "variant": run.task.variant_of(run.config),
            "status": describe_status(run),
            "facts": list_facts(run),
            "grid": figures.grid,
            "galleries": {run.path.name: gallery},
            "beside": beside,
            "pictures": pictures,
            "charts": charts,
            "no_charts": f"There are no curves yet: {METRICS} has no points.",
            "scores": [describe_score(name, score, run.task.thresholds) for name, score in run.scores.items()],
            "warnings": list_warnings(run.scores),
            "unscored": [threshold for threshold in run.task.thresholds if threshold.score not in run.scores],
            "settings": list_settings(run),
            "machine": _list_machine(run),
            "stages": run.record.get("initialized_from", []),
            "commands": _list_commands(run),
            "any_smaller": any(not image.exact for image in images),
        },
    )


def describe_status(run: RunFiles) -> str:
    """Returns how far a run is, in words."""
    if run.failure:
        return f"ended at step {run.failure['step']}: {run.failure['quantity']} is not finite"
    planned = run.record["steps"]
    if run.card.get("step", 0) >= planned:
        return f"finished after {planned:,} steps"
    return f"at step {run.step:,} of {planned:,}: still training, or stopped"


def list_facts(run: RunFiles) -> list[tuple[str, str]]:
    """Returns what a reader wants to know first, as names and values."""
    sources = run.record["data"]["sources"]
    names = {name: source["name"] if len(sources) == 1 else f"{name}: {source['name']}" for name, source in sources.items()}
    facts = [
        ("Images", "; ".join(f"{names[name]} ({source['count']:,})" for name, source in sources.items())),
        ("Network", str(run.config.network)),
        ("Steps", f"{run.step:,} of {run.record['steps']:,}, batches of {run.config.batch:,}"),
    ]
    if run.card:
        facts.append(("Training time", _duration(run.card["seconds"])))
    for name, points in run.curves.items():
        if name.startswith("fid_train"):
            step, value = points[points[:, 1].argmin()]
            facts.append((f"Lowest {name}", f"{value:.1f} at step {step:,.0f}"))
    for threshold in run.task.thresholds if run.scores else ():
        facts.append((f"{threshold.score} {threshold.relation} {threshold.bound:g}", _verdict(threshold, run.scores)))
    return facts


def _verdict(threshold: Threshold, scores: Mapping[str, Score]) -> str:
    """Returns a score beside its threshold, in words."""
    if threshold.score not in scores:
        return "not scored"
    value = scores[threshold.score].value
    return f"{value:.4g}: {'passed' if threshold.passed(value) else 'not passed'}"


def describe_score(name: str, score: Score, thresholds: tuple[Threshold, ...]) -> dict[str, Any]:
    """Returns a row of the table of scores."""
    return {
        "name": name,
        "value": format_score(score),
        "images": format_counts(score),
        "baseline": "" if score.baseline is None else format_score(score.baseline),
        "verdicts": [
            (f"{threshold.relation} {threshold.bound:g} ({threshold.source})", threshold.passed(score.value))
            for threshold in thresholds
            if threshold.score == name
        ],
        "protocol": protocol_line(score.protocol),
    }


def _duration(seconds: float) -> str:
    """Returns a time such as "1:02:03"."""
    return str(datetime.timedelta(seconds=round(seconds)))


def _list_machine(run: RunFiles) -> list[tuple[str, str]]:
    """Returns the time that the training took, and where."""
    rows = []
    if run.card and run.card["seconds"] > 0:
        step, images, seconds = run.card["step"], run.card["images_seen"], run.card["seconds"]
        rows.append(("Training time", f"{_duration(seconds)} to step {step:,}, as of the last checkpoint"))
        rows.append(("Speed", f"{step / seconds:.3g} steps and {images / seconds:,.0f} images a second"))
        rows.append(("Images seen", f"{images:,}"))
    environment: Mapping[str, Any] = run.record["environment"]
    names = {"devices": "Devices", "threads": "Threads", "cpu_features": "CPU features", "code": "Digest of the code"}
    for key, name in names.items():
        value = environment.get(key, NONE)
        rows.append((name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)))
    for key, name in (("versions", "Versions"), ("variables", "Environment variables")):
        if environment.get(key):
            rows.append((name, ", ".join(f"{word} {value}" for word, value in environment[key].items())))
    return rows


def _list_commands(run: RunFiles) -> list[tuple[str, str]]:
    """Returns the commands to repeat, resume, use, score and show a run, each with its purpose."""
    task, folder = run.task, shlex.quote(str(run.path))
    about = run.record["data"]
    where = f" (DIR is {about['path']})" if about["path"] else ""
    more = " --steps N" if run.card.get("step", 0) >= run.record["steps"] else ""
    repeat = (f"Train the same again{where}", run.record["command"])
    watch = ("Watch in TensorBoard", f"tensorboard --logdir {folder}")
    if not is_of_train(run.record):
        return [repeat, watch]
    use = f"python infer.py --task {task.name} --weights {folder} {task.family.example}"
    score = f"python evaluate.py --task {task.name} --weights {folder}"
    return [
        repeat,
        ("Resume", f"python train.py --task {task.name} --resume {folder}{more}"),
        (f"Use the weights ({task.family.summary[0].lower()}{task.family.summary[1:]})", use),
        ("Score the weights", score),
        ("Make this page again", f"python -m gan_tf.report {folder}"),
        ("Compare with other runs", f"python -m gan_tf.report {folder} OTHER_RUN"),
        watch,
    ]
