"""Opens the images that a run is trained on."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_tf.training.request import TrainingRequest
from pipelines.errors import UserError
from pipelines.location import Location, open_data, parse_location
from pipelines.source import Source

if TYPE_CHECKING:
    from gan_tf.tasks import Task


def open_training_data(
    request: TrainingRequest, config: Any, previous: dict[str, Any] | None
) -> tuple[Location | None, dict[str, Source]]:
    """Returns where the data is, by default that of the run to resume, and the training images there."""
    folders = find_folders(request, previous)
    if folders:
        target = folders.get("target")  # whose validation images are scored
        return target, open_sources(request.task, config, target, int(request.options.memory_budget * 1e6), folders)
    former = previous["data"]["path"] if previous else None
    data = request.data or (parse_location(former) if former else None)
    if isinstance(data, Path) and data != request.data and not data.exists():
        problem = f"The run was trained on the images in {data}, which are not there any more"
        raise UserError(problem, "Put them back, or name the folder where they are now by --data")
    return data, open_sources(request.task, config, data, int(request.options.memory_budget * 1e6))


def find_folders(request: TrainingRequest, previous: dict[str, Any] | None) -> Mapping[str, Path]:
    """Returns the folder of each source, by default those of the run to resume; empty where ``--data`` is used."""
    if request.folders or request.data or previous is None:
        return request.folders
    return {name: Path(path) for name, path in previous["data"].get("folders", {}).items()}


def open_sources(
    task: "Task", config: Any, data: Location | None, memory_budget: int, folders: Mapping[str, Path] | None = None
) -> dict[str, Source]:
    """Opens the training images and prints what they are; synthetic ones without ``data``.

    Args:
        task: the registry's entry.
        config: the model's configuration.
        data: what ``--data`` names.
        memory_budget: bytes that decoded images may take.
        folders: instead of ``data``, a folder for each source by its name.
    """
    spec = task.family.data(task, config)
    if folders:
        sources = spec.open_folders(folders, "train", memory_budget)
    elif data is None:
        print("warning: no --data given, training on synthetic images", file=sys.stderr)
        sources = spec.open_synthetic()
    else:
        sources = open_data(spec, data, "train", memory_budget)
    for source in sources.values():
        print(source.summary, flush=True)
    return sources
