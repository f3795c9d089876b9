"""Which devices a run uses: all GPUs, or the CPU if there is none."""

from collections.abc import Sequence

import tensorflow as tf

from pipelines.errors import UserError


def find_gpus() -> list[str]:
    """Returns the names of all GPUs that TensorFlow sees."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def require_one_device(devices: Sequence[str], task: str) -> None:
    """Checks that there are not several devices, for a model that cannot use them.

    Raises:
        UserError: there are two or more.
    """
    if len(devices) > 1:
        problem = f"--task {task} is trained on one device, but TensorFlow sees {len(devices)} GPUs"
        raise UserError(problem, "Choose one by the environment variable CUDA_VISIBLE_DEVICES, for instance by setting it to 0")


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
