"""What a training needs of memory at least: estimated before any of it is taken."""

import dataclasses
import math

import keras
import tensorflow as tf

from gan_tf.options import Resolved, flag_name
from gan_tf.utils.memory import available_memory
from gan_tf.workflow import Workflow
from pipelines.errors import UserError

_KEPT = {"Conv2D", "Conv2DBackpropInput", "MatMul", "BatchMatMulV2", "Einsum"}  # operations whose results gradients need
_PER_TRAINED = 3  # a gradient and Adam's two moments
_PASSES = 2  # forward and backward
_BATCHES = 2  # one is trained on while the next one is made


def require_memory(workflow: Workflow, resolved: Resolved) -> None:
    """Refuses a training that cannot fit into the memory, before it fills it.

    Only options that take memory can make it so large, and only above their defaults. Building the networks a second time
    for each training would double the time in which it starts.

    Raises:
        UserError: it needs more bytes than are available.
    """
    raised = _raised_options(resolved)
    if not raised:
        return
    needed, available = estimate_bytes(workflow), available_memory()
    if needed > available:
        problem = f"This training needs at least {needed / 1e9:,.1f} GB of memory, and {available / 1e9:,.1f} GB are available"
        raise UserError(problem, "Lower " + " or ".join(map(flag_name, raised)))


def estimate_bytes(workflow: Workflow) -> int:
    """Returns a lower bound of the bytes that a training with Adam takes.

    Counted are the variables, gradients and Adam's moments of what is trained, the results of convolutions and matrix
    products when a batch passes each network once, forward and backward, and the images of a batch. The networks are built in
    a graph, where variables have shapes but no memory.
    """
    with tf.Graph().as_default() as graph:
        model = workflow.build_model()
        variables = sum(_count_bytes(variable.shape, variable.dtype) for variable in model.variables)
        networks = model.networks().values()
        trained = sum(_count_bytes(v.shape, v.dtype) for network in networks for v in network.trainable_variables)
        before = {operation.name for operation in graph.get_operations()}
        for network in networks:
            _call(network, workflow.image_shape)
        results = sum(
            _count_bytes(output.shape, output.dtype.name)
            for operation in graph.get_operations()
            if operation.type in _KEPT and operation.name not in before
            for output in operation.outputs
        )
    images = workflow.images_per_step * math.prod(workflow.image_shape) * tf.float32.size
    batch = workflow.config.batch
    return variables + _PER_TRAINED * trained + _PASSES * batch * results + _BATCHES * images


def _call(network: keras.Model, image_shape: tuple[int, int, int]) -> None:
    """Adds a pass of one sample through a network to the graph that is being built: some layers unroll a batch."""
    inputs = []
    for spec in network.inputs:
        shape = [size or image_shape[index] for index, size in enumerate(spec.shape[1:])]
        inputs.append(tf.zeros([1, *shape], spec.dtype))
    network(inputs if len(inputs) > 1 else inputs[0], training=True)


def _count_bytes(shape: tuple[int, ...] | tf.TensorShape, dtype: str) -> int:
    return math.prod(shape) * tf.as_dtype(dtype).size


def _raised_options(resolved: Resolved) -> list[str]:
    """Returns the options that take memory and that the user has set above their defaults."""
    sizes = [field for field in dataclasses.fields(resolved.config) if field.metadata["takes_memory"]]
    return [field.name for field in sizes if resolved.explicit.get(field.name, 0) > (field.default or 0)]
