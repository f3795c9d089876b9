"""Run folders of any task with everything that a page shows, written without any training."""

import dataclasses
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from gan_tf.evaluation.report import to_json
from gan_tf.evaluation.scores import Score
from gan_tf.run_dir import FORMAT
from gan_tf.tasks import Task

VOID = {"img", "input", "meta", "link", "br"}


def write_run(path: Path, task: Task, grids: int = 3, points: int = 30, **config) -> Path:
    """Writes the folder of a finished run with its default configuration, but for ``config``; returns it."""
    resolved = task.family.resolve(task, {}, config)
    path.mkdir(parents=True)
    write_json(path / "config.json", describe(task, resolved, 10 * points))
    write_json(path / "card.json", describe_card(task, 10 * points))
    lines = [{"step": 10 * step, "loss": 1 / step, "accuracy": 0.5 + step / 1000} for step in range(1, points + 1)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    layers = [["images", "InputLayer", "8×8×3", 0], ["dense", "Dense", "10", 1930]]
    write_json(path / "networks.json", {"classifier": {"parameters": 1930, "trainable": 1920, "layers": layers}})
    for number in range(1, grids + 1):
        write_image(path / f"images/step-{100 * number:09d}.png", number)
    figures = task.family.figures(resolved.config)
    for number, figure in enumerate((*figures.beside, *figures.others)):
        write_image(path / figure.file, number)
    scores = {
        threshold.score: Score(50.0, {"images": 1000}, baseline=Score(1.0, {"images": 500})) for threshold in task.thresholds
    }
    if scores:
        (path / "scores.json").write_text(to_json(scores, task.thresholds))
    return path


def describe(task: Task, resolved, steps: int) -> dict:
    """Returns the content of a ``config.json``."""
    return {
        "format": FORMAT,
        "run_id": "0" * 32,
        "task": task.name,
        "command": f"python train.py --task {task.name} --data DIR",
        "steps": steps,
        "config": dataclasses.asdict(resolved.config),
        "sources": resolved.sources,
        "explicit": {},
        "options": {},
        "data": {"path": "/images", "sources": {"real": {"name": "images", "count": 5000, "digest": "ab" * 32}}},
        "environment": {"versions": {"python": "3.13"}, "devices": ["CPU"], "threads": 2, "code": "cd" * 32, "variables": {}},
    }


def describe_card(task: Task, steps: int) -> dict:
    """Returns the content of a ``card.json``."""
    return {
        "task": task.name,
        "step": steps,
        "images_seen": 8 * steps,
        "seconds": 90,
        "command": "",
        "data": {},
    }


def write_json(path: Path, value) -> None:
    """Writes a JSON file."""
    path.write_text(json.dumps(value))


def write_image(path: Path, seed: int, size: tuple[int, int] = (64, 64)) -> None:
    """Writes an image of random pixels; an animation where the suffix is .webp."""
    path.parent.mkdir(exist_ok=True)
    frames = [Image.fromarray(pixels) for pixels in np.random.default_rng(seed).integers(0, 256, (2, *size, 3), np.uint8)]
    data = io.BytesIO()
    if path.suffix == ".webp":
        frames[0].save(data, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    else:
        frames[0].save(data, "PNG")
    path.write_bytes(data.getvalue())


class Page(HTMLParser):
    """An HTML page as its elements and its texts.

    Attributes:
        elements: the name and the attributes of each element.
        texts: what a reader sees.
        scripts: the content of scripts.
        errors: tags that do not match.
    """

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.errors: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.errors += [f"<{tag}> is not closed" for tag in self._open]

    @property
    def text(self) -> str:
        """All texts, with single spaces."""
        return " ".join(" ".join(self.texts).split())

    def find(self, tag: str) -> list[dict[str, str | None]]:
        """Returns the attributes of all elements of a name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.errors.append(f"</{tag}> does not match")

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif self._open and self._open[-1] != "style":
            self.texts.append(data)
