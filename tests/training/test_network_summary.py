"""The summary of a network: Keras's own counts, and nothing cut off."""

import keras

from gan_tf.training.network_summary import describe_network, format_network


def build_network() -> keras.Model:
    layers = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.GlobalMaxPool2D()]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers], name="small")


def test_describe_network_counts_as_keras_does():
    described = describe_network(build_network())
    assert described["parameters"] == 3 * 3 * 3 * 4 + 4 + 4 * 4
    assert described["trainable"] == described["parameters"] - 2 * 4
    assert [layer[1:] for layer in described["layers"]] == [
        ["Conv2D", "6×6×4", 112],
        ["BatchNormalization", "6×6×4", 16],
        ["GlobalMaxPooling2D", "4", 0],
    ]


def test_describe_network_several_outputs_are_all_listed():
    inputs = keras.Input((4,))
    twice = keras.Model(inputs, [keras.layers.Dense(2)(inputs), keras.layers.Dense(3)(inputs)])
    outer = keras.Input((4,))
    described = describe_network(keras.Model(outer, twice(outer)))
    assert described["layers"][-1][1:] == ["Functional", "2, 3", 5 * 2 + 5 * 3]


def test_format_network_has_every_layer_with_its_parameters():
    network = build_network()
    lines = format_network(network).splitlines()
    assert lines[0] == "small"
    for layer in network.layers:
        (line,) = [line for line in lines if line.startswith(layer.name + " ")]
        assert line.endswith(f" {layer.count_params():,}")
    assert lines[-1] == "128 parameters, 120 of them trainable"
