"""Which devices a run uses: all GPUs, or the CPU if there is none."""

from collections.abc import Sequence

import tensorflow as tf

from pipelines.errors import UserError


def find_gpus() -> list[str]:
    """Returns the names of all GPUs that TensorFlow sees."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def build_strategy(devices: Sequence[str], batch: int) -> tf.distribute.Strategy | None:
    """Returns a strategy that cuts each batch into equal parts, one for each device; None for fewer than two devices.

    Raises:
        UserError: ``batch`` is not a multiple of the number of devices.
    """
    if len(devices) < 2:
        return None
    if batch % len(devices):
        raise UserError(f"--batch {batch} is not a multiple of {len(devices)}, the number of devices", "Change --batch")
    return tf.distribute.MirroredStrategy(tuple(devices))
