"""A small convolutional network for digits: six 3x3 convolutions with batch norm (Ioffe and Szegedy 2015)."""

import keras

from gan_tf.nn.layers import batch_norm

NUM_FEATURES, NUM_CLASSES = 128, 10


def build_classifier(shape: tuple[int, int, int], hidden_dim: int, seed: int = 0) -> keras.Model:
    """Builds the network from images ``[batch, *shape]`` in [-1, 1] to features and logits.

    Args:
        shape: height, width and channels of an image.
        hidden_dim: channels of the first layer.
        seed: of the initial weights (He et al. 2015).

    Returns:
        A model with two outputs: features ``[batch, 128]``, at least 0, and logits ``[batch, 10]``.
    """

    def kernel_init(index: int) -> keras.initializers.Initializer:
        return keras.initializers.HeNormal(seed=1000 * seed + index)

    images = keras.Input(shape, name="images")
    x = images
    for i, (multiplier, stride) in enumerate(((1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (4, 2))):
        filters = multiplier * hidden_dim
        x = keras.layers.Conv2D(filters, 3, stride, "same", use_bias=False, kernel_initializer=kernel_init(i))(x)
        x = keras.layers.ReLU()(batch_norm()(x))
    x = keras.layers.Dense(NUM_FEATURES, use_bias=False, kernel_initializer=kernel_init(6))(keras.layers.Flatten()(x))
    features = keras.layers.ReLU(name="features")(batch_norm()(x))
    logits = keras.layers.Dense(NUM_CLASSES, kernel_initializer=kernel_init(7), name="logits")(features)
    return keras.Model(images, [features, logits], name="classifier")
