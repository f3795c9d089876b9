"""The training step against a plain one, and what each method and phase may change."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.domains import build_dann, dann_config, make_batch

from gan_tf.dann.networks import FEATURE_DROPOUT, LABEL_DROPOUT, build_feature_extractor, flat_size
from gan_tf.nn.gradient_reversal import reversal_strength


def use_sgd(model, learning_rate=1.0):
    """Replaces Adam by plain SGD, whose update is the gradient times the learning rate."""
    model.network_optimizer = keras.optimizers.SGD(learning_rate)
    model.network_optimizer.build(model._trained_variables())


def values(network):
    return [variable.numpy().copy() for variable in network.trainable_variables]


def plain_losses(model, batch, progress):
    """The losses of ``--method full`` as the papers write them: the three terms, one after another."""
    config, noise = model.config, batch["dropout"]
    sizes = (model.feature_extractor.inputs[1].shape[1], model.label_classifier.inputs[1].shape[1])

    def forward(images, uniform):
        kept = [
            tf.where(part < rate, 0.0, 1.0 / (1.0 - rate))
            for part, rate in zip(tf.split(uniform, sizes, axis=1), (FEATURE_DROPOUT, LABEL_DROPOUT), strict=True)
        ]
        features = model.feature_extractor([images, kept[0]], training=True)
        return features, model.label_classifier([features, kept[1]])

    ones = tf.ones([config.batch, sum(sizes)])
    features_s, logits_s = forward(batch["source"]["image"][:, 0], noise[:, 0])
    features_t, logits_t = forward(batch["target"]["strong"][:, 0], noise[:, 1])
    weak = model.feature_extractor_ema([batch["target"]["image"][:, 0], ones[:, : sizes[0]]], training=True)
    p_weak = tf.nn.softmax(model.label_classifier_ema([weak, ones[:, sizes[0] :]]))
    p_s = tf.nn.softmax(logits_s)
    mean_s = 0.99 / 10 + 0.01 * tf.reduce_mean(p_s, axis=0)
    mean_t = 0.99 / 10 + 0.01 * tf.reduce_mean(p_weak, axis=0)
    p_aligned = p_weak * mean_s / mean_t
    p_aligned /= tf.reduce_sum(p_aligned, axis=1, keepdims=True)
    threshold = config.pseudo_threshold * tf.reduce_mean(tf.reduce_max(p_s, axis=1))
    is_kept = tf.cast(tf.reduce_max(p_aligned, axis=1) >= threshold, tf.float32)
    labels = tf.one_hot(batch["source"]["label"][:, 0], 10)
    label_loss = -tf.reduce_mean(tf.reduce_sum(labels * tf.nn.log_softmax(logits_s), axis=1))
    cross_entropy = -tf.reduce_sum(tf.stop_gradient(p_aligned) * tf.nn.log_softmax(logits_t), axis=1)
    pseudo_loss = min(progress / 0.3, 1.0) * tf.reduce_mean(tf.stop_gradient(is_kept) * cross_entropy)
    d_s, d_t = model.domain_classifier(features_s), model.domain_classifier(features_t)
    domain_loss = -0.5 * tf.reduce_mean(tf.math.log_sigmoid(-d_s) + tf.math.log_sigmoid(d_t))
    return label_loss + config.pseudo_weight * pseudo_loss, domain_loss


@pytest.mark.parametrize("images_seen", [0, 64, 400])
def test_train_step_of_the_full_method_is_the_plain_step(images_seen):
    """D descends the domain loss; the features ascend it, times lambda(p) and the weight; all descend the other terms."""
    config = dann_config(lr_decay_images=400, domain_weight=0.7, pseudo_threshold=0.5)
    model = build_dann(config)
    use_sgd(model)
    model.images_seen.assign(images_seen)
    batch, progress = make_batch(config, model), images_seen / 400
    networks = model.networks()
    before = {name: values(network) for name, network in networks.items()}
    with tf.GradientTape(persistent=True) as tape:
        classes, domains = plain_losses(model, batch, progress)
    strength = 0.7 * float(reversal_strength(tf.constant(progress)))
    weights = {"feature_extractor": (1, -strength), "label_classifier": (1, 0), "domain_classifier": (0, 1)}
    expected = {}
    for name, network in networks.items():
        variables = [variable.value for variable in network.trainable_variables]
        gradients = []
        for loss, weight in zip((classes, domains), weights[name], strict=True):
            found = tape.gradient(loss, variables, unconnected_gradients="zero")
            gradients.append([weight * gradient.numpy() for gradient in found])
        expected[name] = [old - a - b for old, a, b in zip(before[name], *gradients, strict=True)]
    model.train_step(batch)
    for name, network in networks.items():
        for new, value in zip(values(network), expected[name], strict=True):
            np.testing.assert_allclose(new, value, atol=2e-5, err_msg=name)


def test_train_step_teacher_is_the_mean_of_the_first_steps_then_an_ema():
    config = dann_config(teacher_decay=0.6)
    model = build_dann(config)
    use_sgd(model, 0.01)
    students = []
    for step in range(3):
        model.train_step(make_batch(config, model, step))
        students.append(values(model.label_classifier))
    expected = students[0]
    for decay, student in zip((0.5, 0.6), students[1:], strict=True):
        expected = [decay * old + (1 - decay) * new for old, new in zip(expected, student, strict=True)]
    for found, value in zip(values(model.label_classifier_ema), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("phase", ["source", "target"])
def test_train_step_of_supervised_phases_needs_one_domain(phase):
    config = dann_config(phase=phase)
    model = build_dann(config)
    batch = make_batch(config, model)
    assert batch.keys() == {phase, "dropout"}
    assert model.train_step(batch).keys() == {"loss", "accuracy", "gradient_norm"}
    assert model.networks().keys() == {"feature_extractor", "label_classifier"}


def test_dann_method_has_no_pseudo_labels_and_one_batch_norm():
    config = dann_config(method="dann")
    assert (config.domain_weight, config.pseudo_weight, config.statistics) == (1.0, 0.0, "joint")
    model = build_dann(config)
    batch = make_batch(config, model)
    assert batch["target"].keys() == {"image"}
    assert "pseudo_loss" not in model.train_step(batch)


def test_domain_weight_0_leaves_the_features_to_the_labels():
    """The domain classifier learns, but the features are those of a training without it."""
    trained = []
    for reset in (False, True):
        config = dann_config(method="dann", domain_weight=0.0)
        model = build_dann(config)
        model.images_seen.assign(config.lr_decay_images // 2)
        if reset:
            model.domain_classifier.set_weights([0.0 * weight for weight in model.domain_classifier.get_weights()])
        use_sgd(model, 0.1)
        model.train_step(make_batch(config, model))
        trained.append(values(model.feature_extractor))
    for first, second in zip(*trained, strict=True):
        np.testing.assert_array_equal(first, second)


def test_learning_rate_warms_up_and_falls_to_2_percent():
    config = dann_config(batch=4, warmup_images=40, lr_decay_images=400, learning_rate=0.5)
    schedule = build_dann(config).network_optimizer._learning_rate
    np.testing.assert_allclose([float(schedule(step)) for step in (0, 5, 10, 55, 100)], [0, 0.25, 0.5, 0.255, 0.01], rtol=1e-5)


def test_exported_statistics_are_those_of_plain_target_images():
    """The first batch norm's moments of 512 target images, by NumPy."""
    from gan_tf.dann.workflow import DannWorkflow
    from gan_tf.tasks import DANN
    from pipelines.strokes import stroke_images

    config = dann_config()
    workflow = DannWorkflow(DANN, config)
    model = workflow.build_model()
    stream = workflow.build_stream(model, workflow.data_spec.open_synthetic())
    network = model.exported(stream)["feature_extractor"]
    indices = np.concatenate([stream.indices(step, "target") for step in range(128)])
    assert len(set(indices.tolist())) == 512
    images = stroke_images(stream.sources["target"].images[indices])
    convolution, norm = network.layers[1], next(layer for layer in network.layers if "norm" in layer.name)
    activations = convolution(images).numpy()
    np.testing.assert_allclose(norm.moving_mean, activations.mean(axis=(0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, activations.var(axis=(0, 1, 2)), rtol=1e-3)


def test_feature_extractor_has_the_parameters_of_its_table():
    """Five convolutions without biases, a dense layer, and two numbers of batch norm for each channel."""
    network = build_feature_extractor((28, 28, 1), 32)
    channels = (1, 32, 48, 64, 128, 128)
    convolutions = 25 * 32 + sum(9 * a * b for a, b in itertools.pairwise(channels[1:]))
    assert flat_size((28, 28, 1), 32) == 4 * 4 * 128
    assert network.count_params() - 2 * (sum(channels[1:]) + 128) == convolutions + 2048 * 128 + 2 * (sum(channels[1:]) + 128)
