"""The finite check: no gradient is applied that is not finite, and the user learns which quantity failed at which step."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pipelines.errors import UserError

_CODE = re.compile(r"\[non-finite:([^\]]+)\]")


class FiniteCheckError(UserError):
    """A loss or a gradient was infinite or not a number.

    Attributes:
        step: the step that failed, from 1.
        quantity: what was not finite, for example "D's loss".
    """

    def __init__(self, step: int, quantity: str):
        self.step, self.quantity = step, quantity
        problem = f"Training stopped at step {step}, because {quantity} was not finite"
        super().__init__(problem, "Start a new run with a lower learning rate, or resume this one to see it again")

    def record(self) -> dict[str, Any]:
        """Returns the error as plain values for JSON."""
        return {"kind": "non-finite", "step": self.step, "quantity": self.quantity}


def check_finite(value: tf.Tensor, quantity: str) -> tf.Tensor:
    """Returns ``value``.

    Args:
        value: a tensor of any shape.
        quantity: what it is, in words without brackets; the error carries it.

    Raises:
        tf.errors.InvalidArgumentError: from the running step, where a value is infinite or not a number; see
            ``finite_check_error``.
    """
    return tf.debugging.check_numerics(value, f"[non-finite:{quantity}]")


def finite_check_error(error: tf.errors.OpError, step: int) -> FiniteCheckError | None:
    """Returns the error for the user if ``error`` comes from ``check_finite``, else None."""
    code = _CODE.search(str(error))
    return FiniteCheckError(step, code[1]) if code else None


def apply_gradients(
    optimizer: keras.optimizers.Optimizer, gradients: Sequence[tf.Tensor], variables: Sequence[Any], quantity: str
) -> tf.Tensor:
    """Applies gradients after checking that all of them are finite; returns their global norm.

    Under a ``tf.distribute`` strategy the gradients of all replicas are summed first, since losses are sums divided by
    the global batch size; Keras sums once more when it applies them, which the division compensates for.

    Args:
        optimizer: a built optimizer.
        gradients: one for each variable.
        variables: what is updated.
        quantity: what the error of the check calls the gradients.

    Raises:
        tf.errors.InvalidArgumentError: from the running step, before anything is changed; see ``check_finite``.
    """
    replica = tf.distribute.get_replica_context()
    num_replicas = replica.num_replicas_in_sync
    if num_replicas > 1:
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    norm = check_finite(tf.linalg.global_norm(gradients), quantity)
    with tf.control_dependencies([norm]):
        optimizer.apply([tf.identity(gradient) / num_replicas for gradient in gradients], variables)
    return norm
