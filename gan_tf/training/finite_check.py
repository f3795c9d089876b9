"""The guard: no gradient is applied that is not finite, and the person learns which quantity failed at which step."""

import tensorflow as tf

from pipelines.errors import InputError

MARK = "not finite: "


def checked(value: tf.Tensor, quantity: str) -> tf.Tensor:
    """``value``, or an error in the running step that names ``quantity`` where it is infinite or not a number."""
    return tf.debugging.check_numerics(value, MARK + quantity)


def diverged(error: tf.errors.InvalidArgumentError, step: int) -> InputError | None:
    """The one line for a person if ``error`` is the guard's own, else None."""
    for line in str(error).splitlines():
        if MARK in line:
            quantity = line.split(MARK)[1].split(" : ")[0].strip()
            return InputError(
                f"training stopped at step {step}: {quantity} was not finite",
                "finite losses and gradients",
                "go on from the last checkpoint with --resume to see it again, or start anew with a lower rate",
            )
    return None


def apply_gradients(optimizer, gradients, variables, quantity: str) -> tf.Tensor:
    """Applies gradients once all of them are known to be finite, and returns their global norm.

    Under a ``tf.distribute`` strategy the gradients of all replicas are summed first, since losses are sums divided by
    the global batch; Keras sums once more when it applies them, which the division undoes.

    Raises:
        tf.errors.InvalidArgumentError: from the running step, before anything is changed; see ``diverged``.
    """
    replica = tf.distribute.get_replica_context()
    replicas = replica.num_replicas_in_sync
    if replicas > 1:
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
    norm = checked(tf.linalg.global_norm(gradients), quantity)
    with tf.control_dependencies([norm]):
        optimizer.apply([tf.identity(g) / replicas for g in gradients], variables)
    return norm
