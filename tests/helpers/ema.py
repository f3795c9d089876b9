"""The EMA of a network against its recursion, for the models of all families."""

from collections.abc import Callable

import keras
import numpy as np

from helpers.models import trainable_values


def assert_ema_follows_the_recursion(
    train_step: Callable[[int], object], network: keras.Model, network_ema: keras.Model, half_life: float, batch: int
) -> None:
    """Trains four steps of a new model; checks that ema <- decay * ema + (1 - decay) * network after each.

    Args:
        train_step: trains the step with this number.
        network: what is trained.
        network_ema: its EMA.
        half_life: of the EMA, in images; during warm-up it is 5 % of the images seen before (Karras et al. 2022).
        batch: images in a step.
    """
    expected = trainable_values(network)
    for step in range(4):
        train_step(step)
        current = min(half_life, 0.05 * step * batch)
        decay = 0.5 ** (batch / current) if current else 0.0
        expected = [decay * a + (1 - decay) * v for a, v in zip(expected, trainable_values(network), strict=True)]
    for found, value in zip(trainable_values(network_ema), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6)
    pairs = zip(trainable_values(network_ema), trainable_values(network), strict=True)
    assert any(not np.array_equal(average, value) for average, value in pairs)
