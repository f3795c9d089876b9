"""Every combination of losses, networks, norms and penalties can be trained."""

import itertools
from functools import cache

import keras
import numpy as np
import pytest
from helpers.models import NETWORKS, NORMS, all_equal, build_networks, gan_config, make_batch, trainable_values

from gan_tf.gan import model
from gan_tf.gan.config import LOSS_PRESETS, NETWORK_PRESETS
from gan_tf.gan.losses import LOSSES
from gan_tf.gan.penalties import PENALTIES
from pipelines.errors import UserError


def is_allowed(**options) -> bool:
    try:
        gan_config(**options)
    except UserError:
        return False
    return True


def combinations() -> list[dict[str, str]]:
    """Returns every loss x network x norm, every loss x penalty and every norm x penalty, without the conflicts."""
    penalties = ("none", *PENALTIES)
    found = [
        {"loss": loss, "network": network, "norm": norm}
        for loss, network, norm in itertools.product(LOSS_PRESETS, NETWORK_PRESETS, NORMS)
    ]
    found += [{"loss": loss, "penalty": penalty} for loss, penalty in itertools.product(LOSS_PRESETS, penalties)]
    found += [{"network": "baseline", "norm": norm, "penalty": p} for norm, p in itertools.product(NORMS, penalties)]
    return [options for options in found if is_allowed(**options)]


@cache
def cached_networks(network, norm):
    return build_networks(gan_config(network=network, norm=norm))


def build_sgd(config, learning_rate, updates_per_step, variables):
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.build(variables)
    return optimizer


def test_combinations_contain_every_choice():
    found = combinations()
    assert len(found) > 100
    for name, choices in (("loss", LOSSES), ("network", NETWORKS), ("norm", NORMS), ("penalty", PENALTIES)):
        assert {options[name] for options in found if name in options} >= set(choices)


@pytest.mark.parametrize("options", combinations(), ids=lambda options: "-".join(options.values()))
def test_train_step_of_every_combination_changes_both_networks_and_stays_finite(options, monkeypatch):
    """With plain SGD, which is fast to build and changes weights by the gradient only; test_optimizers.py has the others."""
    monkeypatch.setattr(model, "build_optimizer", build_sgd)
    config = gan_config(**{"d_steps": 1, **options})
    gan = model.GAN(*cached_networks(config.network, config.norm), config)
    generator_before, discriminator_before = trainable_values(gan.generator), trainable_values(gan.discriminator)
    logs = gan.train_step(make_batch(gan))
    assert all(np.isfinite(float(value)) for value in logs.values()), logs
    for network in (gan.generator, gan.generator_ema, gan.discriminator):
        assert all(np.isfinite(values).all() for values in trainable_values(network))
    assert not all_equal(generator_before, trainable_values(gan.generator))
    assert not all_equal(discriminator_before, trainable_values(gan.discriminator))
    if config.penalty != "one-sided":  # which is 0 wherever the gradient norm is below 1
        assert (float(logs["penalty"]) > 0) == (config.penalty != "none")
    for name in ("d_accuracy_real", "d_accuracy_fake"):
        assert float(logs[name]) in (0, 0.25, 0.5, 0.75, 1)
