"""A picture of what a digit classifier sees in images, and where it errs."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gan_tf.utils.images import tile_images

RIGHT, WRONG = (0, 110, 0), (180, 0, 0)
"""Colors of the strip below an image: green and red."""
SCALE = 3  # an image of 28x28 pixels becomes as wide as the text of its strip needs
STRIP = 18  # height of the strip in pixels
_FONT_SIZE = 14


def render_predictions(images: np.ndarray, predicted: np.ndarray, labels: np.ndarray, columns: int) -> np.ndarray:
    """Draws images with their predicted digits, below a line that counts those that are right.

    The predicted digit stands in a strip below its image: green if it is right; otherwise red, with the true digit in
    parentheses.

    Args:
        images: uint8 ``[n, height, width, channels]``, with 1 or 3 channels.
        predicted: integers ``[n]``.
        labels: the true digits, integers ``[n]``.
        columns: images in a row.

    Returns:
        uint8 ``[rows * tile_height + STRIP, columns * tile_width, 3]``; a tile is ``SCALE`` times as large as an image, and
        ``STRIP`` pixels higher.
    """
    tiles = np.stack([_draw_tile(*one) for one in zip(images, predicted, labels, strict=True)])
    title = _draw_strip(columns * tiles.shape[2], f"{np.sum(predicted == labels)} of {len(labels)} right", (0, 0, 0))
    return np.concatenate([title, tile_images(tiles, -(-len(tiles) // columns), columns)])


def _draw_tile(image: np.ndarray, predicted: int, label: int) -> np.ndarray:
    enlarged = image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
    is_right = predicted == label
    text = f"{predicted}" if is_right else f"{predicted} ({label})"
    strip = _draw_strip(enlarged.shape[1], text, RIGHT if is_right else WRONG)
    return np.concatenate([np.broadcast_to(enlarged, (*enlarged.shape[:2], 3)), strip])


def _draw_strip(width: int, text: str, color: tuple[int, int, int]) -> np.ndarray:
    """Returns centered white text on a color, uint8 ``[STRIP, width, 3]``."""
    strip = Image.new("RGB", (width, STRIP), color)
    font = ImageFont.load_default(_FONT_SIZE)
    ImageDraw.Draw(strip).text((width / 2, STRIP / 2), text, fill="white", font=font, anchor="mm")
    return np.asarray(strip)
