"""The memory estimate: its parts against closed forms, and what it refuses."""

import dataclasses
import math

import pytest
from helpers.cli import call

from gan_tf.tasks import find_task
from gan_tf.training import memory
from gan_tf.training.memory import estimate_bytes, require_memory
from gan_tf.workflow import build_workflow
from pipelines.errors import UserError

SMALL = {
    "mnist": {"network": "mlp", "latent_dim": 5, "hidden_dim": 8, "batch": 4},
    "yosemite": {"hidden_dim": 4, "num_blocks": 1, "load_size": 40, "crop_size": 32, "pool_size": 3},
    "diffusion": {"hidden_dim": 8, "blocks": 1, "batch": 4},
    "dann": {"hidden_dim": 4, "batch": 4},
    "digits": {"hidden_dim": 4, "batch": 4},
}


def prepare(name: str, **values):
    task = find_task(name)
    resolved = task.family.resolve(task, {}, {**SMALL[name], **values})
    return build_workflow(task, resolved.config), resolved


@pytest.mark.parametrize("name", SMALL)
def test_estimate_holds_all_variables_their_gradients_and_moments(name):
    """The variables of the model itself, built with memory, are the other truth."""
    workflow, _ = prepare(name)
    model = workflow.build_model()
    variables = sum(variable.numpy().nbytes for variable in model.variables)
    trained = sum(variable.numpy().nbytes for network in model.networks().values() for variable in network.trainable_variables)
    images = 2 * 4 * workflow.images_per_step * math.prod(workflow.image_shape)
    kept = estimate_bytes(workflow) - variables - 3 * trained - images
    assert 0 < kept < 50e6


def test_estimate_of_an_mlp_pair_is_its_closed_form():
    """G has layers of 8, 16, 32 and 1,024 units, D of 32, 16, 8 and 1; a float32 of each is kept twice for each image."""
    workflow, _ = prepare("mnist")
    model = workflow.build_model()
    variables = sum(variable.numpy().nbytes for variable in model.variables)
    trained = sum(variable.numpy().nbytes for network in model.networks().values() for variable in network.trainable_variables)
    units = 8 + 16 + 32 + 1024 + 32 + 16 + 8 + 1
    assert estimate_bytes(workflow) == variables + 3 * trained + 2 * 4 * 4 * units + 2 * 4 * 4 * 32 * 32


def test_estimate_counts_images_of_each_update_of_d():
    one, ten = (estimate_bytes(prepare("mnist", d_steps=steps)[0]) for steps in (1, 10))
    assert ten - one == 2 * 4 * 9 * 4 * 32 * 32


@pytest.mark.parametrize("name", SMALL)
def test_estimate_takes_no_memory_of_large_networks(name):
    """Networks of many gigabytes are estimated in this process, which could not hold them."""
    workflow, _ = prepare(name, hidden_dim=1024, batch=4096)
    assert estimate_bytes(workflow) > 1e9


@pytest.mark.parametrize("name", SMALL)
def test_require_memory_refuses_what_cannot_fit_and_names_what_was_raised(name, monkeypatch):
    workflow, resolved = prepare(name, batch=128)
    needed = estimate_bytes(workflow)
    monkeypatch.setattr(memory, "available_memory", lambda: needed)
    require_memory(workflow, resolved)
    monkeypatch.setattr(memory, "available_memory", lambda: needed - 1)
    with pytest.raises(UserError, match="This training needs at least") as refusal:
        require_memory(workflow, resolved)
    assert "--batch" in refusal.value.hint
    assert "--hidden-dim" not in refusal.value.hint  # it is below its default


@pytest.mark.parametrize("name", SMALL)
def test_options_that_take_memory_are_those_that_make_the_estimate_larger(name):
    workflow, resolved = prepare(name)
    before = estimate_bytes(workflow)
    for field in dataclasses.fields(resolved.config):
        value = getattr(resolved.config, field.name)
        if type(value) is int and field.name not in ("penalty_every", "instance_noise_images"):  # refused by themselves
            raised, _ = prepare(name, **{field.name: value + (4 if field.name == "crop_size" else 1)})
            assert (estimate_bytes(raised) > before) == field.metadata["takes_memory"], field.name


LONG = {"seed": 2**31 - 1, "lr_decay_images": 2**31 - 1}


@pytest.mark.parametrize(("name", "values"), [*((name, {"seed": 7}) for name in SMALL), ("mnist", LONG)])
def test_require_memory_builds_no_networks_unless_a_size_is_raised(name, values, monkeypatch):
    estimated = []
    monkeypatch.setattr(memory, "estimate_bytes", lambda workflow: estimated.append(workflow) or 0)
    require_memory(*prepare(name, **values))
    assert estimated == []
    require_memory(*prepare(name, **values, batch=128))
    assert len(estimated) == 1


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_train_that_cannot_fit_is_refused_in_one_sentence_and_leaves_no_run(dry, tmp_path, capsys):
    words = ["--task", "mnist", "--hidden-dim", 1024, "--batch", 65536, "--d-steps", 100, "--runs", tmp_path / "runs"]
    assert call("train", *words, *dry) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert line.startswith("error: This training needs at least ")
    assert not (tmp_path / "runs").exists()
