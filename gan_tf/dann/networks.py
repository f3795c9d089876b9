"""The three networks of domain-adversarial training: feature extractor, label classifier and domain classifier."""

import keras

from gan_tf.nn.layers import batch_norm

CHANNEL_MULTIPLES = (1, 1.5, 2, 4, 4)  # of the convolutions, as multiples of hidden_dim
FEATURE_MULTIPLE = 4
FEATURE_DROPOUT, LABEL_DROPOUT = 0.15, 0.3
_SLOPE = 0.1  # of leaky ReLU
_NUM_DOMAIN_UNITS = 128


def flat_size(shape: tuple[int, int, int], hidden_dim: int) -> int:
    """Returns the number of activations in front of the dense layer of features, which dropout acts on."""
    height, width = (-(-size // 8) for size in shape[:2])  # halved three times, rounded up
    return height * width * int(CHANNEL_MULTIPLES[-1] * hidden_dim)


def build_feature_extractor(shape: tuple[int, int, int], hidden_dim: int, seed: int = 0) -> keras.Model:
    """Builds five convolutions with batch norm and a dense layer.

    Args:
        shape: height, width and channels of an image.
        hidden_dim: channels of the first convolution.
        seed: of the initial weights (He et al. 2015).

    Returns:
        A model from images ``[batch, *shape]`` and dropout multipliers ``[batch, flat_size]`` (all 1 for inference) to
        features ``[batch, 4 * hidden_dim]``.
    """
    images = keras.Input(shape, name="images")
    multipliers = keras.Input((flat_size(shape, hidden_dim),), name="dropout")
    x = images
    for i, (multiple, kernel, stride, is_pooled) in enumerate(
        zip(CHANNEL_MULTIPLES, (5, 3, 3, 3, 3), (2, 1, 1, 1, 1), (False, False, True, True, False), strict=True)
    ):
        filters = int(multiple * hidden_dim)
        x = keras.layers.Conv2D(filters, kernel, stride, "same", use_bias=False, kernel_initializer=_he(seed, i))(x)
        x = keras.layers.LeakyReLU(_SLOPE)(batch_norm()(x))
        if is_pooled:
            x = keras.layers.MaxPooling2D(2, padding="same")(x)
    x = keras.layers.Multiply()([keras.layers.Flatten()(x), multipliers])
    x = keras.layers.Dense(FEATURE_MULTIPLE * hidden_dim, use_bias=False, kernel_initializer=_he(seed, 10))(x)
    features = keras.layers.LeakyReLU(_SLOPE, name="features")(batch_norm()(x))
    return keras.Model([images, multipliers], features, name="feature_extractor")


def build_label_classifier(num_features: int, num_classes: int, seed: int = 0) -> keras.Model:
    """Builds a dense layer from features and dropout multipliers, both ``[batch, num_features]``, to logits."""
    features, multipliers = (keras.Input((num_features,), name=name) for name in ("features", "dropout"))
    x = keras.layers.Multiply()([features, multipliers])
    logits = keras.layers.Dense(num_classes, kernel_initializer=_he(seed, 20), name="logits")(x)
    return keras.Model([features, multipliers], logits, name="label_classifier")


def build_domain_classifier(num_features: int, seed: int = 0) -> keras.Model:
    """Builds two hidden layers from features ``[batch, num_features]`` to one logit, above 0 for the target domain."""
    features = keras.Input((num_features,), name="features")
    x = features
    for i in range(2):
        x = keras.layers.Dense(_NUM_DOMAIN_UNITS, kernel_initializer=_he(seed, 30 + i))(x)
        x = keras.layers.LeakyReLU(_SLOPE)(x)
    logit = keras.layers.Dense(1, kernel_initializer=_he(seed, 32), name="logit")(x)
    return keras.Model(features, logit, name="domain_classifier")


def _he(seed: int, index: int) -> keras.initializers.Initializer:
    return keras.initializers.HeNormal(seed=1000 * seed + index)
