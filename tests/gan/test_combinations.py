"""Every combination of losses, networks, norms and penalties makes a step."""

import itertools
from functools import cache

import numpy as np
import pytest
from helpers.models import MODULES, NORMS, batch_of, networks, same, settings_of, values

from gan_tf.gan.config import LOSS_RECIPES
from gan_tf.gan.losses import LOSSES
from gan_tf.gan.model import Adversarial
from gan_tf.gan.penalties import PENALTIES
from pipelines.errors import InputError


def sensible(**said) -> bool:
    try:
        return bool(settings_of(**said))
    except InputError:
        return False


def combinations():
    """Every loss x network x norm, every loss x penalty, every norm x penalty; contradictions left out."""
    penalties = ("none", *PENALTIES)
    found = [{"loss": loss, "network": n, "norm": norm} for loss, n, norm in itertools.product(LOSS_RECIPES, MODULES, NORMS)]
    found += [{"loss": loss, "penalty": penalty} for loss, penalty in itertools.product(LOSS_RECIPES, penalties)]
    found += [{"network": "baseline", "norm": norm, "penalty": p} for norm, p in itertools.product(NORMS, penalties)]
    return [said for said in found if sensible(**said)]


@cache
def cached_networks(network, norm):
    return networks(settings_of(network=network, norm=norm))


def test_no_combination_is_forgotten():
    combined = combinations()
    assert len(combined) > 100
    for name, choices in (("loss", LOSSES), ("network", MODULES), ("norm", NORMS), ("penalty", PENALTIES)):
        assert {said[name] for said in combined if name in said} >= set(choices)


@pytest.mark.parametrize("said", combinations(), ids=lambda said: "-".join(said.values()))
def test_every_combination_makes_a_step(said):
    s = settings_of(**{"d_steps": 1, **said})
    *generators, discriminator = cached_networks(s.network, s.norm)
    method = Adversarial(*generators, discriminator, s)
    before = values(method.generator), values(method.discriminator)
    logs = method.train_step(batch_of(method))
    assert all(np.isfinite(float(value)) for value in logs.values()), logs
    assert all(np.isfinite(w).all() for network in generators for w in values(network))
    assert not same(before[0], values(method.generator))
    assert not same(before[1], values(method.discriminator))
    if s.penalty != "one-sided":  # which is 0 wherever the gradient is short
        assert (float(logs["penalty"]) > 0) == (s.penalty != "none")
    for name in ("d_accuracy_real", "d_accuracy_fake"):
        assert float(logs[name]) in (0, 0.25, 0.5, 0.75, 1)
