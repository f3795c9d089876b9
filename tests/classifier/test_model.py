"""The classifier against NumPy, by hand, and on two devices."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from gan_tf.classifier import workflow as reader
from gan_tf.classifier.model import Classifier, cross_entropy
from gan_tf.classifier.networks import build_reader
from gan_tf.options import ReaderSettings
from gan_tf.training.checkpoints import Checkpoints
from gan_tf.training.finite_check import MARK
from gan_tf.training.loggers import Writers
from gan_tf.training.loop import Plan, batches, compiled, train
from pipelines.labelled import Labelled

SHAPE = (12, 12, 3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy_is_that_of_numpy(smoothing):
    draws = np.random.default_rng(0)
    logits, labels = 5 * draws.normal(size=(7, 10)), draws.integers(0, 10, 7)
    wanted = (1 - smoothing) * np.eye(10)[labels] + smoothing / 10
    expected = -(wanted * log_softmax(logits, axis=1)).sum(axis=1)
    found = cross_entropy(tf.constant(labels), tf.constant(logits, tf.float32), smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match="logits"):
        cross_entropy(tf.zeros([4, 1], tf.int32), tf.zeros([4, 10]))
    with pytest.raises(ValueError, match="logits"):
        cross_entropy(tf.zeros([3], tf.int32), tf.zeros([4, 10]))


def source() -> Labelled:
    """Twenty pictures, brighter towards the end so that the halves of a batch differ."""
    draws = np.random.default_rng(0)
    pixels = draws.uniform(0, 255, (20, *SHAPE)) * np.linspace(0.1, 1, 20)[:, None, None, None]
    return Labelled(pixels.astype(np.uint8), draws.integers(0, 10, 20), "pixels")


def build(settings: ReaderSettings, sgd: float = 0.0) -> Classifier:
    method = Classifier(*(build_reader(SHAPE, settings.hidden, settings.seed) for _ in range(2)), settings)
    if sgd:
        method.rate_optimizer = keras.optimizers.SGD(sgd)
        method.rate_optimizer.build(method.network.trainable_variables)
    return method


def test_one_step_is_gradient_descent_on_the_mean_loss():
    settings = ReaderSettings(hidden=2, batch=6, smoothing=0.1, ema_half_life=0.0)
    method, stream = build(settings, sgd=0.1), reader.stream_for(build(settings), source())
    batch = stream.at(0)
    images, labels = batch["real"]["image"][:, 0], batch["real"]["label"][:, 0].numpy()
    before = method.network.get_layer("logits").get_weights()
    features = keras.Model(method.network.inputs, method.network.outputs[0])(images, training=True).numpy()
    logits = features @ before[0] + before[1]
    wanted = 0.9 * np.eye(10)[labels] + 0.01
    slope = (np.exp(log_softmax(logits, axis=1)) - wanted) / 6  # the gradient of the mean cross entropy
    logs = method.train_step(batch)
    kernel, bias = method.network.get_layer("logits").get_weights()
    np.testing.assert_allclose(kernel, before[0] - 0.1 * features.T @ slope, atol=1e-5)
    np.testing.assert_allclose(bias, before[1] - 0.1 * slope.sum(axis=0), atol=1e-5)
    assert float(logs["loss"]) == pytest.approx(-(wanted * log_softmax(logits, axis=1)).sum() / 6, rel=1e-4)
    assert float(logs["accuracy"]) == pytest.approx(np.mean(logits.argmax(axis=1) == labels))
    assert int(method.images_seen) == 6
    for a, v in zip(method.averaged.trainable_variables, method.network.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, v)


def step(strategy=None):
    """All weights after one SGD step, and its logs."""
    settings = ReaderSettings(hidden=2, batch=8)
    if strategy:
        with strategy.scope():
            method = build(settings, sgd=0.5)
    else:
        method = build(settings, sgd=0.5)
    (batch,) = batches(reader.stream_for(method, source()), Plan(1, strategy=strategy), 0)
    logs = compiled(method, strategy)(batch)
    weights = [np.asarray(w.value) for network in (method.network, method.averaged) for w in network.weights]
    return weights, {name: float(value) for name, value in logs.items()}


def test_two_devices_make_the_step_of_one(two_devices):
    (expected, expected_logs), (found, found_logs) = step(), step(two_devices)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-6)
    assert expected_logs == pytest.approx(found_logs, rel=1e-4, abs=1e-6)


def test_the_loop_gives_the_weights_of_fit_in_one_trace(tmp_path, monkeypatch):
    settings, traces = ReaderSettings(hidden=2, batch=4), []
    whole = Classifier.train_step
    monkeypatch.setattr(Classifier, "train_step", lambda self, batch: traces.append(1) or whole(self, batch))
    looped, fitted = build(settings), build(settings)
    stream, writers = reader.stream_for(looped, source()), Writers(tmp_path)
    train(looped, stream, Plan(3), Checkpoints(tmp_path / "checkpoints", looped), writers)
    writers.close()
    assert len(traces) == 1
    fitted.fit(stream.dataset(0, 3), shuffle=False, verbose=0)
    for a, b in zip(looped.weights, fitted.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_average_is_used_with_statistics_of_its_own():
    """After a refresh, a chunk passes in inference as it does in training: same means, same variances."""
    method = build(ReaderSettings(hidden=2, batch=8))
    chunk = reader.stream_for(method, source()).at(0)["real"]["image"][:, 0]
    network = method.sampler([chunk])
    for a, b in zip(network(chunk, training=False), network(chunk, training=True), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_the_guard_names_what_is_not_finite():
    method = build(ReaderSettings(hidden=2, batch=2))
    before = [v.numpy() for v in method.network.trainable_variables]
    batch = {"image": tf.fill([2, 1, *SHAPE], np.nan), "label": tf.zeros([2, 1], tf.int32)}
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{MARK}the loss"):
        method.train_step({"real": batch})
    for variable, value in zip(method.network.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
