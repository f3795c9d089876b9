"""Networks in Keras's own layers: what others can load without this package and fill with the weights it ships."""

import keras

from gan_tf.nn import layers

CUSTOM_LAYERS = {layers.Conv2D, layers.Conv2DTranspose, layers.BatchNorm, layers.GroupNorm}


def keras_reference(network: keras.Model) -> keras.Model:
    """Returns the same network with the same weights, each custom layer replaced by the Keras layer that it derives from."""

    def to_keras_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
        layer_class = type(layer).__bases__[-1] if type(layer) in CUSTOM_LAYERS else type(layer)
        return layer_class.from_config(layer.get_config())

    copy = keras.models.clone_model(network, clone_function=to_keras_layer)
    copy.set_weights(network.get_weights())
    assert {type(layer).__module__.split(".")[0] for layer in copy.layers} == {"keras"}
    return copy
