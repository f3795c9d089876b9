"""The classifier's training step against NumPy, Keras's ``fit`` and two devices."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.ema import assert_ema_follows_the_recursion
from helpers.gaussians import run_context
from scipy.special import log_softmax

from gan_tf.classifier.config import ClassifierConfig
from gan_tf.classifier.model import Classifier, cross_entropy
from gan_tf.classifier.networks import build_classifier
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.finite_check import finite_check_error
from gan_tf.training.loop import TrainingPlan, build_batches, build_step_function, train
from pipelines.labeled import LabeledImages
from pipelines.stream import Stream
from pipelines.transforms import normalize

SHAPE = (12, 12, 3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy_equals_numpy(smoothing):
    random = np.random.default_rng(0)
    logits, labels = 5 * random.normal(size=(7, 10)), random.integers(0, 10, 7)
    targets = (1 - smoothing) * np.eye(10)[labels] + smoothing / 10
    expected = -(targets * log_softmax(logits, axis=1)).sum(axis=1)
    found = cross_entropy(tf.constant(labels), tf.constant(logits, tf.float32), smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("labels_shape", [[4, 1], [3]], ids=str)
def test_cross_entropy_of_shapes_that_would_broadcast_raises(labels_shape):
    with pytest.raises(ValueError, match="logits"):
        cross_entropy(tf.zeros(labels_shape, tf.int32), tf.zeros([4, 10]))


def build_stream(config: ClassifierConfig) -> Stream:
    """Builds batches of twenty images, some brighter than others so that the two halves of a batch differ."""
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (20, *SHAPE)) * np.linspace(0.1, 1, 20)[:, None, None, None]
    source = LabeledImages(images.astype(np.uint8), random.integers(0, 10, 20), "random images")

    def prepare(samples, step):
        return {"image": normalize(samples["image"]), "label": tf.cast(samples["label"], tf.int32)}

    return Stream({"real": source}, config.batch, seed=config.seed, prepare={"real": prepare})


def build_model(config: ClassifierConfig, sgd: float = 0.0) -> Classifier:
    """Builds a classifier; with plain SGD of learning rate ``sgd``, if it is not 0."""
    network, network_ema = (build_classifier(SHAPE, config.hidden_dim, config.seed) for _ in range(2))
    model = Classifier(network, network_ema, config)
    if sgd:
        model.network_optimizer = keras.optimizers.SGD(sgd)
        model.network_optimizer.build(network.trainable_variables)
    return model


def test_train_step_is_gradient_descent_on_the_mean_loss():
    config = ClassifierConfig(hidden_dim=2, batch=6, smoothing=0.1, ema_half_life=0.0)
    model, batch = build_model(config, sgd=0.1), build_stream(config).batch_at(0)
    images, labels = batch["real"]["image"][:, 0], batch["real"]["label"][:, 0].numpy()
    initial_kernel, initial_bias = model.network.get_layer("logits").get_weights()
    features = keras.Model(model.network.inputs, model.network.outputs[0])(images, training=True).numpy()
    logits = features @ initial_kernel + initial_bias
    targets = 0.9 * np.eye(10)[labels] + 0.01
    gradient = (np.exp(log_softmax(logits, axis=1)) - targets) / 6  # of the mean cross entropy by the logits
    logs = model.train_step(batch)
    kernel, bias = model.network.get_layer("logits").get_weights()
    np.testing.assert_allclose(kernel, initial_kernel - 0.1 * features.T @ gradient, atol=1e-5)
    np.testing.assert_allclose(bias, initial_bias - 0.1 * gradient.sum(axis=0), atol=1e-5)
    assert float(logs["loss"]) == pytest.approx(-(targets * log_softmax(logits, axis=1)).sum() / 6, rel=1e-4)
    assert float(logs["accuracy"]) == pytest.approx(np.mean(logits.argmax(axis=1) == labels))
    assert int(model.images_seen) == 6
    for average, variable in zip(model.network_ema.trainable_variables, model.network.trainable_variables, strict=True):
        np.testing.assert_array_equal(average, variable)


def test_ema_over_several_steps_follows_the_recursion():
    config = ClassifierConfig(hidden_dim=2, batch=4, ema_half_life=10.0)
    model, stream = build_model(config, sgd=0.1), build_stream(config)
    assert_ema_follows_the_recursion(
        lambda step: model.train_step(stream.batch_at(step)), model.network, model.network_ema, 10.0, 4
    )


def train_one_step(strategy=None):
    """Returns all weights after one SGD step, and its logs."""
    config = ClassifierConfig(hidden_dim=2, batch=8)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = build_model(config, sgd=0.5)
    (batch,) = build_batches(build_stream(config), strategy, 0, 1)
    logs = build_step_function(model, strategy)(batch)
    weights = [np.asarray(w.value) for network in (model.network, model.network_ema) for w in network.weights]
    return weights, {name: float(value) for name, value in logs.items()}


def test_step_on_two_devices_equals_the_step_on_one(two_devices):
    (expected, expected_logs), (found, found_logs) = train_one_step(), train_one_step(two_devices)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-6)
    assert expected_logs == pytest.approx(found_logs, rel=1e-4, abs=1e-6)


def test_train_gives_the_weights_of_keras_fit_and_traces_the_step_once(tmp_path, monkeypatch):
    config, traces = ClassifierConfig(hidden_dim=2, batch=4), []
    train_step = Classifier.train_step

    def counted_train_step(self, batch):
        traces.append(1)
        return train_step(self, batch)

    monkeypatch.setattr(Classifier, "train_step", counted_train_step)
    by_loop, by_fit, stream = build_model(config), build_model(config), build_stream(config)
    run = run_context(tmp_path, stream, TrainingPlan(3))
    train(run, by_loop, Checkpoints(tmp_path / "checkpoints", by_loop), [])
    run.loggers.close()
    assert len(traces) == 1
    by_fit.fit(stream.dataset(0, 3), shuffle=False, verbose=0)
    for a, b in zip(by_loop.weights, by_fit.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_exported_network_has_the_statistics_of_the_streams_batches():
    """With a stream of one constant batch, inference on it equals training on it: same means, same variances."""
    config = ClassifierConfig(hidden_dim=2, batch=8)
    model, batch = build_model(config), build_stream(config).batch_at(0)

    class ConstantStream:
        def batch_at(self, step):
            return batch

    network = model.exported(ConstantStream())["network"]
    assert network is model.network_ema
    images = batch["real"]["image"][:, 0]
    for a, b in zip(network(images, training=False), network(images, training=True), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_train_step_of_values_that_are_not_finite_raises_and_changes_nothing():
    model = build_model(ClassifierConfig(hidden_dim=2, batch=2))
    before = [v.numpy() for v in model.network.trainable_variables]
    batch = {"image": tf.fill([2, 1, *SHAPE], np.nan), "label": tf.zeros([2, 1], tf.int32)}
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        model.train_step({"real": batch})
    assert finite_check_error(error.value, 1).quantity == "the loss"
    for variable, value in zip(model.network.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
