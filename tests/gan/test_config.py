"""Settings: who wins, where each value came from, what is refused and what gives way in silence."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gan_tf.gan.config import LOSS_RECIPES, NETWORK_RECIPES
from gan_tf.options import GanSettings, resolve, resolve_gan
from pipelines.errors import InputError

FIELDS = {field.name: field for field in dataclasses.fields(GanSettings)}
quick = hypothesis_settings(deadline=None, max_examples=30, database=None)


def said(**values):
    """The settings of one command line."""
    return resolve_gan({}, {}, values)


def test_defaults_are_those_of_the_dcgan_paper():
    s = said().settings
    assert (s.loss, s.network, s.norm, s.penalty, s.clip, s.optimizer) == ("gan", "dcgan", "batch", "none", 0.0, "adam")
    assert (s.g_rate, s.d_rate, s.beta1, s.beta2, s.d_steps, s.g_steps) == (2e-4, 2e-4, 0.5, 0.999, 1, 1)
    assert set(said().sources.values()) == {"default"}


def test_every_default_is_one_that_may_be_said():
    for name, field in FIELDS.items():
        assert getattr(resolve(GanSettings, [("said", {name: field.default})]).settings, name) == field.default


@pytest.mark.parametrize("strongest", range(6))
def test_precedence(strongest, monkeypatch):
    """defaults < task < loss < network < config < said, for one field that all of them up to `strongest` set."""
    given_by = {"task": {}, "loss": {}, "network": {}, "config": {}, "said": {}}
    order = ["default", *given_by]
    for value, source in enumerate(order[1 : strongest + 1], 101):
        given_by[source]["batch"] = value
    monkeypatch.setitem(LOSS_RECIPES, "gan", given_by["loss"])
    monkeypatch.setitem(NETWORK_RECIPES, "dcgan", given_by["network"])
    resolved = resolve_gan(given_by["task"], given_by["config"], given_by["said"])
    assert resolved.settings.batch == (100 + strongest if strongest else GanSettings.batch)
    assert resolved.sources["batch"] == order[strongest]


@given(st.lists(st.integers(1, 1000) | st.none(), max_size=8))
@quick
def test_the_last_layer_that_speaks_wins(values):
    layers = [(f"layer {i}", {} if value is None else {"hidden": value}) for i, value in enumerate(values)]
    spoken = [(f"layer {i}", value) for i, value in enumerate(values) if value is not None]
    source, expected = spoken[-1] if spoken else ("default", GanSettings.hidden)
    resolved = resolve(GanSettings, layers)
    assert (resolved.settings.hidden, resolved.sources["hidden"]) == (expected, source)
    assert resolved.settings.latent == GanSettings.latent


# What each loss of the handouts brings, as their table has it.
ADAM, RMSPROP = {"optimizer": "adam", "beta1": 0.5, "beta2": 0.999}, {"optimizer": "rmsprop"}
BRINGS = {
    "gan": {**ADAM, "g_rate": 2e-4, "d_rate": 2e-4, "norm": "batch", "penalty": "none", "clip": 0.0, "d_steps": 1},
    "lsgan": {**ADAM, "g_rate": 2e-4, "d_rate": 2e-4, "norm": "batch", "penalty": "none", "clip": 0.0, "d_steps": 1},
    "wgan": {**RMSPROP, "g_rate": 5e-5, "d_rate": 5e-5, "penalty": "none", "clip": 0.01, "d_steps": 5},
    "wgangp": {
        **ADAM,
        "beta2": 0.9,
        "g_rate": 1e-4,
        "d_rate": 1e-4,
        "penalty": "two-sided",
        "penalty_weight": 10.0,
        "d_steps": 5,
    },
    "hinge": {"optimizer": "adam", "norm": "spectral", "penalty": "none", "clip": 0.0},
    "rpgan": {"optimizer": "adam", "norm": "none", "penalty": "r1r2", "clip": 0.0},
}


@pytest.mark.parametrize("loss", sorted(LOSS_RECIPES))
def test_what_a_loss_brings(loss):
    resolved = said(loss=loss)
    values = dataclasses.asdict(resolved.settings)
    assert values | BRINGS.get(loss, {}) == values
    assert resolved.sources["loss"] == "said"
    assert {name for name, source in resolved.sources.items() if source == "loss"} == set(LOSS_RECIPES[loss])


def test_a_wasserstein_critic_with_penalty_has_no_batch_norm():
    assert said(loss="wgangp").settings.norm in ("layer", "instance")


def test_the_networks_own_table_wins_over_the_losses_normalisation():
    for loss in LOSS_RECIPES:
        resolved = said(loss=loss, network="baseline")
        assert (resolved.settings.norm, resolved.sources["norm"]) == ("none", "network")


def test_the_loss_that_config_names_brings_its_recipe():
    resolved = resolve_gan({"loss": "gan"}, {"loss": "wgangp"}, {})
    assert (resolved.settings.d_steps, resolved.sources["d_steps"]) == (5, "loss")
    assert resolved.sources["loss"] == "config"
    assert resolve_gan({"loss": "wgan"}, {}, {}).settings.d_steps == 5
    assert resolve_gan({"loss": "wgan"}, {"loss": "wgangp"}, {"loss": "gan"}).settings.d_steps == 1


@pytest.mark.parametrize(("loss", "other"), [("gan", "hinge"), ("wgangp", "gan"), ("hinge", "wgan"), ("rpgan", "wgangp")])
def test_another_loss_brings_its_recipe_in_place_of_that_of_the_file(loss, other):
    """What was chosen by hand for the run stays."""
    file = dataclasses.asdict(said(loss=loss, hidden=7, d_rate=0.3).settings)
    assert resolve_gan({}, file, {"loss": other}).settings == said(loss=other, hidden=7, d_rate=0.3).settings


def test_another_network_brings_its_recipe_in_place_of_that_of_the_file():
    file = dataclasses.asdict(said(loss="hinge", network="baseline", latent=7).settings)
    assert resolve_gan({}, file, {"network": "dcgan"}).settings == said(loss="hinge", latent=7).settings


REFUSED = [
    ({"loss": "wgangp", "norm": "batch"}, "--norm batch"),
    ({"penalty": "r1", "norm": "batch"}, "--norm batch"),
    ({"loss": "rpgan", "norm": "batch"}, "--norm batch"),
    ({"loss": "wgangp", "penalty": "none"}, "--penalty none"),
    ({"loss": "wgangp", "penalty": "r1"}, "--penalty r1"),
    ({"penalty": "r1", "clip": 0.01}, "--clip 0.01"),
    ({"loss": "wgan", "penalty": "two-sided", "clip": 0.01}, "--clip 0.01"),
    ({"loss": "wgangp", "clip": 0.01}, "--clip 0.01"),
    ({"loss": "wgan", "clip": 0.0}, "--clip 0"),
    ({"loss": "wgan", "beta1": 0.9}, "--beta1"),
    ({"optimizer": "rmsprop", "beta2": 0.9}, "--beta2"),
    ({"penalty_weight": 1.0}, "--penalty-weight"),
    ({"penalty_every": 4}, "--penalty-every"),
    ({"penalty_every": 4, "loss": "hinge"}, "--penalty-every"),
    ({"penalty_weight": 2.0, "loss": "wgan"}, "--penalty-weight"),
]


@pytest.mark.parametrize(("values", "named"), REFUSED, ids=str)
def test_contradictions_by_hand_are_refused(values, named):
    with pytest.raises(InputError) as refusal:
        said(**values)
    assert named in refusal.value.given + refusal.value.mend
    assert refusal.value.mend
    with pytest.raises(InputError):  # a file is by hand too
        resolve_gan({}, values, {})
    half, other_half = dict(list(values.items())[:1]), dict(list(values.items())[1:])
    with pytest.raises(InputError):  # and so are the two together
        resolve_gan({}, half, other_half)


GIVES_WAY = [
    # task's row, said by hand, what must come out
    ({}, {"penalty": "r1"}, {"norm": "layer"}),
    ({"norm": "batch"}, {"penalty": "r1"}, {"norm": "layer"}),
    ({"norm": "batch"}, {"loss": "wgangp"}, {"norm": "layer"}),
    ({"norm": "batch"}, {"loss": "rpgan"}, {"norm": "none"}),
    ({}, {"loss": "wgan", "penalty": "r1"}, {"clip": 0.0, "norm": "layer"}),
    ({}, {"loss": "wgan", "penalty": "two-sided"}, {"clip": 0.0, "norm": "layer"}),
    ({}, {"loss": "wgan", "norm": "spectral"}, {"clip": 0.0, "norm": "spectral"}),
    ({"clip": 0.01}, {"penalty": "r2"}, {"clip": 0.0}),
    ({"beta1": 0.0}, {"loss": "wgan"}, {"optimizer": "rmsprop"}),
    ({"penalty": "r1"}, {}, {"penalty": "r1", "norm": "layer"}),  # a task's own penalty is a default as well
    ({"clip": 0.01}, {"loss": "rpgan"}, {"clip": 0.0, "penalty": "r1r2"}),
    ({"penalty": "r1"}, {"loss": "wgan"}, {"penalty": "r1", "clip": 0.0}),
    ({"penalty_weight": 1.0, "penalty_every": 8}, {}, {"penalty": "none"}),  # a task's row may say them for its penalties
    ({"penalty": "r1"}, {"penalty_every": 8, "penalty_weight": 2.0}, {"penalty": "r1", "penalty_every": 8}),
]


@pytest.mark.parametrize(("task", "by_hand", "expected"), GIVES_WAY, ids=str)
def test_defaults_give_way_in_silence(task, by_hand, expected):
    values = dataclasses.asdict(resolve_gan(task, {}, by_hand).settings)
    assert values | expected == values


def test_a_penalty_takes_no_normalisation_away_but_batch_norm():
    """Spectral norm treats images apart, and so does none at all: a penalty contradicts neither."""
    assert said(loss="hinge", penalty="r1").settings.norm == "spectral"
    assert said(network="baseline", penalty="r1").settings.norm == "none"


ALLOWED = [
    {"loss": "wgangp", "penalty": "one-sided"},
    {"loss": "wgangp", "norm": "instance"},
    {"loss": "wgangp", "norm": "none"},
    {"loss": "wgan", "norm": "batch"},
    {"loss": "wgan", "optimizer": "adam", "beta1": 0.5},
    {"loss": "wgan", "norm": "spectral", "clip": 0.05},
    {"loss": "gan", "clip": 0.01},
    {"loss": "rpgan", "penalty": "r1"},
    {"loss": "rpgan", "penalty": "none", "norm": "batch"},
    {"loss": "rpgan", "penalty_weight": 0.5, "penalty_every": 16},  # the penalty is the recipe's
    {"loss": "wgangp", "penalty_weight": 1.0},
    {"loss": "hinge", "penalty": "r1", "penalty_every": 4},
    {"precision": "bfloat16", "augment": "diffaugment"},
    {"precision": "float32", "augment": "none"},
]


@pytest.mark.parametrize("values", ALLOWED, ids=str)
def test_what_said_by_hand_overrides(values):
    resolved = said(**values)
    for name, value in values.items():
        assert getattr(resolved.settings, name) == value
        assert resolved.sources[name] == "said"


@pytest.mark.parametrize("network", sorted(NETWORK_RECIPES))
@pytest.mark.parametrize("loss", sorted(LOSS_RECIPES))
def test_a_runs_own_settings_serve_as_config(loss, network):
    """``--config runs/…/config.json`` holds every setting, and must give the same ones again."""
    settings = said(loss=loss, network=network).settings
    assert resolve_gan({}, dataclasses.asdict(settings), {}).settings == settings


@pytest.mark.parametrize("loss", ["rpgan", "hinge", "gan"])
def test_a_run_without_the_penalty_serves_as_config_too(loss):
    """Its file holds the weight that the recipe brought, which nobody has said."""
    settings = said(loss=loss, penalty="none").settings
    assert resolve_gan({}, dataclasses.asdict(settings), {}).settings == settings


@pytest.mark.parametrize("name", ["penalty_weight", "penalty_every"])
def test_a_penaltys_default_is_refused_from_the_command_line_only(name):
    default = getattr(GanSettings, name)
    assert getattr(resolve_gan({}, {name: default}, {}).settings, name) == default
    with pytest.raises(InputError, match="without a penalty"):
        said(**{name: default})


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        said().settings.batch = 3


def test_who_shares_fakes():
    """`gan` and `lsgan` may share them between D and G, the Wasserstein critics draw new noise, several steps do too."""
    assert said(loss="gan").settings.shares_fakes
    assert said(loss="lsgan").settings.shares_fakes
    assert not said(loss="wgan", d_steps=1).settings.shares_fakes
    assert not said(loss="wgangp", d_steps=1).settings.shares_fakes
    assert not said(d_steps=2).settings.shares_fakes
    assert not said(g_steps=2).settings.shares_fakes
