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


def require_one_device(devices: Sequence[str], task: str) -> None:
    """Checks that there are not several devices, for models whose batches cannot be divided.

    Raises:
        UserError: there are.
    """
    if len(devices) > 1:
        problem = f"--task {task} trains on one device, but TensorFlow sees {len(devices)} GPUs"
        raise UserError(problem, "Show it one of them with CUDA_VISIBLE_DEVICES=0")
