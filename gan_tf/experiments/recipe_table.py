"""The table and the image of a comparison of recipes, made from its ``results.json`` alone."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_tf.experiments.page import describe_bias, stack_labeled
from gan_tf.experiments.recipe_record import SAMPLES, describe_machine, is_finished, read_record, to_arguments
from gan_tf.utils.files import write_atomic
from gan_tf.utils.images import write_png

_NONE = "–"
_CAPTION = "Samples of the EMA generator, of the same latents in each row, in the table's order"


def write_table(runs: Path, table: Path, known: Sequence[str]) -> list[Path]:
    """Writes the table, and beside it an image of the samples if there are any; returns what was written.

    Args:
        runs: the comparison's folder; without results nothing is written.
        table: the Markdown file; the image has its name with ``.png``.
        known: the names of all recipes.
    """
    record = read_record(runs)
    if record is None or not rank_rows(record["rows"]):
        return []
    written = [table]
    strips = {
        name if "full" in row else f"{name}\n(half time)": runs / name / SAMPLES
        for name, row in rank_rows(record["rows"])
        if (runs / name / SAMPLES).is_file()
    }
    image = table.with_suffix(".png")
    if strips:
        images = {label: np.asarray(Image.open(path).convert("RGB")) for label, path in strips.items()}
        write_png(image, stack_labeled(images))
        written.append(image)
    write_atomic(table, render_page(record, known, image.name if strips else None).encode(errors="backslashreplace"))
    return written


def rank_rows(rows: Mapping[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Returns the rows by FID after the full time, best first, then those without one by FID at half time.

    Rows without any result are left out.
    """

    def fids(item: tuple[str, dict[str, Any]]) -> tuple[float, float]:
        full, half = (item[1].get(part, {}).get("fid", float("inf")) for part in ("full", "half"))
        return full, half

    return sorted(((name, row) for name, row in rows.items() if is_finished(row) or "half" in row), key=fids)


def render_page(record: Mapping[str, Any], known: Sequence[str], image: str | None) -> str:
    """Returns the table file, Markdown.

    Args:
        record: the content of ``results.json``.
        known: the names of all recipes, so that those without a result can be listed.
        image: the name of the image beside the table; None without one.
    """
    rows, minutes = rank_rows(record["rows"]), record["minutes"]
    best = next((name for name, row in rows if "full" in row), None)
    header = ["recipe", "flags", "steps", "images (steps × batch)", "s/step", "parameters of G", "of D"]
    header += [f"FID at {minutes / 2:g} min", f"FID at {minutes:g} min"]
    table = [header, ["---", "---", *["--:"] * (len(header) - 2)]]
    table += [_table_row(name, row, name == best) for name, row in rows]
    command = f"python -m gan_tf.experiments.recipes --data DIR --task {record['task']} --minutes {minutes:g}"
    blocks = ["# Recipes at equal wall time", _describe_protocol(record), f"```bash\n{command}\n```"]
    blocks.append("\n".join(f"| {' | '.join(cells)} |" for cells in table))
    missing = [name for name in dict.fromkeys([*known, *record["rows"]]) if not is_finished(record["rows"].get(name, {}))]
    if missing:
        blocks.append(f"Not measured to the end yet: {', '.join(missing)}.")
    blocks.append("\n".join(f"* **{name}**: {row['about']}" for name, row in rows))
    if image:
        blocks.append(f"{_CAPTION}:\n\n![{_CAPTION}]({image})")
    return "\n\n".join(blocks) + "\n"


def _table_row(name: str, row: Mapping[str, Any], is_best: bool) -> list[str]:
    """Returns the cells of one row; the best one's name and FID are bold."""
    missing = f"diverged at step {row['diverged']['step']:,}" if "diverged" in row else _NONE
    fids = [f"{row[part]['fid']:.1f}" if part in row else missing for part in ("half", "full")]
    facts = [_NONE] * 5
    last = row.get("full") or row.get("half")
    if last:
        step, parameters = last["step"], last["parameters"]
        facts = [f"{step:,}", f"{step * row['config']['batch']:,}", f"{last['seconds'] / step:.3f}"]
        facts += [f"{parameters[network] / 1e6:.2f} M" for network in ("generator", "discriminator")]
    flags = f"`{shlex.join(to_arguments(row['flags']))}`" if row["flags"] else _NONE
    if is_best:
        name, fids[-1] = f"**{name}**", f"**{fids[-1]}**"
    return [name, flags, *facts, *fids]


def _describe_protocol(record: Mapping[str, Any]) -> str:
    """Returns how the numbers were measured, as one paragraph."""
    data, minutes, rows = record["data"], record["minutes"], list(record["rows"].values())
    images = f"{data['count']:,} training images (`{data['name']}`)" if "count" in data else "training images"
    gpu = " and a GPU" if any("GPU" in row.get("environment", {}).get("devices", ()) for row in rows) else ""
    started = [row for row in rows if "config" in row]
    precisions = sorted({row["config"]["precision"] for row in started if "precision" not in row["flags"]})
    has_flag = any("precision" in row["flags"] for row in started)
    precision = f"in {' or '.join(precisions)}" if precisions else "in the precision of the flags"
    if precisions and has_flag:
        precision += " where the flags do not set the precision"
    seeds = sorted({row["config"]["seed"] for row in started})
    sentences = [
        f"Task `{record['task']}`, {images}: one recipe after another, each for {minutes:g} minutes of training by wall clock "
        f"on {describe_machine(record['machine'])}{gpu}, {precision}, one run of seed {', '.join(map(str, seeds))}, stopped "
        "and resumed once at half time. The minutes include tracing the graph (twice) and checkpoints, but not scoring.",
        '"Images" are the generator\'s, steps × batch; "s/step" is the training time divided by the steps.',
    ]
    scores = [row[part] for row in rows for part in ("half", "full") if part in row]
    if scores:
        sentences.append(_describe_fid(scores[0]))
    sentences.append("Validation images are not used. One seed says nothing about small differences; another may reverse them.")
    return " ".join(sentences)


def _describe_fid(score: Mapping[str, Any]) -> str:
    """Returns which images and which network the FID is computed from."""
    protocol, count = score["protocol"], score["images"]
    warning = f" ({protocol['warning']})" if protocol["warning"] else ""
    bias = describe_bias(count, "table")
    return (
        f"FID: {count:,} images of the EMA generator as exported (latents of seed {score['seed']}) against one fixed sample of "
        f"{count:,} of the training images, as `fid_train` of `train.py --eval-every`; {protocol['name']}{warning}, "
        f"{protocol['protocol']} ({protocol['resize']}).{bias}"
    )
