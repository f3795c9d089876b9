"""The table and the picture of a comparison of recipes, made from its ``results.json`` and nothing else."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_tf.options import flag
from gan_tf.utils.files import write_whole
from pipelines.errors import InputError

RESULTS, SAMPLES = "results.json", "samples.png"
NOTHING = "–"


def read(runs: Path) -> dict[str, Any] | None:
    """The record of a comparison; None where there is none yet.

    Raises:
        InputError: where the file is damaged or something else.
    """
    path = runs / RESULTS
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text())
        if not {"task", "minutes", "machine", "data", "rows"} <= record.keys():
            raise ValueError("it holds something else")
    except (OSError, ValueError, AttributeError) as error:
        mend = "put it back, or choose another --runs"
        raise InputError(f"{path} can't be read ({error})", "what the comparison wrote", mend) from None
    return record


def finished(row: dict[str, Any]) -> bool:
    """Whether nothing is left to be measured: all its minutes are over, or it diverged."""
    return "full" in row or "diverged" in row


def ranked(rows: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The rows by FID at full time, best first; then those without, by FID at half time; rows of no result are left out."""

    def place(item: tuple[str, dict[str, Any]]) -> tuple[float, float]:
        return tuple(item[1].get(part, {}).get("fid", float("inf")) for part in ("full", "half"))

    return sorted(((n, row) for n, row in rows.items() if finished(row) or "half" in row), key=place)


def page(record: dict[str, Any], known: Sequence[str], picture: str | None) -> str:
    """The table file, Markdown.

    Args:
        record: what ``read`` gives.
        known: names of all recipes, so that those without a result can be named.
        picture: the picture's name beside the table; None for none.
    """
    rows, minutes = ranked(record["rows"]), record["minutes"]
    best = next((name for name, row in rows if "full" in row), None)
    columns = ["recipe", "flags", "steps", "images (steps × batch)", "s a step", "parameters of G", "of D"]
    columns += [f"FID at {minutes / 2:g} min", f"FID at {minutes:g} min"]
    table = [columns, ["---", "---", *["--:"] * (len(columns) - 2)], *[cells(n, row, n == best) for n, row in rows]]
    command = f"python -m gan_tf.experiments.recipes --data DIR --task {record['task']} --minutes {minutes:g}"
    blocks = ["# Recipes at equal wall time", protocol(record), f"```bash\n{command}\n```"]
    blocks.append("\n".join(f"| {' | '.join(line)} |" for line in table))
    missing = [name for name in dict.fromkeys([*known, *record["rows"]]) if not finished(record["rows"].get(name, {}))]
    if missing:
        blocks.append(f"Not measured to the end yet: {', '.join(missing)}.")
    blocks.append("\n".join(f"* **{name}**: {row['about']}" for name, row in rows))
    if picture:
        words = "Samples of the averaged generator, the same noises in each row, in the table's order"
        blocks.append(f"{words}:\n\n![{words}]({picture})")
    return "\n\n".join(blocks) + "\n"


def cells(name: str, row: dict[str, Any], best: bool) -> list[str]:
    """One line of the table."""
    last = row.get("full") or row.get("half")
    lost = f"diverged at step {row['diverged']['step']:,}" if "diverged" in row else NOTHING
    fids = [f"{row[part]['fid']:.1f}" if part in row else lost for part in ("half", "full")]
    told = [NOTHING] * 5
    if last:
        step, networks = last["step"], last["parameters"]
        told = [f"{step:,}", f"{step * row['settings']['batch']:,}", f"{last['seconds'] / step:.3f}"]
        told += [f"{networks[network] / 1e6:.2f} M" for network in ("generator", "discriminator")]
    line = [name, f"`{shlex.join(spoken(row['flags']))}`" if row["flags"] else NOTHING, *told, *fids]
    return [f"**{cell}**" if best and i in (0, len(line) - 1) else cell for i, cell in enumerate(line)]


def spoken(flags: dict[str, Any]) -> list[str]:
    """Settings as words of a command line."""
    words = []
    for name, value in flags.items():
        words += [flag(name) if value else flag("no_" + name)] if isinstance(value, bool) else [flag(name), str(value)]
    return words


