"""The page of an experiment, ``docs/experiments/NAME.md``, and the figures beside it; both are written by its command."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gan_tf.evaluation.scores import FEW_IMAGES
from gan_tf.utils.files import write_atomic
from gan_tf.utils.images import to_rgb, write_png

GAN_CURVES = {"losses": ("d_loss", "g_loss"), "mean output of D": ("d_real", "d_fake_before", "d_fake_after")}
"""Panels of a GAN's curves, by their titles."""


def render_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; the first column is left-aligned, the others right-aligned."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def describe_bias(count: int, place: str) -> str:
    """Returns a sentence, after a space, on a FID of few images, which can be compared in one place only; "" for many."""
    if count >= FEW_IMAGES:
        return ""
    return f" With fewer than {FEW_IMAGES:,} images it is biased upwards: compare only within this {place}."


def stack_labeled(strips: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns images one below the other, each with its label to the left, uint8 ``[height, width, 3]``.

    Args:
        strips: images uint8 ``[height, width, channels]`` by their labels, whose lines are separated by line breaks.
    """
    images = {label: Image.fromarray(to_rgb(strip)) for label, strip in strips.items()}
    font = ImageFont.load_default(size=14)
    margin = 16 + max(int(font.getlength(line)) for label in images for line in label.split("\n"))
    width = margin + max(image.width for image in images.values())
    stacked = Image.new("RGB", (width, sum(image.height for image in images.values())), "white")
    draw = ImageDraw.Draw(stacked)
    top = 0
    for label, image in images.items():
        stacked.paste(image, (margin, top))
        draw.multiline_text((8, top + image.height / 2), label, fill="black", font=font, anchor="lm")
        top += image.height
    return np.asarray(stacked)


class Page:
    """Blocks of a Markdown file, and its figures.

    Args:
        path: the file.
        title: its heading.
        command: what writes it, without its data.
    """

    def __init__(self, path: Path, title: str, command: str):
        self.path = path
        self.blocks = [f"# {title}", f"```bash\n{command}\n```"]
        self.written: list[Path] = []

    def add(self, *blocks: str) -> None:
        """Adds paragraphs, headings or tables."""
        self.blocks += blocks

    def add_figure(self, name: str, image: "np.ndarray | bytes | None", caption: str) -> None:
        """Writes a figure beside the page and shows it there.

        Args:
            name: a part of its file name.
            image: a PNG file as bytes, or an image uint8 ``[height, width, channels]``; None leaves the figure out.
            caption: what it shows, without a final dot.
        """
        if image is None:
            return
        path = self.path.with_name(f"{self.path.stem}-{name}.png")
        if isinstance(image, bytes):
            write_atomic(path, image)
        else:
            write_png(path, image)
        self.written.append(path)
        self.blocks.append(f"{caption}:\n\n![{caption}]({path.name})")

    def write(self) -> None:
        """Writes the page, and prints which files were written."""
        write_atomic(self.path, ("\n\n".join(self.blocks) + "\n").encode(errors="backslashreplace"))
        for path in (self.path, *self.written):
            print(f"wrote {path}")
