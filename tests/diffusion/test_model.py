"""Algorithm 1 of Ho et al. 2020 against the same formulas in NumPy, its random inputs, and several devices."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.ema import assert_ema_follows_the_recursion

from gan_tf.diffusion.config import DiffusionConfig
from gan_tf.diffusion.generator import DiffusionGenerator, Sampling
from gan_tf.diffusion.model import Diffusion
from gan_tf.diffusion.schedule import SCHEDULES, loss_weights
from gan_tf.diffusion.unet import build_unet
from gan_tf.diffusion.workflow import DiffusionWorkflow
from gan_tf.tasks import DIFFUSION
from gan_tf.training.loop import build_batches, build_step_function
from pipelines.labeled import LabeledImages
from pipelines.stream import Stream

SHAPE = (8, 8, 3)


def build_diffusion(sgd: float = 0.0, shape=SHAPE, **options) -> Diffusion:
    """Builds a small model; with plain SGD of learning rate ``sgd``, if it is not 0."""
    config = DiffusionConfig(**{"hidden_dim": 4, "blocks": 1, "batch": 4, "classes": 2} | options)
    unet, unet_ema = (build_unet(shape, config.hidden_dim, config.blocks, config.classes, config.seed) for _ in range(2))
    for network in (unet, unet_ema):  # otherwise most gradients would be 0
        for index, variable in enumerate(network.trainable_variables):
            noise = np.random.default_rng(index).standard_normal(variable.shape)
            variable.assign_add(0.1 * noise.astype(np.float32))
    model = Diffusion(unet, unet_ema, shape, config)
    if sgd:
        model.unet_optimizer = keras.optimizers.SGD(sgd)
        model.unet_optimizer.build(unet.trainable_variables)
    return model


def random_images(count: int = 20) -> LabeledImages:
    """Returns images with labels 0 and 1, some brighter than others."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, *SHAPE)) * np.linspace(0.1, 1, count)[:, None, None, None]
    return LabeledImages(pixels.astype(np.uint8), np.arange(count) % 2, "random")


def build_stream(model: Diffusion) -> Stream:
    workflow = DiffusionWorkflow(DIFFUSION, model.config)
    return workflow.build_stream(model, {"real": random_images()})


@pytest.mark.parametrize(
    ("prediction", "loss_weight", "schedule_name"),
    [("epsilon", "none", "linear"), ("v", "min-snr", "cosine"), ("epsilon", "min-snr", "cosine")],
)
def test_train_step_loss_is_that_of_algorithm_1(prediction, loss_weight, schedule_name):
    model = build_diffusion(prediction=prediction, loss_weight=loss_weight, schedule=schedule_name, label_drop=0.5)
    batch = build_stream(model).batch_at(0)
    schedule = SCHEDULES[schedule_name](1000)
    weights = loss_weights(schedule, prediction, loss_weight)
    errors = []
    for i in range(4):
        t, epsilon = int(batch["timestep"][i]), batch["noise"][i].numpy().astype(np.float64)
        image = batch["real"]["image"][i, 0].numpy().astype(np.float64)
        label = 2 if batch["is_label_dropped"][i] else int(batch["real"]["label"][i, 0])
        signal_rate, noise_rate = np.sqrt(schedule.alpha_bar[t]), np.sqrt(1 - schedule.alpha_bar[t])
        noisy = (signal_rate * image + noise_rate * epsilon).astype(np.float32)
        found = model.unet([tf.constant(noisy[None]), tf.constant([t]), tf.constant([label])])[0].numpy()
        target = epsilon if prediction == "epsilon" else signal_rate * epsilon - noise_rate * image
        errors.append(weights[t] * np.mean((found - target) ** 2))
    logs = model.train_step(batch)
    assert float(logs["loss"]) == pytest.approx(np.mean(errors), rel=1e-4)