def machine_words(machine: dict[str, Any]) -> str:
    """The processor, and how much of it was used."""
    return f"{machine['cpu']}, {machine['threads']} of {machine['cores']} cores"


def protocol(record: dict[str, Any]) -> str:
    """How the numbers came about, in one paragraph."""
    data, minutes, rows = record["data"], record["minutes"], list(record["rows"].values())
    images = f"{data['count']:,} training images (`{data['name']}`)" if "count" in data else "training images"
    gpu = " and a GPU" if any("GPU" in row.get("environment", {}).get("devices", ()) for row in rows) else ""
    described = [row for row in rows if "settings" in row]
    precisions = sorted({row["settings"].get("precision", "float32") for row in described if "precision" not in row["flags"]})
    said = " where the flags don't say it" if any("precision" in row["flags"] for row in described) else ""
    precision = f"in {' or '.join(precisions)}{said}" if precisions else "in the precision that the flags say"
    seeds = sorted({row["settings"]["seed"] for row in rows if "settings" in row})
    words = [
        f"Task `{record['task']}`, {images}: one recipe after another, each for {minutes:g} minutes of training by the clock "
        f"on {machine_words(record['machine'])}{gpu}, {precision}, one run of seed {', '.join(map(str, seeds))}, stopped and "
        "resumed once at half time. Tracing the graph (twice) and checkpoints are part of the minutes, scoring isn't.",
        '"Images" are the generator\'s, steps × batch; seconds a step are the minutes over the steps.',
    ]
    scores = [row[part] for row in rows for part in ("half", "full") if part in row]
    if scores:
        words.append(fid_words(scores[0]))
    words.append("Validation images are not touched. One seed says nothing about small differences; another may reverse them.")
    return " ".join(words)


def fid_words(score: dict[str, Any]) -> str:
    """What the FID is of."""
    network, n = score["protocol"], score["images"]
    warning = f" ({network['warning']})" if network["warning"] else ""
    few = " With fewer than 2,048 images it is biased upwards: compare only within this table." if n < 2048 else ""
    return (
        f"FID: {n:,} images of the averaged generator as exported (noise seed {score['seed']}) against one fixed sample of "
        f"{n:,} of the training images, as `fid_train` of `train.py --eval-every`; {network['name']}{warning}, "
        f"{network['protocol']} ({network['resize']}).{few}"
    )


def write(runs: Path, table: Path, known: Sequence[str]) -> list[Path]:
    """Writes the table, and the picture beside it where there are samples; returns what was written.

    Args:
        runs: the comparison's folder; without results nothing is written.
        table: the Markdown file; the picture has its name with ``.png``.
        known: names of all recipes.
    """
    record = read(runs)
    if record is None or not ranked(record["rows"]):
        return []
    written, picture = [], table.with_suffix(".png")
    strips = [
        (name if "full" in row else f"{name}\n(half time)", runs / name / SAMPLES)
        for name, row in ranked(record["rows"])
        if (runs / name / SAMPLES).is_file()
    ]
    if strips:
        from gan_tf.utils.images import write_png

        write_png(picture, labelled(strips))
        written.append(picture)
    write_whole(table, page(record, known, picture.name if strips else None).encode())
    return [table, *written]


def labelled(strips: Sequence[tuple[str, Path]]):
    """The strips one below the other, each with its name to the left; uint8 ``[height, width, 3]``."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    pictures = [(name, Image.open(path).convert("RGB")) for name, path in strips]
    font, top = ImageFont.load_default(size=14), 0
    label = 16 + max(int(font.getlength(line)) for name, _ in pictures for line in name.split("\n"))
    size = (label + max(picture.width for _, picture in pictures), sum(picture.height for _, picture in pictures))
    whole = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(whole)
    for name, picture in pictures:
        whole.paste(picture, (label, top))
        draw.multiline_text((8, top + picture.height / 2), name, fill="black", font=font, anchor="lm")
        top += picture.height
    return np.asarray(whole)
