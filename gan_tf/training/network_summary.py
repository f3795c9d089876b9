"""What networks consist of, as plain values and as a text: their layers, output shapes and numbers of parameters."""

import math
from typing import Any

import keras

_WIDTHS = (34, 26, 24, 12)  # columns of the text


def format_network(network: keras.Model) -> str:
    """Returns the summary of a network as a text: a line for each layer, and the numbers of parameters below."""
    described = describe_network(network)
    rows = [("layer", "type", "output", "parameters"), *((*row[:3], f"{row[3]:,}") for row in described["layers"])]
    lines = [_format_row(row) for row in rows]
    total = f"{described['parameters']:,} parameters, {described['trainable']:,} of them trainable"
    return "\n".join([network.name, "", *lines, "", total]) + "\n"


def _format_row(cells: tuple[str, ...]) -> str:
    *words, number = (f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    return " ".join([*words, f"{number.strip():>{_WIDTHS[-1]}}"])


def describe_network(network: keras.Model) -> dict[str, Any]:
    """Returns the summary of a network as plain values: parameters, and its layers with theirs."""
    return {
        "parameters": network.count_params(),
        "trainable": sum(math.prod(variable.shape) for variable in network.trainable_variables),
        "layers": [
            [layer.name, type(layer).__name__, _describe_outputs(layer), layer.count_params()] for layer in network.layers
        ],
    }


def _describe_outputs(layer: keras.layers.Layer) -> str:
    """Returns the shapes of a layer's outputs without their batch axes, such as "28×28×64"."""
    shapes = [output.shape[1:] for output in keras.tree.flatten(layer.output)]
    return ", ".join("×".join("?" if size is None else str(size) for size in shape) or "scalar" for shape in shapes)
