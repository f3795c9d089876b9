"""The guard: nothing that is not finite is applied, and the message names quantity and step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.training.finite_check import apply_gradients, checked, diverged
from pipelines.errors import InputError

BAD = [np.nan, np.inf, -np.inf]
WAYS = pytest.mark.parametrize("way", ["eager", "graph"])


def called(way, function, *args):
    return function(*args) if way == "eager" else tf.function(function)(*args)


def failure(way, function, *args) -> tf.errors.InvalidArgumentError:
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        called(way, function, *args)
    return caught.value


@WAYS
def test_finite_values_pass_unchanged(way):
    def look(x):
        return checked(x, "D's loss")

    values = tf.constant([1.0, -2.5, 3e38])
    np.testing.assert_array_equal(called(way, look, values), values)


@WAYS
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("quantity", ["D's loss", "G's gradient", "gradient"])
def test_the_message_names_quantity_and_step(way, bad, quantity):
    def look(x):
        return checked(x, quantity)

    error = failure(way, look, tf.constant([1.0, bad]))
    found = diverged(error, 1234)
    assert isinstance(found, InputError)
    assert found.given == f"training stopped at step 1234: {quantity} was not finite"
    assert "--resume" in found.mend
    assert "\n" not in str(found)


@WAYS
def test_the_first_of_several_quantities_is_named(way):
    def both(x):
        with tf.control_dependencies([checked(x, "D's loss")]):
            return checked(tf.identity(x), "G's loss")

    assert "D's loss" in diverged(failure(way, both, tf.constant(np.nan, tf.float32)), 1).given


def somebody_elses_check(x):
    return tf.debugging.check_numerics(x, "somebody else's check")


def no_such_element(x):
    return tf.gather(x, tf.cast(x[1], tf.int32) + 6)


def failed_assertion(x):
    with tf.control_dependencies([tf.debugging.assert_less(x[1], -1.0, "G's loss is infinite")]):
        return tf.identity(x)


@WAYS
@pytest.mark.parametrize("other", [somebody_elses_check, no_such_element, failed_assertion])
def test_other_errors_are_not_taken_for_it(way, other):
    assert diverged(failure(way, other, tf.constant([np.nan, 1.0])), 1) is None


class Setting:
    """Two variables and an optimiser that has already done a step, so its slots hold something."""

    def __init__(self, optimizer):
        self.variables = [keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])]
        self.optimizer = optimizer
        self.optimizer.build(self.variables)
        self.update(tf.constant([0.3, -0.4]), tf.constant([[1.2]]))

    def update(self, *gradients):
        return apply_gradients(self.optimizer, list(gradients), self.variables, "G's gradient")

    def state(self):
        return [v.numpy().copy() for v in (*self.variables, *self.optimizer.variables)]


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.1, 0.5, 0.9),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.1),
}


@WAYS
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("which", [0, 1])
def test_one_bad_gradient_changes_nothing_at_all(way, name, bad, which):
    setting = Setting(OPTIMIZERS[name]())
    before = setting.state()
    gradients = [np.array([0.5, 0.5], np.float32), np.array([[0.5]], np.float32)]
    gradients[which].flat[0] = bad
    error = failure(way, setting.update, *map(tf.constant, gradients))
    assert "G's gradient" in diverged(error, 1).given
    for a, b in zip(before, setting.state(), strict=True):
        np.testing.assert_array_equal(a, b)


@WAYS
def test_finite_gradients_are_applied_and_their_norm_returned(way):
    setting = Setting(OPTIMIZERS["adam"]())
    expected = Setting(OPTIMIZERS["adam"]())
    gradients = [tf.constant([3.0, 0.0]), tf.constant([[-4.0]])]
    norm = called(way, setting.update, *gradients)
    np.testing.assert_allclose(norm, 5.0, rtol=1e-6)
    expected.optimizer.apply(gradients, expected.variables)
    assert int(setting.optimizer.iterations) == 2
    for a, b in zip(expected.state(), setting.state(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_gradients_of_all_replicas_are_summed_once(two_devices):
    """SGD at rate 1 under two devices with gradients 1 and 10: the variable falls by 11, not by 22 or 5.5."""
    with two_devices.scope():
        variable = tf.Variable(100.0)
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build([variable])

    @tf.function
    def update():
        def one():
            index = tf.distribute.get_replica_context().replica_id_in_sync_group
            return apply_gradients(optimizer, [tf.where(index == 0, 1.0, 10.0)], [variable], "gradient")

        return two_devices.run(one)

    norms = two_devices.experimental_local_results(update())
    np.testing.assert_allclose(variable.numpy(), 89.0)
    np.testing.assert_allclose(norms, [11.0, 11.0])
