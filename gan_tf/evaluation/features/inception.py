"""The 2015 Inception V3 graph that defines the FID, as a Keras model that is fast on CPUs.

Keras's own InceptionV3 differs in one layer: the last block uses max pooling here (Szegedy et al. 2015 as released, used
by Heusel et al. 2017). Batch norm is folded into the convolutions. All layers are Keras's own.
"""

from typing import TypeAlias

import keras
from keras import layers

from gan_tf.evaluation.features.inception_weights import InceptionWeights, kernel_shapes

SIDE = 299
"""Height and width of the input in pixels."""

Tensor: TypeAlias = keras.KerasTensor


def _convolve(x: Tensor, name: str, stride: int = 1, padding: str = "same") -> Tensor:
    height, width, _, channels = kernel_shapes()[name]
    name = name.replace(".", "_")
    return layers.Conv2D(channels, (height, width), stride, padding, activation="relu", name=name)(x)


def _chain(x: Tensor, block: str, *branches: str) -> Tensor:
    for branch in branches:
        x = _convolve(x, f"{block}.{branch}")
    return x


def _average_pool(x: Tensor) -> Tensor:
    return layers.AveragePooling2D(3, 1, "same")(x)  # padding is not counted, as in the original


def _max_pool(x: Tensor) -> Tensor:
    return layers.MaxPooling2D(3, 2)(x)


def _block_a(x: Tensor, block: str) -> Tensor:
    return layers.Concatenate()(
        [
            _chain(x, block, "branch1x1"),
            _chain(x, block, "branch5x5_1", "branch5x5_2"),
            _chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
            _chain(_average_pool(x), block, "branch_pool"),
        ]
    )


def _block_b(x: Tensor, block: str) -> Tensor:
    double = _chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2")
    return layers.Concatenate()(
        [
            _convolve(x, f"{block}.branch3x3", 2, "valid"),
            _convolve(double, f"{block}.branch3x3dbl_3", 2, "valid"),
            _max_pool(x),
        ]
    )


def _block_c(x: Tensor, block: str) -> Tensor:
    return layers.Concatenate()(
        [
            _chain(x, block, "branch1x1"),
            _chain(x, block, *(f"branch7x7_{i}" for i in (1, 2, 3))),
            _chain(x, block, *(f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5))),
            _chain(_average_pool(x), block, "branch_pool"),
        ]
    )


def _block_d(x: Tensor, block: str) -> Tensor:
    single = _chain(x, block, "branch3x3_1")
    seven = _chain(x, block, "branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3")
    return layers.Concatenate()(
        [
            _convolve(single, f"{block}.branch3x3_2", 2, "valid"),
            _convolve(seven, f"{block}.branch7x7x3_4", 2, "valid"),
            _max_pool(x),
        ]
    )


def _block_e(x: Tensor, block: str, pooled: Tensor) -> Tensor:
    single = _chain(x, block, "branch3x3_1")
    double = _chain(x, block, "branch3x3dbl_1", "branch3x3dbl_2")
    return layers.Concatenate()(
        [
            _chain(x, block, "branch1x1"),
            *(_chain(single, block, f"branch3x3_2{half}") for half in "ab"),
            *(_chain(double, block, f"branch3x3dbl_3{half}") for half in "ab"),
            _chain(pooled, block, "branch_pool"),
        ]
    )


def build_inception(weights: InceptionWeights) -> keras.Model:
    """Builds the FID network with its weights.

    Args:
        weights: what ``load_weights`` returns; its classifier, if it has one, becomes a second output.

    Returns:
        A model of images [n, 299, 299, 3], scaled to about [-1, 1]. Its first output is the pooled features [n, 2048] of
        the FID; its second, if any, the 1008 class logits without bias ("unbiased" as in torch-fidelity).
    """
    images = keras.Input((SIDE, SIDE, 3))
    x = _convolve(images, "Conv2d_1a_3x3", 2, "valid")
    x = _convolve(x, "Conv2d_2a_3x3", 1, "valid")
    x = _max_pool(_convolve(x, "Conv2d_2b_3x3"))
    x = _convolve(x, "Conv2d_3b_1x1", 1, "valid")
    x = _max_pool(_convolve(x, "Conv2d_4a_3x3", 1, "valid"))
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = _block_a(x, block)
    x = _block_b(x, "Mixed_6a")
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = _block_c(x, block)
    x = _block_d(x, "Mixed_7a")
    x = _block_e(x, "Mixed_7b", _average_pool(x))
    x = _block_e(x, "Mixed_7c", layers.MaxPooling2D(3, 1, "same")(x))
    outputs = [layers.GlobalAveragePooling2D(name="features")(x)]
    if weights.classifier is not None:
        kernel = weights.classifier[0]
        outputs.append(layers.Dense(kernel.shape[1], use_bias=False, name="logits_unbiased")(outputs[0]))
    model = keras.Model(images, outputs, name="inception_v3_2015")
    for name, convolution in weights.convolutions.items():
        model.get_layer(name.replace(".", "_")).set_weights(convolution.folded())
    if weights.classifier is not None:
        model.get_layer("logits_unbiased").set_weights([weights.classifier[0]])
    model.trainable = False
    return model
