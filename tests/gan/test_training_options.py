"""Options of the update: labels, the saturating loss, instance noise, mixed batches, D's optimizer, uniform latents."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.cli import TINY, call, only_run
from helpers.gan_weights import write_gan_weights
from helpers.models import BATCH, LATENT_DIM, SHAPE, build_gan, make_batch, trainable_values

from gan_tf.gan.latents import draw_latents, sample_latents
from gan_tf.gan.losses import LOSSES, gan_saturating_generator, noisy_labels
from gan_tf.gan.workflow import GanWorkflow
from gan_tf.tasks import MNIST
from pipelines.randomness import Purpose, uniform

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(6, 3)).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


# --- losses and labels -------------------------------------------------------------------------------------------------


def test_saturating_loss_equals_the_paper():
    expected = np.log(1 - sigmoid(LOGITS)).mean(axis=1)
    np.testing.assert_allclose(gan_saturating_generator(tf.constant(LOGITS)), expected, rtol=1e-5)


def test_labeled_gan_loss_is_the_cross_entropy():
    labels = np.array([0.0, 1.0, 0.3, 0.7, 1.2, 0.5], np.float32)
    p = sigmoid(LOGITS)
    expected = -(labels[:, None] * np.log(p) + (1 - labels[:, None]) * np.log(1 - p)).mean(axis=1)
    np.testing.assert_allclose(LOSSES["gan"].labeled(tf.constant(LOGITS), tf.constant(labels)), expected, rtol=1e-4, atol=1e-6)


def test_labeled_lsgan_loss_is_the_squared_error():
    labels = np.array([0.0, 1.0, 0.3, 0.7, 1.2, 0.5], np.float32)
    expected = 0.5 * ((LOGITS - labels[:, None]) ** 2).mean(axis=1)
    np.testing.assert_allclose(LOSSES["lsgan"].labeled(tf.constant(LOGITS), tf.constant(labels)), expected, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.labeled is not None])
def test_labeled_loss_with_labels_1_and_0_is_the_loss(name):
    loss, other = LOSSES[name], LOGITS[::-1].copy()
    labeled = loss.labeled(tf.constant(LOGITS), tf.ones(6)) + loss.labeled(tf.constant(other), tf.zeros(6))
    np.testing.assert_allclose(labeled, loss.discriminator(tf.constant(LOGITS), tf.constant(other)), rtol=1e-4, atol=1e-6)


def test_noisy_labels_have_their_ranges_and_flips():
    numbers = uniform((20_000, 2, 2), 0, tf.constant(0), Purpose.LABELS)
    plain_real, plain_fake = noisy_labels(numbers, soft=False, flipped=0.0)
    assert set(plain_real.numpy()) == {1.0}
    assert set(plain_fake.numpy()) == {0.0}
    real, fake = (labels.numpy() for labels in noisy_labels(numbers, soft=True, flipped=0.0))
    assert (real.min(), real.max(), real.mean()) == pytest.approx((0.7, 1.2, 0.95), abs=0.01)
    assert (fake.min(), fake.max(), fake.mean()) == pytest.approx((0.0, 0.3, 0.15), abs=0.01)
    flipped_real, flipped_fake = noisy_labels(numbers, soft=False, flipped=0.1)
    assert (np.mean(flipped_real == 0), np.mean(flipped_fake == 1)) == pytest.approx((0.1, 0.1), abs=0.01)
    soft_flipped, _ = noisy_labels(numbers, soft=True, flipped=0.1)
    assert np.mean(soft_flipped < 0.31) == pytest.approx(0.1, abs=0.01)


def test_train_step_with_noisy_labels_has_the_loss_of_these_labels():
    gan = build_gan(norm="none", soft_labels=True, flip_labels=0.5)
    batch = make_batch(gan)
    assert batch["labels"].shape == (BATCH, 1, 2, 2)
    fake = gan.generator(batch["latents"][:, 0], training=True)
    real_p, fake_p = (sigmoid(gan.discriminator(images)[:, 0]) for images in (batch["real"][:, 0], fake))
    soft, flips = batch["labels"][:, 0, :, 0].numpy(), batch["labels"][:, 0, :, 1].numpy() < 0.5
    real = np.where(flips[:, 0], 0.3 * soft[:, 0], 0.7 + 0.5 * soft[:, 0])
    other = np.where(flips[:, 1], 0.7 + 0.5 * soft[:, 1], 0.3 * soft[:, 1])
    losses = [-(t * np.log(p) + (1 - t) * np.log(1 - p)) for t, p in ((real, real_p), (other, fake_p))]
    assert float(gan.train_step(batch)["d_loss"]) == pytest.approx(sum(losses).mean(), rel=1e-4)


def test_train_step_with_the_saturating_loss_logs_it():
    gan = build_gan(norm="none", generator_loss="saturating")
    batch = make_batch(gan)
    fake = gan.generator(batch["latents"][:, 0], training=True)
    gan._update_discriminator(batch, 0, fake)
    expected = np.log(1 - sigmoid(gan.discriminator(fake))).mean()
    loss, _ = gan._generator_loss(batch, 1, fake)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


# --- what D sees -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seen", "fraction"), [(0, 1.0), (500, 0.5), (1000, 0.0), (2000, 0.0)])
def test_instance_noise_fades_with_the_images_seen(seen, fraction):
    gan = build_gan(instance_noise=0.2, instance_noise_images=1000)
    gan.images_seen.assign(seen)
    batch = make_batch(gan)
    assert batch["instance_noise"].shape == (BATCH, 2, 2, *SHAPE)
    images = tf.zeros((BATCH, *SHAPE))
    for update in (0, 1):
        for kind, noisy in enumerate(gan._discriminator_inputs(batch, update, images, images)):
            np.testing.assert_allclose(noisy, 0.2 * fraction * batch["instance_noise"][:, update, kind], atol=1e-6)


def test_instance_noise_is_standard_normal_and_differs_between_steps():
    gan = build_gan(instance_noise=0.2)
    first, again, other = (gan.random_inputs(tf.constant(step))["instance_noise"].numpy() for step in (5, 5, 6))
    assert (first.mean(), first.std()) == pytest.approx((0.0, 1.0), abs=0.02)
    np.testing.assert_array_equal(first, again)
    assert not np.any(first == other)


@pytest.mark.parametrize("batches", ["separate", "mixed"])
def test_batch_norm_averages_over_the_batches(batches):
    """A momentum of 0 leaves the mean of the last batch: of the fake images, or of real and fake ones together."""
    gan = build_gan(d_batches=batches)
    layers = gan.discriminator.layers
    (norm, *_) = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    norm.momentum = 0.0
    before = keras.Model(gan.discriminator.input, norm.input)
    batch = make_batch(gan)
    real, fake = batch["real"][:, 0], gan.generator(batch["latents"][:, 0], training=True)
    gan._discriminator_forward(real, fake, batch["interpolation"][:, 0])
    averaged = fake if batches == "separate" else tf.concat([real, fake], 0)
    np.testing.assert_allclose(norm.moving_mean, before(averaged).numpy().mean(axis=(0, 1, 2)), atol=1e-6)


def test_generator_loss_of_mixed_batches_is_of_the_fakes_among_real_images():
    gan = build_gan(d_batches="mixed")
    batch = make_batch(gan)
    fake = gan.generator(batch["latents"][:, 0], training=True)
    logits = gan.discriminator(tf.concat([batch["real"][:, 0], fake], 0), training=True)[BATCH:]
    loss, _ = gan._generator_loss(batch, 1, fake)
    assert float(loss) == pytest.approx(-np.log(sigmoid(logits)).mean(), rel=1e-4)


# --- optimizer and latents ---------------------------------------------------------------------------------------------


def test_d_optimizer_sgd_moves_by_the_gradient_and_leaves_g_its_own():
    gan = build_gan(norm="none", d_optimizer="sgd")
    assert gan.config.d_lr == 0.01  # its preset
    assert type(gan.g_optimizer) is keras.optimizers.Adam
    batch = make_batch(gan)
    fake = gan.generator(batch["latents"][:, 0], training=True)
    with tf.GradientTape() as tape:
        real_logits, fake_logits = (gan.discriminator(x, training=True) for x in (batch["real"][:, 0], fake))
        loss = tf.reduce_mean(tf.nn.softplus(-real_logits)) + tf.reduce_mean(tf.nn.softplus(fake_logits))
    gradients = tape.gradient(loss, [v.value for v in gan.discriminator.trainable_variables])
    before = trainable_values(gan.discriminator)
    gan._update_discriminator(batch, 0, fake)
    for old, gradient, new in zip(before, gradients, trainable_values(gan.discriminator), strict=True):
        np.testing.assert_allclose(new, old - 0.01 * gradient.numpy(), atol=1e-6)


def test_uniform_latents_are_uniform_and_do_not_depend_on_the_count():
    latents = sample_latents(5000, 4, 0, distribution="uniform")
    assert (latents.min(), latents.max(), latents.mean()) == pytest.approx((-1, 1, 0), abs=0.02)
    assert latents.var() == pytest.approx(1 / 3, abs=0.01)
    np.testing.assert_array_equal(latents[70:75], sample_latents(5, 4, 0, first=70, distribution="uniform"))
    gan = build_gan(latent_distribution="uniform")
    expected = draw_latents("uniform", (BATCH, 1, LATENT_DIM), 0, tf.constant(3), Purpose.TRAIN_LATENTS)
    np.testing.assert_array_equal(gan.random_inputs(tf.constant(3))["latents"], expected)


def test_infer_interpolates_uniform_latents_along_straight_lines(tmp_path):
    directory = write_gan_weights(tmp_path / "weights", MNIST, latent_distribution="uniform")
    workflow = GanWorkflow.of_weights(MNIST, directory)
    options = MNIST.family.infer_options
    paths = {name: tmp_path / f"{name}.png" for name in ("default", "lerp", "slerp")}
    for name, file in paths.items():
        workflow.infer(directory, options(out=file, interpolate=9, path=None if name == "default" else name))
    images = {name: file.read_bytes() for name, file in paths.items()}
    assert images["default"] == images["lerp"] != images["slerp"]


def test_train_with_all_options_resumes_exactly_and_generates_the_same_images(image_dir, tmp_path):
    options = ["--dropout", 0.5, "--output", "sigmoid", "--latent-distribution", "uniform", "--d-batches", "mixed"]
    options += ["--d-activation", "relu", "--d-downsample", "max-pool", "--soft-labels", "--flip-labels", 0.2]
    options += ["--d-optimizer", "sgd", "--instance-noise", 0.1, "--instance-noise-images", 12]
    options += ["--generator-loss", "saturating", "--loss", "gan", "--no-score"]
    words = ["--task", "anime", "--data", image_dir, *TINY]
    assert call("train", *words, *options, "--runs", tmp_path / "whole", "--steps", 4) == 0
    assert call("train", *words, *options, "--runs", tmp_path / "parts", "--steps", 2) == 0
    assert call("train", *words, "--runs", tmp_path / "parts", "--steps", 4, "--resume") == 0
    whole, parts = (only_run(tmp_path / name, "anime") for name in ("whole", "parts"))
    assert (whole / "weights.npz").read_bytes() == (parts / "weights.npz").read_bytes()
    for name in ("first.png", "second.png"):
        assert call("infer", "--task", "anime", "--weights", whole, "--grid", "2x2", tmp_path / name) == 0
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    assert not (whole / "scores.json").exists()
