"""The finite check: nothing that is not finite is applied, and the error names quantity and step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_tf.training.finite_check import FiniteCheckError, apply_gradients, check_finite, finite_check_error

NON_FINITE = [np.nan, np.inf, -np.inf]
MODES = pytest.mark.parametrize("mode", ["eager", "graph"])


def call(mode, function, *args):
    return function(*args) if mode == "eager" else tf.function(function)(*args)


def error_of(mode, function, *args) -> tf.errors.InvalidArgumentError:
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        call(mode, function, *args)
    return caught.value


@MODES
def test_check_finite_values_pass_unchanged(mode):
    def check(x):
        return check_finite(x, "D's loss")

    values = tf.constant([1.0, -2.5, 3e38])
    np.testing.assert_array_equal(call(mode, check, values), values)


@MODES
@pytest.mark.parametrize("value", NON_FINITE)
@pytest.mark.parametrize("quantity", ["D's loss", "G's gradient", "gradient"])
def test_finite_check_error_names_quantity_and_step(mode, value, quantity):
    def check(x):
        return check_finite(x, quantity)

    error = finite_check_error(error_of(mode, check, tf.constant([1.0, value])), 1234)
    assert isinstance(error, FiniteCheckError)
    assert error.record() == {"kind": "non-finite", "step": 1234, "quantity": quantity}
    assert error.problem == f"Training stopped at step 1234, because {quantity} was not finite"
    assert "\n" not in str(error)


@MODES
def test_finite_check_error_names_the_first_of_several_quantities(mode):
    def both(x):
        with tf.control_dependencies([check_finite(x, "D's loss")]):
            return check_finite(tf.identity(x), "G's loss")

    error = finite_check_error(error_of(mode, both, tf.constant(np.nan, tf.float32)), 1)
    assert error.quantity == "D's loss"


def another_check(x):
    return tf.debugging.check_numerics(x, "another check")


def no_such_element(x):
    return tf.gather(x, tf.cast(x[1], tf.int32) + 6)


def failed_assertion(x):
    with tf.control_dependencies([tf.debugging.assert_less(x[1], -1.0, "G's loss is infinite")]):
        return tf.identity(x)


@MODES
@pytest.mark.parametrize("other", [another_check, no_such_element, failed_assertion])
def test_finite_check_error_other_errors_give_none(mode, other):
    assert finite_check_error(error_of(mode, other, tf.constant([np.nan, 1.0])), 1) is None


class TwoVariables:
    """Two variables and an optimizer that has done a step, so that its state is not 0."""

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


@MODES
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
@pytest.mark.parametrize("value", NON_FINITE)
@pytest.mark.parametrize("which", [0, 1])
def test_apply_gradients_one_non_finite_gradient_changes_nothing(mode, name, value, which):
    updated = TwoVariables(OPTIMIZERS[name]())
    before = updated.state()
    gradients = [np.array([0.5, 0.5], np.float32), np.array([[0.5]], np.float32)]
    gradients[which].flat[0] = value
    error = error_of(mode, updated.update, *map(tf.constant, gradients))
    assert finite_check_error(error, 1).quantity == "G's gradient"
    for a, b in zip(before, updated.state(), strict=True):
        np.testing.assert_array_equal(a, b)


@MODES
def test_apply_gradients_finite_gradients_are_applied_and_their_norm_returned(mode):
    updated = TwoVariables(OPTIMIZERS["adam"]())
    expected = TwoVariables(OPTIMIZERS["adam"]())
    gradients = [tf.constant([3.0, 0.0]), tf.constant([[-4.0]])]
    norm = call(mode, updated.update, *gradients)
    np.testing.assert_allclose(norm, 5.0, rtol=1e-6)
    expected.optimizer.apply(gradients, expected.variables)
    assert int(updated.optimizer.iterations) == 2
    for a, b in zip(expected.state(), updated.state(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_apply_gradients_two_devices_are_summed_once(two_devices):
    """SGD with learning rate 1 on two devices with gradients 1 and 10: the variable falls by 11, not by 22 or 5.5."""
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
