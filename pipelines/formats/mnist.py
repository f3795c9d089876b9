"""MNIST's images without their labels, for generators of images: 28x28 resized to the task's size.

Free of TensorFlow and NumPy until images are read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.formats.digits import MNIST_DIRS, describe_places, find_mnist
from pipelines.source import DataSpec, Source, Split

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class MnistData(DataSpec):
    """MNIST as gray images [size, size, 1]; its test images are the validation images.

    Attributes:
        size: height and width in pixels; 32 in the handout (THU 2021), whose bilinear resize this is.
    """

    size: int = 32

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        return f"MNIST's four IDX files {describe_places(MNIST_DIRS)}"

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the images of a split; see ``DataSpec.open``. They are held in memory, whatever the budget."""
        from pipelines.formats import idx
        from pipelines.image_array import ImageArray

        part: idx.Part = "train" if split == "train" else "test"
        images = idx.read_digits(find_mnist(path, part), part, channels=1).images
        return {"real": ImageArray(resize(images, self.size), "mnist", split)}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic digits, white on black or on patterns; see ``DataSpec.open_synthetic``."""
        import numpy as np

        from pipelines.image_array import ImageArray
        from pipelines.synthetic.digits import SyntheticDigits

        gray = SyntheticDigits(size=self.size).images.mean(axis=-1, keepdims=True)
        return {"real": ImageArray(np.rint(gray).astype(np.uint8), "synthetic")}

    def has_validation(self, path: Path) -> bool:
        """Returns whether the test images are there; see ``DataSpec.has_validation``."""
        from pipelines.formats import idx

        return idx.has_part(find_mnist(path, "test"), "test")


def resize(images: "np.ndarray", size: int) -> "np.ndarray":
    """Resizes gray images, uint8 [n, height, width, 1], bilinearly to [n, size, size, 1]."""
    import numpy as np
    from PIL import Image

    if images.shape[1:3] == (size, size):
        return images
    bilinear = Image.Resampling.BILINEAR
    resized = [np.asarray(Image.fromarray(image[..., 0]).resize((size, size), bilinear)) for image in images]
    return np.stack(resized)[..., None]
