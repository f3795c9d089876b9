"""The precision that layers compute in."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def dtype_policy_scope(precision: str) -> Iterator[None]:
    """Makes the layers that are built inside compute in "float32" or "bfloat16"; their variables are float32 either way."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