def test_ema_over_several_steps_follows_the_recursion_and_is_what_is_exported():
    model = build_diffusion(sgd=0.1, ema_half_life=10.0)
    stream = build_stream(model)
    assert_ema_follows_the_recursion(
        lambda step: model.train_step(stream.batch_at(step)), model.unet, model.unet_ema, 10.0, model.config.batch
    )
    assert model.exported()["unet"] is model.unet_ema


def test_train_step_applies_the_gradient_of_the_loss():
    """A finite difference of the loss along the step equals minus the learning rate times the squared gradient norm."""
    model, learning_rate = build_diffusion(sgd=1e-4), 1e-4
    batch = build_stream(model).batch_at(0)
    first = model.train_step(batch)
    second = model.train_step(batch)
    expected = -learning_rate * float(first["gradient_norm"]) ** 2
    assert float(second["loss"] - first["loss"]) == pytest.approx(expected, rel=0.02)


def test_random_inputs_are_a_pure_function_of_the_step():
    model = build_diffusion(batch=8)
    for name, values in model.random_inputs(tf.constant(3)).items():
        np.testing.assert_array_equal(values, model.random_inputs(tf.constant(3))[name])
        if name != "is_label_dropped":
            assert np.any(np.asarray(values) != np.asarray(model.random_inputs(tf.constant(4))[name]))


def test_random_inputs_timesteps_are_uniform_from_1_to_T():
    stats = pytest.importorskip("scipy.stats")
    model = build_diffusion(batch=10_000, timesteps=20, label_drop=0.1)
    inputs = model.random_inputs(tf.constant(0))
    counts = np.bincount(inputs["timestep"], minlength=21)
    assert counts[0] == 0
    assert len(counts) == 21
    assert stats.chisquare(counts[1:]).pvalue > 0.001
    assert np.mean(inputs["is_label_dropped"]) == pytest.approx(0.1, abs=0.012)  # four standard deviations


def test_without_labels_every_label_is_the_one_that_means_none():
    model = build_diffusion(classes=0)
    assert not np.any(build_stream(model).batch_at(0)["real"]["label"])


def train_one_step(learning_rate: float, strategy=None) -> tuple[list[np.ndarray], dict[str, float]]:
    """Returns all weights after one step, and its logs."""
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = build_diffusion(sgd=learning_rate, batch=8)
    (batch,) = build_batches(build_stream(model), strategy, 0, 1)
    logs = build_step_function(model, strategy)(batch)
    weights = [np.asarray(w.value) for network in (model.unet, model.unet_ema) for w in network.weights]
    return weights, {name: float(value) for name, value in logs.items()}


def test_step_on_two_devices_equals_the_step_on_one(two_devices):
    expected, expected_logs = train_one_step(0.5)
    found, found_logs = train_one_step(0.5, two_devices)
    initial = build_diffusion().unet.get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(expected, initial, strict=False)) > 1e-3  # the step changed the weights
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)
    assert expected_logs == pytest.approx(found_logs, rel=1e-4, abs=1e-6)


def test_diffusion_learns_which_label_is_bright():
    """Label 0 is dark and label 1 bright: after 150 steps a requested label has its brightness."""
    brightness, labels = np.repeat([40, 215], 10), np.arange(20) // 10
    source = LabeledImages(np.tile(brightness[:, None, None, None], (1, *SHAPE)).astype(np.uint8), labels, "two")
    config = DiffusionConfig(hidden_dim=8, blocks=1, batch=16, classes=2, learning_rate=5e-3, ema_half_life=200.0)
    model = Diffusion(*(build_unet(SHAPE, 8, 1, 2) for _ in range(2)), SHAPE, config)
    stream = DiffusionWorkflow(DIFFUSION, config).build_stream(model, {"real": source})
    update = tf.function(model.train_step)
    for batch in stream.dataset(0, 150):
        update(batch)
    generator = DiffusionGenerator(model.exported(stream)["unet"], config, SHAPE)
    means = generator.generate(20, sampling=Sampling("ddim", 10)).mean((1, 2, 3))
    assert means[::2].max() < 90
    assert means[1::2].min() > 165
