"""A network in Keras's own layers: what others can load without this package, and fill with the arrays it ships."""

import keras

from gan_tf.nn import layers

OURS = {layers.Conv2D, layers.Conv2DTranspose, layers.BatchNorm, layers.GroupNorm}


def keras_reference(network: keras.Model) -> keras.Model:
    """The same network with the same weights, each layer of ours replaced by the Keras layer that it derives from."""

    def replace(layer):
        kind = type(layer).__bases__[-1] if type(layer) in OURS else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=replace)
    copy.set_weights(network.get_weights())
    assert {type(layer).__module__.split(".")[0] for layer in copy.layers} == {"keras"}
    return copy
