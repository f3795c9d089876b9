"""MNIST's images without their labels, for generators of images: 28x28 resized to the task's size.

Free of TensorFlow and NumPy until images are read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.formats.digits import MNIST_DIRS, describe_places, find_mnist
from pipelines.formats.image_dirs import ImageFolderData
from pipelines.formats.tfds import TfdsData, TfdsSample
from pipelines.source import DataSpec, Source, Split

if TYPE_CHECKING:
    import numpy as np


SIZE = 32
_FOLDERS = ImageFolderData((SIZE, SIZE, 1), "pipelines.synthetic.digits:build_gray_digits")


@dataclass(frozen=True)
class MnistData(DataSpec):
    """MNIST as gray images [32, 32, 1], resized as the handout does (THU 2021); its test images are the validation images."""

    @property
    def layout(self) -> str:
        """What the data folder holds; see ``DataSpec.layout``."""
        return f"MNIST's four IDX files {describe_places(MNIST_DIRS)}; or {_FOLDERS.layout}"

    def open(self, path: Path, split: Split, memory_budget: int) -> dict[str, Source]:
        """Reads the images of a split; see ``DataSpec.open``. Those of IDX files are held in memory, whatever the budget."""
        from pipelines.formats import idx
        from pipelines.image_array import ImageArray

        part: idx.Part = "train" if split == "train" else "test"
        folder = find_mnist(path, part)
        if folder is None:
            return _FOLDERS.open(path, split, memory_budget)
        return {"real": ImageArray(resize(idx.read_digits(folder, part, channels=1).images, SIZE), "mnist", split)}

    def open_synthetic(self) -> dict[str, Source]:
        """Returns synthetic digits, white on black or on patterns; see ``DataSpec.open_synthetic``."""
        return _FOLDERS.open_synthetic()

    def has_validation(self, path: Path) -> bool:
        """Returns whether there are test images; see ``DataSpec.has_validation``."""
        from pipelines.formats import idx

        folder = find_mnist(path, "test")
        return _FOLDERS.has_validation(path) if folder is None else idx.has_part(folder, "test")

    @property
    def tfds(self) -> TfdsData:
        """MNIST, or other gray images, of tensorflow-datasets, resized in the same way; see ``DataSpec.tfds``."""
        return TfdsData("mnist", TfdsSample(SIZE, channels=1, stretch=True))


def resize(images: "np.ndarray", size: int) -> "np.ndarray":
    """Resizes gray images, uint8 [n, height, width, 1], bilinearly to [n, size, size, 1]."""
    import numpy as np
    from PIL import Image

    if images.shape[1:3] == (size, size):
        return images
    bilinear = Image.Resampling.BILINEAR
    resized = [np.asarray(Image.fromarray(image[..., 0]).resize((size, size), bilinear)) for image in images]
    return np.stack(resized)[..., None]
