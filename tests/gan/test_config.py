"""A GAN's configuration: precedence, the source of each value, presets and conflicts."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gan_tf.gan.config import LOSS_PRESETS, GanConfig, resolve_gan
from gan_tf.options import Preset, resolve
from pipelines.errors import UserError

FIELDS = {field.name: field for field in dataclasses.fields(GanConfig)}
quick = hypothesis_settings(deadline=None, max_examples=30, database=None)


def from_cli(**values):
    """Returns the resolved configuration of one command line."""
    return resolve_gan({}, {}, values)


def test_resolve_nothing_given_is_the_dcgan_paper():
    config = from_cli().config
    expected = {"loss": "gan", "network": "dcgan", "norm": "batch", "penalty": "none", "clip": 0.0, "optimizer": "adam"}
    expected |= {"g_lr": 2e-4, "d_lr": 2e-4, "beta1": 0.5, "beta2": 0.999, "d_steps": 1, "g_steps": 1}
    assert dataclasses.asdict(config).items() >= expected.items()
    assert set(from_cli().sources.values()) == {"default"}


def test_resolve_every_default_given_explicitly_is_accepted():
    for name, field in FIELDS.items():
        assert getattr(resolve(GanConfig, {}, (), {}, {name: field.default}).config, name) == field.default


@pytest.mark.parametrize(
    ("task", "file", "cli", "expected", "source"),
    [
        ({}, {}, {}, 32, "default"),
        ({"hidden_dim": 8}, {}, {}, 8, "task"),
        ({"hidden_dim": 8}, {"hidden_dim": 9}, {}, 9, "config"),
        ({"hidden_dim": 8}, {"hidden_dim": 9}, {"hidden_dim": 10}, 10, "cli"),
        ({}, {"hidden_dim": 9}, {"latent_dim": 7}, 9, "config"),
    ],
)
def test_resolve_several_layers_the_strongest_wins(task, file, cli, expected, source):
    resolved = resolve_gan(task, file, cli)
    assert (resolved.config.hidden_dim, resolved.sources["hidden_dim"]) == (expected, source)
    assert resolved.explicit == file | cli


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8))
@quick
def test_resolve_several_presets_the_last_wins(values):
    presets = [Preset(f"preset {i}", {"loss": "gan"}, {"hidden_dim": value}) for i, value in enumerate(values)]
    resolved = resolve(GanConfig, {}, presets, {}, {})
    assert (resolved.config.hidden_dim, resolved.sources["hidden_dim"]) == (values[-1], f"preset {len(values) - 1}")
    assert resolved.config.latent_dim == GanConfig.latent_dim


# What belongs to each loss, as the handouts' table has it.
ADAM, RMSPROP = {"optimizer": "adam", "beta1": 0.5, "beta2": 0.999}, {"optimizer": "rmsprop"}
HANDOUT_PRESETS = {
    "gan": {**ADAM, "g_lr": 2e-4, "d_lr": 2e-4, "norm": "batch", "penalty": "none", "clip": 0.0, "d_steps": 1},
    "lsgan": {**ADAM, "g_lr": 2e-4, "d_lr": 2e-4, "norm": "batch", "penalty": "none", "clip": 0.0, "d_steps": 1},
    "wgan": {**RMSPROP, "g_lr": 5e-5, "d_lr": 5e-5, "penalty": "none", "clip": 0.01, "d_steps": 5},
    "wgangp": {
        **ADAM,
        "beta2": 0.9,
        "g_lr": 1e-4,
        "d_lr": 1e-4,
        "penalty": "two-sided",
        "penalty_weight": 10.0,
        "d_steps": 5,
    },
    "hinge": {"optimizer": "adam", "norm": "spectral", "penalty": "none", "clip": 0.0},
    "rpgan": {"optimizer": "adam", "norm": "none", "penalty": "r1r2", "clip": 0.0},
}


@pytest.mark.parametrize("loss", sorted(LOSS_PRESETS))
def test_resolve_loss_applies_its_preset(loss):
    resolved = from_cli(loss=loss)
    values = dataclasses.asdict(resolved.config)
    assert values | HANDOUT_PRESETS.get(loss, {}) == values
    assert resolved.sources["loss"] == "cli"
    assert {name for name, source in resolved.sources.items() if source == "loss"} == set(LOSS_PRESETS[loss])


def test_resolve_wgangp_has_no_batch_norm():
    assert from_cli(loss="wgangp").config.norm in ("layer", "instance")


def test_resolve_network_preset_wins_over_the_loss():
    for loss in LOSS_PRESETS:
        resolved = from_cli(loss=loss, network="baseline")
        assert (resolved.config.norm, resolved.sources["norm"]) == ("none", "network")


def test_resolve_loss_of_a_file_applies_its_preset():
    resolved = resolve_gan({"loss": "gan"}, {"loss": "wgangp"}, {})
    assert (resolved.config.d_steps, resolved.sources["d_steps"]) == (5, "loss")
    assert resolved.sources["loss"] == "config"
    assert resolve_gan({"loss": "wgan"}, {}, {}).config.d_steps == 5
    assert resolve_gan({"loss": "wgan"}, {"loss": "wgangp"}, {"loss": "gan"}).config.d_steps == 1


@pytest.mark.parametrize(("loss", "other"), [("gan", "hinge"), ("wgangp", "gan"), ("hinge", "wgan"), ("rpgan", "wgangp")])
def test_resolve_file_of_another_loss_keeps_its_explicit_values(loss, other):
    """``--config`` takes the explicit values of a run; the presets are those of the loss that is given now."""
    file = from_cli(loss=loss, hidden_dim=7, d_lr=0.3).explicit
    assert resolve_gan({}, file, {"loss": other}).config == from_cli(loss=other, hidden_dim=7, d_lr=0.3).config


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
    ({"network": "mlp", "norm": "instance"}, "--norm instance"),
    ({"loss": "wgan", "beta1": 0.9}, "--beta1"),
    ({"optimizer": "rmsprop", "beta2": 0.9}, "--beta2"),
    ({"optimizer": "rmsprop", "d_optimizer": "sgd", "beta1": 0.9}, "--beta1"),
    ({"penalty_weight": 1.0}, "--penalty-weight"),
    ({"penalty_every": 4}, "--penalty-every"),
    ({"penalty_every": 4, "loss": "hinge"}, "--penalty-every"),
    ({"penalty_weight": 2.0, "loss": "wgan"}, "--penalty-weight"),
    ({"loss": "wgangp", "generator_loss": "saturating"}, "--generator-loss saturating"),
    ({"loss": "lsgan", "generator_loss": "saturating"}, "--generator-loss saturating"),
    ({"loss": "hinge", "soft_labels": True}, "--soft-labels"),
    ({"loss": "wgan", "flip_labels": 0.1}, "--flip-labels 0.1"),
    ({"loss": "hinge", "d_batches": "mixed"}, "--d-batches mixed"),
    ({"instance_noise_images": 1000}, "--instance-noise-images"),
    ({"network": "baseline", "dropout": 0.5}, "--dropout 0.5"),
    ({"network": "mlp", "d_downsample": "max-pool"}, "--d-downsample max-pool"),
]


@pytest.mark.parametrize(("values", "named"), REFUSED, ids=str)
def test_resolve_explicit_conflict_is_refused(values, named):
    with pytest.raises(UserError) as refusal:
        from_cli(**values)
    assert named in refusal.value.problem
    assert "because" in refusal.value.problem
    assert refusal.value.hint
    with pytest.raises(UserError):  # the values of a file are explicit too
        resolve_gan({}, values, {})
    half, other_half = dict(list(values.items())[:1]), dict(list(values.items())[1:])
    with pytest.raises(UserError):  # and so are the two together
        resolve_gan({}, half, other_half)


GIVES_WAY = [
    # the task's defaults, the command line, what must come out
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
    ({"penalty_weight": 1.0, "penalty_every": 8}, {}, {"penalty": "none"}),  # a task may set them for its penalties
    ({"penalty": "r1"}, {"penalty_every": 8, "penalty_weight": 2.0}, {"penalty": "r1", "penalty_every": 8}),
    ({}, {"d_optimizer": "sgd"}, {"d_lr": 0.01, "g_lr": 2e-4, "optimizer": "adam"}),
]


@pytest.mark.parametrize(("task", "cli", "expected"), GIVES_WAY, ids=str)
def test_resolve_conflicting_default_gives_way(task, cli, expected):
    values = dataclasses.asdict(resolve_gan(task, {}, cli).config)
    assert values | expected == values


def test_resolve_penalty_replaces_batch_norm_only():
    """Spectral norm and no norm treat images separately, so that a penalty conflicts with neither."""
    assert from_cli(loss="hinge", penalty="r1").config.norm == "spectral"
    assert from_cli(network="baseline", penalty="r1").config.norm == "none"


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
    {"loss": "rpgan", "penalty_weight": 0.5, "penalty_every": 16},  # the penalty is the preset's
    {"loss": "wgangp", "penalty_weight": 1.0},
    {"loss": "hinge", "penalty": "r1", "penalty_every": 4},
    {"loss": "gan", "generator_loss": "saturating", "soft_labels": True, "flip_labels": 0.1},
    {"loss": "lsgan", "soft_labels": True, "d_optimizer": "sgd"},
    {"loss": "hinge", "instance_noise": 0.1, "instance_noise_images": 1000, "dropout": 0.5},
    {"d_optimizer": "sgd", "d_lr": 0.1},
    {"optimizer": "rmsprop", "d_optimizer": "adam", "beta1": 0.0},
    {"precision": "bfloat16", "augment": "diffaugment"},
    {"precision": "float32", "augment": "none"},
]


@pytest.mark.parametrize("values", ALLOWED, ids=str)
def test_resolve_explicit_value_overrides(values):
    resolved = from_cli(**values)
    for name, value in values.items():
        assert getattr(resolved.config, name) == value
        assert resolved.sources[name] == "cli"


@pytest.mark.parametrize("values", ALLOWED, ids=str)
def test_resolve_explicit_values_of_a_run_give_its_config_again(values):
    """``--config runs/…/config.json`` repeats a run."""
    first = from_cli(**values)
    assert resolve_gan({}, first.explicit, {}).config == first.config


def test_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        from_cli().config.batch = 3


def test_shares_fakes_for_each_loss():
    """`gan` and `lsgan` may share them between D and G, the Wasserstein critics sample new latents, and so do several steps."""
    assert from_cli(loss="gan").config.shares_fakes
    assert from_cli(loss="lsgan").config.shares_fakes
    assert not from_cli(loss="wgan", d_steps=1).config.shares_fakes
    assert not from_cli(loss="wgangp", d_steps=1).config.shares_fakes
    assert not from_cli(d_steps=2).config.shares_fakes
    assert not from_cli(g_steps=2).config.shares_fakes
