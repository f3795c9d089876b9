"""The losses of domain adaptation against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from gan_tf.dann.losses import align_distribution, confident, domain_loss, pseudo_label_loss, pseudo_label_ramp

RANDOM = np.random.default_rng(0)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_domain_loss_is_the_binary_cross_entropy_of_both_domains():
    source, target = RANDOM.normal(size=(2, 5, 1)).astype(np.float32)
    is_target = np.concatenate([1 / (1 + np.exp(-source)), 1 / (1 + np.exp(-target))])
    expected = -np.concatenate([np.log(1 - is_target[:5]), np.log(is_target[5:])]).mean()
    assert float(domain_loss(tf.constant(source), tf.constant(target))) == pytest.approx(expected, rel=1e-5)


def test_domain_loss_of_equal_domains_is_ln_2():
    assert float(domain_loss(tf.zeros([4, 1]), tf.zeros([4, 1]))) == pytest.approx(np.log(2))


def test_domain_loss_other_shapes_are_refused():
    with pytest.raises(ValueError, match="do not match"):
        domain_loss(tf.zeros([4]), tf.zeros([4, 1]))


def test_align_distribution_makes_the_mean_that_of_the_source():
    """Bayes' rule for another prior; where all rows are alike, the aligned mean is the source's."""
    probabilities = softmax(RANDOM.normal(size=(6, 4)))
    source, target = np.array([0.4, 0.3, 0.2, 0.1]), probabilities.mean(axis=0)
    aligned = align_distribution(tf.constant(probabilities), tf.constant(source), tf.constant(target)).numpy()
    weighted = probabilities * source / target
    np.testing.assert_allclose(aligned, weighted / weighted.sum(axis=1, keepdims=True))
    alike = np.repeat(target[None], 3, axis=0)
    np.testing.assert_allclose(align_distribution(alike, source, target), np.repeat(source[None], 3, axis=0))


def test_confident_compares_with_the_source():
    source = np.array([[0.9, 0.1], [0.7, 0.3]], np.float32)  # mean largest 0.8
    target = np.array([[0.73, 0.27], [0.29, 0.71], [0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(confident(tf.constant(target), tf.constant(source), 0.9), [1, 0, 0])


def test_pseudo_label_loss_is_the_mean_over_all_rows():
    logits, targets = RANDOM.normal(size=(3, 4)), softmax(RANDOM.normal(size=(3, 4)))
    mask = np.array([1.0, 0.0, 1.0])
    expected = -(mask * (targets * np.log(softmax(logits))).sum(axis=1)).sum() / 3
    assert float(pseudo_label_loss(tf.constant(targets), tf.constant(mask), tf.constant(logits))) == pytest.approx(expected)


def test_pseudo_label_loss_has_no_gradient_to_the_labels():
    targets = tf.constant(softmax(RANDOM.normal(size=(3, 4))))
    with tf.GradientTape() as tape:
        tape.watch(targets)
        loss = pseudo_label_loss(targets, tf.ones([3], tf.float64), tf.constant(RANDOM.normal(size=(3, 4))))
    assert tape.gradient(loss, targets) is None


def test_pseudo_label_ramp_ends_at_30_percent():
    np.testing.assert_allclose(pseudo_label_ramp(tf.constant([0.0, 0.15, 0.3, 1.0])), [0, 0.5, 1, 1], atol=1e-6)
