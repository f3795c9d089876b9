"""Which devices a run uses: all GPUs there are, else the processor."""

import tensorflow as tf

from pipelines.errors import InputError


def gpus() -> list[str]:
    """Names of the GPUs at hand."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def strategy_for(names: list[str], batch: int) -> tf.distribute.Strategy | None:
    """A strategy that cuts each batch into equal shares for the named devices; None where there are fewer than two.

    Raises:
        InputError: where the batch can't be cut into equal shares.
    """
    if len(names) < 2:
        return None
    if batch % len(names):
        raise InputError(f"--batch {batch} on {len(names)} devices", "a multiple of their number", "change --batch")
    return tf.distribute.MirroredStrategy(tuple(names))
