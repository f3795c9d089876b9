"""A small convolutional network that reads digits: six 3x3 convolutions with batch norm (Ioffe and Szegedy 2015)."""

import keras

from gan_tf.nn.layers import batch_norm

FEATURES, CLASSES = 128, 10


def build_reader(shape: tuple[int, int, int], hidden: int, seed: int = 0) -> keras.Model:
    """Images ``[batch, *shape]`` in [-1, 1] to features ``[batch, 128]``, 0 or more, and logits ``[batch, 10]``.

    Args:
        shape: height, width and channels of an image.
        hidden: channels of the first layer.
        seed: of the initial weights (He et al. 2015).
    """

    def start(index: int):
        return keras.initializers.HeNormal(seed=1000 * seed + index)

    images = keras.Input(shape, name="images")
    x = images
    for i, (times, stride) in enumerate(((1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (4, 2))):
        x = keras.layers.Conv2D(times * hidden, 3, stride, "same", use_bias=False, kernel_initializer=start(i))(x)
        x = keras.layers.ReLU()(batch_norm()(x))
    x = keras.layers.Dense(FEATURES, use_bias=False, kernel_initializer=start(6))(keras.layers.Flatten()(x))
    features = keras.layers.ReLU(name="features")(batch_norm()(x))
    logits = keras.layers.Dense(CLASSES, kernel_initializer=start(7), name="logits")(features)
    return keras.Model(images, [features, logits], name="reader")
